/* SPDX-License-Identifier: MIT */
/* sys.c: the table that really calls the OS, also on a kernel that lacks what is new; and the
 * simulator's, which stands on another. A filter on this process's own system calls makes such a
 * kernel. */
#include "world/world.h"
#include "base/base.h"
#include "test.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static const cr_sys *const sys = &cr_sys_real;

/* From now on the call gives the error; where argument is not 0, only with it as the first. */
static void refuse(unsigned call, unsigned argument, unsigned error)
{
    struct sock_filter always[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, argument, 0, argument ? 1 : 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { CRANK_COUNT(always), always };
    if (getenv("TEST_EMULATED"))
        test_skip("an emulator makes calls of its own");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        test_skip("calls cannot be filtered here");
}

TEST(sys, a_mapping_too_large_is_null)
{
    EXPECT(sys->map(NULL, (size_t)1 << 60) == NULL);
    EXPECT(sys->uring_map(NULL, -1, 4096, 0) == NULL);
}

TEST(sys, errors_are_negative)
{
    char byte;
    struct iovec piece = { &byte, 1 };
    struct stat status;
    EXPECT_EQ(sys->close(NULL, -1), -EBADF);
    EXPECT_EQ(sys->read(NULL, -1, &byte, 1), -EBADF);
    EXPECT_EQ(sys->write(NULL, -1, &byte, 1), -EBADF);
    EXPECT_EQ(sys->read_at(NULL, -1, &piece, 0, 0), -EBADF);
    EXPECT_EQ(sys->write_at(NULL, -1, &piece, 0, 0), -EBADF);
    EXPECT_EQ(sys->stat(NULL, -1, &status), -EBADF);
    EXPECT_EQ(sys->duplicate(NULL, -1), -EBADF);
    EXPECT_EQ(sys->make_own(NULL, -1), -EBADF);
    EXPECT_EQ(sys->open(NULL, "/nowhere", O_RDONLY, 0), -ENOENT);
    EXPECT_EQ(sys->epoll_create(NULL, -1), -EINVAL);
    EXPECT_EQ(sys->eventfd(NULL, 0, -1), -EINVAL);
    if (!getenv("TEST_EMULATED")) /* qemu takes any advice */
        EXPECT_EQ(sys->advise(NULL, NULL, 4096, -1), -EINVAL);
}

TEST(sys, an_interface_has_a_number_by_its_name)
{
    unsigned expected = if_nametoindex("lo");
    if (expected == 0)
        test_skip("this machine has no interface lo");
    EXPECT_EQ(sys->interface_index(NULL, "lo"), (int)expected);
    EXPECT_EQ(sys->interface_index(NULL, "no_such0"), -ENODEV);
    EXPECT_EQ(sys->interface_index(NULL, "longer_than_a_name_may_be"), -ENODEV);
}

TEST(sys, descriptors_max_raises_the_soft_limit_to_the_hard_one)
{
    struct rlimit limit;
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max > 100 ? 100 : limit.rlim_max;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    EXPECT_EQ(sys->descriptors_max(NULL), limit.rlim_max);
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    EXPECT_EQ(limit.rlim_cur, limit.rlim_max);
}

TEST(sys, counts_on_1024_descriptors_where_the_limit_cannot_be_read)
{
    refuse(SYS_prlimit64, 0, EPERM);
    EXPECT_EQ(sys->descriptors_max(NULL), 1024);
}

TEST(sys, random_numbers_differ) { EXPECT(sys->random(NULL) != sys->random(NULL)); }

TEST(sys, numbers_differ_where_the_kernel_has_no_random_ones_yet)
{
    refuse(SYS_getrandom, 0, EAGAIN);
    uint64_t first = sys->random(NULL);
    int64_t now = sys->now(NULL);
    while (sys->now(NULL) == now)
        continue;
    EXPECT(first != sys->random(NULL));
}

static void *nothing(void *arg) { return arg; }
TEST(sys, a_thread_with_too_small_a_stack_is_an_error)
{
    unsigned long thread = 7;
    EXPECT_EQ(sys->thread_start(NULL, &thread, nothing, NULL, 1), -EINVAL);
    EXPECT_EQ(thread, 7);
    EXPECT_EQ(sys->thread_start(NULL, &thread, nothing, NULL, 256 << 10), 0);
    EXPECT_EQ(sys->thread_join(NULL, thread), 0);
}

/* Signals of the program are no business of ours; those of a fault must find their handler. */
static void *ask_mask(void *arg)
{
    pthread_sigmask(SIG_SETMASK, NULL, arg);
    return NULL;
}
TEST(sys, a_thread_of_ours_takes_only_the_signals_of_its_own_faults)
{
    static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF };
    unsigned long thread;
    sigset_t before, inside, after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    EXPECT_EQ(sys->thread_start(NULL, &thread, ask_mask, &inside, 0), 0);
    EXPECT_EQ(sys->thread_join(NULL, thread), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int sig = 1; sig < 32; sig++) {
        bool is_own = false;
        for (size_t i = 0; i < CRANK_COUNT(own); i++)
            is_own |= own[i] == sig;
        if (sig != SIGKILL && sig != SIGSTOP)
            EXPECT_EQ(sigismember(&inside, sig), !is_own);
        EXPECT_EQ(sigismember(&before, sig), sigismember(&after, sig));
    }
}

