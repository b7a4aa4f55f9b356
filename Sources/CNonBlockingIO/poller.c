// epoll, the eventfd that interrupts it, and the clock its timeouts are counted by.
#include "CNonBlockingIO.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

int cnbio_poller_create(int *epoll_fd, int *wake_fd) {
    int poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0) return -errno;
    int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake < 0) {
        int error = errno;
        close(poller);
        return -error;
    }
    // Edge-triggered: a burst of wake-ups is one event, and the counter need not be read back each time.
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = 0};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, wake, &event) < 0) {
        int error = errno;
        close(wake);
        close(poller);
        return -error;
    }
    *epoll_fd = poller;
    *wake_fd = wake;
    return 0;
}

int cnbio_poller_add(int epoll_fd, int fd, uint64_t token) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.u64 = token};
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int cnbio_poller_remove(int epoll_fd, int fd) {
    return epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL) < 0 ? -errno : 0;
}

int cnbio_poller_wait(int epoll_fd, struct epoll_event *events, int capacity, int timeout_ms) {
    int count = epoll_wait(epoll_fd, events, capacity, timeout_ms);
    return count < 0 ? (errno == EINTR ? 0 : -errno) : count;
}

void cnbio_poller_wake(int wake_fd) {
    uint64_t one = 1;
    ssize_t ignored = write(wake_fd, &one, sizeof one);
    (void)ignored;
}

static uint64_t nanoseconds(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t cnbio_monotonic_nanoseconds(void) { return nanoseconds(CLOCK_MONOTONIC); }

uint64_t cnbio_monotonic_coarse_nanoseconds(void) { return nanoseconds(CLOCK_MONOTONIC_COARSE); }

int64_t cnbio_realtime_nanoseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int64_t cnbio_realtime_seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME_COARSE, &time);
    return time.tv_sec;
}
