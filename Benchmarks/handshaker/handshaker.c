// A load of TLS handshakes: connect, shake hands, take leave, again and again, with nothing asked in between.
//
//     handshaker PORT SECONDS THREADS full|resumed          (on 127.0.0.1)
//
// TLS 1.3 only, X25519 and AES-128-GCM, so that every server does the same work. In "resumed", a thread begins with one
// handshake and one request that are not counted, for its first ticket; then every connection uses the newest ticket
// that the thread was given, and one that the server did not resume counts as failed. A handshake is over, and its time
// taken, when the client has finished; that the server has too is known when it closes the connection in return.
//
// The last line of the output is "RESULT " and JSON, times in microseconds.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAXIMUM_THREADS = 64, MAXIMUM_SAMPLES = 1 << 20, PATIENCE_SECONDS = 5 };

struct worker {
    pthread_t thread;
    SSL_CTX *context;
    SSL_SESSION *ticket;  // the newest
    uint32_t *samples;    // microseconds of each good handshake
    size_t good, failed;
};

static struct sockaddr_in server;
static bool resumes;
static uint64_t deadline;

static void fail(const char *what) {
    fprintf(stderr, "handshaker: %s\n", what);
    exit(1);
}

static uint64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int keep_ticket(SSL *ssl, SSL_SESSION *session) {
    struct worker *worker = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    SSL_SESSION_free(worker->ticket);
    worker->ticket = session;
    return 1;
}

static SSL_CTX *make_context(struct worker *worker) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) ||
        !SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") || !SSL_CTX_set1_groups_list(context, "X25519"))
        fail("OpenSSL refuses these settings");
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep_ticket);
    SSL_CTX_set_app_data(context, worker);
    return context;
}

static int open_connection(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(fd, (struct sockaddr *)&server, sizeof server) == 0) return fd;
    close(fd);
    return -1;
}

// Reads until the server has nothing more to say; what comes first are its tickets. True if the end was in order.
static bool read_to_end(SSL *ssl, int fd) {
    char buffer[4096];
    int count;
    do count = SSL_read(ssl, buffer, sizeof buffer);
    while (count > 0);
    if (SSL_get_error(ssl, count) == SSL_ERROR_ZERO_RETURN) return true;
    // Without a close_notify: an end of the stream, or else a reset or no answer in time.
    return recv(fd, buffer, sizeof buffer, 0) == 0;
}

// One connection. With a request, the server is the one who closes; it has sent its tickets before its answer.
static bool shake(struct worker *worker, const char *request, uint64_t *took) {
    uint64_t start = now_us();
    int fd = open_connection();
    if (fd < 0) return false;
    SSL *ssl = SSL_new(worker->context);
    bool wants_ticket = resumes && request == NULL;
    bool good = ssl != NULL && SSL_set_fd(ssl, fd) == 1;
    good = good && (!wants_ticket || (worker->ticket != NULL && SSL_set_session(ssl, worker->ticket) == 1));
    good = good && SSL_connect(ssl) == 1;
    *took = now_us() - start;
    good = good && (!wants_ticket || SSL_session_reused(ssl) == 1);
    if (good && request != NULL) good = SSL_write(ssl, request, (int)strlen(request)) > 0;
    if (good && request == NULL) good = SSL_shutdown(ssl) >= 0;
    good = good && read_to_end(ssl, fd);
    // Or OpenSSL would declare the tickets of this connection unfit for use.
    if (ssl != NULL) SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl);
    close(fd);
    return good;
}

static void *work(void *argument) {
    struct worker *worker = argument;
    uint64_t took;
    if (resumes && !shake(worker, "GET /small HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", &took)) {
        worker->failed = 1;
        return NULL;
    }
    while (now_us() < deadline && worker->good < MAXIMUM_SAMPLES) {
        if (shake(worker, NULL, &took)) {
            worker->samples[worker->good++] = (uint32_t)took;
        } else {
            worker->failed++;
        }
    }
    return NULL;
}

static int compare(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static void report(struct worker *workers, int count, uint64_t elapsed) {
    size_t good = 0, failed = 0;
    for (int i = 0; i < count; i++) good += workers[i].good, failed += workers[i].failed;
    uint32_t *all = malloc((good + 1) * sizeof *all);
    if (all == NULL) fail("no memory");
    all[0] = 0;
    size_t next = 0;
    for (int i = 0; i < count; i++) {
        memcpy(all + next, workers[i].samples, workers[i].good * sizeof *all);
        next += workers[i].good;
    }
    qsort(all, good, sizeof *all, compare);
    printf("RESULT {\"handshakes\":%zu,\"failed\":%zu,\"microseconds\":%llu,\"p50\":%u,\"p99\":%u,\"max\":%u}\n", good, failed,
           (unsigned long long)elapsed, all[good / 2], all[good * 99 / 100], all[good > 0 ? good - 1 : 0]);
    free(all);
}

int main(int argc, char **argv) {
    if (argc != 5) fail("usage: handshaker PORT SECONDS THREADS full|resumed");
    double seconds = atof(argv[2]);
    int count = atoi(argv[3]);
    if (count < 1 || count > MAXIMUM_THREADS || seconds <= 0) fail("not so many threads, or no time");
    signal(SIGPIPE, SIG_IGN);
    server.sin_family = AF_INET;
    server.sin_port = htons((uint16_t)atoi(argv[1]));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    resumes = strcmp(argv[4], "resumed") == 0;
    static struct worker workers[MAXIMUM_THREADS];
    uint64_t start = now_us();
    deadline = start + (uint64_t)(seconds * 1e6);
    for (int i = 0; i < count; i++) {
        workers[i].context = make_context(&workers[i]);
        workers[i].samples = malloc(MAXIMUM_SAMPLES * sizeof *workers[i].samples);
        if (workers[i].samples == NULL) fail("no memory");
    }
    for (int i = 0; i < count; i++)
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) fail("no thread");
    for (int i = 0; i < count; i++) pthread_join(workers[i].thread, NULL);
    report(workers, count, now_us() - start);
    for (int i = 0; i < count; i++) {
        SSL_SESSION_free(workers[i].ticket);
        SSL_CTX_free(workers[i].context);
        free(workers[i].samples);
    }
    return 0;
}
