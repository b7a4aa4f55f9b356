// What the kernel counts for this process: CPU time, memory, descriptors, and when it began.
#include "CNonBlockingIO.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

// The beginning of a file of /proc as a string; empty when it cannot be read.
static void read_text(const char *path, char *text, size_t capacity) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t count = fd < 0 ? 0 : read(fd, text, capacity - 1);
    text[count > 0 ? count : 0] = 0;
    if (fd >= 0) close(fd);
}

static double seconds(clockid_t clock) {
    struct timespec now;
    return clock_gettime(clock, &now) == 0 ? (double)now.tv_sec + (double)now.tv_nsec / 1e9 : -1;
}

// proc(5): field 22 of /proc/self/stat is the start in clock ticks after boot. The name, field 2, may contain anything, but no
// field after it contains a bracket.
static double start_seconds(void) {
    char text[1024];
    read_text("/proc/self/stat", text, sizeof text);
    const char *field = strrchr(text, ')');
    for (int number = 2; field != NULL && number < 22; number++) {
        field = strchr(field + 1, ' ');
    }
    if (field == NULL) return -1;
    double ticks = (double)strtoull(field, NULL, 10);
    return seconds(CLOCK_REALTIME) - seconds(CLOCK_BOOTTIME) + ticks / (double)sysconf(_SC_CLK_TCK);
}

struct cnbio_process_usage cnbio_process_usage(void) {
    struct cnbio_process_usage usage = {
        .cpu_seconds = seconds(CLOCK_PROCESS_CPUTIME_ID),
        .start_seconds = start_seconds(),
        .resident_bytes = -1,
        .virtual_bytes = -1,
        .open_descriptors = cnbio_open_descriptor_count(),
        .maximum_descriptors = -1,
    };
    char text[256];
    unsigned long long total, resident;
    read_text("/proc/self/statm", text, sizeof text);
    if (sscanf(text, "%llu %llu", &total, &resident) == 2) {
        int64_t page = sysconf(_SC_PAGESIZE);
        usage.virtual_bytes = (int64_t)total * page;
        usage.resident_bytes = (int64_t)resident * page;
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        usage.maximum_descriptors = (int64_t)limit.rlim_cur;
    }
    return usage;
}
