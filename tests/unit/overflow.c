/* SPDX-License-Identifier: MIT */
/* overflow.c: a stack that is too small is reported, and the process dies of its own fault; every other fault is
 * somebody else's business. Each case is a child process that runs a function on a stack of a pool. */
#include "base/valgrind.h"
#include "context/fiber.h"
#include "context/stack.h"

#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define KIB ((size_t)1 << 10)

static void *hot;
static cr_stacks *stacks;
static cr_side outside;
static cr_side inside;
static char *low;
static char *high;
static volatile char sink;
static int said_to; /* not stderr, where tools and emulators write */

static void say(const char *text) { EXPECT(write(said_to, text, strlen(text)) > 0); }
static void report(const void *address, size_t depth, size_t limit)
{
    char line[128];
    EXPECT(depth > limit && (size_t)(high - (const char *)address) == depth);
    snprintf(line, sizeof line, "overflow of %zu KiB;", limit / KIB);
    say(line);
}

static void fill(volatile char *frame, size_t size)
{
    for (size_t i = size; i-- > 0; i -= i < 512 ? i : 512)
        frame[i] = 1;
    sink = frame[0];
}

__attribute__((noinline)) static int recurse(int depth)
{
    volatile char frame[400];
    __asm__ volatile("" : : "r"(frame) : "memory"); /* it keeps its size */
    fill(frame, sizeof frame);
    return depth > 1000000 ? depth : recurse(depth + 1) + frame[depth % 400];
}

/* One frame that reaches beyond the end by less than the guard, its lowest byte first. */
__attribute__((noinline)) static void large_frame(void)
{
    volatile char frame[(192 + 40) * 1024];
    __asm__ volatile("" : : "r"(frame) : "memory"); /* it keeps its size */
    frame[0] = 1;
    sink = frame[0];
}

__attribute__((noinline, no_sanitize("undefined"))) static void null_pointer(void)
{
    volatile int *volatile nowhere = NULL;
    *nowhere = 1;
}

/* What Valgrind does not report before it happens, as it does with a null pointer. */
static void write_protected(void)
{
    volatile char *memory = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(memory != MAP_FAILED);
    memory[0] = 1;
}

static void truncated_file(void)
{
    int fd = memfd_create("truncated", MFD_CLOEXEC);
    EXPECT(fd >= 0);
    volatile char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    EXPECT(memory != MAP_FAILED);
    memory[0] = 1;
}

static void send_segv(void)
{
    raise(SIGSEGV);
    say("survived;");
}

static void on_user_signal(int number)
{
    (void)number;
    volatile char frame[2000];
    __asm__ volatile("" : : "r"(frame) : "memory"); /* it keeps its size */
    fill(frame, sizeof frame);
}

/* A signal arrives when next to nothing is left of the stack: the kernel finds no room for its frame. */
__attribute__((noinline)) static void signal_without_room(void)
{
    signal(SIGUSR1, on_user_signal);
    volatile char frame[192 * 1024 - 3500];
    __asm__ volatile("" : : "r"(frame) : "memory"); /* it keeps its size */
    frame[0] = 1;
    raise(SIGUSR1);
    sink = frame[0];
}

static void write_neighbour(void)
{
    char *other = cr_stack_pop(&hot);
    memset(other - 8192, 1, 8192);
    say("fine;");
}

static void entry(void *function)
{
    cr_side_entered(&inside);
    void (*run)(void);
    memcpy(&run, &function, sizeof run);
    run();
    cr_side_leave(&inside, &outside, 0);
}

static void open_stacks(void)
{
    EXPECT_EQ(cr_stacks_new(&cr_sys_real, 192 * KIB, &hot, &stacks), 0);
    EXPECT_EQ(cr_overflow_install(&cr_sys_real, stacks, report), 0);
}

static void close_stacks(void)
{
    cr_overflow_remove(stacks);
    cr_stacks_free(stacks);
}

