// OpenSSL's headers for Swift, and `copenssl_` functions for what in them is a macro, a stack or a table of callbacks.
#ifndef COPENSSL_H
#define COPENSSL_H

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Initialises the library; not to be taken down at exit, when threads may still be using it.
void copenssl_initialize(void);

// MARK: - The wire: what an SSL reads its ciphertext from and writes it to

/// Belongs to one SSL, through the BIO below. Who calls the SSL sets input and output just before, and clears them just after.
typedef struct copenssl_wire {
    /// Ciphertext that waits to be read.
    const unsigned char *input;
    size_t input_length;
    /// Where ciphertext goes, and how much of it has been written.
    unsigned char *output;
    size_t output_room;
    size_t output_length;
    /// Ciphertext that had no such place to go: handshake messages, alerts, answers to a key update.
    unsigned char *spill;
    size_t spill_length;
    size_t spill_capacity;
} copenssl_wire;

/// Gives `ssl` a BIO over `wire`, which must outlive it; 1 on success.
int copenssl_set_wire(SSL *ssl, copenssl_wire *wire);
/// Frees the spilt ciphertext.
void copenssl_clear_spill(copenssl_wire *wire);

// MARK: - Contexts

int copenssl_ctx_set_versions(SSL_CTX *context, int minimum, int maximum);
void copenssl_ctx_set_modes(SSL_CTX *context);
int copenssl_ctx_set_groups(SSL_CTX *context, const char *names);
int copenssl_set_groups(SSL *ssl, const char *names);
void copenssl_ctx_set_cache_mode(SSL_CTX *context, long mode);
void copenssl_ctx_set_status_callback(SSL_CTX *context, int (*callback)(SSL *, void *), void *argument);
/// Staples a copy of an OCSP response; 1 on success.
int copenssl_staple(SSL *ssl, const void *response, size_t length);
int copenssl_set_server_name(SSL *ssl, const char *name);
/// Adds the revocation lists of a PEM text to the context's store and has leaf certificates checked; how many, or -1.
int copenssl_ctx_add_crls(SSL_CTX *context, BIO *pem);
/// Adds the certificates of a PEM text to the context's store, and to the names sent to clients if asked; how many, or -1.
int copenssl_ctx_add_authorities(SSL_CTX *context, BIO *pem, bool announces);

// MARK: - Tickets

/// What an SSL asks when it makes or reads a ticket: key name, vector, and the objects to prepare.
typedef int (*copenssl_ticket_callback)(SSL *, unsigned char *, unsigned char *, EVP_CIPHER_CTX *, HMAC_CTX *, int);
void copenssl_ctx_set_ticket_callback(SSL_CTX *context, copenssl_ticket_callback callback);
/// Prepares to encrypt or decrypt a ticket: 32 bytes of key for AES-256-CBC, 32 for HMAC-SHA256; 1 on success.
int copenssl_ticket_begin(EVP_CIPHER_CTX *cipher, HMAC_CTX *mac, const unsigned char *keys, unsigned char *iv, int encrypts);

// MARK: - Certificates

/// Reads a leaf certificate and what follows it; 1 on success. Both are the caller's.
int copenssl_read_chain(BIO *pem, X509 **leaf, STACK_OF(X509) **chain);
void copenssl_free_chain(STACK_OF(X509) *chain);
/// Reads a private key that no password protects.
EVP_PKEY *copenssl_read_key(BIO *pem);
/// The DNS names of a certificate's alternative names, each with a newline behind it; to be freed with `copenssl_free`.
char *copenssl_dns_names(const X509 *certificate);
/// A name as RFC 2253 writes it; to be freed with `copenssl_free`.
char *copenssl_name_text(const X509_NAME *name);
/// The first entry of a kind in a name; to be freed with `copenssl_free`.
char *copenssl_name_entry(const X509_NAME *name, int nid);
/// The serial number in hexadecimal; to be freed with `copenssl_free`.
char *copenssl_serial_text(const X509 *certificate);
/// Seconds since 1970; 0 when the time cannot be read.
int64_t copenssl_time_seconds(const ASN1_TIME *time);
void copenssl_free(void *memory);
/// Makes a P-256 key and a certificate that it signs itself, for `names` ("DNS:localhost,IP:127.0.0.1"), as PEM in memory BIOs.
int copenssl_make_self_signed(const char *common_name, const char *names, long seconds, BIO *certificate, BIO *key);
/// What a memory BIO holds.
size_t copenssl_memory_bytes(BIO *bio, const unsigned char **bytes);

#endif
