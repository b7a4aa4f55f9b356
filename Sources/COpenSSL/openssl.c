#include "COpenSSL.h"

#include <CBlockCache.h>
#include <string.h>
#include <time.h>

static void *allocate(size_t size, const char *file, int line) {
    (void)file, (void)line;
    return size == 0 ? NULL : cblock_allocate(size);
}

static void release(void *memory, const char *file, int line) {
    (void)file, (void)line;
    cblock_free(memory);
}

static void *resize(void *memory, size_t size, const char *file, int line) {
    if (memory == NULL) return allocate(size, file, line);
    if (size > 0) return cblock_resize(memory, size);
    release(memory, file, line);
    return NULL;
}

// OpenSSL takes other functions only before it has allocated anything. Its blocks stay `malloc`'s: it does not matter who frees them.
__attribute__((constructor)) static void use_block_cache(void) { CRYPTO_set_mem_functions(allocate, resize, release); }

void copenssl_initialize(void) {
    OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, NULL);
}

// MARK: - The wire

/// Beyond this the SSL must wait until some has been sent: a peer that asks for answers and takes none must not cost memory.
static const size_t spill_limit = 1 << 17;

static int wire_spill(copenssl_wire *wire, const char *bytes, size_t count) {
    if (wire->spill_length + count > spill_limit) return 0;
    if (wire->spill_length + count > wire->spill_capacity) {
        size_t capacity = wire->spill_capacity ? wire->spill_capacity : 2048;
        while (capacity < wire->spill_length + count) capacity *= 2;
        unsigned char *grown = OPENSSL_realloc(wire->spill, capacity);
        if (grown == NULL) return 0;
        wire->spill = grown;
        wire->spill_capacity = capacity;
    }
    memcpy(wire->spill + wire->spill_length, bytes, count);
    wire->spill_length += count;
    return 1;
}

static int wire_write(BIO *bio, const char *bytes, size_t count, size_t *written) {
    copenssl_wire *wire = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (wire->spill_length == 0 && wire->output_room - wire->output_length >= count) {
        memcpy(wire->output + wire->output_length, bytes, count);
        wire->output_length += count;
    } else if (!wire_spill(wire, bytes, count)) {
        BIO_set_retry_write(bio);
        return -1;
    }
    *written = count;
    return 1;
}

static int wire_read(BIO *bio, char *bytes, size_t count, size_t *read) {
    copenssl_wire *wire = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    size_t moved = count < wire->input_length ? count : wire->input_length;
    if (moved == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(bytes, wire->input, moved);
    wire->input += moved;
    wire->input_length -= moved;
    *read = moved;
    return 1;
}

static long wire_control(BIO *bio, int command, long number, void *pointer) {
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static CRYPTO_ONCE method_once = CRYPTO_ONCE_STATIC_INIT;
static BIO_METHOD *method;

static void make_method(void) {
    BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");
    if (made == NULL) return;
    BIO_meth_set_write_ex(made, wire_write);
    BIO_meth_set_read_ex(made, wire_read);
    BIO_meth_set_ctrl(made, wire_control);
    method = made;
}

int copenssl_set_wire(SSL *ssl, copenssl_wire *wire) {
    if (!CRYPTO_THREAD_run_once(&method_once, make_method) || method == NULL) return 0;
    BIO *bio = BIO_new(method);
    if (bio == NULL) return 0;
    BIO_set_data(bio, wire);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    return 1;
}

void copenssl_clear_spill(copenssl_wire *wire) {
    OPENSSL_free(wire->spill);
    wire->spill = NULL;
    wire->spill_length = 0;
    wire->spill_capacity = 0;
}

// MARK: - Contexts

int copenssl_ctx_set_versions(SSL_CTX *context, int minimum, int maximum) {
    return SSL_CTX_set_min_proto_version(context, minimum) && SSL_CTX_set_max_proto_version(context, maximum);
}

void copenssl_ctx_set_modes(SSL_CTX *context) {
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
}

int copenssl_ctx_set_groups(SSL_CTX *context, const char *names) { return (int)SSL_CTX_set1_groups_list(context, names); }
int copenssl_set_groups(SSL *ssl, const char *names) { return (int)SSL_set1_groups_list(ssl, names); }
void copenssl_ctx_set_cache_mode(SSL_CTX *context, long mode) { SSL_CTX_set_session_cache_mode(context, mode); }

void copenssl_ctx_set_status_callback(SSL_CTX *context, int (*callback)(SSL *, void *), void *argument) {
    SSL_CTX_set_tlsext_status_cb(context, callback);
    SSL_CTX_set_tlsext_status_arg(context, argument);
}

int copenssl_staple(SSL *ssl, const void *response, size_t length) {
    unsigned char *copy = OPENSSL_memdup(response, length);
    if (copy == NULL) return 0;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)length);
    return 1;
}

