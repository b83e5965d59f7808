/* SPDX-License-Identifier: MIT */
/* sys.c: the table that really calls the OS, also on a kernel that lacks what is new. A filter on this process's own
 * system calls makes such a kernel. */
#include "base/sys.h"
#include "base/base.h"
#include "test.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
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
