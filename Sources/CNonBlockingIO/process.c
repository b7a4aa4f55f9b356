// What belongs to the process: files of Unix sockets, open descriptors, signals as bytes.
#include "CNonBlockingIO.h"

#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

int cnbio_unlink(const char *path) { return unlink(path) < 0 ? -errno : 0; }

int cnbio_chmod(const char *path, unsigned mode) { return chmod(path, (mode_t)mode) < 0 ? -errno : 0; }

int cnbio_open_descriptor_count(void) {
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL) return -errno;
    int count = 0;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        if (entry->d_name[0] != '.') count += 1;
    }
    closedir(directory);
    return count - 1; // the directory's own
}

void cnbio_trim_memory(void) { malloc_trim(0); }

static const int handled[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGUSR1};
static _Atomic int write_end = -1;

// Async-signal-safe: one write of one byte. A full pipe means that a signal is already waiting to be read.
static void on_signal(int number) {
    int saved = errno;
    unsigned char byte = (unsigned char)number;
    int fd = atomic_load(&write_end);
    if (fd >= 0) {
        ssize_t ignored = write(fd, &byte, 1);
        (void)ignored;
    }
    errno = saved;
}

int cnbio_signals_open(void) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0) return -errno;
    int expected = -1;
    if (!atomic_compare_exchange_strong(&write_end, &expected, ends[1])) {
        close(ends[0]);
        close(ends[1]);
        return -EBUSY;
    }
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (unsigned i = 0; i < sizeof handled / sizeof handled[0]; i++) sigaction(handled[i], &action, NULL);
    return ends[0];
}

void cnbio_signals_close(int fd) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigemptyset(&action.sa_mask);
    for (unsigned i = 0; i < sizeof handled / sizeof handled[0]; i++) sigaction(handled[i], &action, NULL);
    int writer = atomic_exchange(&write_end, -1);
    if (writer >= 0) close(writer);
    close(fd);
}

int cnbio_available_core_count(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
    return (int)sysconf(_SC_NPROCESSORS_ONLN);
}