static void *use_time(void *arg)
{
    unsigned long self = (unsigned long)pthread_self();
    while (sys->thread_time(NULL, self) < 2000000)
        continue;
    return arg;
}
TEST(sys, a_threads_time_is_what_it_has_used)
{
    unsigned long thread;
    EXPECT_EQ(sys->thread_start(NULL, &thread, use_time, NULL, 0), 0);
    EXPECT_EQ(sys->thread_join(NULL, thread), 0);
    EXPECT(sys->thread_time(NULL, (unsigned long)pthread_self()) > 0);
}

/* Whether the process has a POSIX timer: the kernel has a line "ID:" for each. */
static bool has_timers(void)
{
    char line[64] = "";
    FILE *file = fopen("/proc/self/timers", "r");
    if (!file)
        test_skip("this kernel does not list a process's timers");
    bool found = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    return found;
}
TEST(sys, a_signal_for_which_the_kernel_has_no_timer_is_an_error)
{
    const cr_signal asked = { .thread = sys->thread_id(NULL), .number = SIGURG };
    int timer = -7;
    refuse(SYS_timer_create, 0, EAGAIN);
    EXPECT_EQ(sys->signal_running(NULL, &asked, &timer), -EAGAIN);
    EXPECT_EQ(timer, -7);
}
TEST(sys, a_signal_whose_timer_cannot_be_set_leaves_no_timer)
{
    const cr_signal asked = { .thread = sys->thread_id(NULL), .number = SIGURG };
    int timer = -7;
    EXPECT(!has_timers());
    refuse(SYS_timer_settime, 0, EPERM);
    EXPECT_EQ(sys->signal_running(NULL, &asked, &timer), -EPERM);
    EXPECT_EQ(timer, -7);
    EXPECT(!has_timers());
}

TEST(sys, has_at_least_one_core) { EXPECT(sys->cores(NULL) >= 1); }
TEST(sys, counts_cores_also_where_it_may_not_ask_for_its_own)
{
    refuse(SYS_sched_getaffinity, 0, EPERM);
    EXPECT(sys->cores(NULL) >= 1);
}

enum { THIS_THREAD = -10000, PAGE = 65536 };
static void advise_two(void)
{
    char *memory = sys->map(NULL, 4 * (size_t)PAGE);
    EXPECT(memory != NULL);
    memset(memory, 1, 4 * (size_t)PAGE);
    struct iovec ranges[] = { { memory, PAGE }, { memory + 2 * PAGE, PAGE } };
    ssize_t done = sys->advise_many(NULL, ranges, 2, MADV_DONTNEED);
    EXPECT(done == 2 * PAGE || done == -EINVAL || done == -EPERM || done == -ENOSYS);
    EXPECT_EQ(memory[0], done > 0 ? 0 : 1);
    EXPECT_EQ(memory[2 * PAGE], done > 0 ? 0 : 1);
    EXPECT_EQ(memory[PAGE], 1);
    EXPECT_EQ(sys->unmap(NULL, memory, 4 * (size_t)PAGE), 0);
}
TEST(sys, many_ranges_are_advised_in_one_call) { advise_two(); }
TEST(sys, and_also_by_a_kernel_that_wants_a_descriptor_for_the_process)
{
    refuse(SYS_process_madvise, (unsigned)THIS_THREAD, EBADF);
    advise_two();
}
TEST(sys, a_process_that_may_have_no_descriptor_advises_nothing)
{
    struct iovec range = { NULL, PAGE };
    refuse(SYS_process_madvise, (unsigned)THIS_THREAD, EBADF);
    refuse(SYS_pidfd_open, 0, EMFILE);
    EXPECT_EQ(sys->advise_many(NULL, &range, 1, MADV_DONTNEED), -EMFILE);
}

