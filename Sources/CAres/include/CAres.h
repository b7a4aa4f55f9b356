// A name resolver over c-ares for one thread to drive: look-ups begin, and the thread waits for what comes of them.
#ifndef CARES_SHIM_H
#define CARES_SHIM_H

#include <stdbool.h>

typedef struct cares_resolver cares_resolver;

/// An address of a name, and for how many seconds it may be kept. It begins with a sockaddr_storage as bytes: a second module
/// that declares the system's type would make Swift's compiler unsure whose it is.
typedef struct cares_address {
    _Alignas(8) unsigned char address[128];
    unsigned length;
    int ttl;
} cares_address;

/// Gets what came of a look-up, once: status 0 and the addresses, or what went wrong. The addresses are gone when it returns.
typedef void (*cares_answer)(void *request, int status, const cares_address *addresses, int count);

/// Makes a resolver that asks `servers` ("127.0.0.1:53,[::1]:53"); NULL asks those of /etc/resolv.conf. Zero leaves `timeout_ms` (of the
/// first try) and `tries` as they are there. Returns a status.
int cares_create(cares_resolver **resolver, const char *servers, int timeout_ms, int tries);
/// Answers what is left with an error, and frees the resolver.
void cares_destroy(cares_resolver *resolver);
/// Ends a wait, from any thread.
void cares_wake(cares_resolver *resolver);
/// Begins to look up the IPv4 and IPv6 addresses of `host`, in /etc/hosts and by DNS. May answer at once.
void cares_look_up(cares_resolver *resolver, const char *host, cares_answer answer, void *request);
/// Waits until something arrives, a try has taken too long or `cares_wake` is called, and gives the answers that came of it.
void cares_wait(cares_resolver *resolver);
/// Whether a status says that there is no such name, or none with an address.
bool cares_is_absent(int status);
/// Whether a status says that no server has answered in time.
bool cares_is_timeout(int status);
/// A status in words.
const char *cares_error(int status);

#endif
