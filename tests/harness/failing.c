/* SPDX-License-Identifier: MIT */
/* failing.c: the table of failing.h.
 *
 * Owns the decision which call fails, and with what. The table is bound in the place of the real one by the linker
 * (--wrap=cr_sys_real); where that cannot be (link-time optimisation, sanitizers) nothing of it is built. Which
 * site a call is made from: sites.c. */
#include "failing.h"
#include <stddef.h>
#include "sites.h"

#ifndef TEST_FAILING

const char *const test_call_names[TEST_CALL_COUNT];
bool test_faults_set(test_faults *faults) { return !faults; }
bool test_faults_happened(void) { return false; }

#else
#include "base/sys.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

const char *const test_call_names[TEST_CALL_COUNT] = { "alloc", "resize", "map", "advise", "protect", "advise_many",
    "thread_start", "signal_running", "read", "write", "open", "open_at", "open_resolving", "pipe", "spawn",
    "wait_pidfd", "close", "eventfd", "timerfd", "stat", "duplicate", "read_at", "write_at", "send_file", "copy_range",
    "interface_index", "resolve", "path_stat", "path_mode", "path_unlink", "lock", "socket", "socket_pair", "bind",
    "listen", "accept", "connect", "recv", "send", "receive_message", "send_message", "shutdown", "option", "name",
    "epoll_create", "epoll_ctl", "epoll_wait", "poll", "uring_setup", "uring_map", "uring_enter", "uring_register",
    "uring_enable" };

extern const cr_sys __real_cr_sys_real;
extern cr_sys __wrap_cr_sys_real;
cr_sys __wrap_cr_sys_real;

enum { OWN_MAX = 1024, GUARD_REMOVE = 103, CUTS_MAX = 4096 };
enum { STALLS_MAX = 400, STALL_NS = 6000000 };
enum { LATE_WAITS_MAX = 50 };
#define LATE_NS ((int64_t)20000000)

static test_faults *_Atomic current;
static atomic_uint turns;        /* of what is left to chance */
static atomic_uint cuts;         /* transfers of one byte so far */
static atomic_uint late;         /* polls in a row that saw nothing */
static atomic_uint late_waits;   /* so far */
static atomic_uint stalls;       /* so far */
static atomic_bool own[OWN_MAX]; /* eventfds and timers, by descriptor */
static __thread bool is_worker;

/* The edge-triggered registration of a descriptor; set 0: none. */
typedef struct edge {
    int set;
    struct epoll_event event;
} edge;
static edge edges[OWN_MAX];

/* io_uring's rings, by descriptor: true where there is one. */
static atomic_bool rings[OWN_MAX];

bool test_faults_set(test_faults *faults)
{
    atomic_store(&current, faults);
    atomic_store(&turns, faults ? faults->turn : 0);
    return true;
}

bool test_faults_happened(void)
{
    const test_faults *faults = atomic_load(&current);
    return faults && atomic_load(&faults->injected) > 0;
}

static enum test_failing mode(void)
{
    const test_faults *faults = atomic_load(&current);
    return faults ? (enum test_failing)atomic_load(&faults->mode) : TEST_FAILING_NONE;
}

static void injected(void) { atomic_fetch_add(&atomic_load(&current)->injected, 1); }

/* A coin, so that no two calls that follow each other agree on whose turn it is. */
static bool by_chance(void)
{
    uint64_t turn = atomic_fetch_add(&turns, 1) + UINT64_C(1);
    turn *= UINT64_C(0x9e3779b97f4a7c15);
    return (turn ^ turn >> 31) >> 20 & 1;
}

/* Waits that fail for good would be tried again for ever, as accepting for want of descriptors is, and what a ring is
 * enabled by, once it could be restricted: from then on they fail as chance has it. */
static bool is_transient(enum test_call call)
{
    return call == TEST_CALL_EPOLL_WAIT || call == TEST_CALL_POLL || call == TEST_CALL_URING_ENTER ||
           call == TEST_CALL_URING_ENABLE || call == TEST_CALL_CLOSE || call == TEST_CALL_ACCEPT;
}