/* A wait of the given span, in nanoseconds, of a set with nothing ready; then one with
 * something. */
static void wait_on_epoll(int64_t span)
{
    struct epoll_event event = { .events = EPOLLIN };
    int set = sys->epoll_create(NULL, EPOLL_CLOEXEC);
    int ready = sys->eventfd(NULL, 0, EFD_CLOEXEC);
    EXPECT_EQ(sys->epoll_ctl(NULL, set, EPOLL_CTL_ADD, ready, &event), 0);
    int64_t before = sys->now(NULL);
    EXPECT_EQ(sys->epoll_wait(NULL, set, &event, 1, span), 0);
    EXPECT(sys->now(NULL) - before >= span);
    uint64_t one = 1;
    EXPECT_EQ(sys->write(NULL, ready, &one, sizeof one), sizeof one);
    EXPECT_EQ(sys->epoll_wait(NULL, set, &event, 1, -1), 1);
    EXPECT_EQ(sys->epoll_wait(NULL, set, &event, 1, INT64_MAX), 1);
    EXPECT_EQ(sys->epoll_wait(NULL, set, &event, 1, 0), 1);
    EXPECT_EQ(sys->close(NULL, ready), 0);
    EXPECT_EQ(sys->close(NULL, set), 0);
}
static int spawn_true(int *ret_pidfd)
{
    static const char *const arguments[] = { "true", NULL };
    static const int descriptors[] = { -1, -1, -1 };
    const cr_spawn asked = { .file = "true", .arguments = arguments, .descriptors = descriptors, .count = 3 };
    return sys->spawn(NULL, &asked, ret_pidfd);
}
TEST(sys, a_program_that_could_not_be_waited_for_is_ended)
{
    int pidfd = -1;
    refuse(SYS_pidfd_open, 0, EMFILE);
    EXPECT_EQ(spawn_true(&pidfd), -EMFILE);
    EXPECT(waitpid(-1, NULL, 0) < 0 && errno == ECHILD);
}
TEST(sys, a_program_that_is_gone_before_it_is_known_is_no_child)
{
    int pidfd = -1;
    refuse(SYS_pidfd_open, 0, ESRCH);
    EXPECT_EQ(spawn_true(&pidfd), -ECHILD);
    EXPECT(waitpid(-1, NULL, 0) < 0 && errno == ECHILD);
}

/* ---- pipes: a program that was begun without standard input or output must not read or write them by its printf */

