// Going to the background, changing the user, and the file that says which process is in charge.
#include "CNonBlockingIO.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define MARKER "ASYNC_PINGORA_DAEMON="

/// The arguments that this process was started with, in one block that the pointers behind it lead to; NULL on failure.
static char **own_arguments(void) {
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return NULL;
    size_t capacity = 1 << 12, length = 0;
    char *text = malloc(capacity);
    while (text != NULL) {
        ssize_t got = read(fd, text + length, capacity - length - 1);
        if (got <= 0) break;
        length += (size_t)got;
        if (length + 1 < capacity) continue;
        char *larger = realloc(text, capacity *= 2);
        if (larger == NULL) free(text);
        text = larger;
    }
    close(fd);
    if (text == NULL || length == 0) {
        free(text);
        return NULL;
    }
    text[length] = 0;
    size_t count = 0;
    for (size_t i = 0; i < length; i++) count += text[i] == 0;
    char **arguments = calloc(count + 2, sizeof *arguments);
    char *next = text;
    for (size_t i = 0; arguments != NULL && next < text + length; i++, next += strlen(next) + 1) arguments[i] = next;
    return arguments;
}

/// The environment with one more variable in front.
static char **environment_with(char *variable) {
    size_t count = 0;
    while (environ[count] != NULL) count += 1;
    char **copy = calloc(count + 2, sizeof *copy);
    if (copy == NULL) return NULL;
    copy[0] = variable;
    size_t next = 1;
    for (size_t i = 0; i < count; i++) {
        if (strncmp(environ[i], MARKER, sizeof MARKER - 1) != 0) copy[next++] = environ[i];
    }
    return copy;
}

int cnbio_respawn(int output, int *report, pid_t *child) {
    int ends[2];
    struct stat status;
    if (pipe2(ends, O_CLOEXEC) < 0) return -errno;
    if (fstat(ends[1], &status) < 0) return -errno;
    char marker[96], path[4096];
    // The pipe's inode: a process that only inherits the variable has another one at that number, or none.
    snprintf(marker, sizeof marker, MARKER "%d:%llu", ends[1], (unsigned long long)status.st_ino);
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length > 0) path[length] = 0;
    // A program that has been replaced since can still be started again by this link.
    if (length <= 0 || access(path, X_OK) < 0) strcpy(path, "/proc/self/exe");
    char **arguments = own_arguments(), **environment = environment_with(marker);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (output >= 0) {
        posix_spawn_file_actions_adddup2(&actions, output, 1);
        posix_spawn_file_actions_adddup2(&actions, output, 2);
    }
    // Onto itself: that alone takes close-on-exec off in the child.
    posix_spawn_file_actions_adddup2(&actions, ends[1], ends[1]);
    int error = arguments == NULL || environment == NULL
                    ? ENOMEM
                    : posix_spawn(child, path, &actions, &attributes, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (arguments != NULL) free(arguments[0]);
    free(arguments);
    free(environment);
    close(ends[1]);
    if (error != 0) {
        close(ends[0]);
        return -error;
    }
    *report = ends[0];
    return 0;
}

int cnbio_respawned_report(void) {
    const char *value = getenv("ASYNC_PINGORA_DAEMON");
    int fd = -1;
    unsigned long long inode = 0;
    struct stat status;
    if (value == NULL || sscanf(value, "%d:%llu", &fd, &inode) != 2) return -ENOENT;
    if (fd < 3 || fstat(fd, &status) < 0 || !S_ISFIFO(status.st_mode) || status.st_ino != inode) return -ENOENT;
    return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : fd;
}

ssize_t cnbio_read_report(int fd, char *text, size_t capacity, int timeout_ms) {
    uint64_t end = cnbio_monotonic_nanoseconds() / 1000000 + (uint64_t)timeout_ms;
    size_t length = 0;
    while (length < capacity) {
        uint64_t now = cnbio_monotonic_nanoseconds() / 1000000;
        struct pollfd waiting = {.fd = fd, .events = POLLIN};
        int ready = poll(&waiting, 1, now < end ? (int)(end - now) : 0);
        if (ready < 0 && errno == EINTR) continue;
        if (ready < 0) return -errno;
        if (ready == 0) return -ETIMEDOUT;
        ssize_t got = read(fd, text + length, capacity - length);
        if (got < 0) return -errno;
        if (got == 0) break;
        length += (size_t)got;
        if (text[length - 1] == '\n') break;
    }
    return (ssize_t)length;
}

void cnbio_write_report(int fd, const char *text, size_t count) {
    // Whoever waits may have gone: that is nobody's error.
    signal(SIGPIPE, SIG_IGN);
    ssize_t ignored = write(fd, text, count);
    (void)ignored;
}

int cnbio_open_output(const char *path, unsigned mode) {
    int fd = cnbio_open_append(path, mode);
    if (fd < 0) return fd;
    // Opening waits for nobody; who prints does, for none looks at what a print returns.
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0) fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    return fd;
}

int cnbio_replace_output(int fd) { return dup2(fd, 1) < 0 || dup2(fd, 2) < 0 ? -errno : 0; }