/* Does this call fail? */
static bool fails_from(enum test_call call, const void *frame)
{
    test_faults *faults = atomic_load(&current);
    test_site site = { .call = (unsigned char)call, .worker = is_worker };
    enum test_failing how = mode();
    if (how == TEST_FAILING_NONE || how > TEST_FAILING_FROM)
        return false;
    uint64_t key = test_site_read(&site, frame);
    if (how == TEST_FAILING_COUNT) {
        test_site_note(faults->sites, &site);
        return false;
    }
    unsigned wanted = faults->occurrence;
    unsigned seen = key == faults->key ? atomic_fetch_add(&faults->seen, 1) + 1 : atomic_load(&faults->seen);
    bool fails = key == faults->key && seen == wanted;
    if (how == TEST_FAILING_FROM && !fails && seen >= wanted && is_worker == faults->worker)
        fails = !is_transient(call) || by_chance();
    if (fails)
        injected();
    return fails;
}
#define FAILS(call) fails_from(call, __builtin_frame_address(0))

/* Is this one of the calls that this mode spoils? */
static bool spoilt(enum test_failing wanted)
{
    if (mode() != wanted || !by_chance())
        return false;
    injected();
    return true;
}
static bool interrupted(void) { return spoilt(TEST_FAILING_INTERRUPTED); }
static bool unready(void) { return spoilt(TEST_FAILING_UNREADY); }

static bool is_own(int fd) { return fd >= 0 && fd < OWN_MAX && atomic_load(&own[fd]); }

#define REAL(entry, ...) __real_cr_sys_real.entry(NULL, __VA_ARGS__)
#define UNUSED_CONTEXT __attribute__((unused)) void *context
/* Entries that fail as they are told to, and in no other way. */
#define MAY_FAIL(entry, call, error, parameters, ...) \
    static int failing_##entry parameters { return FAILS(call) ? -error : REAL(entry, __VA_ARGS__); }

static void *failing_alloc(UNUSED_CONTEXT, size_t size) { return FAILS(TEST_CALL_ALLOC) ? NULL : REAL(alloc, size); }
static void *failing_alloc_zero(UNUSED_CONTEXT, size_t size)
{
    return FAILS(TEST_CALL_ALLOC) ? NULL : REAL(alloc_zero, size);
}
static void *failing_resize(UNUSED_CONTEXT, void *memory, size_t size)
{
    return FAILS(TEST_CALL_RESIZE) ? NULL : REAL(resize, memory, size);
}
static void *failing_map(UNUSED_CONTEXT, size_t size) { return FAILS(TEST_CALL_MAP) ? NULL : REAL(map, size); }

/* Taking guards away needs nothing that could be short. */
static int failing_advise(UNUSED_CONTEXT, void *memory, size_t size, int advice)
{
    return advice != GUARD_REMOVE && FAILS(TEST_CALL_ADVISE) ? -ENOMEM : REAL(advise, memory, size, advice);
}
MAY_FAIL(protect_none, TEST_CALL_PROTECT, ENOMEM, (UNUSED_CONTEXT, void *memory, size_t size), memory, size)
static ssize_t failing_advise_many(UNUSED_CONTEXT, const struct iovec *ranges, size_t n, int advice)
{
    return FAILS(TEST_CALL_ADVISE_MANY) ? -ENOMEM : REAL(advise_many, ranges, n, advice);
}

/* As a loaded machine does it: for longer than tests sleep, one time in eight. */
static void stall(void)
{
    if (mode() != TEST_FAILING_STALLED || !by_chance() || !by_chance() || !by_chance())
        return;
    if (atomic_fetch_add(&stalls, 1) < STALLS_MAX)
        nanosleep(&(struct timespec){ .tv_nsec = STALL_NS }, NULL);
}
static int64_t failing_now(UNUSED_CONTEXT)
{
    stall();
    return __real_cr_sys_real.now(NULL);
}

typedef struct start {
    void *(*fn)(void *);
    void *arg;
} start;

