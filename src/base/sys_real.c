/* SPDX-License-Identifier: MIT */
/* sys_real.c: the table of OS calls that really calls the OS.
 *
 * Owns nothing: each entry is one call, with the errno made negative. Files are called in
 * sys_real_files.c, sockets in sys_real_sockets.c, processes in sys_real_processes.c. With the
 * switch and what handles signals these are the only files of the library that speak to the kernel
 * and the allocator. Where a call is newer than the kernels we run on, the older one stands in
 * here, so that callers need not know.
 *
 * Nothing is retried here: what to do about -EINTR is decided by the caller, which knows what the
 * call was for; and the failing table of the tests could not show it otherwise. */
#include "base/sys.h"

#include "base/sys_real_files.h"
#include "base/sys_real_processes.h"
#include "base/sys_real_sockets.h"
#include "base/sys_result.h"
#include "base/valgrind.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static void *real_alloc(void *context, size_t size)
{
    (void)context;
    return malloc(size);
}

static void *real_alloc_zero(void *context, size_t size)
{
    (void)context;
    return calloc(1, size);
}

static void *real_resize(void *context, void *memory, size_t size)
{
    (void)context;
    return realloc(memory, size);
}

static void real_free(void *context, void *memory)
{
    (void)context;
    free(memory);
}

/* NORESERVE: stacks are reserved by the gigabyte, and committed by the page. */
static void *real_map(void *context, size_t size)
{
    (void)context;
    void *memory = mmap(
        NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static int real_unmap(void *context, void *memory, size_t size)
{
    (void)context;
    return cr_sys_result(munmap(memory, size));
}

static int real_advise(void *context, void *memory, size_t size, int advice)
{
    (void)context;
    return cr_sys_result(madvise(memory, size, advice));
}

static int real_protect_none(void *context, void *memory, size_t size)
{
    (void)context;
    return cr_sys_result(mprotect(memory, size, PROT_NONE));
}

/* Linux 6.14 knows this thread without a descriptor for it; before, one is opened for the call. */
static ssize_t real_advise_many(void *context, const struct iovec *ranges, size_t n, int advice)
{
    enum { this_thread = -10000 };
    (void)context;
    long done = cr_sys_result_size(syscall(SYS_process_madvise, this_thread, ranges, n, advice, 0));
    if (done != -EBADF)
        return done;
    long self = cr_sys_result_size(syscall(SYS_pidfd_open, getpid(), 0));
    if (self < 0)
        return self;
    done = cr_sys_result_size(syscall(SYS_process_madvise, (int)self, ranges, n, advice, 0));
    close((int)self);
    return done;
}

/* Monotonic and not boottime: what was planned before the machine slept comes that much later,
 * as every other timer of the process does. */
CR_HOT static int64_t real_now(void *context)
{
    struct timespec now;
    (void)context;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * CR_SECOND + now.tv_nsec;
}

static int64_t real_wall_now(void *context)
{
    struct timespec now;
    (void)context;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * CR_SECOND + now.tv_nsec;
}

/* Before the kernel's pool is ready, the clock must do. */
static uint64_t real_random(void *context)
{
    uint64_t value;
    if (getrandom(&value, sizeof value, GRND_NONBLOCK) != (ssize_t)sizeof value)
        value = (uint64_t)real_now(context) * UINT64_C(0x9e3779b97f4a7c15);
    return value;
}

/* A thread of ours takes no signals but those its own faults raise: the others belong to the
 * program's threads. */
static void block_signals(sigset_t *ret_before)
{
    static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF };
    sigset_t all;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        sigdelset(&all, own[i]);
    pthread_sigmask(SIG_SETMASK, &all, ret_before);
}

/* Signals are blocked around the creation, since a thread inherits the mask of its maker: there
 * is no moment in which the new one could take a signal. */
static int real_thread_start(
    void *context, unsigned long *ret_thread, void *(*fn)(void *), void *arg, size_t stack_size)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t before;
    (void)context;
    int err = pthread_attr_init(&attributes);
    if (err)
        return -err;
    if (stack_size)
        err = pthread_attr_setstacksize(&attributes, stack_size);
    if (!err) {
        block_signals(&before);
        err = pthread_create(&thread, &attributes, fn, arg);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attributes);
    if (!err)
        *ret_thread = (unsigned long)thread;
    return -err;
}

static int real_thread_join(void *context, unsigned long thread)
{
    (void)context;
    return -pthread_join((pthread_t)thread, NULL);
}

static int real_thread_detach(void *context, unsigned long thread)
{
    (void)context;
    return -pthread_detach((pthread_t)thread);
}