int cnbio_change_directory(const char *path) { return chdir(path) < 0 ? -errno : 0; }

int cnbio_find_user(const char *name, uid_t *user, gid_t *group) {
    char space[16384];
    struct passwd entry, *found = NULL;
    int error = getpwnam_r(name, &entry, space, sizeof space, &found);
    if (error != 0) return -error;
    if (found == NULL) return -ENOENT;
    *user = entry.pw_uid;
    *group = entry.pw_gid;
    return 0;
}

int cnbio_find_group(const char *name, gid_t *group) {
    char space[16384];
    struct group entry, *found = NULL;
    int error = getgrnam_r(name, &entry, space, sizeof space, &found);
    if (error != 0) return -error;
    if (found == NULL) return -ENOENT;
    *group = entry.gr_gid;
    return 0;
}

// glibc changes the user of all threads but those that have called pthread_exit. libdispatch does that with the main thread of a
// program whose main is asynchronous, and keeps it: it would stay root's. It is made to change by itself, in a signal handler.
static struct {
    gid_t groups[1024];
    int group_count;
    gid_t group;
    uid_t user;
    bool changes_user;
    _Atomic int result;
} becoming;

static void become_here(int number) {
    (void)number;
    int saved = errno;
    long result = syscall(SYS_setgroups, becoming.group_count, becoming.groups);
    if (result == 0) result = syscall(SYS_setresgid, becoming.group, becoming.group, becoming.group);
    if (result == 0 && becoming.changes_user) result = syscall(SYS_setresuid, becoming.user, becoming.user, becoming.user);
    atomic_store(&becoming.result, result == 0 ? 0 : errno);
    errno = saved;
}

/// Whether a thread of this process has the user and group.
static bool has_become(long thread) {
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/self/task/%ld/status", thread);
    FILE *file = fopen(path, "re");
    if (file == NULL) return false;
    unsigned real, effective;
    bool user = !becoming.changes_user, group = false;
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "Uid: %u %u", &real, &effective) == 2) user |= real == becoming.user && effective == becoming.user;
        if (sscanf(line, "Gid: %u %u", &real, &effective) == 2) group = real == becoming.group && effective == becoming.group;
    }
    fclose(file);
    return user && group;
}

static int become_in_main_thread(void) {
    struct sigaction action = {.sa_handler = become_here, .sa_flags = SA_RESTART}, before;
    sigemptyset(&action.sa_mask);
    atomic_store(&becoming.result, -1);
    if (sigaction(SIGUSR2, &action, &before) < 0) return -errno;
    int result = syscall(SYS_tgkill, getpid(), getpid(), SIGUSR2) < 0 ? errno : -1;
    for (int tries = 0; result < 0 && tries < 5000; tries++) {
        result = atomic_load(&becoming.result);
        if (result < 0) usleep(1000);
    }
    sigaction(SIGUSR2, &before, NULL);
    return result < 0 ? -ETIMEDOUT : -result;
}

int cnbio_become(const char *name, uid_t user, gid_t group) {
    becoming.group = group;
    becoming.user = user;
    becoming.changes_user = name != NULL;
    if (name != NULL ? initgroups(name, group) < 0 : setgroups(1, &group) < 0) return -errno;
    becoming.group_count = getgroups(sizeof becoming.groups / sizeof becoming.groups[0], becoming.groups);
    if (becoming.group_count < 0) return -errno;
    // In this order: without root's rights the groups could not be changed any more.
    if (setgid(group) < 0) return -errno;
    if (name != NULL && setuid(user) < 0) return -errno;
    if (has_become(getpid())) return 0;
    int result = become_in_main_thread();
    return result == 0 && !has_become(getpid()) ? -EPERM : result;
}

static ssize_t read_pid(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) return -errno;
    char text[32] = {0};
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    return got <= 0 ? 0 : strtol(text, NULL, 10);
}

/// The older file's path in a buffer.
static int older_path(const char *path, char *buffer, size_t capacity) {
    int length = snprintf(buffer, capacity, "%s.old", path);
    return length < 0 || (size_t)length >= capacity ? -ENAMETOOLONG : 0;
}

int cnbio_pid_file_write(const char *path) {
    char older[4096], text[32];
    int result = older_path(path, older, sizeof older);
    if (result < 0) return result;
    if (rename(path, older) < 0 && errno != ENOENT) return -errno;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) return -errno;
    int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    result = write(fd, text, (size_t)length) == length ? 0 : -EIO;
    close(fd);
    return result;
}

void cnbio_pid_file_remove(const char *path, bool has_failed) {
    char older[4096];
    if (older_path(path, older, sizeof older) < 0) return;
    pid_t own = getpid();
    if (read_pid(path) == own) {
        ssize_t before = read_pid(older);
        bool is_alive = before > 0 && before != own && (kill((pid_t)before, 0) == 0 || errno == EPERM);
        if (!(has_failed && is_alive && rename(older, path) == 0)) unlink(path);
    } else if (read_pid(older) == own) {
        unlink(older);
    }
}