static void run_on_stack(void (*function)(void))
{
    cr_sched runner;
    cr_sched_init(&runner);
    EXPECT_EQ(hot ? 0 : cr_stacks_refill(stacks), 0);
    char *top = cr_stack_pop(&hot);
    EXPECT(cr_stacks_find(stacks, top, &low, &high));
    runner.stack_usable = (uint32_t)(top - low);
    EXPECT_EQ(cr_stacks_refill(stacks), 0);
    void *arg;
    memcpy(&arg, &function, sizeof arg);
    cr_side_prepare(&inside, &runner, top, entry, arg);
    (void)cr_side_swap(&outside, &inside, 0);
}

static char said[256];

/* What a child that does this writes; its wait status. The child begins without a handler of any tool's. */
static int child(void (*body)(void *), void *arg)
{
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        said_to = ends[1];
        dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        body(arg);
        _exit(0);
    }
    close(ends[1]);
    size_t length = 0;
    ssize_t got;
    while ((got = read(ends[0], said + length, sizeof said - 1 - length)) > 0)
        length += (size_t)got;
    said[length] = '\0';
    close(ends[0]);
    int status = 0;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

static void body_on_stack(void *function)
{
    void (*run)(void);
    memcpy(&run, &function, sizeof run);
    open_stacks();
    run_on_stack(run);
    close_stacks();
}

static int run_child_with(void (*body)(void *), void (*function)(void))
{
    void *arg;
    memcpy(&arg, &function, sizeof arg);
    return child(body, arg);
}
static int run_child(void (*function)(void)) { return run_child_with(body_on_stack, function); }

static bool died_by(int status, int number) { return WIFSIGNALED(status) && WTERMSIG(status) == number; }

static void recurse_for_ever(void) { sink = (char)recurse(0); }

TEST(overflow, by_recursion_is_reported_and_deadly)
{
    EXPECT(died_by(run_child(recurse_for_ever), SIGSEGV));
    EXPECT_STR(said, "overflow of 192 KiB;");
}

TEST(overflow, by_one_large_frame_is_reported_and_deadly)
{
    EXPECT(died_by(run_child(large_frame), SIGSEGV));
    EXPECT_STR(said, "overflow of 192 KiB;");
}

TEST(overflow, by_a_signal_that_finds_no_room_is_reported)
{
    if (getenv("TEST_EMULATED") || CR_ASAN || CR_TSAN || RUNNING_ON_VALGRIND)
        test_skip("frames are of another size here");
    EXPECT(died_by(run_child(signal_without_room), SIGSEGV));
    EXPECT_STR(said, "overflow of 192 KiB;");
}

TEST(overflow, is_not_what_a_null_pointer_is)
{
    if (RUNNING_ON_VALGRIND)
        test_skip("Valgrind reports it, as it should");
    EXPECT(died_by(run_child(null_pointer), SIGSEGV));
    EXPECT_STR(said, "");
}

TEST(overflow, is_not_what_a_protected_page_is)
{
    EXPECT(died_by(run_child(write_protected), SIGSEGV));
    EXPECT_STR(said, "");
}

TEST(overflow, is_not_what_a_truncated_file_is)
{
    if (RUNNING_ON_VALGRIND)
        test_skip("Valgrind says that SIGBUS ends it, and ends it by SIGSEGV");
    EXPECT(died_by(run_child(truncated_file), SIGBUS));
    EXPECT_STR(said, "");
}

TEST(overflow, a_signal_that_was_sent_keeps_its_default_action)
{
    EXPECT(died_by(run_child(send_segv), SIGSEGV));
    EXPECT_STR(said, "");
}

TEST(overflow, the_neighbours_are_untouched)
{
    EXPECT_EQ(run_child(write_neighbour), 0);
    EXPECT_STR(said, "fine;");
}

static void old_handler(int number)
{
    say(number == SIGSEGV ? "old;" : "other;");
    _exit(3);
}

static void old_information_handler(int number, siginfo_t *info, void *context)
{
    say(number == SIGSEGV && info->si_code > 0 && context ? "told;" : "other;");
    _exit(4);
}

static void body_with_old_handler(void *function)
{
    signal(SIGSEGV, old_handler);
    body_on_stack(function);
}

