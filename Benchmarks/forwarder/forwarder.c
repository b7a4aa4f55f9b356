// The floor: the least work with which one thread can forward HTTP/1.1 and still pass the benchmark's workloads.
//
//     forwarder LISTEN_PORT UPSTREAM_PORT          (both on 127.0.0.1)
//
// Edge-triggered epoll, keep-alive on both sides, a stack of idle upstream connections. A head is searched for its end,
// for Content-Length and for Connection, and for nothing else; heads are forwarded as they came. In steady state a
// request costs four system calls (recv, send, recv, send) and a share of one epoll_wait.
//
// It is a measuring stick, not a proxy: no pipelining, no chunked coding, no 1xx responses, no HEAD, no timeouts, no
// retries. Whatever it does not understand ends the connection, so that the harness counts it as a failed request.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { BUFFER_SIZE = 128 * 1024, EVENTS_PER_WAIT = 256, HEAD_LIMIT = 64 * 1024, IDLE_LIMIT = 4096 };

enum role { LISTENER, CLIENT, UPSTREAM };

// One side of a pair. A client holds a peer only while a request is under way; an upstream without a peer is idle.
struct conn {
    int fd;
    enum role role;
    bool connecting;     // upstream only: the handshake is not over
    bool in_body;        // the head of the current message has been forwarded
    bool paused;         // there may be bytes to read, left there because the other side is full
    bool closed;         // freed once the current batch of events is over
    bool keep_alive;     // after the current message
    bool close_when_flushed;
    uint64_t body_left;  // bytes of the current body that are still to be read here
    size_t idle_index;   // upstream only: its place in `idle`
    struct conn *peer;
    char *partial;       // an incomplete head, kept until the rest arrives
    size_t partial_length;
    char *unsent;        // bytes for this side that its socket did not take
    size_t unsent_offset, unsent_length;
    struct conn *next_closed;
};

struct head {
    size_t length;
    uint64_t body_length;
    bool has_length, chunked, close;
    const char *connection_line;  // NULL when there is none
    size_t connection_line_length;
};

static int epoll_fd;
static struct sockaddr_in upstream_address;
static char buffer[BUFFER_SIZE];
static struct conn *idle[IDLE_LIMIT];
static size_t idle_count;
static struct conn *closed_list;

static void read_client(struct conn *client);
static void read_upstream(struct conn *upstream);

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void *checked(void *pointer) {
    if (pointer == NULL) die("malloc");
    return pointer;
}

static struct conn *add(int fd, enum role role, uint32_t events) {
    struct conn *conn = checked(calloc(1, sizeof *conn));
    conn->fd = fd;
    conn->role = role;
    struct epoll_event event = {.events = events, .data.ptr = conn};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
    return conn;
}

static void leave_idle(struct conn *upstream) {
    idle[upstream->idle_index] = idle[--idle_count];
    idle[upstream->idle_index]->idle_index = upstream->idle_index;
}

// Closes the descriptor now and frees the memory later: events of this batch may still name it.
static void bury(struct conn *conn) {
    if (conn->closed) return;
    conn->closed = true;
    close(conn->fd);
    conn->next_closed = closed_list;
    closed_list = conn;
}

// Closes this side, and the other one if a request is under way.
static void close_pair(struct conn *conn) {
    if (conn->closed) return;
    if (conn->peer != NULL) {
        bury(conn->peer);
    } else if (conn->role == UPSTREAM) {
        leave_idle(conn);
    }
    bury(conn);
}

static void free_closed(void) {
    while (closed_list != NULL) {
        struct conn *conn = closed_list;
        closed_list = conn->next_closed;
        free(conn->partial);
        free(conn->unsent);
        free(conn);
    }
}

