/* SPDX-License-Identifier: MIT */
/* cancel_everywhere_process.c: each waiting call on descriptors of others, signals and programs, cancelled at every
 * point. Nothing is lost means here: no signal, no program, no status of one. */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "points.h"

static struct world {
    int ends[2];
    crank_signals signals;
    crank_process *process;
    crank_output output;
} w;

/* ---- descriptors ---- */

static int open_ends(void)
{
    TOLD_EQ(pipe2(w.ends, O_CLOEXEC), 0);
    return 0;
}
static long do_wait_fd(void) { return crank_wait_fd(w.ends[0], CRANK_READABLE); }
static int write_byte(void)
{
    TOLD_EQ(write(w.ends[1], "x", 1), 1);
    return 0;
}
static int judge_ends(const struct told *t)
{
    TOLD(t->result == CRANK_READABLE || t->result == -ECANCELED);
    close(w.ends[0]);
    close(w.ends[1]);
    return 0;
}

/* ---- signals ---- */

static int receive(void)
{
    const int number = SIGUSR1;
    w.signals = (crank_signals){ 0 };
    crank_signals_begin_(&w.signals, &number, 1);
    return w.signals.error;
}
static long do_signals_next(void) { return crank_signals_next(&w.signals); }
static int send_signal(void) { return raise(SIGUSR1); }
static int judge_signals(const struct told *t)
{
    TOLD(t->result == SIGUSR1 || t->result == -ECANCELED);
    if (t->result != SIGUSR1)
        TOLD_EQ(crank_signals_next(&w.signals), SIGUSR1);
    crank_signals_end_(&w.signals);
    return 0;
}

static const struct row rows[] = {
    { "crank_wait_fd", "a pipe", open_ends, do_wait_fd, { write_byte }, NULL, judge_ends, 0, NULL },
    { "crank_signals_next", "one", receive, do_signals_next, { send_signal }, NULL, judge_signals, 0, NULL },
};
TEST_EACH_BACKEND(cancel, of_waits_for_descriptors_and_signals_at_many_points_loses_none)
{
    return try_rows(rows, CRANK_COUNT(rows), false);
}

/* ---- programs ---- */

static int clear(void)
{
    memset(&w, 0, sizeof w);
    return 0;
}
static int expect_no_program(void)
{
    TOLD_EQ(waitpid(-1, NULL, WNOHANG), -1);
    return 0;
}
static int judge_program(const struct told *t)
{
    TOLD(t->result == 0 || t->result == -ECANCELED);
    crank_try(crank_close(w.process));
    return expect_no_program();
}

static const char *const cat[] = { "cat", NULL };
static const crank_process_options talking = { .in = CRANK_PIPE, .out = CRANK_PIPE };
static long do_start(void)
{
    w.process = crank_process_start(cat, &talking);
    return w.process ? 0 : -errno;
}
static long do_shell_start(void)
{
    w.process = crank_shell_start("cat", &talking);
    return w.process ? 0 : -errno;
}
static int judge_start(const struct told *t)
{
    TOLD_EQ(w.process != NULL, t->result == 0);
    return judge_program(t);
}

static int start_cat(void)
{
    clear();
    w.process = crank_process_start(cat, &talking);
    return w.process ? 0 : -errno;
}
static long do_process_wait(void) { return crank_process_wait(w.process); }
static int end_input(void)
{
    TOLD_EQ(crank_process_signal(w.process, SIGHUP), 0);
    return 0;
}
static int judge_wait(const struct told *t)
{
    TOLD(t->result == 256 + SIGHUP || t->result == -ECANCELED);
    TOLD_EQ(crank_process_wait(w.process), 256 + SIGHUP);
    crank_try(crank_close(w.process));
    return expect_no_program();
}

static long do_communicate(void) { return crank_process_communicate(w.process, "text", 4, &w.output); }
static int judge_output(const struct told *t)
{
    TOLD_EQ(w.output.out != NULL, t->result == 0);
    TOLD(!w.output.out || strcmp(w.output.out, "text") == 0);
    crank_output_free(&w.output);
    return judge_program(t);
}

static int start_sleeping(void)
{
    clear();
    w.process = crank_shell_start("exec sleep 1000", &talking);
    return w.process ? 0 : -errno;
}
static long do_process_close(void)
{
    crank_process *process = w.process;
    w.process = NULL;
    return crank_close(process);
}
static long do_run_process(void)
{
    return crank_run_process(cat, &(crank_process_options){ .input = "text", .input_size = 4 }, &w.output);
}
/* A caller that was cancelled before it ran has not closed it. */
static const struct row program_rows[] = {
    { "crank_process_start", "with pipes", clear, do_start, { 0 }, NULL, judge_start, 1e-4, NULL },
    { "crank_shell_start", "with pipes", clear, do_shell_start, { 0 }, NULL, judge_start, 1e-4, NULL },
    { "crank_process_wait", "ended by a signal", start_cat, do_process_wait, { end_input }, NULL, judge_wait, 1e-4,
        NULL },
    { "crank_process_communicate", "with cat", start_cat, do_communicate, { 0 }, NULL, judge_output, 1e-4, NULL },
    { "crank_process_close", "while it runs", start_sleeping, do_process_close, { 0 }, NULL, judge_program, 1e-4,
        NULL },
    { "crank_run_process", "cat", clear, do_run_process, { 0 }, NULL, judge_output, 1e-4, NULL },
};
#define TEST_PROGRAMS(name, backend_) \
    TEST_APP_(test_cancel_of_programs_##name, "cancel", "of_calls_on_programs_at_many_points_leaves_none_on_" #name, \
        .backend = backend_) \
    { \
        return try_rows(program_rows, CRANK_COUNT(program_rows), false); \
    }
TEST_PROGRAMS(epoll, CRANK_BACKEND_EPOLL)
TEST_PROGRAMS(uring, CRANK_BACKEND_URING)