static void *run_worker(void *arg)
{
    start asked = *(start *)arg;
    free(arg);
    is_worker = true;
    stall();
    return asked.fn(asked.arg);
}

static int failing_thread_start(UNUSED_CONTEXT, unsigned long *ret_thread, void *(*fn)(void *), void *arg, size_t size)
{
    if (FAILS(TEST_CALL_THREAD_START))
        return -EAGAIN;
    start *asked = malloc(sizeof *asked);
    if (!asked)
        return -EAGAIN;
    *asked = (start){ fn, arg };
    int err = REAL(thread_start, ret_thread, run_worker, asked, size);
    if (err < 0)
        free(asked);
    return err;
}
MAY_FAIL(signal_running, TEST_CALL_SIGNAL, EAGAIN, (UNUSED_CONTEXT, const cr_signal *asked, int *ret_timer), asked,
    ret_timer)

/* Linux has closed the descriptor whatever close says. */
static int failing_close(UNUSED_CONTEXT, int fd)
{
    if (is_own(fd))
        atomic_store(&own[fd], false);
    if (fd >= 0 && fd < OWN_MAX) {
        edges[fd] = (edge){ 0 };
        atomic_store(&rings[fd], false);
    }
    int result = REAL(close, fd);
    return FAILS(TEST_CALL_CLOSE) ? -EIO : interrupted() ? -EINTR : result;
}

/* How many bytes of size are asked for. Megabytes would take minutes one by one: they begin so. */
static size_t cut(size_t size)
{
    if (mode() != TEST_FAILING_SHORT || size <= 1 || atomic_fetch_add(&cuts, 1) >= CUTS_MAX)
        return size;
    injected();
    return 1;
}

static ssize_t failing_read(UNUSED_CONTEXT, int fd, void *buf, size_t size)
{
    if (is_own(fd))
        return REAL(read, fd, buf, size);
    if (FAILS(TEST_CALL_READ))
        return -EIO;
    return interrupted() ? -EINTR : REAL(read, fd, buf, cut(size));
}
static ssize_t failing_write(UNUSED_CONTEXT, int fd, const void *buf, size_t size)
{
    if (is_own(fd))
        return REAL(write, fd, buf, size);
    if (FAILS(TEST_CALL_WRITE))
        return -EIO;
    return interrupted() ? -EINTR : REAL(write, fd, buf, cut(size));
}
static int failing_open(UNUSED_CONTEXT, const char *path, int flags, unsigned permissions)
{
    return FAILS(TEST_CALL_OPEN) ? -EMFILE : interrupted() ? -EINTR : REAL(open, path, flags, permissions);
}
static int failing_open_at(UNUSED_CONTEXT, int folder, const char *path, int flags)
{
    return FAILS(TEST_CALL_OPEN_AT) ? -EMFILE : interrupted() ? -EINTR : REAL(open_at, folder, path, flags);
}
/* As a filter of system calls refuses it, or a kernel before 5.6. */
static int failing_open_resolving(UNUSED_CONTEXT, int folder, const char *path, const struct open_how *how)
{
    return FAILS(TEST_CALL_OPEN_RESOLVING) ? -ENOSYS : interrupted() ? -EINTR : REAL(open_resolving, folder, path, how);
}
MAY_FAIL(pipe, TEST_CALL_PIPE, EMFILE, (UNUSED_CONTEXT, int ret_fds[2], enum cr_pipe_end childs), ret_fds, childs)
MAY_FAIL(spawn, TEST_CALL_SPAWN, EAGAIN, (UNUSED_CONTEXT, const cr_spawn *asked, int *ret_pidfd), asked, ret_pidfd)

/* As where another part of the program has reaped it: one that has ended is gone, and its status lost. One that runs
 * cannot be lost. */