static bool is_open(int fd) /* fcntl may be refused here */
{
    struct stat status;
    return fstat(fd, &status) == 0;
}
static int open_now(void)
{
    int n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += is_open(fd);
    return n;
}
/* A pipe with descriptor fd closed; what making it gives. The ends are closed again. */
static int pipe_without(int fd, int ret_ends[2])
{
    int kept = fcntl(fd, F_DUPFD_CLOEXEC, 10), ends[2] = { -7, -7 };
    close(fd);
    int before = open_now(), result = sys->pipe(NULL, ends, CR_PIPE_NONE);
    EXPECT(!is_open(fd));
    EXPECT_EQ(open_now() - before, result == 0 ? 2 : 0);
    memcpy(ret_ends, ends, sizeof ends);
    for (int i = 0; i < 2 && result == 0; i++)
        close(ends[i]);
    EXPECT_EQ(dup2(kept, fd), fd);
    close(kept);
    return result;
}
TEST(sys, a_pipe_takes_no_number_of_a_standard_descriptor)
{
    for (int fd = STDIN_FILENO; fd <= STDOUT_FILENO; fd++) {
        int ends[2];
        EXPECT_EQ(pipe_without(fd, ends), 0);
        EXPECT(ends[0] > STDERR_FILENO && ends[1] > STDERR_FILENO);
    }
}
TEST(sys, a_pipe_that_finds_no_other_number_leaves_nothing_open)
{
    int ends[2];
    refuse(SYS_fcntl, STDOUT_FILENO, EMFILE);
    int kept = dup(STDOUT_FILENO), before = open_now();
    close(STDOUT_FILENO);
    EXPECT_EQ(sys->pipe(NULL, ends, CR_PIPE_NONE), -EMFILE);
    EXPECT_EQ(dup2(kept, STDOUT_FILENO), STDOUT_FILENO);
    EXPECT_EQ(open_now(), before);
    close(kept);
}
/* The end with the given index is the one that cannot be told not to wait. */
static void expect_no_pipe(int index)
{
    int ends[2], after[2] = { -7, -7 };
    EXPECT_EQ(pipe(ends), 0);
    close(ends[0]);
    close(ends[1]);
    int before = open_now();
    refuse(SYS_fcntl, (unsigned)ends[index], EPERM); /* the next pipe has the same numbers */
    EXPECT_EQ(sys->pipe(NULL, after, CR_PIPE_NONE), -EPERM);
    EXPECT_EQ(open_now(), before);
    EXPECT(after[0] == -7 && after[1] == -7);
}
TEST(sys, a_pipe_whose_reader_cannot_be_prepared_leaves_nothing_open) { expect_no_pipe(0); }
TEST(sys, a_pipe_whose_writer_cannot_be_prepared_leaves_nothing_open) { expect_no_pipe(1); }
TEST(sys, a_pipe_beyond_the_limit_of_descriptors_is_an_error)
{
    int ends[2] = { -7, -7 };
    refuse(SYS_pipe2, 0, EMFILE);
    EXPECT_EQ(sys->pipe(NULL, ends, CR_PIPE_NONE), -EMFILE);
    EXPECT(ends[0] == -7 && ends[1] == -7);
}

TEST(sys, a_wait_is_never_too_short) { wait_on_epoll(1100000); }
TEST(sys, nor_by_a_kernel_that_counts_in_milliseconds)
{
    refuse(SYS_epoll_pwait2, 0, ENOSYS);
    wait_on_epoll(1100000);
}
TEST(sys, a_poll_is_never_too_short)
{
    int64_t before = sys->now(NULL);
    EXPECT_EQ(sys->poll(NULL, NULL, 0, 1100000), 0);
    EXPECT(sys->now(NULL) - before >= 1100000);
}

/* ---- the simulator's table: one below it that notes who called, and with which context */

