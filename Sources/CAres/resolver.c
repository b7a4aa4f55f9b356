#include "CAres.h"

#include <ares.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct cares_resolver {
    ares_channel channel;
    int wake;
};

struct lookup {
    cares_answer answer;
    void *request;
};

static int library_status;

static void initialize(void) { library_status = ares_library_init(ARES_LIB_INIT_ALL); }

int cares_create(cares_resolver **out, const char *servers, int timeout_ms, int tries) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, initialize);
    if (library_status != ARES_SUCCESS) return library_status;
    cares_resolver *resolver = calloc(1, sizeof *resolver);
    if (resolver == NULL) return ARES_ENOMEM;
    resolver->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (resolver->wake < 0) {
        free(resolver);
        return ARES_ENOMEM;
    }
    struct ares_options options;
    memset(&options, 0, sizeof options);
    int mask = 0;
    if (timeout_ms > 0) {
        options.timeout = timeout_ms;
        mask |= ARES_OPT_TIMEOUTMS;
    }
    if (tries > 0) {
        options.tries = tries;
        mask |= ARES_OPT_TRIES;
    }
    int status = ares_init_options(&resolver->channel, &options, mask);
    if (status == ARES_SUCCESS && servers != NULL) {
        status = ares_set_servers_ports_csv(resolver->channel, servers);
        if (status != ARES_SUCCESS) ares_destroy(resolver->channel);
    }
    if (status != ARES_SUCCESS) {
        close(resolver->wake);
        free(resolver);
        return status;
    }
    *out = resolver;
    return ARES_SUCCESS;
}

void cares_destroy(cares_resolver *resolver) {
    ares_destroy(resolver->channel);
    close(resolver->wake);
    free(resolver);
}

void cares_wake(cares_resolver *resolver) {
    uint64_t one = 1;
    while (write(resolver->wake, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

static void found(void *argument, int status, int timeouts, struct ares_addrinfo *info) {
    struct lookup *lookup = argument;
    int count = 0;
    (void)timeouts;
    if (info != NULL) {
        for (struct ares_addrinfo_node *node = info->nodes; node != NULL; node = node->ai_next) count++;
    }
    cares_address *addresses = count > 0 ? calloc((size_t)count, sizeof *addresses) : NULL;
    if (count > 0 && addresses == NULL) {
        status = ARES_ENOMEM;
        count = 0;
    }
    int index = 0;
    if (addresses != NULL) {
        for (struct ares_addrinfo_node *node = info->nodes; node != NULL; node = node->ai_next) {
            if (node->ai_addrlen > sizeof addresses[index].address) continue;
            memcpy(&addresses[index].address, node->ai_addr, node->ai_addrlen);
            addresses[index].length = node->ai_addrlen;
            addresses[index].ttl = node->ai_ttl;
            index++;
        }
    }
    lookup->answer(lookup->request, status, addresses, index);
    free(addresses);
    free(lookup);
    if (info != NULL) ares_freeaddrinfo(info);
}

void cares_look_up(cares_resolver *resolver, const char *host, cares_answer answer, void *request) {
    struct lookup *lookup = malloc(sizeof *lookup);
    if (lookup == NULL) {
        answer(request, ARES_ENOMEM, NULL, 0);
        return;
    }
    lookup->answer = answer;
    lookup->request = request;
    struct ares_addrinfo_hints hints;
    memset(&hints, 0, sizeof hints);
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    ares_getaddrinfo(resolver->channel, host, NULL, &hints, found, lookup);
}

void cares_wait(cares_resolver *resolver) {
    struct pollfd fds[ARES_GETSOCK_MAXNUM + 1];
    ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
    int bits = ares_getsock(resolver->channel, sockets, ARES_GETSOCK_MAXNUM);
    nfds_t count = 0;
    for (int index = 0; index < ARES_GETSOCK_MAXNUM; index++) {
        short events = 0;
        if (ARES_GETSOCK_READABLE(bits, index)) events |= POLLIN;
        if (ARES_GETSOCK_WRITABLE(bits, index)) events |= POLLOUT;
        if (events == 0) continue;
        fds[count].fd = sockets[index];
        fds[count].events = events;
        fds[count++].revents = 0;
    }
    fds[count] = (struct pollfd){.fd = resolver->wake, .events = POLLIN};
    int timeout = -1;
    struct timeval left;
    if (ares_timeout(resolver->channel, NULL, &left) != NULL) {
        timeout = (int)(left.tv_sec * 1000 + (left.tv_usec + 999) / 1000);
    }
    int ready = poll(fds, count + 1, timeout);
    if (ready > 0 && fds[count].revents != 0) {
        uint64_t wakes;
        while (read(resolver->wake, &wakes, sizeof wakes) < 0 && errno == EINTR) {
        }
    }
    for (nfds_t index = 0; ready > 0 && index < count; index++) {
        short events = fds[index].revents;
        if (events == 0) continue;
        ares_process_fd(
            resolver->channel,
            events & (POLLIN | POLLERR | POLLHUP) ? fds[index].fd : ARES_SOCKET_BAD,
            events & (POLLOUT | POLLERR | POLLHUP) ? fds[index].fd : ARES_SOCKET_BAD
        );
    }
    // What has taken too long is tried again, or given up.
    ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

bool cares_is_absent(int status) {
    return status == ARES_ENOTFOUND || status == ARES_ENODATA || status == ARES_ENONAME || status == ARES_EBADNAME;
}

bool cares_is_timeout(int status) { return status == ARES_ETIMEOUT; }

const char *cares_error(int status) { return ares_strerror(status); }
