/* SPDX-License-Identifier: MIT */
/* sys.h: the one table of OS calls.
 *
 * Every syscall, mapping, allocation, clock reading, random number and thread start of crank's own
 * goes through loop->sys, a pointer to a constant table: per loop, inherited by its workers, never
 * process-wide. libc calls inside user code are outside it. Of its entries only recv, send and
 * epoll_wait are called on hot paths. Each entry returns as the kernel does: a negative errno on
 * failure (never -1 and errno); pointers are NULL on failure. Implementations: cr_sys_real; the
 * failing one of the tests; the simulator's, which replaces clock and random. */
#ifndef CR_SYS_H
#define CR_SYS_H
#include "base/base.h"

struct epoll_event;
struct iovec;
struct io_uring_params;
struct mmsghdr;
struct msghdr;
struct open_how;
struct pollfd;
struct sockaddr;
struct sockaddr_in6;
struct stat;

/* What io_uring_enter is asked for; arg and size as flags say. */
typedef struct cr_uring_enter {
    unsigned submit;
    unsigned wait;
    unsigned flags;
    void *arg;
    size_t size;
} cr_uring_enter;

/* A socket option, as setsockopt and getsockopt name it. */
typedef struct cr_socket_option {
    int level;
    int name;
    void *value;
    unsigned size; /* of value; getsockopt writes how much it has filled */
} cr_socket_option;

/* A byte of an open file. */
typedef struct cr_file_place {
    int fd;
    int64_t at; /* -1: where the file stands, which moves on with what is read or written there */
} cr_file_place;

/* Which end of a pipe another program gets. */
enum cr_pipe_end { CR_PIPE_NONE = -1, CR_PIPE_READER, CR_PIPE_WRITER };

/* A program to start, and what its process begins with. */
typedef struct cr_spawn {
    const char *file; /* sought in PATH where it has no '/' */
    const char *const *arguments;
    const char *const *environment; /* NULL: ours */
    const char *directory;          /* NULL: ours */
    /* The i-th is its descriptor i, and it has no others; -1, or one that is not open where the
     * number is below 3: it has none of this number. */
    const int *descriptors;
    int count;
    bool session; /* it leads a new one */
} cr_spawn;

/* A signal for one thread, with a value for its handler. */
typedef struct cr_signal {
    int thread; /* as thread_id gives it */
    int number;
    int value;
} cr_signal;

/* Grouped by role, as the failing table of the tests is: one may fail the memory and leave the
 * rest. */
typedef struct cr_sys cr_sys;
struct cr_sys {
    void *context; /* the implementation's own; passed to every entry */

    /* memory */
    void *(*alloc)(void *context, size_t size);                /* not cleared */
    void *(*alloc_zero)(void *context, size_t size);           /* cleared */
    void *(*resize)(void *context, void *memory, size_t size); /* as realloc; size > 0 */
    void (*free)(void *context, void *memory);                 /* takes NULL */
    /* private, anonymous, NORESERVE, read and write */
    void *(*map)(void *context, size_t size);
    int (*unmap)(void *context, void *memory, size_t size);
    int (*advise)(void *context, void *memory, size_t size, int advice);
    int (*protect_none)(void *context, void *memory, size_t size);
    /* process_madvise(self) */
    ssize_t (*advise_many)(void *context, const struct iovec *ranges, size_t n, int advice);

    /* time and chance */
    int64_t (*now)(void *context);      /* monotonic nanoseconds */
    int64_t (*wall_now)(void *context); /* nanoseconds since 1970, UTC */
    uint64_t (*random)(void *context);

    /* threads */
    int (*thread_start)(void *context, unsigned long *ret_thread, void *(*fn)(void *), void *arg,
        size_t stack_size);
    int (*thread_join)(void *context, unsigned long thread);
    /* it is joined by no thread */
    int (*thread_detach)(void *context, unsigned long thread);
    /* this process may run on, at least 1 */
    unsigned (*cores)(void *context);
    /* processor time it has used, nanoseconds */
    int64_t (*thread_time)(void *context, unsigned long thread);
    /* the calling thread, as the kernel and procfs number it */
    int (*thread_id)(void *context);
    /* Send asked->number to a thread of this process, once, when it next leaves the kernel's tick
     * for its own code: so no system call of its ends early. *ret_timer goes to signal_end. */
    int (*signal_running)(void *context, const cr_signal *asked, int *ret_timer);
    void (*signal_end)(void *context, int timer);
    /* fn(arg), during which a broken pipe sends this thread no signal */
    long (*without_sigpipe)(void *context, long (*fn)(void *), void *arg);