static char below_context;
static int calls;
static void *seen(void *context)
{
    EXPECT(context == &below_context);
    calls++;
    return &below_context;
}
static int seen_int(void *context) { return seen(context) ? 40 + calls : 0; }
static void *below_memory(void *c, size_t size) { return size == 3 ? seen(c) : NULL; }
static void *below_resize(void *c, void *m, size_t size) { return size == 3 && m == &calls ? seen(c) : NULL; }
static void below_free(void *c, void *m) { EXPECT(m == &calls && seen(c)); }
static int below_unmap(void *c, void *m, size_t size) { return m == &calls && size == 3 ? seen_int(c) : 0; }
static int below_advise(void *c, void *m, size_t size, int advice)
{
    return m == &calls && size == 3 && advice == 4 ? seen_int(c) : 0;
}
static ssize_t below_many(void *c, const struct iovec *r, size_t n, int advice)
{
    return !r && n == 3 && advice == 4 ? seen_int(c) : 0;
}
static int below_start(void *c, unsigned long *ret, void *(*fn)(void *), void *arg, size_t size)
{
    return !ret && fn == nothing && arg == &calls && size == 3 ? seen_int(c) : 0;
}
static int below_join(void *c, unsigned long thread) { return thread == 3 ? seen_int(c) : 0; }
static unsigned below_cores(void *c) { return (unsigned)seen_int(c); }
static int64_t below_time(void *c, unsigned long thread) { return thread == 3 ? seen_int(c) : 0; }
static int below_id(void *c) { return seen_int(c); }
static long nothing_long(void *arg) { return arg == &calls; }
static long below_pipe(void *c, long (*fn)(void *), void *arg) { return fn(arg) ? seen_int(c) : 0; }
static int below_signal(void *c, const cr_signal *asked, int *ret_timer)
{
    return !asked && ret_timer == &calls ? seen_int(c) : 0;
}
static void below_signal_end(void *c, int timer) { EXPECT(timer == 3 && seen(c)); }
static int below_close(void *c, int fd) { return fd == 3 ? seen_int(c) : 0; }
static ssize_t below_read(void *c, int fd, void *b, size_t size)
{
    return fd == 3 && b == &calls && size == 4 ? seen_int(c) : 0;
}
static ssize_t below_write(void *c, int fd, const void *b, size_t size)
{
    return fd == 3 && b == &calls && size == 4 ? seen_int(c) : 0;
}
static int below_open(void *c, const char *path, int flags, unsigned mode)
{
    return !path && flags == 3 && mode == 4 ? seen_int(c) : 0;
}
static int below_eventfd(void *c, unsigned value, int flags) { return value == 3 && flags == 4 ? seen_int(c) : 0; }
static int below_stat(void *c, int fd, struct stat *ret) { return fd == 3 && !ret ? seen_int(c) : 0; }
static ssize_t below_at(void *c, int fd, const struct iovec *piece, int64_t offset, int flags)
{
    return fd == 3 && !piece && offset == 4 && flags == 5 ? seen_int(c) : 0;
}
static int below_create(void *c, int flags) { return flags == 3 ? seen_int(c) : 0; }
static int below_ctl(void *c, int epfd, int op, int fd, struct epoll_event *event)
{
    return epfd == 3 && op == 4 && fd == 5 && !event ? seen_int(c) : 0;
}
static int below_wait(void *c, int epfd, struct epoll_event *events, int n, int64_t timeout)
{
    return epfd == 3 && !events && n == 4 && timeout == 5 ? seen_int(c) : 0;
}
static int below_poll(void *c, struct pollfd *fds, size_t n, int64_t timeout)
{
    return !fds && n == 3 && timeout == 4 ? seen_int(c) : 0;
}
static int below_setup(void *c, unsigned entries, struct io_uring_params *params)
{
    return entries == 3 && !params ? seen_int(c) : 0;
}
static int below_enter(void *c, int fd, const cr_uring_enter *asked) { return fd == 3 && !asked ? seen_int(c) : 0; }
static int below_register(void *c, int fd, unsigned opcode, void *arg, unsigned n)
{
    return fd == 3 && opcode == 4 && arg == &calls && n == 5 ? seen_int(c) : 0;
}

static int below_bind(void *c, int fd, const struct sockaddr *address, unsigned size)
{
    return fd == 3 && !address && size == 4 ? seen_int(c) : 0;
}
static int below_two(void *c, int fd, int number) { return fd == 3 && number == 4 ? seen_int(c) : 0; }
static int below_name(void *c, int fd, struct sockaddr *address, unsigned *size)
{
    return fd == 3 && !address && !size ? seen_int(c) : 0;
}
static ssize_t below_recv(void *c, int fd, void *b, size_t size, int flags)
{
    return fd == 3 && b == &calls && size == 4 && flags == 5 ? seen_int(c) : 0;
}
static ssize_t below_send(void *c, int fd, const void *b, size_t size, int flags)
{
    return fd == 3 && b == &calls && size == 4 && flags == 5 ? seen_int(c) : 0;
}
static int below_set(void *c, int fd, const cr_socket_option *option) { return fd == 3 && !option ? seen_int(c) : 0; }
static int below_get(void *c, int fd, cr_socket_option *option) { return fd == 3 && !option ? seen_int(c) : 0; }

static const cr_sys below = { .context = &below_context,
    .alloc = below_memory,
    .alloc_zero = below_memory,
    .resize = below_resize,
    .free = below_free,
    .map = below_memory,
    .unmap = below_unmap,
    .advise = below_advise,
    .protect_none = below_unmap,
    .advise_many = below_many,
    .thread_start = below_start,
    .thread_join = below_join,
    .cores = below_cores,
    .thread_time = below_time,
    .thread_id = below_id,
    .without_sigpipe = below_pipe,
    .signal_running = below_signal,
    .signal_end = below_signal_end,
    .close = below_close,
    .read = below_read,
    .write = below_write,
    .open = below_open,
    .eventfd = below_eventfd,
    .stat = below_stat,
    .duplicate = below_close,
    .read_at = below_at,
    .write_at = below_at,
    .bind = below_bind,
    .listen = below_two,
    .accept = below_name,
    .connect = below_bind,
    .recv = below_recv,
    .send = below_send,
    .shutdown = below_two,
    .set_option = below_set,
    .get_option = below_get,
    .own_name = below_name,
    .peer_name = below_name,
    .epoll_create = below_create,
    .epoll_ctl = below_ctl,
    .epoll_wait = below_wait,
    .poll = below_poll,
    .uring_setup = below_setup,
    .uring_enter = below_enter,
    .uring_register = below_register };

