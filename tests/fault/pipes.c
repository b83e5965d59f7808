/* SPDX-License-Identifier: MIT */
/* pipes.c: pipes, descriptors of others, programs and signals, with each fallible call failing in turn. */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "sweep.h"

static int print_line(crank_stream **writer)
{
    crank_try(crank_printf(*writer, "a line\n"));
    return crank_finish(*writer);
}
/* The writer is the parent's, for a task without memory for its stack ends before it could close it; and its end is to
 * end the reading. */
static long pipes(void *arg)
{
    (void)arg;
    char line[16];
    crank_stream *reader, *other;
    crank_try(crank_pipe(&reader, &other));
    CRANK_AUTO_STREAM crank_stream *in = reader;
    CRANK_AUTO_STREAM crank_stream *writer = other;
    CRANK_GROUP(printing);
    crank_group_spawn(&printing, print_line, &writer);
    ssize_t n = crank_read_line(in, line, sizeof line);
    crank_try(crank_group_wait(&printing));
    return n < 0 ? n : 0;
}
SWEEP(pipes, pipes)

static long adopted(void *arg)
{
    (void)arg;
    char byte;
    int fds[2];
    EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
    EXPECT_EQ(write(fds[1], "x", 1), 1);
    close(fds[1]);
    CRANK_AUTO_STREAM crank_stream *reader = crank_stream_from_fd(fds[0], "r");
    if (!reader) {
        int err = -errno;
        close(fds[0]);
        return err;
    }
    ssize_t n = crank_try(crank_read(reader, &byte, 1));
    return n == 1 ? 0 : -EIO;
}
SWEEP(adopted, adopted)

static long foreign(void *arg)
{
    (void)arg;
    int fds[2];
    EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
    int err = crank_within(0.001, crank_wait_fd(fds[0], CRANK_READABLE));
    if (err == -ETIMEDOUT)
        err = crank_wait_fd(fds[1], CRANK_WRITABLE);
    close(fds[0]);
    close(fds[1]);
    return err < 0 ? err : 0;
}
SWEEP(foreign, foreign)

static long standard(void *arg)
{
    (void)arg;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int kept = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
    dup2(null, STDOUT_FILENO);
    close(null);
    crank_stream *out = crank_stdout();
    int err = out ? crank_printf(out, "out\n") : -errno;
    if (err == 0)
        err = crank_flush(out);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    return err;
}
SWEEP(standard, standard)

static long signals(void *arg)
{
    (void)arg;
    signal(SIGUSR1, SIG_IGN);
    CRANK_SIGNALS(asked, SIGUSR1);
    raise(SIGUSR1);
    int number = crank_signals_next(&asked);
    return number == SIGUSR1 ? 0 : number;
}
SWEEP(signals, signals)

static long programs(void *arg)
{
    (void)arg;
    const char *const argv[] = { "cat", NULL };
    CRANK_AUTO_OUTPUT crank_output output = { 0 };
    int status = crank_run_process(argv, &(crank_process_options){ .input = "some", .input_size = 4 }, &output);
    if (status == 0)
        EXPECT_STR(output.out, "some");
    return status < 0 ? status : status > 0 ? -EIO : 0;
}
TEST(programs, survive_each_failing_call) { sweep(programs, CRANK_BACKEND_EPOLL, false); }
TEST(programs, survive_all_calls_failing_from_each) { sweep(programs, CRANK_BACKEND_EPOLL, true); }

static long long_programs(void *arg)
{
    (void)arg;
    CRANK_AUTO_PROCESS crank_process *p = crank_shell_start("exec sleep 1000", NULL);
    if (!p)
        return -errno;
    int err = crank_within(0.001, crank_process_wait(p));
    return err == -ETIMEDOUT ? 0 : err;
}
TEST(long_programs, survive_each_failing_call) { sweep(long_programs, CRANK_BACKEND_EPOLL, false); }
TEST(long_programs, survive_all_calls_failing_from_each) { sweep(long_programs, CRANK_BACKEND_EPOLL, true); }
