// System calls that Swift cannot import as they are (variadic functions, macros, struct layouts, thread-locals), one wrapper each.
// Every function that can fail returns a negative errno instead of setting it, so that no Swift code reads `errno` late.
#ifndef CNONBLOCKINGIO_H
#define CNONBLOCKINGIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

// MARK: - Threads

/// The object that belongs to the calling thread (a worker's context), or NULL. Set once by the worker's own thread.
extern _Thread_local void *cnbio_thread_context;
static inline void *cnbio_get_thread_context(void) { return cnbio_thread_context; }
static inline void cnbio_set_thread_context(void *context) { cnbio_thread_context = context; }

/// Starts a joinable thread that blocks SIGPIPE; names longer than 15 bytes are cut, as the kernel asks.
int cnbio_thread_start(uint64_t *thread, const char *name, void (*body)(void *), void *argument);
int cnbio_thread_join(uint64_t thread);
/// Whether `thread` is the calling one.
bool cnbio_thread_is_current(uint64_t thread);

/// The calling thread's number, from 1 in the order in which threads first ask: small, so that it can choose among few things.
extern _Thread_local uint32_t cnbio_thread_number;
uint32_t cnbio_number_thread(void);
static inline uint32_t cnbio_get_thread_number(void) {
    uint32_t number = cnbio_thread_number;
    return __builtin_expect(number != 0, 1) ? number : cnbio_number_thread();
}

/// Sleeps while the 32 bits at `word` are `value`, or for less: the caller looks again.
void cnbio_wait_while_equal(const void *word, uint32_t value);
/// Wakes one thread of this process that sleeps at `word`.
void cnbio_wake_one(const void *word);

/// Cores that this process may run on.
int cnbio_available_core_count(void);

// MARK: - Polling

/// Creates the epoll instance and the eventfd that wakes it (registered with a token of 0).
int cnbio_poller_create(int *epoll_fd, int *wake_fd);
/// Registers `fd` edge-triggered for reading, writing and hang-up, once for its life.
int cnbio_poller_add(int epoll_fd, int fd, uint64_t token);
int cnbio_poller_remove(int epoll_fd, int fd);
int cnbio_poller_wait(int epoll_fd, struct epoll_event *events, int capacity, int timeout_ms);
void cnbio_poller_wake(int wake_fd);
static inline uint64_t cnbio_event_token(const struct epoll_event *event) { return event->data.u64; }

/// CLOCK_MONOTONIC in nanoseconds.
uint64_t cnbio_monotonic_nanoseconds(void);
/// CLOCK_MONOTONIC_COARSE in nanoseconds: the same clock as of the last timer interrupt (1 to 10 ms ago), for a few ns.
uint64_t cnbio_monotonic_coarse_nanoseconds(void);
/// CLOCK_REALTIME in nanoseconds.
int64_t cnbio_realtime_nanoseconds(void);
/// CLOCK_REALTIME in whole seconds.
int64_t cnbio_realtime_seconds(void);

// MARK: - Sockets

int cnbio_socket(int domain, int type);
int cnbio_close(int fd);
int cnbio_accept(int fd, struct sockaddr_storage *address, socklen_t *length);
int cnbio_connect(int fd, const struct sockaddr_storage *address, socklen_t length);
int cnbio_bind(int fd, const struct sockaddr_storage *address, socklen_t length);
int cnbio_listen(int fd, int backlog);
int cnbio_shutdown_write(int fd);
int cnbio_socket_error(int fd);
int cnbio_set_int_option(int fd, int level, int name, int value);
int cnbio_get_int_option(int fd, int level, int name, int *value);
int cnbio_local_address(int fd, struct sockaddr_storage *address, socklen_t *length);
int cnbio_peer_address(int fd, struct sockaddr_storage *address, socklen_t *length);
/// Makes `close` send RST instead of FIN: the peer must not take a cut response for a whole one.
int cnbio_set_reset_on_close(int fd);

