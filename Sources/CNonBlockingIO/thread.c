// Named joinable threads and the thread-locals: what tells a worker from any other thread, and a number for each.
#include "CNonBlockingIO.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

_Thread_local void *cnbio_thread_context = NULL;
_Thread_local uint32_t cnbio_thread_number = 0;

uint32_t cnbio_number_thread(void) {
    static atomic_uint next = 1;
    uint32_t number = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed);
    // 0 means that a thread has none: after four thousand million threads one is skipped.
    if (number == 0) number = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed);
    return cnbio_thread_number = number;
}

struct start {
    void (*body)(void *);
    void *argument;
    char name[16];
};

static void *run(void *raw) {
    struct start start = *(struct start *)raw;
    free(raw);
    pthread_setname_np(pthread_self(), start.name);
    sigset_t pipe_signal;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, NULL);
    start.body(start.argument);
    return NULL;
}

int cnbio_thread_start(uint64_t *thread, const char *name, void (*body)(void *), void *argument) {
    struct start *start = malloc(sizeof *start);
    if (start == NULL) return -12;
    start->body = body;
    start->argument = argument;
    strncpy(start->name, name, sizeof start->name - 1);
    start->name[sizeof start->name - 1] = 0;
    pthread_t handle;
    int error = pthread_create(&handle, NULL, run, start);
    if (error != 0) {
        free(start);
        return -error;
    }
    *thread = (uint64_t)handle;
    return 0;
}

int cnbio_thread_join(uint64_t thread) { return -pthread_join((pthread_t)thread, NULL); }

bool cnbio_thread_is_current(uint64_t thread) { return pthread_equal((pthread_t)thread, pthread_self()) != 0; }

void cnbio_wait_while_equal(const void *word, uint32_t value) { syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL); }

void cnbio_wake_one(const void *word) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1); }