int copenssl_set_server_name(SSL *ssl, const char *name) { return (int)SSL_set_tlsext_host_name(ssl, name); }

int copenssl_ctx_add_crls(SSL_CTX *context, BIO *pem) {
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    int count = 0;
    for (X509_CRL *list; (list = PEM_read_bio_X509_CRL(pem, NULL, NULL, NULL)) != NULL; count++) {
        int added = X509_STORE_add_crl(store, list);
        X509_CRL_free(list);
        if (!added) return -1;
    }
    ERR_clear_error();
    if (count > 0) X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    return count;
}

int copenssl_ctx_add_authorities(SSL_CTX *context, BIO *pem, bool announces) {
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    int count = 0;
    for (X509 *authority; (authority = PEM_read_bio_X509(pem, NULL, NULL, NULL)) != NULL; count++) {
        int added = X509_STORE_add_cert(store, authority) && (!announces || SSL_CTX_add_client_CA(context, authority));
        X509_free(authority);
        if (!added) return -1;
    }
    ERR_clear_error();
    return count;
}

// MARK: - Tickets

// The callback with an HMAC_CTX is deprecated in favour of one with an EVP_MAC_CTX, which looks its digest up by name for each ticket.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static CRYPTO_ONCE ticket_once = CRYPTO_ONCE_STATIC_INIT;
static EVP_CIPHER *ticket_cipher;
static EVP_MD *ticket_digest;

static void fetch_ticket_algorithms(void) {
    ticket_cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    ticket_digest = EVP_MD_fetch(NULL, "SHA256", NULL);
}

void copenssl_ctx_set_ticket_callback(SSL_CTX *context, copenssl_ticket_callback callback) {
    SSL_CTX_set_tlsext_ticket_key_cb(context, callback);
}

int copenssl_ticket_begin(EVP_CIPHER_CTX *cipher, HMAC_CTX *mac, const unsigned char *keys, unsigned char *iv, int encrypts) {
    if (!CRYPTO_THREAD_run_once(&ticket_once, fetch_ticket_algorithms) || ticket_cipher == NULL || ticket_digest == NULL) return 0;
    if (encrypts && RAND_bytes(iv, 16) != 1) return 0;
    return EVP_CipherInit_ex(cipher, ticket_cipher, NULL, keys, iv, encrypts)
        && HMAC_Init_ex(mac, keys + 32, 32, ticket_digest, NULL);
}

#pragma GCC diagnostic pop

// MARK: - Certificates

static int no_password(char *text, int capacity, int writes, void *argument) {
    (void)text, (void)capacity, (void)writes, (void)argument;
    return -1;
}

int copenssl_read_chain(BIO *pem, X509 **leaf, STACK_OF(X509) **chain) {
    *leaf = PEM_read_bio_X509_AUX(pem, NULL, no_password, NULL);
    *chain = sk_X509_new_null();
    if (*leaf == NULL || *chain == NULL) goto failed;
    for (X509 *next; (next = PEM_read_bio_X509(pem, NULL, no_password, NULL)) != NULL;) {
        if (!sk_X509_push(*chain, next)) {
            X509_free(next);
            goto failed;
        }
    }
    // Only the end of the text may have ended it.
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) goto failed;
    ERR_clear_error();
    return 1;