static void release_upstream(struct conn *upstream, bool reusable) {
    struct conn *client = upstream->peer;
    if (client != NULL) client->peer = NULL;
    upstream->peer = NULL;
    upstream->in_body = upstream->paused = false;
    upstream->body_left = 0;
    // Put there even if it goes at once: close_pair takes idle ones off the stack.
    upstream->idle_index = idle_count;
    idle[idle_count++] = upstream;
    if (!reusable || upstream->unsent != NULL || idle_count == IDLE_LIMIT) close_pair(upstream);
}

static struct conn *lease_upstream(void) {
    if (idle_count > 0) {
        return idle[--idle_count];
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return NULL;
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    bool connecting = false;
    if (connect(fd, (struct sockaddr *)&upstream_address, sizeof upstream_address) != 0) {
        if (errno != EINPROGRESS) {
            close(fd);
            return NULL;
        }
        connecting = true;
    }
    struct conn *upstream = add(fd, UPSTREAM, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    upstream->connecting = connecting;
    return upstream;
}

// Sends the pieces and keeps what the socket does not take. False when the connection is broken.
static bool send_pieces(struct conn *to, struct iovec *pieces, int count) {
    size_t total = 0, sent = 0;
    for (int i = 0; i < count; i++) total += pieces[i].iov_len;
    if (!to->connecting) {
        ssize_t n;
        if (count == 1) {
            n = send(to->fd, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL);
        } else {
            struct msghdr message = {.msg_iov = pieces, .msg_iovlen = (size_t)count};
            n = sendmsg(to->fd, &message, MSG_NOSIGNAL);
        }
        if (n < 0 && errno != EAGAIN) return false;
        sent = n < 0 ? 0 : (size_t)n;
    }
    if (sent == total) return true;
    to->unsent = checked(malloc(total - sent));
    to->unsent_offset = 0;
    to->unsent_length = total - sent;
    char *end = to->unsent;
    for (int i = 0; i < count; i++) {
        size_t skipped = sent < pieces[i].iov_len ? sent : pieces[i].iov_len;
        end = mempcpy(end, (char *)pieces[i].iov_base + skipped, pieces[i].iov_len - skipped);
        sent -= skipped;
    }
    return true;
}

// True when nothing is left to send. Breaks the pair on an error.
static bool flush(struct conn *conn) {
    while (conn->unsent != NULL) {
        size_t left = conn->unsent_length - conn->unsent_offset;
        ssize_t n = send(conn->fd, conn->unsent + conn->unsent_offset, left, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN) close_pair(conn);
            return false;
        }
        conn->unsent_offset += (size_t)n;
        if (conn->unsent_offset == conn->unsent_length) {
            free(conn->unsent);
            conn->unsent = NULL;
        } else {
            return false;
        }
    }
    return true;
}

// Reads what framing needs of a head. False while its end is not there.
static bool scan_head(const char *bytes, size_t length, struct head *head) {
    const char *blank = memmem(bytes, length, "\r\n\r\n", 4);
    if (blank == NULL) return false;
    memset(head, 0, sizeof *head);
    head->length = (size_t)(blank - bytes) + 4;
    const char *line = memchr(bytes, '\n', head->length);
    const char *end = blank + 2;
    while (line != NULL && ++line < end) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        size_t left = (size_t)(end - line);
        char first = *line | 0x20;
        if (first == 'c' && left > 15 && strncasecmp(line, "content-length:", 15) == 0) {
            head->has_length = true;
            head->body_length = strtoull(line + 15, NULL, 10);
        } else if (first == 'c' && left > 11 && strncasecmp(line, "connection:", 11) == 0 && next != NULL) {
            head->connection_line = line;
            head->connection_line_length = (size_t)(next - line) + 1;
            head->close = memmem(line, (size_t)(next - line), "close", 5) != NULL;
        } else if (first == 't' && left > 18 && strncasecmp(line, "transfer-encoding:", 18) == 0) {
            head->chunked = true;
        }
        line = next;
    }
    return true;
}