static int failing_wait_pidfd(UNUSED_CONTEXT, int fd, int *ret_status)
{
    int status = 0;
    int found = interrupted() ? -EINTR : REAL(wait_pidfd, fd, &status);
    if (found != 1)
        return found;
    if (FAILS(TEST_CALL_WAIT_PIDFD))
        return -ECHILD;
    *ret_status = status;
    return found;
}
static int noted(int fd)
{
    if (fd >= 0 && fd < OWN_MAX)
        atomic_store(&own[fd], true);
    return fd;
}
static int failing_eventfd(UNUSED_CONTEXT, unsigned value, int flags)
{
    return FAILS(TEST_CALL_EVENTFD) ? -EMFILE : noted(REAL(eventfd, value, flags));
}
static int failing_timerfd(UNUSED_CONTEXT)
{
    return FAILS(TEST_CALL_TIMERFD) ? -EMFILE : noted(__real_cr_sys_real.timerfd(NULL));
}
MAY_FAIL(stat, TEST_CALL_STAT, EIO, (UNUSED_CONTEXT, int fd, struct stat *ret_stat), fd, ret_stat)
MAY_FAIL(duplicate, TEST_CALL_DUPLICATE, EMFILE, (UNUSED_CONTEXT, int fd), fd)
static ssize_t failing_read_at(UNUSED_CONTEXT, int fd, const struct iovec *piece, int64_t offset, int flags)
{
    if (FAILS(TEST_CALL_READ_AT))
        return -EIO;
    if (interrupted())
        return -EINTR;
    if ((flags & RWF_NOWAIT) && unready())
        return -EAGAIN;
    return REAL(read_at, fd, &(struct iovec){ piece->iov_base, cut(piece->iov_len) }, offset, flags);
}
static ssize_t failing_write_at(UNUSED_CONTEXT, int fd, const struct iovec *piece, int64_t offset, int flags)
{
    if (FAILS(TEST_CALL_WRITE_AT))
        return -EIO;
    if (interrupted())
        return -EINTR;
    if ((flags & RWF_NOWAIT) && unready())
        return -EAGAIN;
    return REAL(write_at, fd, &(struct iovec){ piece->iov_base, cut(piece->iov_len) }, offset, flags);
}

/* The file cannot be sent so: what else its caller does is called then. */
static ssize_t failing_send_file(UNUSED_CONTEXT, int to, const cr_file_place *from, size_t size)
{
    if (FAILS(TEST_CALL_SEND_FILE))
        return -EINVAL;
    int err = interrupted() ? -EINTR : unready() ? -EAGAIN : 0;
    return err < 0 ? err : REAL(send_file, to, from, cut(size));
}
static ssize_t failing_copy_range(UNUSED_CONTEXT, const cr_file_place *from, const cr_file_place *to, size_t size)
{
    return FAILS(TEST_CALL_COPY_RANGE) ? -EXDEV : interrupted() ? -EINTR : REAL(copy_range, from, to, cut(size));
}

MAY_FAIL(interface_index, TEST_CALL_INTERFACE, EMFILE, (UNUSED_CONTEXT, const char *name), name)
MAY_FAIL(epoll_create, TEST_CALL_EPOLL_CREATE, EMFILE, (UNUSED_CONTEXT, int flags), flags)
/* What is registered can always be removed. */
static int failing_epoll_ctl(UNUSED_CONTEXT, int epfd, int op, int fd, struct epoll_event *event)
{
    if (op != EPOLL_CTL_DEL && FAILS(TEST_CALL_EPOLL_CTL))
        return -ENOMEM;
    int err = REAL(epoll_ctl, epfd, op, fd, event);
    if (err == 0 && fd >= 0 && fd < OWN_MAX)
        edges[fd] = op == EPOLL_CTL_DEL || !(event->events & EPOLLET) ? (edge){ 0 } : (edge){ epfd, *event };
    return err;
}

/* What rings have been asked for the descriptor is ended, and asked for again. */
static void end_requests(int fd)
{
    struct io_uring_sync_cancel_reg of_fd = { .fd = fd, .flags = IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL };
    for (int ring = 0; ring < OWN_MAX; ring++)
        if (atomic_load(&rings[ring]))
            (void)REAL(uring_register, ring, IORING_REGISTER_SYNC_CANCEL, &of_fd, 1);
}

/* Of a descriptor with edges an -EAGAIN, and a transfer of less than was asked for, say that an event will follow. So
 * one must, where it was this table that said so. */