static void body_with_information(void *function)
{
    struct sigaction action = { .sa_sigaction = old_information_handler, .sa_flags = SA_SIGINFO };
    sigaction(SIGSEGV, &action, NULL);
    body_on_stack(function);
}

static void body_ignoring(void *function)
{
    signal(SIGSEGV, SIG_IGN);
    body_on_stack(function);
}

TEST(overflow, other_faults_go_to_the_handler_there_was_before)
{
    EXPECT_EQ(WEXITSTATUS(run_child_with(body_with_old_handler, write_protected)), 3);
    EXPECT_STR(said, "old;");
    EXPECT_EQ(WEXITSTATUS(run_child_with(body_with_old_handler, send_segv)), 3);
    EXPECT_STR(said, "old;");
    EXPECT_EQ(WEXITSTATUS(run_child_with(body_with_information, write_protected)), 4);
    EXPECT_STR(said, "told;");
}

/* As programs do that probe memory. */
static sigjmp_buf back;
static void handler_that_leaves(int number)
{
    (void)number;
    siglongjmp(back, 1);
}
static void probe_three_times(void)
{
    for (volatile int i = 0; i < 3; i++)
        if (sigsetjmp(back, 1) == 0)
            write_protected();
        else
            say("probed;");
}
static void body_that_probes(void *function)
{
    signal(SIGSEGV, handler_that_leaves);
    body_on_stack(function);
}
TEST(overflow, a_handler_that_leaves_by_a_jump_gets_the_next_fault_too)
{
    EXPECT_EQ(run_child_with(body_that_probes, probe_three_times), 0);
    EXPECT_STR(said, "probed;probed;probed;");
}

/* As a program's collector does, which protects pages to see the writes to them. */
static char *watched_page;
static void handler_that_mends(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    EXPECT(info->si_addr == (void *)watched_page);
    say("mended;");
    EXPECT_EQ(mprotect(watched_page, 4096, PROT_READ | PROT_WRITE), 0);
}
static void write_watched_twice(void)
{
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(mprotect(watched_page, 4096, PROT_READ), 0);
        ((volatile char *)watched_page)[0] = 1;
    }
    say("written;");
}
static void body_that_mends(void *function)
{
    struct sigaction action = { .sa_sigaction = handler_that_mends, .sa_flags = SA_SIGINFO };
    watched_page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(watched_page != MAP_FAILED);
    sigaction(SIGSEGV, &action, NULL);
    body_on_stack(function);
}
TEST(overflow, a_handler_that_mends_the_fault_and_returns_gets_the_next_fault_too)
{
    EXPECT_EQ(run_child_with(body_that_mends, write_watched_twice), 0);
    EXPECT_STR(said, "mended;mended;written;");
}

TEST(overflow, does_not_go_to_the_handler_there_was_before)
{
    EXPECT(died_by(run_child_with(body_with_old_handler, recurse_for_ever), SIGSEGV));
    EXPECT_STR(said, "overflow of 192 KiB;");
}

TEST(overflow, an_ignored_signal_stays_ignored_and_a_fault_stays_deadly)
{
    EXPECT_EQ(run_child_with(body_ignoring, send_segv), 0);
    EXPECT_STR(said, "survived;");
    EXPECT(died_by(run_child_with(body_ignoring, write_protected), SIGSEGV));
}

static struct sigaction theirs_before;

static void their_handler(int number, siginfo_t *info, void *context)
{
    say("theirs;");
    theirs_before.sa_sigaction(number, info, context);
}