static bool keep_partial(struct conn *conn, const char *bytes, size_t length) {
    if (length >= HEAD_LIMIT) return false;
    if (conn->partial == NULL) conn->partial = checked(malloc(HEAD_LIMIT));
    memcpy(conn->partial, bytes, length);
    conn->partial_length = length;
    return true;
}

// Reads into the shared buffer, behind what is left of an incomplete head. 0: wait for an event; < 0: ended or broken.
static ssize_t receive(struct conn *conn, size_t limit) {
    size_t kept = 0;
    if (conn->partial != NULL) {
        kept = conn->partial_length;
        memcpy(buffer, conn->partial, kept);
        free(conn->partial);
        conn->partial = NULL;
    }
    ssize_t n = recv(conn->fd, buffer + kept, limit - kept, 0);
    if (n > 0) return n + (ssize_t)kept;
    if (n < 0 && errno == EAGAIN) {
        if (kept > 0) keep_partial(conn, buffer, kept);
        return 0;
    }
    return -1;
}

// The pieces of a head and what follows it, with its Connection line replaced or (request) left out.
static int cut_connection(struct iovec *pieces, const struct head *head, size_t length, const char *replacement) {
    size_t before = (size_t)(head->connection_line - buffer);
    size_t after = before + head->connection_line_length;
    int count = 0;
    pieces[count++] = (struct iovec){buffer, before};
    if (*replacement != 0) pieces[count++] = (struct iovec){(char *)replacement, strlen(replacement)};
    pieces[count++] = (struct iovec){buffer + after, length - after};
    return count;
}

static bool start_request(struct conn *client, size_t length) {
    struct head head;
    if (!scan_head(buffer, length, &head)) return keep_partial(client, buffer, length);
    size_t body = length - head.length;
    if (head.chunked || body > head.body_length) return false;
    struct conn *upstream = lease_upstream();
    if (upstream == NULL) return false;
    client->peer = upstream;
    upstream->peer = client;
    client->in_body = true;
    client->keep_alive = !head.close;
    client->body_left = head.body_length - body;
    struct iovec pieces[3] = {{buffer, length}};
    int count = head.close ? cut_connection(pieces, &head, length, "") : 1;
    return send_pieces(upstream, pieces, count);
}

static void read_client(struct conn *client) {
    for (;;) {
        if (client->peer != NULL && client->peer->unsent != NULL) {
            client->paused = true;
            return;
        }
        if (client->in_body && client->body_left == 0) {
            client->paused = true;
            return;
        }
        client->paused = false;
        size_t limit = BUFFER_SIZE;
        if (client->in_body && client->body_left < limit) limit = client->body_left;
        ssize_t n = receive(client, limit);
        if (n == 0) return;
        if (n < 0) {
            close_pair(client);
            return;
        }
        bool sent;
        if (client->in_body) {
            client->body_left -= (size_t)n;
            struct iovec piece = {buffer, (size_t)n};
            sent = send_pieces(client->peer, &piece, 1);
        } else {
            sent = start_request(client, (size_t)n);
        }
        if (!sent) {
            close_pair(client);
            return;
        }
        // A short read has drained the socket; a complete request is followed by nothing.
        if ((size_t)n < limit || (client->in_body && client->body_left == 0)) return;
    }
}

static bool start_response(struct conn *upstream, size_t length) {
    struct conn *client = upstream->peer;
    struct head head;
    if (!scan_head(buffer, length, &head)) return keep_partial(upstream, buffer, length);
    bool bodiless = length > 12 && (memcmp(buffer + 9, "204", 3) == 0 || memcmp(buffer + 9, "304", 3) == 0);
    if (bodiless) head.body_length = 0;
    size_t body = length - head.length;
    if (head.chunked || (!head.has_length && !bodiless) || body > head.body_length) return false;
    upstream->in_body = true;
    upstream->keep_alive = !head.close;
    upstream->body_left = head.body_length - body;
    struct iovec pieces[3] = {{buffer, length}};
    int count = 1;
    if (!client->keep_alive && head.connection_line != NULL) {
        count = cut_connection(pieces, &head, length, "Connection: close\r\n");
    }
    return send_pieces(client, pieces, count);
}