static void tell_again(int fd)
{
    end_requests(fd);
    if (fd >= 0 && fd < OWN_MAX && edges[fd].set)
        (void)REAL(epoll_ctl, edges[fd].set, EPOLL_CTL_MOD, fd, &edges[fd].event);
}

static bool unready_edge(int fd)
{
    bool is_unready = unready();
    if (is_unready)
        tell_again(fd);
    return is_unready;
}

MAY_FAIL(resolve, TEST_CALL_RESOLVE, EAGAIN,
    (UNUSED_CONTEXT, const char *name, struct sockaddr_in6 *ret_addresses, unsigned max), name, ret_addresses, max)
MAY_FAIL(path_stat, TEST_CALL_PATH_STAT, EACCES, (UNUSED_CONTEXT, const char *path, struct stat *status), path, status)
MAY_FAIL(path_mode, TEST_CALL_PATH_MODE, EPERM, (UNUSED_CONTEXT, const char *path, unsigned bits), path, bits)
MAY_FAIL(path_unlink, TEST_CALL_PATH_UNLINK, EPERM, (UNUSED_CONTEXT, const char *path), path)
MAY_FAIL(lock, TEST_CALL_LOCK, ENOLCK, (UNUSED_CONTEXT, int fd), fd)
MAY_FAIL(socket, TEST_CALL_SOCKET, EMFILE, (UNUSED_CONTEXT, int family, int type, int protocol), family, type, protocol)
MAY_FAIL(socket_pair, TEST_CALL_SOCKET_PAIR, EMFILE, (UNUSED_CONTEXT, int family, int type, int ret_fds[2]), family,
    type, ret_fds)
MAY_FAIL(bind, TEST_CALL_BIND, EADDRINUSE, (UNUSED_CONTEXT, int fd, const struct sockaddr *address, unsigned size), fd,
    address, size)
MAY_FAIL(listen, TEST_CALL_LISTEN, EADDRINUSE, (UNUSED_CONTEXT, int fd, int backlog), fd, backlog)
static int failing_accept(UNUSED_CONTEXT, int fd, struct sockaddr *address, unsigned *size)
{
    if (FAILS(TEST_CALL_ACCEPT)) {
        tell_again(fd);
        return -EMFILE;
    }
    if (interrupted())
        return -EINTR;
    return unready_edge(fd) ? -EAGAIN : REAL(accept, fd, address, size);
}

/* One that is interrupted goes on all the same. */
static int failing_connect(UNUSED_CONTEXT, int fd, const struct sockaddr *address, unsigned size)
{
    if (FAILS(TEST_CALL_CONNECT))
        return -ENETUNREACH;
    int result = REAL(connect, fd, address, size);
    return result == -EINPROGRESS && interrupted() ? -EINTR : result;
}
static ssize_t failing_recv(UNUSED_CONTEXT, int fd, void *buf, size_t size, int flags)
{
    if (FAILS(TEST_CALL_RECV))
        return -ENOMEM;
    if (interrupted())
        return -EINTR;
    if (unready_edge(fd))
        return -EAGAIN;
    size_t asked = cut(size);
    ssize_t n = REAL(recv, fd, buf, asked, flags);
    if (asked < size)
        tell_again(fd);
    return n;
}

