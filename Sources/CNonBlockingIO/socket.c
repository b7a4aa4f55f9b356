// Non-blocking, close-on-exec sockets: making them, moving bytes, and the options a proxy sets.
#include "CNonBlockingIO.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif

#define CHECK(call) ((call) < 0 ? -errno : 0)

int cnbio_socket(int domain, int type) {
    int fd = socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

int cnbio_close(int fd) { return CHECK(close(fd)); }

int cnbio_accept(int fd, struct sockaddr_storage *address, socklen_t *length) {
    *length = sizeof *address;
    int accepted;
    do {
        accepted = accept4(fd, (struct sockaddr *)address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (accepted < 0 && errno == EINTR);
    return accepted < 0 ? -errno : accepted;
}

int cnbio_connect(int fd, const struct sockaddr_storage *address, socklen_t length) {
    return CHECK(connect(fd, (const struct sockaddr *)address, length));
}

int cnbio_bind(int fd, const struct sockaddr_storage *address, socklen_t length) {
    return CHECK(bind(fd, (const struct sockaddr *)address, length));
}

int cnbio_listen(int fd, int backlog) { return CHECK(listen(fd, backlog)); }

int cnbio_shutdown_write(int fd) { return CHECK(shutdown(fd, SHUT_WR)); }

int cnbio_socket_error(int fd) {
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0) return -errno;
    return -error;
}

int cnbio_set_int_option(int fd, int level, int name, int value) {
    return CHECK(setsockopt(fd, level, name, &value, sizeof value));
}

int cnbio_get_int_option(int fd, int level, int name, int *value) {
    socklen_t length = sizeof *value;
    return CHECK(getsockopt(fd, level, name, value, &length));
}

int cnbio_local_address(int fd, struct sockaddr_storage *address, socklen_t *length) {
    *length = sizeof *address;
    return CHECK(getsockname(fd, (struct sockaddr *)address, length));
}

int cnbio_peer_address(int fd, struct sockaddr_storage *address, socklen_t *length) {
    *length = sizeof *address;
    return CHECK(getpeername(fd, (struct sockaddr *)address, length));
}

int cnbio_set_reset_on_close(int fd) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    return CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
}

int cnbio_stop_queueing(int fd, int family) {
    // A Unix socket that is shut down for reading refuses who connects, and keeps its queue.
    if (family == AF_UNIX) return CHECK(shutdown(fd, SHUT_RD));
    // A TCP listener cannot be shut down without resetting its queue, but its packets can be filtered: SYN without ACK is dropped
    // (the flags are the 14th byte of the TCP header), so that a client tries again and finds the port closed.
    struct sock_filter drop_syn[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
    };
    struct sock_fprog program = {.len = sizeof drop_syn / sizeof drop_syn[0], .filter = drop_syn};
    return CHECK(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
}

ssize_t cnbio_receive(int fd, void *bytes, size_t count) {
    ssize_t result;
    do {
        result = recv(fd, bytes, count, 0);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : result;
}

ssize_t cnbio_send(int fd, const void *bytes, size_t count) {
    ssize_t result;
    do {
        result = send(fd, bytes, count, MSG_NOSIGNAL);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : result;
}

ssize_t cnbio_send_vectors(int fd, struct iovec *vectors, size_t count) {
    struct msghdr message = {.msg_iov = vectors, .msg_iovlen = count};
    ssize_t result;
    do {
        result = sendmsg(fd, &message, MSG_NOSIGNAL);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : result;
}

int cnbio_tcp_no_delay(int fd) { return cnbio_set_int_option(fd, IPPROTO_TCP, TCP_NODELAY, 1); }

int cnbio_tcp_fast_open_listener(int fd, int queue_length) {
    return cnbio_set_int_option(fd, IPPROTO_TCP, TCP_FASTOPEN, queue_length);
}

int cnbio_tcp_fast_open_connect(int fd) { return cnbio_set_int_option(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1); }

int cnbio_tcp_user_timeout(int fd, int milliseconds) {
    return cnbio_set_int_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, milliseconds);
}

int cnbio_tcp_keepalive(int fd, int idle, int interval, int count, int user_timeout_ms) {
    int result = cnbio_set_int_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    if (result == 0 && idle > 0) result = cnbio_set_int_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle);
    if (result == 0 && interval > 0) result = cnbio_set_int_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval);
    if (result == 0 && count > 0) result = cnbio_set_int_option(fd, IPPROTO_TCP, TCP_KEEPCNT, count);
    if (result == 0 && user_timeout_ms > 0) result = cnbio_tcp_user_timeout(fd, user_timeout_ms);
    return result;
}

int cnbio_dscp(int fd, int family, int value) {
    return family == AF_INET6 ? cnbio_set_int_option(fd, IPPROTO_IPV6, IPV6_TCLASS, value)
                              : cnbio_set_int_option(fd, IPPROTO_IP, IP_TOS, value);
}

int cnbio_bind_address_no_port(int fd) {
    return cnbio_set_int_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
}

int cnbio_local_port_range(int fd, uint16_t low, uint16_t high) {
    uint32_t range = ((uint32_t)high << 16) | low;
    return CHECK(setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &range, sizeof range));
}

int cnbio_ipv6_only(int fd, bool on) { return cnbio_set_int_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, on); }
