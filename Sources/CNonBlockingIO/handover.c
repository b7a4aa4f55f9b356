// Descriptors that pass from one process to another: over a Unix-domain socket, and by inheritance.
#include "CNonBlockingIO.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

ssize_t cnbio_send_descriptors(int fd, const void *bytes, size_t count, const int *descriptors, size_t descriptor_count) {
    if (descriptor_count > CNBIO_DESCRIPTORS_PER_MESSAGE) return -EINVAL;
    union {
        char bytes[CMSG_SPACE(sizeof(int) * CNBIO_DESCRIPTORS_PER_MESSAGE)];
        struct cmsghdr align;
    } control = {0};
    struct iovec vector = {.iov_base = (void *)bytes, .iov_len = count};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (descriptor_count > 0) {
        size_t size = sizeof(int) * descriptor_count;
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(size);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(size);
        memcpy(CMSG_DATA(header), descriptors, size);
    }
    ssize_t result;
    do {
        result = sendmsg(fd, &message, MSG_NOSIGNAL);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : result;
}

ssize_t cnbio_receive_descriptors(int fd, void *bytes, size_t count, int *descriptors, size_t *descriptor_count) {
    union {
        char bytes[CMSG_SPACE(sizeof(int) * CNBIO_DESCRIPTORS_PER_MESSAGE)];
        struct cmsghdr align;
    } control;
    struct iovec vector = {.iov_base = bytes, .iov_len = count};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    *descriptor_count = 0;
    ssize_t result;
    do {
        result = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    } while (result < 0 && errno == EINTR);
    if (result < 0) return -errno;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t got = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(descriptors + *descriptor_count, CMSG_DATA(header), got * sizeof(int));
        *descriptor_count += got;
    }
    if ((message.msg_flags & MSG_CTRUNC) == 0) return result;
    // There was room for as many as one message can carry: this process may not open so many.
    for (size_t i = 0; i < *descriptor_count; i++) close(descriptors[i]);
    *descriptor_count = 0;
    return -EMFILE;
}

int cnbio_peer_credentials(int fd, pid_t *pid, uid_t *uid) {
    struct ucred credentials;
    socklen_t length = sizeof credentials;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0) return -errno;
    *pid = credentials.pid;
    *uid = credentials.uid;
    return 0;
}

int cnbio_adopt_listener(int fd) {
    int type = 0, listens = 0;
    socklen_t length = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0) return -errno;
    length = sizeof listens;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) < 0) return -errno;
    if (type != SOCK_STREAM || !listens) return -EINVAL;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) return -errno;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) return -errno;
    return 0;
}

/// Removes a socket that nobody listens on; leaves anything else alone.
static int remove_stale(const char *path, const struct sockaddr_un *address, socklen_t length) {
    struct stat status;
    if (lstat(path, &status) < 0) return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(status.st_mode)) return -EEXIST;
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe < 0) return -errno;
    int result = connect(probe, (const struct sockaddr *)address, length) < 0 ? -errno : -EADDRINUSE;
    close(probe);
    // Full queue or no permission: somebody is there.
    if (result != -ECONNREFUSED) return result == -EAGAIN ? -EADDRINUSE : result;
    return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

int cnbio_private_listener(const char *path, struct cnbio_file *file) {
    struct sockaddr_storage storage;
    socklen_t length = 0;
    int result = cnbio_unix_address(path, strlen(path), &storage, &length);
    if (result < 0) return result;
    result = remove_stale(path, (struct sockaddr_un *)&storage, length);
    if (result < 0) return result;
    int fd = cnbio_socket(AF_UNIX, SOCK_STREAM);
    if (fd < 0) return fd;
    // Before bind the mode is the one that the file will have: there is no moment at which others could connect.
    if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&storage, length) < 0) {
        result = -errno;
        close(fd);
        return result;
    }
    struct stat status;
    if (listen(fd, 8) < 0 || lstat(path, &status) < 0) {
        result = -errno;
        unlink(path);
        close(fd);
        return result;
    }
    file->device = status.st_dev;
    file->inode = status.st_ino;
    return fd;
}

void cnbio_unlink_file(const char *path, struct cnbio_file file) {
    struct stat status;
    if (lstat(path, &status) == 0 && status.st_dev == file.device && status.st_ino == file.inode) unlink(path);
}

int cnbio_chown(const char *path, uid_t user, gid_t group) { return chown(path, user, group) < 0 ? -errno : 0; }

uid_t cnbio_effective_user(void) { return geteuid(); }

int cnbio_notify_socket(void) {
    int fd = cnbio_socket(AF_UNIX, SOCK_DGRAM);
    if (fd < 0) return fd;
    struct timeval patience = {.tv_sec = 1};
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0) fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return fd;
}

int cnbio_notify(int fd, const char *address, const char *message, size_t count, bool waits) {
    struct sockaddr_storage storage;
    socklen_t length = 0;
    int result = cnbio_unix_address(address, strlen(address), &storage, &length);
    if (result < 0) return result;
    struct sockaddr_un *un = (struct sockaddr_un *)&storage;
    if (un->sun_path[0] == '@') {
        un->sun_path[0] = 0;
        length -= 1; // the name has no end mark there
    }
    int flags = waits ? MSG_NOSIGNAL : MSG_NOSIGNAL | MSG_DONTWAIT;
    ssize_t sent;
    do {
        sent = sendto(fd, message, count, flags, (struct sockaddr *)un, length);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}