    /* descriptors */
    int (*close)(void *context, int fd);
    ssize_t (*read)(void *context, int fd, void *buf, size_t size);
    ssize_t (*write)(void *context, int fd, const void *buf, size_t size);
    int (*open)(void *context, const char *path, int flags, unsigned mode);
    /* from the folder that a descriptor is open on (AT_FDCWD: the working directory) */
    int (*open_at)(void *context, int folder, const char *path, int flags);
    /* the same as openat2 does it; -ENOSYS or -EPERM where that cannot be called */
    int (*open_resolving)(void *context, int folder, const char *path, const struct open_how *how);
    /* reader, then writer: close-on-exec, above 2, and O_NONBLOCK but for what is a child's */
    int (*pipe)(void *context, int ret_fds[2], enum cr_pipe_end childs);
    /* 1, 0, or a negative errno */
    int (*is_terminal)(void *context, int fd);
    int (*eventfd)(void *context, unsigned value, int flags);
    /* a timer: read waits until it is due; close-on-exec */
    int (*timerfd)(void *context);
    /* due at an instant of now; CR_NEVER: not */
    int (*timerfd_set)(void *context, int fd, int64_t at);
    int (*stat)(void *context, int fd, struct stat *ret_stat);
    /* O_NONBLOCK and close-on-exec, for one that was opened elsewhere */
    int (*make_own)(void *context, int fd);
    /* another number for the same open file, the lowest that is free; close-on-exec */
    int (*duplicate)(void *context, int fd);
    /* May a thread leave, and still borrow what the process has, such as fd? 0, or a negative
     * errno: this kernel, or what the program runs under, does not allow it. */
    int (*descriptors_may_leave)(void *context, int fd);
    /* The calling thread has a table of descriptors of its own from now on, with keep alone in it:
     * where one other thread shared the process's, that one's system calls get quicker, for the
     * kernel counts the users of a file only where threads share a table. 0, or a negative errno,
     * with nothing changed. */
    int (*descriptors_leave)(void *context, int keep);
    /* For a thread that has left: what thread (an id of the kernel's) has under that number gets
     * the same number here. 0 or a negative errno. */
    int (*descriptor_borrow)(void *context, int fd, long thread);
    /* an exclusive flock, gone with the descriptor; -EWOULDBLOCK */
    int (*lock)(void *context, int fd);
    /* One piece, at offset (-1: where the file stands). flags RWF_NOWAIT: -EAGAIN instead of
     * waiting, -EOPNOTSUPP where the file cannot tell. */
    ssize_t (*read_at)(void *context, int fd, const struct iovec *piece, int64_t offset, int flags);
    ssize_t (*write_at)(
        void *context, int fd, const struct iovec *piece, int64_t offset, int flags);
    /* Bytes of a file to a socket, or to another file: how many, 0 at the end. What the kernel does
     * not do so gives an errno of its own choice. */
    ssize_t (*send_file)(void *context, int to, const cr_file_place *from, size_t size);
    ssize_t (*copy_range)(
        void *context, const cr_file_place *from, const cr_file_place *to, size_t size);
    /* of a path: lstat, chmod, unlink */
    int (*path_stat)(void *context, const char *path, struct stat *ret_stat);
    int (*path_mode)(void *context, const char *path, unsigned mode);
    int (*path_unlink)(void *context, const char *path);