/// Lets a listening socket take no new connection; those that wait in its queue can still be accepted.
///
/// Not for a socket that another process has as well: it would take none there either.
int cnbio_stop_queueing(int fd, int family);

ssize_t cnbio_receive(int fd, void *bytes, size_t count);
ssize_t cnbio_send(int fd, const void *bytes, size_t count);
ssize_t cnbio_send_vectors(int fd, struct iovec *vectors, size_t count);

// MARK: - Socket options by meaning

int cnbio_tcp_no_delay(int fd);
int cnbio_tcp_fast_open_listener(int fd, int queue_length);
int cnbio_tcp_fast_open_connect(int fd);
/// Seconds, except `user_timeout_ms`; 0 leaves a value as the system has it.
int cnbio_tcp_keepalive(int fd, int idle, int interval, int count, int user_timeout_ms);
int cnbio_tcp_user_timeout(int fd, int milliseconds);
int cnbio_dscp(int fd, int family, int value);
int cnbio_bind_address_no_port(int fd);
/// IP_LOCAL_PORT_RANGE (Linux 6.3): the source port is taken from low…high.
int cnbio_local_port_range(int fd, uint16_t low, uint16_t high);
int cnbio_ipv6_only(int fd, bool on);

// MARK: - Addresses

/// Writes the text form of an IPv4 or IPv6 address; returns its length or a negative errno.
int cnbio_address_text(const struct sockaddr_storage *address, char *text, size_t capacity);
uint16_t cnbio_address_port(const struct sockaddr_storage *address);
/// The bytes of an address as they lie in memory: all of an IPv4 one, the first or second half of an IPv6 one.
uint32_t cnbio_ipv4_bits(const struct sockaddr_storage *address);
uint64_t cnbio_ipv6_bits(const struct sockaddr_storage *address, int half);
/// Puts an address together again from its bytes.
void cnbio_ipv4_address(uint32_t bits, uint16_t port, struct sockaddr_storage *address, socklen_t *length);
void cnbio_ipv6_address(uint64_t high, uint64_t low, uint16_t port, struct sockaddr_storage *address, socklen_t *length);
/// Parses a numeric address; 0 on success.
int cnbio_parse_ipv4(const char *text, uint16_t port, struct sockaddr_storage *address, socklen_t *length);
int cnbio_parse_ipv6(const char *text, uint16_t port, struct sockaddr_storage *address, socklen_t *length);
int cnbio_unix_address(const char *path, size_t path_length, struct sockaddr_storage *address, socklen_t *length);
const char *cnbio_unix_path(const struct sockaddr_storage *address);
/// Blocking name resolution. Fills at most `capacity` stream addresses; returns how many, or a negative EAI_ code.
int cnbio_resolve(const char *host, uint16_t port, struct sockaddr_storage *addresses, socklen_t *lengths, int capacity);
const char *cnbio_resolve_error(int code);

// MARK: - Handing descriptors over

/// As many as Linux takes in one message (SCM_MAX_FD).
#define CNBIO_DESCRIPTORS_PER_MESSAGE 253
/// Sends bytes, and descriptors with the first of them. Returns how many bytes went.
ssize_t cnbio_send_descriptors(int fd, const void *bytes, size_t count, const int *descriptors, size_t descriptor_count);
/// Receives bytes and the descriptors that came with them, close-on-exec; `descriptors` has room for one message's.
/// -EMFILE when this process may not open as many: none is kept then.
ssize_t cnbio_receive_descriptors(int fd, void *bytes, size_t count, int *descriptors, size_t *descriptor_count);
/// Which process is at the other end of a Unix-domain socket, or was when the connection was made.
int cnbio_peer_credentials(int fd, pid_t *pid, uid_t *uid);
/// Makes a descriptor that was inherited non-blocking and close-on-exec; -EINVAL if it is not a listening stream socket.
int cnbio_adopt_listener(int fd);

