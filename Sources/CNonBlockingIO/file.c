// Files that lines are appended to. These calls may block: they are for threads that do nothing else.
#include "CNonBlockingIO.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

int cnbio_open_append(const char *path, unsigned mode) {
    // Non-blocking, for a FIFO: opening it must not wait for a reader. Regular files know no difference.
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, (mode_t)mode);
    return fd < 0 ? -errno : fd;
}

bool cnbio_is_regular_file(int fd) {
    struct stat facts;
    return fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode);
}

int cnbio_wait_writable(int fd, int timeout_ms) {
    struct pollfd wanted = {.fd = fd, .events = POLLOUT};
    int count = poll(&wanted, 1, timeout_ms);
    if (count < 0) return errno == EINTR ? 0 : -errno;
    return count;
}

ssize_t cnbio_write(int fd, const void *bytes, size_t count) {
    ssize_t written;
    do {
        written = write(fd, bytes, count);
    } while (written < 0 && errno == EINTR);
    return written < 0 ? -errno : written;
}

int cnbio_take_back(int fd, size_t count) {
    struct stat facts;
    if (fstat(fd, &facts) < 0) return -errno;
    off_t end = lseek(fd, 0, SEEK_CUR);
    if (end < 0) return -errno;
    if (!S_ISREG(facts.st_mode) || facts.st_size != end || end < (off_t)count) return -EBUSY;
    end -= (off_t)count;
    if (ftruncate(fd, end) < 0) return -errno;
    // Where one does not append, the next write must not leave a hole.
    return lseek(fd, end, SEEK_SET) < 0 ? -errno : 0;
}