    /* sockets: all of them close-on-exec and O_NONBLOCK */
    int (*socket)(void *context, int family, int type, int protocol);
    int (*socket_pair)(void *context, int family, int type, int ret_fds[2]);
    int (*bind)(void *context, int fd, const struct sockaddr *address, unsigned size);
    int (*listen)(void *context, int fd, int backlog);
    /* *size is what address has room for, and then what the peer's address takes */
    int (*accept)(void *context, int fd, struct sockaddr *address, unsigned *size);
    int (*connect)(void *context, int fd, const struct sockaddr *address, unsigned size);
    /* MSG_DONTWAIT, and send MSG_NOSIGNAL, are added to flags */
    ssize_t (*recv)(void *context, int fd, void *buf, size_t size, int flags);
    ssize_t (*send)(void *context, int fd, const void *buf, size_t size, int flags);
    /* recvmsg and sendmsg with the same flags; descriptors come close-on-exec */
    ssize_t (*receive_message)(void *context, int fd, struct msghdr *message, int flags);
    ssize_t (*send_message)(void *context, int fd, const struct msghdr *message, int flags);
    /* recvmmsg and sendmmsg, the same: how many of n */
    int (*receive_messages)(void *context, int fd, struct mmsghdr *messages, unsigned n, int flags);
    int (*send_messages)(void *context, int fd, struct mmsghdr *messages, unsigned n, int flags);
    int (*shutdown)(void *context, int fd, int how);
    int (*set_option)(void *context, int fd, const cr_socket_option *option);
    int (*get_option)(void *context, int fd, cr_socket_option *option);
    /* as accept's address: the socket's own, and its peer's */
    int (*own_name)(void *context, int fd, struct sockaddr *address, unsigned *size);
    int (*peer_name)(void *context, int fd, struct sockaddr *address, unsigned *size);
    /* a network interface's number, from 1; -ENODEV where none has this name */
    int (*interface_index)(void *context, const char *name);
    /* A host's addresses, of IPv4 and IPv6, the first max in the system's order: how many. Blocks.
     * -ENOENT: there is no such name; -EAGAIN: no answer. */
    int (*resolve)(
        void *context, const char *name, struct sockaddr_in6 *ret_addresses, unsigned max);
    /* how many descriptors the process may have, once the soft limit is raised to the hard one */
    size_t (*descriptors_max)(void *context);

    /* processes */
    /* Start a program with no signal blocked and SIGPIPE as ever; waits for its exec. Its id, or
     * the negative errno of what failed, exec included: then there is none. *ret_pidfd is
     * close-on-exec, and readable when it has ended. */
    int (*spawn)(void *context, const cr_spawn *asked, int *ret_pidfd);
    /* Reap it: 1 and its status, which is its exit status or 256 + the signal that ended it; 0: it
     * runs; -ECHILD: it was reaped by others. */
    int (*wait_pidfd)(void *context, int fd, int *ret_status);
    int (*signal_pidfd)(void *context, int fd, int signal);
    /* to all processes of a group */
    int (*signal_group)(void *context, int id, int signal);

    /* epoll and poll */
    int (*epoll_create)(void *context, int flags);
    int (*epoll_ctl)(void *context, int epfd, int op, int fd, struct epoll_event *event);
    /* < 0: forever */
    int (*epoll_wait)(
        void *context, int epfd, struct epoll_event *events, int n, int64_t timeout_ns);
    /* the same */
    int (*poll)(void *context, struct pollfd *fds, size_t n, int64_t timeout_ns);

    /* io_uring, at the level of liburing's calls */
    int (*uring_setup)(void *context, unsigned entries, struct io_uring_params *params);
    /* the ring's shared memory */
    void *(*uring_map)(void *context, int fd, size_t size, int64_t offset);
    int (*uring_enter)(void *context, int fd, const cr_uring_enter *asked);
    int (*uring_register)(void *context, int fd, unsigned opcode, void *arg, unsigned n);
};

extern const cr_sys cr_sys_real;

static inline void *cr_alloc(const cr_sys *sys, size_t size)
{
    return sys->alloc(sys->context, size);
}
static inline void *cr_alloc_zero(const cr_sys *sys, size_t size)
{
    return sys->alloc_zero(sys->context, size);
}
static inline void *cr_resize(const cr_sys *sys, void *memory, size_t size)
{
    return sys->resize(sys->context, memory, size);
}
static inline void cr_free(const cr_sys *sys, void *memory) { sys->free(sys->context, memory); }
#endif