/* Every call below gives another number: so each is made, once, and gives what that gave. */
#define EXPECT_NEXT(call) \
    do { \
        long long expect_before_ = calls; \
        EXPECT_EQ(call, 40 + expect_before_ + 1); \
        EXPECT_EQ(calls, expect_before_ + 1); \
    } while (0)

TEST(world, hands_every_call_to_the_table_it_stands_on)
{
    cr_world record;
    cr_world_init(&record, &below, 1);
    const cr_sys *sim = &record.table;
    EXPECT(cr_alloc(sim, 3) == &below_context && cr_alloc_zero(sim, 3) == &below_context);
    EXPECT(cr_resize(sim, &calls, 3) == &below_context && sim->map(&record, 3) == &below_context);
    cr_free(sim, &calls);
    EXPECT_EQ(calls, 5);
    EXPECT_NEXT(sim->unmap(&record, &calls, 3));
    EXPECT_NEXT(sim->advise(&record, &calls, 3, 4));
    EXPECT_NEXT(sim->protect_none(&record, &calls, 3));
    EXPECT_NEXT(sim->advise_many(&record, NULL, 3, 4));
    EXPECT_NEXT(sim->thread_start(&record, NULL, nothing, &calls, 3));
    EXPECT_NEXT(sim->thread_join(&record, 3));
    EXPECT_NEXT(sim->cores(&record));
    EXPECT_NEXT(sim->thread_time(&record, 3));
    EXPECT_NEXT(sim->thread_id(&record));
    EXPECT_NEXT(sim->without_sigpipe(&record, nothing_long, &calls));
    EXPECT_NEXT(sim->signal_running(&record, NULL, &calls));
    int before = calls;
    sim->signal_end(&record, 3);
    EXPECT_EQ(calls, before + 1);
    EXPECT_NEXT(sim->close(&record, 3));
    EXPECT_NEXT(sim->read(&record, 3, &calls, 4));
    EXPECT_NEXT(sim->write(&record, 3, &calls, 4));
    EXPECT_NEXT(sim->open(&record, NULL, 3, 4));
    EXPECT_NEXT(sim->eventfd(&record, 3, 4));
    EXPECT_NEXT(sim->stat(&record, 3, NULL));
    EXPECT_NEXT(sim->duplicate(&record, 3));
    EXPECT_NEXT(sim->read_at(&record, 3, NULL, 4, 5));
    EXPECT_NEXT(sim->write_at(&record, 3, NULL, 4, 5));
    EXPECT_NEXT(sim->bind(&record, 3, NULL, 4));
    EXPECT_NEXT(sim->listen(&record, 3, 4));
    EXPECT_NEXT(sim->accept(&record, 3, NULL, NULL));
    EXPECT_NEXT(sim->connect(&record, 3, NULL, 4));
    EXPECT_NEXT(sim->recv(&record, 3, &calls, 4, 5));
    EXPECT_NEXT(sim->send(&record, 3, &calls, 4, 5));
    EXPECT_NEXT(sim->shutdown(&record, 3, 4));
    EXPECT_NEXT(sim->set_option(&record, 3, NULL));
    EXPECT_NEXT(sim->get_option(&record, 3, NULL));
    EXPECT_NEXT(sim->own_name(&record, 3, NULL, NULL));
    EXPECT_NEXT(sim->peer_name(&record, 3, NULL, NULL));
    EXPECT_NEXT(sim->epoll_create(&record, 3));
    EXPECT_NEXT(sim->epoll_ctl(&record, 3, 4, 5, NULL));
    EXPECT_NEXT(sim->epoll_wait(&record, 3, NULL, 4, 5));
    EXPECT_NEXT(sim->poll(&record, NULL, 3, 4));
    EXPECT_NEXT(sim->uring_setup(&record, 3, NULL));
    EXPECT_NEXT(sim->uring_enter(&record, 3, NULL));
    EXPECT_NEXT(sim->uring_register(&record, 3, 4, &calls, 5));
}