failed:
    X509_free(*leaf);
    copenssl_free_chain(*chain);
    *leaf = NULL;
    *chain = NULL;
    return 0;
}

void copenssl_free_chain(STACK_OF(X509) *chain) { sk_X509_pop_free(chain, X509_free); }

EVP_PKEY *copenssl_read_key(BIO *pem) { return PEM_read_bio_PrivateKey(pem, NULL, no_password, NULL); }

static char *text_of(BIO *bio) {
    const unsigned char *bytes;
    size_t count = copenssl_memory_bytes(bio, &bytes);
    return OPENSSL_strndup((const char *)bytes, count);
}

char *copenssl_dns_names(const X509 *certificate) {
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    BIO *text = BIO_new(BIO_s_mem());
    if (text == NULL) {
        GENERAL_NAMES_free(names);
        return NULL;
    }
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_DNS) continue;
        BIO_write(text, ASN1_STRING_get0_data(name->d.dNSName), ASN1_STRING_length(name->d.dNSName));
        BIO_write(text, "\n", 1);
    }
    char *result = text_of(text);
    GENERAL_NAMES_free(names);
    BIO_free(text);
    return result;
}

char *copenssl_name_text(const X509_NAME *name) {
    BIO *text = BIO_new(BIO_s_mem());
    if (text == NULL) return NULL;
    char *result = X509_NAME_print_ex(text, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0 ? text_of(text) : NULL;
    BIO_free(text);
    return result;
}

char *copenssl_name_entry(const X509_NAME *name, int nid) {
    int index = X509_NAME_get_index_by_NID(name, nid, -1);
    if (index < 0) return NULL;
    unsigned char *utf8 = NULL;
    int length = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index)));
    if (length < 0) return NULL;
    char *result = OPENSSL_strndup((const char *)utf8, (size_t)length);
    OPENSSL_free(utf8);
    return result;
}

char *copenssl_serial_text(const X509 *certificate) {
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    char *text = number ? BN_bn2hex(number) : NULL;
    BN_free(number);
    return text;
}

int64_t copenssl_time_seconds(const ASN1_TIME *time) {
    struct tm parts;
    return ASN1_TIME_to_tm(time, &parts) ? (int64_t)timegm(&parts) : 0;
}

void copenssl_free(void *memory) { OPENSSL_free(memory); }

static int add_extension(X509 *certificate, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    int added = extension != NULL && X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return added;
}

int copenssl_make_self_signed(const char *common_name, const char *names, long seconds, BIO *certificate, BIO *key) {
    EVP_PKEY *pair = EVP_EC_gen("P-256");
    X509 *made = X509_new();
    uint64_t serial = 0;
    int done = pair && made && RAND_bytes((unsigned char *)&serial, sizeof serial) == 1;
    if (done) {
        X509_NAME *name = X509_get_subject_name(made);
        done = X509_set_version(made, X509_VERSION_3) && ASN1_INTEGER_set_uint64(X509_get_serialNumber(made), serial >> 1)
            && X509_gmtime_adj(X509_getm_notBefore(made), -60) && X509_gmtime_adj(X509_getm_notAfter(made), seconds)
            && X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0)
            && X509_set_issuer_name(made, name) && X509_set_pubkey(made, pair)
            && add_extension(made, NID_basic_constraints, "critical,CA:FALSE")
            && add_extension(made, NID_subject_alt_name, names) && X509_sign(made, pair, EVP_sha256())
            && PEM_write_bio_X509(certificate, made)
            && PEM_write_bio_PrivateKey(key, pair, NULL, NULL, 0, NULL, NULL);
    }
    X509_free(made);
    EVP_PKEY_free(pair);
    return done;
}

size_t copenssl_memory_bytes(BIO *bio, const unsigned char **bytes) {
    char *start = NULL;
    long count = BIO_get_mem_data(bio, &start);
    *bytes = (const unsigned char *)start;
    return count > 0 ? (size_t)count : 0;
}