/* Those this process may use, which in a container are fewer than the machine has. */
static unsigned real_cores(void *context)
{
    cpu_set_t set;
    (void)context;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (unsigned)CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

/* A thread that has ended gives 0: no caller needs its time. */
static int64_t real_thread_time(void *context, unsigned long thread)
{
    clockid_t clock;
    struct timespec used = { 0 };
    (void)context;
    if (pthread_getcpuclockid((pthread_t)thread, &clock) == 0)
        clock_gettime(clock, &used);
    return (int64_t)used.tv_sec * CR_SECOND + used.tv_nsec;
}

/* A SIGPIPE that fn caused is taken from the pending signals, unless one was pending before, which
 * only a thread that blocks it can have: that one is the program's. Taking it does not wait, so no
 * other signal can interrupt it. */
static long real_without_sigpipe(void *context, long (*fn)(void *), void *arg)
{
    static const struct timespec at_once = { 0 };
    sigset_t pipe_broken, before, waiting;
    (void)context;
    sigemptyset(&pipe_broken);
    sigemptyset(&waiting);
    sigaddset(&pipe_broken, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_broken, &before);
    if (sigismember(&before, SIGPIPE))
        sigpending(&waiting);
    long result = fn(arg);
    if (!sigismember(&waiting, SIGPIPE))
        (void)sigtimedwait(&pipe_broken, NULL, &at_once);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

static int real_thread_id(void *context)
{
    (void)context;
    return gettid();
}

/* A timer of the thread's own processor time: it expires while the thread computes, in the tick,
 * and what it does is put off to the return to user mode. A signal that is sent from outside may
 * reach a thread that has just begun to wait, and end a poll or a sleep that no handler's flag
 * takes up again; this one cannot. The clock's number is the kernel's way to write "processor
 * time of that thread". */
static int real_signal_running(void *context, const cr_signal *asked, int *ret_timer)
{
    enum { thread_clock = 6 };
    struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = asked->number };
    const struct itimerspec at_once = { .it_value = { .tv_nsec = 1 } };
    clockid_t clock = (clockid_t)((~(unsigned)asked->thread * 8) | thread_clock);
    int timer = -1;
    (void)context;
    event.sigev_value.sival_int = asked->value;
    event._sigev_un._tid = asked->thread;
    int err = (int)cr_sys_result_size(syscall(SYS_timer_create, clock, &event, &timer));
    if (err < 0)
        return err;
    err = (int)cr_sys_result_size(syscall(SYS_timer_settime, timer, 0, &at_once, NULL));
    if (err < 0)
        syscall(SYS_timer_delete, timer);
    else
        *ret_timer = timer;
    return err;
}

static void real_signal_end(void *context, int timer)
{
    (void)context;
    syscall(SYS_timer_delete, timer);
}

/* -EINTR is passed on, though Linux has closed the descriptor all the same: callers know. */
static int real_close(void *context, int fd)
{
    (void)context;
    return cr_sys_result(close(fd));
}

static ssize_t real_read(void *context, int fd, void *buf, size_t size)
{
    (void)context;
    return cr_sys_result_size(read(fd, buf, size));
}

static ssize_t real_write(void *context, int fd, const void *buf, size_t size)
{
    (void)context;
    return cr_sys_result_size(write(fd, buf, size));
}

/* A descriptor of ours must not be number 1, or all that the program prints would go there. */
static int move_above_standard(int fd)
{
    if (fd > STDERR_FILENO)
        return fd;
    int moved = cr_sys_result(fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    close(fd);
    return moved;
}

/* The flag belongs to the end alone: the other one is another open file. */
static int prepare_end(int fd, bool waits)
{
    int above = move_above_standard(fd);
    if (above < 0 || waits || fcntl(above, F_SETFL, fcntl(above, F_GETFL) | O_NONBLOCK) == 0)
        return above;
    int err = -errno;
    close(above);
    return err;
}

/* Both ends or none. The descriptors are written at the end, for callers look at them on failure
 * too. */
static int real_pipe(void *context, int ret_fds[2], enum cr_pipe_end childs)
{
    (void)context;
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    int reader = prepare_end(fds[0], childs == CR_PIPE_READER);
    int writer = prepare_end(fds[1], childs == CR_PIPE_WRITER);
    if (reader >= 0 && writer >= 0) {
        ret_fds[0] = reader;
        ret_fds[1] = writer;
        return 0;
    }
    if (reader >= 0)
        close(reader);
    if (writer >= 0)
        close(writer);
    return reader < 0 ? reader : writer;
}

/* isatty tells "is none" and "is no descriptor" by errno alone. */
static int real_is_terminal(void *context, int fd)
{
    (void)context;
    if (isatty(fd))
        return 1;
    return errno == EBADF ? -EBADF : 0;
}

static int real_eventfd(void *context, unsigned value, int flags)
{
    (void)context;
    return cr_sys_result(eventfd(value, flags));
}

static int real_timerfd(void *context)
{
    (void)context;
    int fd = cr_sys_result(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
    return fd < 0 ? fd : move_above_standard(fd);
}

/* All zero would stop it; what is past is due at once. */
static int real_timerfd_set(void *context, int fd, int64_t at)
{
    struct itimerspec due = { { 0, 0 }, { 0, 0 } };
    (void)context;
    if (at != CR_NEVER) {
        int64_t instant = at > 0 ? at : 1;
        due.it_value.tv_sec = (time_t)(instant / CR_SECOND);
        due.it_value.tv_nsec = (long)(instant % CR_SECOND);
    }
    return cr_sys_result(timerfd_settime(fd, TFD_TIMER_ABSTIME, &due, NULL));
}

static int real_epoll_create(void *context, int flags)
{
    (void)context;
    return cr_sys_result(epoll_create1(flags));
}

static int real_epoll_ctl(void *context, int epfd, int op, int fd, struct epoll_event *event)
{
    (void)context;
    return cr_sys_result(epoll_ctl(epfd, op, fd, event));
}

/* NULL is how ppoll and epoll_pwait2 are told to wait for ever. */
static struct timespec *timespec_of(int64_t timeout_ns, struct timespec *span)
{
    if (timeout_ns < 0)
        return NULL;
    span->tv_sec = (time_t)(timeout_ns / CR_SECOND);
    span->tv_nsec = (long)(timeout_ns % CR_SECOND);
    return span;
}

/* Kernels before 5.11 count in milliseconds: rounded up, so that nothing comes early. Filters older
 * than the call may say EPERM, which it does not know. */
CR_HOT static int real_epoll_wait(
    void *context, int epfd, struct epoll_event *events, int n, int64_t timeout_ns)
{
    enum { millisecond = 1000000 };
    struct timespec span;
    (void)context;
    int result = cr_sys_result(epoll_pwait2(epfd, events, n, timespec_of(timeout_ns, &span), NULL));
    if (result > 0)
        cr_sys_result_written(events, (size_t)result * sizeof *events);
    if (result != -ENOSYS && result != -EPERM)
        return result;
    int64_t milliseconds = timeout_ns / millisecond + (timeout_ns % millisecond != 0);
    if (timeout_ns < 0)
        milliseconds = -1;
    else if (milliseconds > INT_MAX)
        milliseconds = INT_MAX;
    return cr_sys_result(epoll_wait(epfd, events, n, (int)milliseconds));
}

/* ppoll counts in nanoseconds on every kernel: nothing need be rounded here. */
static int real_poll(void *context, struct pollfd *fds, size_t n, int64_t timeout_ns)
{
    struct timespec span;
    (void)context;
    int result = cr_sys_result(ppoll(fds, n, timespec_of(timeout_ns, &span), NULL));
    if (result >= 0)
        cr_sys_result_written(fds, n * sizeof *fds);
    return result;
}

static int real_uring_setup(void *context, unsigned entries, struct io_uring_params *params)
{
    (void)context;
    return (int)cr_sys_result_size(syscall(SYS_io_uring_setup, entries, params));
}

/* Populated at once: the first submission should not fault on the ring. */
static void *real_uring_map(void *context, int fd, size_t size, int64_t offset)
{
    (void)context;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);
    return memory == MAP_FAILED ? NULL : memory;
}

/* The sixth argument is the size of what the fifth points to, as EXT_ARG wants it. */
static int uring_enter(int fd, const cr_uring_enter *asked)
{
    return (int)cr_sys_result_size(syscall(
        SYS_io_uring_enter, fd, asked->submit, asked->wait, asked->flags, asked->arg, asked->size));
}

/* Valgrind lets no other thread run while one waits in io_uring_enter, so no thread could wake it.
 * There it waits for a moment at a time, and between two in a call that others run beside. */
/* unreached: under Valgrind alone, where 04_tools.sh runs it */
static int uring_enter_by_turns(int fd, const cr_uring_enter *asked)
{
    struct __kernel_timespec moment = { .tv_nsec = 100000 };
    struct io_uring_getevents_arg arg = { .ts = (uint64_t)(uintptr_t)&moment };
    cr_uring_enter wait = { .wait = asked->wait,
        .arg = &arg,
        .size = sizeof arg,
        .flags = asked->flags | IORING_ENTER_EXT_ARG };
    const cr_uring_enter submit = { .submit = asked->submit };
    const struct __kernel_timespec *limit = NULL;
    if (asked->flags & IORING_ENTER_EXT_ARG)
        limit = (const void *)(uintptr_t)((const struct io_uring_getevents_arg *)asked->arg)->ts;
    int64_t end = limit ? real_now(NULL) + limit->tv_sec * CR_SECOND + limit->tv_nsec : CR_NEVER;
    int result = asked->submit ? uring_enter(fd, &submit) : 0;
    if (result >= 0)
        do
            result = uring_enter(fd, &wait);
        while (result == -ETIME && real_now(NULL) < end && poll(NULL, 0, 1) == 0);
    return result;
}

static int real_uring_enter(void *context, int fd, const cr_uring_enter *asked)
{
    (void)context;
    if (asked->wait > 0 && RUNNING_ON_VALGRIND)
        return uring_enter_by_turns(fd, asked); /* unreached: see there */
    return uring_enter(fd, asked);
}

static int real_uring_register(void *context, int fd, unsigned opcode, void *arg, unsigned n)
{
    (void)context;
    return (int)cr_sys_result_size(syscall(SYS_io_uring_register, fd, opcode, arg, n));
}

/* Constant and shared by all loops; it has no context, and its entries take NULL for one. */
const cr_sys cr_sys_real = {
    .alloc = real_alloc,
    .alloc_zero = real_alloc_zero,
    .resize = real_resize,
    .free = real_free,
    .map = real_map,
    .unmap = real_unmap,
    .advise = real_advise,
    .protect_none = real_protect_none,
    .advise_many = real_advise_many,
    .now = real_now,
    .wall_now = real_wall_now,
    .random = real_random,
    .thread_start = real_thread_start,
    .thread_join = real_thread_join,
    .thread_detach = real_thread_detach,
    .cores = real_cores,
    .thread_time = real_thread_time,
    .thread_id = real_thread_id,
    .without_sigpipe = real_without_sigpipe,
    .signal_running = real_signal_running,
    .signal_end = real_signal_end,
    .close = real_close,
    .read = real_read,
    .write = real_write,
    .open = cr_sys_real_open,
    .open_at = cr_sys_real_open_at,
    .open_resolving = cr_sys_real_open_resolving,
    .pipe = real_pipe,
    .is_terminal = real_is_terminal,
    .eventfd = real_eventfd,
    .timerfd = real_timerfd,
    .timerfd_set = real_timerfd_set,
    .descriptors_may_leave = cr_sys_real_descriptors_may_leave,
    .descriptors_leave = cr_sys_real_descriptors_leave,
    .descriptor_borrow = cr_sys_real_descriptor_borrow,
    .stat = cr_sys_real_stat,
    .make_own = cr_sys_real_make_own,
    .duplicate = cr_sys_real_duplicate,
    .lock = cr_sys_real_lock,
    .read_at = cr_sys_real_read_at,
    .write_at = cr_sys_real_write_at,
    .send_file = cr_sys_real_send_file,
    .copy_range = cr_sys_real_copy_range,
    .path_stat = cr_sys_real_path_stat,
    .path_mode = cr_sys_real_path_mode,
    .path_unlink = cr_sys_real_path_unlink,
    .socket = cr_sys_real_socket,
    .socket_pair = cr_sys_real_socket_pair,
    .bind = cr_sys_real_bind,
    .listen = cr_sys_real_listen,
    .accept = cr_sys_real_accept,
    .connect = cr_sys_real_connect,
    .recv = cr_sys_real_recv,
    .send = cr_sys_real_send,
    .receive_message = cr_sys_real_receive_message,
    .send_message = cr_sys_real_send_message,
    .receive_messages = cr_sys_real_receive_messages,
    .send_messages = cr_sys_real_send_messages,
    .shutdown = cr_sys_real_shutdown,
    .set_option = cr_sys_real_set_option,
    .get_option = cr_sys_real_get_option,
    .own_name = cr_sys_real_own_name,
    .peer_name = cr_sys_real_peer_name,
    .interface_index = cr_sys_real_interface_index,
    .spawn = cr_sys_real_spawn,
    .wait_pidfd = cr_sys_real_wait_pidfd,
    .signal_pidfd = cr_sys_real_signal_pidfd,
    .signal_group = cr_sys_real_signal_group,
    .resolve = cr_sys_real_resolve,
    .descriptors_max = cr_sys_real_descriptors_max,
    .epoll_create = real_epoll_create,
    .epoll_ctl = real_epoll_ctl,
    .epoll_wait = real_epoll_wait,
    .poll = real_poll,
    .uring_setup = real_uring_setup,
    .uring_map = real_uring_map,
    .uring_enter = real_uring_enter,
    .uring_register = real_uring_register,
};