TEST(world, has_the_same_interfaces_and_descriptors_on_every_machine)
{
    cr_world record;
    cr_world_init(&record, &below, 1);
    EXPECT_EQ(record.table.interface_index(&record, "lo"), 1);
    EXPECT_EQ(record.table.interface_index(&record, "eth0"), 2);
    EXPECT_EQ(record.table.interface_index(&record, "eth1"), -ENODEV);
    EXPECT_EQ(record.table.descriptors_max(&record), 65536);
    EXPECT_EQ(calls, 0);
}

TEST(world, knows_a_virtual_descriptor_by_its_number)
{
    enum { fd = CR_VIRTUAL_FIRST };
    cr_world record;
    struct stat status;
    struct iovec piece = { &status, 1 };
    cr_socket_option option = { SOL_SOCKET, SO_TYPE, &status, sizeof(int) };
    cr_world_init(&record, &below, 1);
    const cr_sys *sim = &record.table;
    EXPECT_EQ(sim->close(&record, fd), -EBADF);
    EXPECT_EQ(sim->stat(&record, fd, &status), -EBADF);
    EXPECT_EQ(sim->duplicate(&record, fd), -EBADF);
    EXPECT_EQ(sim->read(&record, fd, &status, 1), -EBADF);
    EXPECT_EQ(sim->write(&record, fd, &status, 1), -EBADF);
    EXPECT_EQ(sim->read_at(&record, fd, &piece, -1, 0), -EBADF);
    EXPECT_EQ(sim->write_at(&record, fd, &piece, -1, 0), -EBADF);
    EXPECT_EQ(sim->read_at(&record, fd, &piece, 0, 0), -ESPIPE);
    EXPECT_EQ(sim->write_at(&record, fd, &piece, 0, 0), -ESPIPE);
    EXPECT_EQ(sim->bind(&record, fd, NULL, 0), -EBADF);
    EXPECT_EQ(sim->listen(&record, fd, 1), -EBADF);
    EXPECT_EQ(sim->accept(&record, fd, NULL, NULL), -EBADF);
    EXPECT_EQ(sim->connect(&record, fd, NULL, 0), -EBADF);
    EXPECT_EQ(sim->recv(&record, fd, NULL, 0, 0), -EBADF);
    EXPECT_EQ(sim->send(&record, fd, NULL, 0, 0), -EBADF);
    EXPECT_EQ(sim->shutdown(&record, fd, 0), -EBADF);
    EXPECT_EQ(sim->set_option(&record, fd, &option), -EBADF);
    EXPECT_EQ(sim->get_option(&record, fd, &option), -EBADF);
    EXPECT_EQ(sim->own_name(&record, fd, NULL, NULL), -EBADF);
    EXPECT_EQ(sim->peer_name(&record, fd, NULL, NULL), -EBADF);
    EXPECT_EQ(calls, 0);
}

TEST(world, has_its_own_clock_and_chance)
{
    cr_world first;
    cr_world second;
    cr_world_init(&first, &below, 1);
    cr_world_init(&second, &below, 2);
    EXPECT_EQ(first.table.now(&first), CR_SECOND);
    uint64_t chance = first.table.random(&first);
    EXPECT(chance != first.table.random(&first));
    EXPECT(chance != second.table.random(&second));
    cr_world_init(&second, &below, 1);
    EXPECT_EQ(chance, second.table.random(&second));
    EXPECT_EQ(calls, 0);
}

static long write_to_nobody(void *arg)
{
    (void)arg;
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    close(ends[0]);
    long result = write(ends[1], "", 1) < 0 ? -errno : 0;
    close(ends[1]);
    return result;
}

/* Signals of one number do not add up: which of two it was cannot be told. */
TEST(sys, without_sigpipe_leaves_one_that_was_waiting_before)
{
    for (int waits = 0; waits <= 1; waits++) {
        sigset_t pipe_broken, before, waiting;
        sigemptyset(&pipe_broken);
        sigaddset(&pipe_broken, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &pipe_broken, &before);
        if (waits)
            pthread_kill(pthread_self(), SIGPIPE);
        EXPECT_EQ(cr_sys_real.without_sigpipe(NULL, write_to_nobody, NULL), -EPIPE);
        sigpending(&waiting);
        EXPECT_EQ(sigismember(&waiting, SIGPIPE), waits);
        if (waits)
            EXPECT_EQ(sigtimedwait(&pipe_broken, NULL, &(struct timespec){ 0 }), SIGPIPE);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
}
