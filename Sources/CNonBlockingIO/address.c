// Socket addresses: text to bytes and back, and blocking name resolution.
#include "CNonBlockingIO.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

// inet_ntop does it by way of printf, which costs as much as parsing a request's head.
static int ipv4_text(const uint8_t *bytes, char *text) {
    char *at = text;
    for (int index = 0; index < 4; index++) {
        unsigned byte = bytes[index];
        if (index > 0) *at++ = '.';
        if (byte >= 100) *at++ = (char)('0' + byte / 100);
        if (byte >= 10) *at++ = (char)('0' + byte / 10 % 10);
        *at++ = (char)('0' + byte % 10);
    }
    *at = 0;
    return (int)(at - text);
}

int cnbio_address_text(const struct sockaddr_storage *address, char *text, size_t capacity) {
    if (capacity < INET6_ADDRSTRLEN) return -ENOSPC;
    if (address->ss_family == AF_INET) {
        return ipv4_text((const uint8_t *)&((const struct sockaddr_in *)address)->sin_addr, text);
    }
    if (address->ss_family != AF_INET6) return -EAFNOSUPPORT;
    const void *bytes = &((const struct sockaddr_in6 *)address)->sin6_addr;
    if (inet_ntop(AF_INET6, bytes, text, (socklen_t)capacity) == NULL) return -errno;
    return (int)strlen(text);
}

uint16_t cnbio_address_port(const struct sockaddr_storage *address) {
    if (address->ss_family == AF_INET) return ntohs(((const struct sockaddr_in *)address)->sin_port);
    if (address->ss_family == AF_INET6) return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
    return 0;
}

uint32_t cnbio_ipv4_bits(const struct sockaddr_storage *address) {
    return ((const struct sockaddr_in *)address)->sin_addr.s_addr;
}

uint64_t cnbio_ipv6_bits(const struct sockaddr_storage *address, int half) {
    uint64_t bits;
    memcpy(&bits, ((const struct sockaddr_in6 *)address)->sin6_addr.s6_addr + 8 * half, sizeof bits);
    return bits;
}

void cnbio_ipv4_address(uint32_t bits, uint16_t port, struct sockaddr_storage *address, socklen_t *length) {
    struct sockaddr_in *in = (struct sockaddr_in *)address;
    memset(address, 0, sizeof *address);
    in->sin_addr.s_addr = bits;
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    *length = sizeof *in;
}

void cnbio_ipv6_address(uint64_t high, uint64_t low, uint16_t port, struct sockaddr_storage *address, socklen_t *length) {
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)address;
    memset(address, 0, sizeof *address);
    memcpy(in->sin6_addr.s6_addr, &high, sizeof high);
    memcpy(in->sin6_addr.s6_addr + 8, &low, sizeof low);
    in->sin6_family = AF_INET6;
    in->sin6_port = htons(port);
    *length = sizeof *in;
}

int cnbio_parse_ipv4(const char *text, uint16_t port, struct sockaddr_storage *address, socklen_t *length) {
    struct sockaddr_in *in = (struct sockaddr_in *)address;
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, text, &in->sin_addr) != 1) return -EINVAL;
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    *length = sizeof *in;
    return 0;
}

int cnbio_parse_ipv6(const char *text, uint16_t port, struct sockaddr_storage *address, socklen_t *length) {
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)address;
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET6, text, &in->sin6_addr) != 1) return -EINVAL;
    in->sin6_family = AF_INET6;
    in->sin6_port = htons(port);
    *length = sizeof *in;
    return 0;
}

int cnbio_unix_address(const char *path, size_t path_length, struct sockaddr_storage *address, socklen_t *length) {
    struct sockaddr_un *un = (struct sockaddr_un *)address;
    memset(address, 0, sizeof *address);
    if (path_length == 0 || path_length >= sizeof un->sun_path) return -ENAMETOOLONG;
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, path_length);
    *length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_length + 1);
    return 0;
}

const char *cnbio_unix_path(const struct sockaddr_storage *address) {
    return ((const struct sockaddr_un *)address)->sun_path;
}

int cnbio_resolve(const char *host, uint16_t port, struct sockaddr_storage *addresses, socklen_t *lengths, int capacity) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    int code = getaddrinfo(host, service, &hints, &list);
    if (code != 0) return code < 0 ? code : -code;
    int count = 0;
    for (struct addrinfo *entry = list; entry != NULL && count < capacity; entry = entry->ai_next) {
        if (entry->ai_addrlen > sizeof addresses[count]) continue;
        memset(&addresses[count], 0, sizeof addresses[count]);
        memcpy(&addresses[count], entry->ai_addr, entry->ai_addrlen);
        lengths[count] = entry->ai_addrlen;
        count += 1;
    }
    freeaddrinfo(list);
    return count;
}

const char *cnbio_resolve_error(int code) { return gai_strerror(code); }