/* Somebody puts a handler over ours that calls ours; then our last loop ends and another begins. */
static void body_chained(void *function)
{
    open_stacks();
    struct sigaction action = { .sa_sigaction = their_handler, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    sigaction(SIGSEGV, &action, &theirs_before);
    close_stacks();
    body_on_stack(function);
}

TEST(overflow, handlers_that_call_each_other_come_to_an_end)
{
    EXPECT(died_by(run_child_with(body_chained, write_protected), SIGSEGV));
    EXPECT(died_by(run_child_with(body_chained, recurse_for_ever), SIGSEGV));
    EXPECT_CONTAINS(said, "overflow of 192 KiB;");
}

/* As above, but theirs has gone before the next loop begins: ours is found installed, with what was before it. */
static void body_chained_for_a_while(void *function)
{
    struct sigaction action = { .sa_sigaction = their_handler, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    signal(SIGSEGV, old_handler);
    open_stacks();
    sigaction(SIGSEGV, &action, &theirs_before);
    close_stacks();
    sigaction(SIGSEGV, &theirs_before, NULL);
    body_on_stack(function);
}

TEST(overflow, a_handler_that_has_gone_from_over_ours_leaves_the_one_before_in_its_place)
{
    EXPECT_EQ(WEXITSTATUS(run_child_with(body_chained_for_a_while, write_protected)), 3);
    EXPECT_STR(said, "old;");
}

static void tell_place(uintptr_t at)
{
    uintptr_t from = (uintptr_t)(void (*)(void))null_pointer;
    say(at >= from && at < from + 256 ? "in null_pointer;" : "elsewhere;");
}
static void body_told_of_null(void *function)
{
    cr_null_faulted = tell_place;
    body_with_old_handler(function);
}

TEST(overflow, of_a_null_pointer_the_place_is_told_before_the_handler_there_was_before)
{
    if (RUNNING_ON_VALGRIND)
        test_skip("Valgrind reports it, as it should");
    EXPECT_EQ(WEXITSTATUS(run_child_with(body_told_of_null, null_pointer)), 3);
    EXPECT_STR(said, "in null_pointer;old;");
    EXPECT_EQ(WEXITSTATUS(run_child_with(body_told_of_null, write_protected)), 3);
    EXPECT_STR(said, "old;");
}

/* Where the alternate stack begins that is set. */
static const char *alternate_of_ours(void)
{
    stack_t now;
    sigaltstack(NULL, &now);
    EXPECT(!(now.ss_flags & SS_DISABLE) && now.ss_size >= 16 * KIB);
    return now.ss_sp;
}
static void expect_handlers(const struct sigaction expected[2])
{
    struct sigaction now;
    sigaction(SIGSEGV, NULL, &now);
    EXPECT(now.sa_sigaction == expected[0].sa_sigaction);
    sigaction(SIGBUS, NULL, &now);
    EXPECT(now.sa_sigaction == expected[1].sa_sigaction);
}

TEST(overflow, keeps_handlers_and_alternate_stack_while_one_loop_is_left)
{
    struct sigaction before[2], during[2];
    stack_t off = { .ss_flags = SS_DISABLE }, stack_before, now;
    cr_stacks *others;
    void *others_hot;
    EXPECT_EQ(sigaltstack(&off, &stack_before), 0);
    sigaction(SIGSEGV, NULL, &before[0]);
    sigaction(SIGBUS, NULL, &before[1]);
    open_stacks();
    const char *ours = alternate_of_ours();
    sigaction(SIGSEGV, NULL, &during[0]);
    sigaction(SIGBUS, NULL, &during[1]);
    EXPECT(during[0].sa_sigaction != before[0].sa_sigaction && during[1].sa_sigaction != before[1].sa_sigaction);
    EXPECT_EQ(cr_stacks_new(&cr_sys_real, 0, &others_hot, &others), 0);
    EXPECT_EQ(cr_overflow_install(&cr_sys_real, others, report), 0);
    close_stacks();
    EXPECT(alternate_of_ours() == ours);
    expect_handlers(during);
    cr_overflow_remove(others);
    expect_handlers(before);
    sigaltstack(NULL, &now);
    EXPECT(now.ss_flags & SS_DISABLE);
    cr_stacks_free(others);
    EXPECT_EQ(sigaltstack(&stack_before, NULL), 0);
}

TEST(overflow, leaves_handlers_and_alternate_stack_as_they_were)
{
    struct sigaction before;
    struct sigaction after;
    stack_t stack_before;
    stack_t stack_after;
    sigaction(SIGSEGV, NULL, &before);
    sigaltstack(NULL, &stack_before);
    for (int i = 0; i < 3; i++) {
        open_stacks();
        EXPECT_EQ(cr_overflow_install(&cr_sys_real, stacks, report), 0);
        sigaltstack(NULL, &stack_after);
        EXPECT(!(stack_after.ss_flags & SS_DISABLE) && stack_after.ss_size >= 16 * KIB);
        cr_overflow_remove(stacks);
        close_stacks();
        sigaction(SIGSEGV, NULL, &after);
        EXPECT(before.sa_sigaction == after.sa_sigaction);
        sigaltstack(NULL, &stack_after);
        EXPECT_EQ(stack_before.ss_flags, stack_after.ss_flags);
    }
}

TEST(overflow, a_large_alternate_stack_of_the_users_is_used)
{
    stack_t before;
    stack_t now;
    size_t size = 256 * KIB;
    char *memory = malloc(size);
    EXPECT(memory != NULL);
    stack_t mine = { .ss_sp = memory, .ss_size = size };
    EXPECT_EQ(sigaltstack(&mine, &before), 0);
    open_stacks();
    sigaltstack(NULL, &now);
    EXPECT(now.ss_sp == memory);
    close_stacks();
    sigaltstack(NULL, &now);
    EXPECT(now.ss_sp == memory);
    EXPECT_EQ(sigaltstack(&before, NULL), 0);
    free(memory);
}

static void *thread_with_overflow(void *arg)
{
    (void)arg;
    open_stacks();
    run_on_stack(recurse_for_ever);
    return NULL;
}

static void *thread_that_holds(void *arg)
{
    cr_stacks *others;
    void *others_hot;
    EXPECT_EQ(cr_stacks_new(&cr_sys_real, 0, &others_hot, &others), 0);
    EXPECT_EQ(cr_overflow_install(&cr_sys_real, others, report), 0);
    pthread_barrier_wait(arg);
    pthread_barrier_wait(arg);
    cr_overflow_remove(others);
    cr_stacks_free(others);
    return NULL;
}

static void body_in_second_thread(void *arg)
{
    (void)arg;
    pthread_t thread;
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&thread, NULL, thread_that_holds, &barrier);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    pthread_create(&thread, NULL, thread_that_holds, &barrier);
    pthread_barrier_wait(&barrier);
    thread_with_overflow(NULL);
}

TEST(overflow, is_reported_in_any_thread)
{
    EXPECT(died_by(child(body_in_second_thread, NULL), SIGSEGV));
    EXPECT_STR(said, "overflow of 192 KiB;");
}

static void *no_map(void *context, size_t size)
{
    (void)context;
    (void)size;
    return NULL;
}

static int no_protection(void *context, void *memory, size_t size)
{
    (void)context;
    (void)memory;
    (void)size;
    return -ENOMEM;
}

static void *no_alloc(void *context, size_t size)
{
    (void)context;
    (void)size;
    return NULL;
}

TEST(overflow, without_memory_for_it_is_an_error_and_nothing_stays)
{
    cr_sys sys = cr_sys_real;
    stack_t off = { .ss_flags = SS_DISABLE };
    stack_t before;
    EXPECT_EQ(sigaltstack(&off, &before), 0);
    EXPECT_EQ(cr_stacks_new(&cr_sys_real, 0, &hot, &stacks), 0);
    sys.alloc = no_alloc;
    EXPECT_EQ(cr_overflow_install(&sys, stacks, report), -ENOMEM);
    sys = cr_sys_real;
    sys.map = no_map;
    EXPECT_EQ(cr_overflow_install(&sys, stacks, report), -ENOMEM);
    sys = cr_sys_real;
    sys.protect_none = no_protection;
    EXPECT_EQ(cr_overflow_install(&sys, stacks, report), -ENOMEM);
    cr_overflow_remove(stacks);
    cr_stacks_free(stacks);
    EXPECT_EQ(sigaltstack(&before, NULL), 0);
}