static void finish_response(struct conn *upstream) {
    struct conn *client = upstream->peer;
    bool request_complete = client->body_left == 0;
    release_upstream(upstream, upstream->keep_alive && request_complete);
    client->in_body = false;
    if (client->keep_alive && request_complete) {
        if (client->paused && client->unsent == NULL) read_client(client);
    } else if (client->unsent == NULL) {
        close_pair(client);
    } else {
        client->close_when_flushed = true;
    }
}

static void read_upstream(struct conn *upstream) {
    for (;;) {
        struct conn *client = upstream->peer;
        if (client == NULL) {
            close_pair(upstream);
            return;
        }
        if (client->unsent != NULL) {
            upstream->paused = true;
            return;
        }
        upstream->paused = false;
        ssize_t n = receive(upstream, BUFFER_SIZE);
        if (n == 0) return;
        bool sent = n > 0;
        if (sent && upstream->in_body) {
            sent = (size_t)n <= upstream->body_left;
            if (sent) {
                upstream->body_left -= (size_t)n;
                struct iovec piece = {buffer, (size_t)n};
                sent = send_pieces(client, &piece, 1);
            }
        } else if (sent) {
            sent = start_response(upstream, (size_t)n);
        }
        if (!sent) {
            close_pair(upstream);
            return;
        }
        if (upstream->in_body && upstream->body_left == 0) {
            finish_response(upstream);
            return;
        }
        if (n < BUFFER_SIZE) return;
    }
}

static void accept_clients(struct conn *listener) {
    for (;;) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        add(fd, CLIENT, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    }
}

static void on_writable(struct conn *conn) {
    if (conn->connecting) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0) {
            close_pair(conn);
            return;
        }
        conn->connecting = false;
    }
    if (conn->unsent == NULL || !flush(conn)) return;
    if (conn->close_when_flushed) {
        close_pair(conn);
    } else if (conn->peer != NULL && conn->peer->paused) {
        if (conn->role == CLIENT) {
            read_upstream(conn->peer);
        } else {
            read_client(conn->peer);
        }
    } else if (conn->role == CLIENT && conn->peer == NULL && conn->paused) {
        read_client(conn);
    }
}

static void on_event(struct conn *conn, uint32_t events) {
    if (conn->closed) return;
    if (conn->role == LISTENER) {
        accept_clients(conn);
        return;
    }
    if (events & (EPOLLERR | EPOLLHUP)) {
        close_pair(conn);
        return;
    }
    if (events & EPOLLOUT) on_writable(conn);
    if (conn->closed || !(events & (EPOLLIN | EPOLLRDHUP))) return;
    if (conn->role == CLIENT) {
        // A client that stops writing has left: nothing here serves half-closed clients.
        if (events & EPOLLRDHUP) {
            close_pair(conn);
        } else {
            read_client(conn);
        }
    } else {
        read_upstream(conn);
    }
}

static int listen_on(uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0) die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) die("bind");
    if (listen(fd, 4096) != 0) die("listen");
    return fd;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: forwarder LISTEN_PORT UPSTREAM_PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    upstream_address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))};
    upstream_address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0) die("epoll_create1");
    add(listen_on((uint16_t)atoi(argv[1])), LISTENER, EPOLLIN | EPOLLET);
    printf("forwarder listening on 127.0.0.1:%s\n", argv[1]);
    fflush(stdout);
    struct epoll_event events[EVENTS_PER_WAIT];
    for (;;) {
        int count = epoll_wait(epoll_fd, events, EVENTS_PER_WAIT, -1);
        if (count < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < count; i++) on_event(events[i].data.ptr, events[i].events);
        free_closed();
    }
}
