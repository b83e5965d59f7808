/* SPDX-License-Identifier: MIT */
/* overflow.c: what a program says that dies of a task's too small stack. Each is a child process. */
#include "base/base.h"
#include "greedy.h"
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static char said[4096];
static void (*hook)(const crank_report *report, void *arg);

/* What a program of app writes to stderr, and how it ends. */
static int child(int (*app)(void), size_t stack_size)
{
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        signal(SIGSEGV, SIG_DFL);
        crank_options options = { .backend = CRANK_BACKEND_SIM, .stack_size = stack_size, .on_report = hook };
        _exit((int)crank_run_with(&options, app));
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

static void expect_report(int status, const char *limit)
{
    EXPECT(CR_TSAN || (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV)); /* it exits in the signal's place */
    EXPECT_CONTAINS(said, "stack overflow");
    EXPECT_CONTAINS(said, limit);
    EXPECT_CONTAINS(said, "greedy");
    EXPECT_CONTAINS(said, "overflow.c");
}

__attribute__((noinline)) static int greedy_at_once(void)
{
    volatile char frame[190 * 1024];
    __asm__ volatile("" : : "r"(frame) : "memory"); /* it keeps its size */
    frame[0] = 1;
    volatile char more[40 * 1024];
    __asm__ volatile("" : : "r"(more) : "memory"); /* it keeps its size */
    more[0] = 1;
    return frame[0] + more[0];
}

/* One frame of the size that still cannot leap over a guard, at the end of what there is. In functions of their own,
 * since a frame has its whole size from the function's beginning. */
__attribute__((noinline)) static int take_60_kib(void)
{
    volatile char frame[60 * 1024];
    __asm__ volatile("" : : "r"(frame) : "memory"); /* it keeps its size */
    frame[0] = 1;
    return frame[0];
}

__attribute__((noinline)) static int fill_150_kib(void)
{
    volatile char frame[150 * 1024];
    __asm__ volatile("" : : "r"(frame) : "memory"); /* it keeps its size */
    frame[0] = 1;
    return take_60_kib() + frame[0];
}

static int greedy_by_60_kib(void)
{
    crank_sleep(1); /* all neighbours are there */
    return fill_150_kib();
}

/* Neighbours fill what they have of their stacks, and are looked at when the overflow is reported. */
enum { NEIGHBOURS = 8, FILLED = 100 * 1024 };
static const unsigned char *filled[NEIGHBOURS];
static int neighbours;

static int bystander(void)
{
    crank_sleep(3600);
    return 0;
}

static int neighbour(void)
{
    unsigned char pattern[FILLED];
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (unsigned char)(i * 7);
    filled[neighbours++] = pattern;
    crank_sleep(3600);
    return pattern[5];
}

static void look_at_neighbours(const crank_report *report, void *arg)
{
    int touched = 0;
    (void)arg;
    for (int n = 0; n < neighbours; n++)
        for (size_t i = 0; i < FILLED; i++)
            touched += filled[n][i] != (unsigned char)(i * 7);
    char seen[80]; /* by snprintf, for the hook runs in a signal handler: dprintf would allocate */
    snprintf(seen, sizeof seen, "kind %d, %d neighbours, %d bytes touched\n", report->kind == CRANK_REPORT_OVERFLOW,
        neighbours, touched);
    (void)!write(STDERR_FILENO, report->text, strlen(report->text));
    (void)!write(STDERR_FILENO, seen, strlen(seen));
}

static int among_neighbours(void)
{
    for (int i = 0; i < NEIGHBOURS; i++) {
        (void)crank_spawn(neighbour);
        if (i == NEIGHBOURS / 2)
            crank_set_name(crank_spawn(greedy_by_60_kib), "greedy");
    }
    return crank_sleep(5);
}

static int with_greedy(void)
{
    (void)crank_spawn(bystander);
    crank_task *task = crank_spawn(greedy, 0);
    crank_sleep(1);
    return (int)crank_await(task);
}

/* It dies with stdout's lock held, as in printf. */
static int greedy_with_stdout(int depth)
{
    flockfile(stdout);
    return greedy(depth);
}
static int with_greedy_in_stdio(void) { return (int)crank_await(crank_spawn(greedy_with_stdout, 0)); }

static int with_greedy_at_once(void) { return (int)crank_await(crank_spawn(greedy_at_once)); }

TEST(overflow, of_a_task_is_reported_with_its_name_and_place) { expect_report(child(with_greedy, 0), "of 196608"); }

TEST(overflow, by_one_large_frame_is_reported_as_well) { expect_report(child(with_greedy_at_once, 0), "of 196608"); }

TEST(overflow, by_a_frame_of_60_kib_leaves_the_neighbours_untouched)
{
    hook = look_at_neighbours;
    expect_report(child(among_neighbours, 0), "of 196608, at 0x");
    EXPECT_CONTAINS(said, "crank: stack overflow: 2"); /* deeper than the limit by a frame */
    EXPECT_CONTAINS(said, "name='greedy' fn=greedy_by_60_kib spawned at overflow.c:");
    EXPECT_CONTAINS(said, "kind 1, 8 neighbours, 0 bytes touched");
}

TEST(overflow, in_the_middle_of_printf_is_reported_all_the_same)
{
    hook = NULL;
    expect_report(child(with_greedy_in_stdio, 0), "crank: stack overflow: ");
}

TEST(overflow, names_the_limit_that_was_chosen)
{
    expect_report(child(with_greedy, 40000), "of 49152");
    expect_report(child(with_greedy, 500000), "of 1048576");
}

static int modest(void) { return (int)crank_await(crank_spawn(greedy, 10000000 - 400)); }

TEST(overflow, does_not_happen_with_a_stack_that_suffices)
{
    EXPECT(WIFEXITED(child(modest, (size_t)4 << 20)));
    EXPECT(!strstr(said, "overflow"));
}