/// Which file a path led to.
struct cnbio_file {
    dev_t device;
    ino_t inode;
};
/// Listens at a path with mode 0600, and says which file that made. A socket that nobody listens on is removed first; -EADDRINUSE
/// when somebody does, -EEXIST when something else is there.
int cnbio_private_listener(const char *path, struct cnbio_file *file);
/// Removes the file, unless another has taken its place.
void cnbio_unlink_file(const char *path, struct cnbio_file file);
int cnbio_chown(const char *path, uid_t user, gid_t group);
uid_t cnbio_effective_user(void);
/// A datagram socket for cnbio_notify.
int cnbio_notify_socket(void);
/// Sends a datagram to a path, or to a name in the abstract namespace, which begins with @; waits up to a second for room if told to.
int cnbio_notify(int fd, const char *address, const char *message, size_t count, bool waits);

// MARK: - Background

/// Starts this program again, with the same arguments, in a session of its own and without input. `output` becomes its output
/// and error output, or -1 leaves them. What it reports can be read from `report`.
int cnbio_respawn(int output, int *report, pid_t *child);
/// Where a process that was started so reports; negative in any other process.
int cnbio_respawned_report(void);
/// Reads a line; 0 when the other end has closed without one, -ETIMEDOUT. Blocks.
ssize_t cnbio_read_report(int fd, char *text, size_t capacity, int timeout_ms);
void cnbio_write_report(int fd, const char *text, size_t count);
/// Opens a file as cnbio_open_append does, for a process to print to.
int cnbio_open_output(const char *path, unsigned mode);
/// Makes a descriptor the output and error output.
int cnbio_replace_output(int fd);
int cnbio_change_directory(const char *path);

// MARK: - User

/// -ENOENT when there is none of that name.
int cnbio_find_user(const char *name, uid_t *user, gid_t *group);
int cnbio_find_group(const char *name, gid_t *group);
/// Becomes the user with its further groups, for good, in all threads; without a name only the group changes.
int cnbio_become(const char *name, uid_t user, gid_t group);

// MARK: - Pid file

/// Writes this process's number; a file that is there is renamed to PATH.old first.
int cnbio_pid_file_write(const char *path);
/// Removes the file if it is still this process's, be it as PATH.old; after a failure the one that it replaced comes back if its process lives.
void cnbio_pid_file_remove(const char *path, bool has_failed);

// MARK: - Files that lines are appended to

/// Opens a file for appending and makes it if there is none; a FIFO without a reader is ENXIO.
int cnbio_open_append(const char *path, unsigned mode);
bool cnbio_is_regular_file(int fd);
/// Waits until `fd` takes bytes or has failed: 1 then, 0 after the timeout.
int cnbio_wait_writable(int fd, int timeout_ms);
ssize_t cnbio_write(int fd, const void *bytes, size_t count);
/// Cuts off the last `count` bytes, which the last `cnbio_write` wrote; EBUSY when they are not the end of a regular file.
int cnbio_take_back(int fd, size_t count);

// MARK: - Files and signals

int cnbio_unlink(const char *path);
int cnbio_chmod(const char *path, unsigned mode);
/// Descriptors this process has open, by counting /proc/self/fd; negative errno on failure.
int cnbio_open_descriptor_count(void);
/// What the kernel says of this process; what it does not tell is negative.
struct cnbio_process_usage {
    double cpu_seconds;
    /// Since the epoch.
    double start_seconds;
    int64_t resident_bytes;
    int64_t virtual_bytes;
    int64_t open_descriptors;
    int64_t maximum_descriptors;
};
struct cnbio_process_usage cnbio_process_usage(void);
/// Gives the pages that malloc has free back to the system.
void cnbio_trim_memory(void);
/// Makes SIGINT, SIGTERM, SIGQUIT, SIGHUP and SIGUSR1 readable as bytes (the signal's number) from the returned non-blocking socket.
int cnbio_signals_open(void);
/// Restores the default dispositions and closes the pipe.
void cnbio_signals_close(int fd);

#endif