/* A connection of which send fails is no more: recv finds its end then. */
static ssize_t failing_send(UNUSED_CONTEXT, int fd, const void *buf, size_t size, int flags)
{
    if (FAILS(TEST_CALL_SEND)) {
        (void)REAL(shutdown, fd, SHUT_RDWR);
        return -ETIMEDOUT;
    }
    if (interrupted())
        return -EINTR;
    if (unready_edge(fd))
        return -EAGAIN;
    size_t asked = cut(size);
    ssize_t n = REAL(send, fd, buf, asked, flags);
    if (asked < size)
        tell_again(fd);
    return n;
}
static ssize_t failing_receive_message(UNUSED_CONTEXT, int fd, struct msghdr *message, int flags)
{
    int err = FAILS(TEST_CALL_RECEIVE_MESSAGE) ? -ENOMEM : interrupted() ? -EINTR : unready_edge(fd) ? -EAGAIN : 0;
    return err < 0 ? err : REAL(receive_message, fd, message, flags);
}
static ssize_t failing_send_message(UNUSED_CONTEXT, int fd, const struct msghdr *message, int flags)
{
    return FAILS(TEST_CALL_SEND_MESSAGE) ? -ENOBUFS : REAL(send_message, fd, message, flags);
}
static int failing_receive_messages(UNUSED_CONTEXT, int fd, struct mmsghdr *all, unsigned n, int flags)
{
    int err = FAILS(TEST_CALL_RECEIVE_MESSAGE) ? -ENOMEM : interrupted() ? -EINTR : unready_edge(fd) ? -EAGAIN : 0;
    return err < 0 ? err : REAL(receive_messages, fd, all, n, flags);
}
MAY_FAIL(send_messages, TEST_CALL_SEND_MESSAGE, ENOBUFS,
    (UNUSED_CONTEXT, int fd, struct mmsghdr *all, unsigned n, int flags), fd, all, n, flags)
/* It fails where the connection is no more: then no peer waits for the end. */
static int failing_shutdown(UNUSED_CONTEXT, int fd, int how)
{
    bool fails = FAILS(TEST_CALL_SHUTDOWN);
    int err = REAL(shutdown, fd, how);
    return fails ? -ENOTCONN : err;
}
MAY_FAIL(set_option, TEST_CALL_OPTION, ENOMEM, (UNUSED_CONTEXT, int fd, const cr_socket_option *option), fd, option)
MAY_FAIL(get_option, TEST_CALL_OPTION, ENOBUFS, (UNUSED_CONTEXT, int fd, cr_socket_option *option), fd, option)
MAY_FAIL(own_name, TEST_CALL_NAME, ENOBUFS, (UNUSED_CONTEXT, int fd, struct sockaddr *address, unsigned *size), fd,
    address, size)
MAY_FAIL(peer_name, TEST_CALL_NAME, ENOBUFS, (UNUSED_CONTEXT, int fd, struct sockaddr *address, unsigned *size), fd,
    address, size)

/* The rest of a wait that begins by sleeping, as far as a test that waits a thousand times has the time; a look that
 * does not wait sees nothing, eight times in a row. */
static bool sleep_late(int64_t *timeout_ns)
{
    if (mode() != TEST_FAILING_LATE)
        return false;
    injected();
    if (*timeout_ns == 0)
        return atomic_fetch_add(&late, 1) % 9 != 8;
    if (atomic_fetch_add(&late_waits, 1) >= LATE_WAITS_MAX)
        return false;
    int64_t span = *timeout_ns < 0 || *timeout_ns > LATE_NS ? LATE_NS : *timeout_ns;
    nanosleep(&(struct timespec){ .tv_nsec = (long)span }, NULL);
    if (*timeout_ns > 0)
        *timeout_ns -= span;
    return false;
}

static int failing_epoll_wait(UNUSED_CONTEXT, int epfd, struct epoll_event *events, int n, int64_t timeout_ns)
{
    if (FAILS(TEST_CALL_EPOLL_WAIT) || interrupted())
        return -EINTR;
    if (sleep_late(&timeout_ns) || (timeout_ns == 0 && unready()))
        return 0;
    return REAL(epoll_wait, epfd, events, n, timeout_ns);
}
static int failing_poll(UNUSED_CONTEXT, struct pollfd *fds, size_t n, int64_t timeout_ns)
{
    if (FAILS(TEST_CALL_POLL) || interrupted())
        return -EINTR;
    if (timeout_ns == 0 && unready()) {
        for (size_t i = 0; i < n; i++)
            tell_again(fds[i].fd);
        return 0;
    }
    return REAL(poll, fds, n, timeout_ns);
}

static int failing_uring_setup(UNUSED_CONTEXT, unsigned entries, struct io_uring_params *params)
{
    if (FAILS(TEST_CALL_URING_SETUP))
        return -ENOMEM;
    int fd = REAL(uring_setup, entries, params);
    if (fd >= 0 && fd < OWN_MAX)
        atomic_store(&rings[fd], true);
    return fd;
}
static void *failing_uring_map(UNUSED_CONTEXT, int fd, size_t size, int64_t offset)
{
    return FAILS(TEST_CALL_URING_MAP) ? NULL : REAL(uring_map, fd, size, offset);
}

/* Without memory for what is submitted, the kernel wants to be asked again. */
static int failing_uring_enter(UNUSED_CONTEXT, int fd, const cr_uring_enter *asked)
{
    int64_t timeout_ns = asked->wait ? -1 : 0;
    if (FAILS(TEST_CALL_URING_ENTER))
        return asked->submit ? -EAGAIN : -EINTR;
    if (interrupted())
        return -EINTR;
    if (asked->wait)
        (void)sleep_late(&timeout_ns);
    return REAL(uring_enter, fd, asked);
}
static int failing_uring_register(UNUSED_CONTEXT, int fd, unsigned opcode, void *arg, unsigned n)
{
    enum test_call call = opcode == IORING_REGISTER_ENABLE_RINGS ? TEST_CALL_URING_ENABLE : TEST_CALL_URING_REGISTER;
    if (FAILS(call))
        return -ENOMEM;
    if (mode() != TEST_FAILING_NONE && opcode == IORING_REGISTER_RESTRICTIONS)
        return 0; /* it would forbid what end_requests asks */
    return REAL(uring_register, fd, opcode, arg, n);
}

/* Before any test's own constructors, which may copy it. */
__attribute__((constructor(101))) static void make_table(void)
{
    cr_sys *table = &__wrap_cr_sys_real;
    *table = __real_cr_sys_real;
    table->alloc = failing_alloc;
    table->alloc_zero = failing_alloc_zero;
    table->resize = failing_resize;
    table->map = failing_map;
    table->advise = failing_advise;
    table->protect_none = failing_protect_none;
    table->advise_many = failing_advise_many;
    table->now = failing_now;
    table->thread_start = failing_thread_start;
    table->signal_running = failing_signal_running;
    table->close = failing_close;
    table->read = failing_read;
    table->write = failing_write;
    table->open = failing_open;
    table->open_at = failing_open_at;
    table->open_resolving = failing_open_resolving;
    table->pipe = failing_pipe;
    table->spawn = failing_spawn;
    table->wait_pidfd = failing_wait_pidfd;
    table->eventfd = failing_eventfd;
    table->timerfd = failing_timerfd;
    table->stat = failing_stat;
    table->duplicate = failing_duplicate;
    table->read_at = failing_read_at;
    table->write_at = failing_write_at;
    table->send_file = failing_send_file;
    table->copy_range = failing_copy_range;
    table->interface_index = failing_interface_index;
    table->resolve = failing_resolve;
    table->path_stat = failing_path_stat;
    table->path_mode = failing_path_mode;
    table->path_unlink = failing_path_unlink;
    table->lock = failing_lock;
    table->receive_message = failing_receive_message;
    table->send_message = failing_send_message;
    table->receive_messages = failing_receive_messages;
    table->send_messages = failing_send_messages;
    table->socket = failing_socket;
    table->socket_pair = failing_socket_pair;
    table->bind = failing_bind;
    table->listen = failing_listen;
    table->accept = failing_accept;
    table->connect = failing_connect;
    table->recv = failing_recv;
    table->send = failing_send;
    table->shutdown = failing_shutdown;
    table->set_option = failing_set_option;
    table->get_option = failing_get_option;
    table->own_name = failing_own_name;
    table->peer_name = failing_peer_name;
    table->epoll_create = failing_epoll_create;
    table->epoll_ctl = failing_epoll_ctl;
    table->epoll_wait = failing_epoll_wait;
    table->poll = failing_poll;
    table->uring_setup = failing_uring_setup;
    table->uring_map = failing_uring_map;
    table->uring_enter = failing_uring_enter;
    table->uring_register = failing_uring_register;
}
#endif
