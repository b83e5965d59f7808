/* SPDX-License-Identifier: MIT */
/* process.c: other programs: their start, their pipes, their end. Real programs on real backends; each test ends by
 * itself within seconds, for its programs do. */
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

#define TEST_BOTH(subject, sentence) \
    static int body_##subject##_##sentence(void); \
    TEST_APP_(test_##subject##_##sentence##_e, #subject, #sentence "_on_epoll", .backend = CRANK_BACKEND_EPOLL) \
    { \
        return body_##subject##_##sentence(); \
    } \
    TEST_APP_(test_##subject##_##sentence##_u, #subject, #sentence "_on_uring", .backend = CRANK_BACKEND_URING) \
    { \
        return body_##subject##_##sentence(); \
    } \
    static int body_##subject##_##sentence(void)

static crank_process *start_shell(const char *command, const crank_process_options *options)
{
    crank_process *p = crank_shell_start(command, options);
    if (!p)
        crank_error_print();
    EXPECT(p);
    return p;
}
static int run_shell(const char *command, const crank_process_options *options, crank_output *ret_output)
{
    const char *const argv[] = { "sh", "-c", command, NULL };
    return crank_run_process(argv, options, ret_output);
}
static int wait_for(crank_process *p) { return crank_process_wait(p); }

/* ---- Its status ---- */

TEST_BOTH(process, gives_its_exit_status_or_the_signal_that_ended_it)
{
    crank_process *p = start_shell("exit 3", NULL);
    EXPECT(crank_process_id(p) > 0);
    EXPECT_EQ(crank_process_wait(p), 3);
    EXPECT_EQ(crank_process_wait(p), 3);
    EXPECT_EQ(crank_process_signal(p, SIGTERM), -ESRCH);
    EXPECT_EQ(crank_close(p), 0);
    p = start_shell("kill -9 $$", NULL);
    EXPECT_EQ(crank_process_wait(p), 256 + SIGKILL);
    EXPECT(!crank_process_in(p) && !crank_process_out(p) && !crank_process_err(p));
    return crank_close(p);
}

TEST_BOTH(process, is_waited_for_by_any_number_of_tasks)
{
    crank_process *p = start_shell("read x; exit 5", &(crank_process_options){ .in = CRANK_PIPE });
    crank_task *tasks[10];
    for (int i = 0; i < 10; i++)
        tasks[i] = crank_spawn(wait_for, p);
    EXPECT_EQ(crank_sleep(0), 0);
    EXPECT_EQ(crank_printf(crank_process_in(p), "go\n"), 0);
    for (int i = 0; i < 10; i++)
        EXPECT_EQ(crank_await(tasks[i]), 5);
    return crank_close(p);
}

TEST_BOTH(process, runs_on_when_its_waiter_is_cancelled)
{
    crank_process *p = start_shell("read x; exit 5", &(crank_process_options){ .in = CRANK_PIPE });
    EXPECT_EQ(crank_within(0.001, crank_process_wait(p)), -ETIMEDOUT);
    EXPECT_EQ(crank_printf(crank_process_in(p), "go\n"), 0);
    EXPECT_EQ(crank_process_wait(p), 5);
    return crank_close(p);
}

TEST_BOTH(process, ends_for_its_waiter_though_a_grandchild_holds_its_pipe)
{
    char line[16];
    crank_process *p = start_shell("exec 3<&0; (read x; echo late) <&3 & echo early; exit 2",
        &(crank_process_options){ .in = CRANK_PIPE, .out = CRANK_PIPE });
    EXPECT_EQ(crank_process_wait(p), 2);
    EXPECT_EQ(crank_read_line(crank_process_out(p), line, sizeof line), 6);
    EXPECT_EQ(crank_printf(crank_process_in(p), "go\n"), 0);
    EXPECT_EQ(crank_read_line(crank_process_out(p), line, sizeof line), 5);
    EXPECT_STR(line, "late\n");
    return crank_close(p);
}

/* ---- Input and output ---- */

TEST_BOTH(communicate, carries_a_megabyte_each_way)
{
    enum { SIZE = 1000000 };
    char *input = test_memory(SIZE);
    CRANK_AUTO_OUTPUT crank_output output = { 0 };
    memset(input, 'x', SIZE);
    const char *const argv[] = { "cat", NULL };
    EXPECT_EQ(crank_run_process(argv, &(crank_process_options){ .input = input, .input_size = SIZE }, &output), 0);
    EXPECT_EQ(output.out_size, SIZE);
    EXPECT_EQ(memcmp(output.out, input, SIZE), 0);
    EXPECT_EQ(output.out[SIZE], 0);
    EXPECT_EQ(output.err_size, 0);
    return 0;
}

TEST_BOTH(communicate, with_a_program_that_never_reads_is_no_error)
{
    enum { SIZE = 1000000 };
    CRANK_AUTO_OUTPUT crank_output output = { 0 };
    EXPECT_EQ(
        run_shell("exec true", &(crank_process_options){ .input = test_memory(SIZE), .input_size = SIZE }, &output), 0);
    EXPECT_EQ(output.out_size, 0);
    return 0;
}

TEST_BOTH(communicate, refuses_more_output_than_its_limit_and_the_program_has_ended)
{
    crank_output output = { .limit = 1000 };
    EXPECT_EQ(run_shell("exec yes", NULL, &output), -EMSGSIZE);
    EXPECT_CONTAINS(crank_error(), "more than 1000 bytes");
    EXPECT(!output.out);
    return 0;
}

TEST_BOTH(communicate, that_is_cancelled_ends_the_program_with_the_call)
{
    crank_output output = { 0 };
    EXPECT_EQ(crank_within(0.01, run_shell("exec sleep 1000", NULL, &output)), -ETIMEDOUT);
    return 0;
}

TEST_BOTH(process, has_its_output_read_after_its_end)
{
    char text[16];
    crank_process *p = start_shell("echo hello", &(crank_process_options){ .out = CRANK_PIPE });
    EXPECT_EQ(crank_process_wait(p), 0);
    EXPECT_EQ(crank_read_line(crank_process_out(p), text, sizeof text), 6);
    EXPECT_EQ(crank_read(crank_process_out(p), text, sizeof text), 0);
    EXPECT_EQ(crank_close(crank_process_out(p)), 0); /* ignored: it is the process's */
    return crank_close(p);
}

TEST_BOTH(process, has_what_its_options_say)
{
    CRANK_AUTO_OUTPUT crank_output output = { 0 };
    const char *const env[] = { "PATH=/usr/bin:/bin", "ONLY=this", NULL };
    EXPECT_EQ(run_shell("pwd; echo $ONLY$HOME; echo err >&2",
                  &(crank_process_options){ .cwd = "/", .env = env, .err = CRANK_MERGE }, &output),
        0);
    EXPECT_STR(output.out, "/\nthis\nerr\n");
    EXPECT_EQ(output.err_size, 0);
    return 0;
}

TEST_BOTH(process, finds_what_is_discarded_in_dev_null)
{
    int fds[2];
    char text[8] = "";
    EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
    const crank_process_options options = {
        .in = CRANK_DISCARD, .out = CRANK_DISCARD, .err = CRANK_DISCARD, .pass = &fds[1], .pass_count = 1
    };
    crank_process *p = start_shell("echo lost; echo lost >&2; cd /proc/self/fd; [ 0 -ef /dev/null ] &&"
                                   "[ 1 -ef /dev/null ] && [ 2 -ef /dev/null ] && ! read x && echo yes >&3",
        &options);
    EXPECT_EQ(crank_process_wait(p), 0);
    EXPECT(!crank_process_in(p) && !crank_process_out(p) && !crank_process_err(p));
    EXPECT_EQ(read(fds[0], text, sizeof text), 4);
    EXPECT_STR(text, "yes\n");
    close(fds[0]);
    close(fds[1]);
    return crank_close(p);
}

/* Ours is not blocking, the program's is another open file; and what it has of ours we have not changed. */
TEST_BOTH(process, has_pipes_that_keep_it_waiting)
{
    CRANK_AUTO_OUTPUT crank_output output = { 0 };
    int flags = fcntl(0, F_GETFL);
    const char *const argv[] = { "grep", "-h", "^flags:", "/proc/self/fdinfo/0", "/proc/self/fdinfo/1",
        "/proc/self/fdinfo/2", NULL };
    EXPECT_EQ(crank_run_process(argv, &(crank_process_options){ .input = "x", .input_size = 1 }, &output), 0);
    const char *at = output.out;
    for (int i = 0; i < 3; i++, at = strchr(at, '\n') + 1)
        EXPECT_EQ(strtol(at + strlen("flags:"), NULL, 8) & O_NONBLOCK, 0);
    EXPECT_EQ(*at, 0);
    crank_process *p = start_shell("exit 0", &(crank_process_options){ .in = 0 });
    EXPECT_EQ(crank_process_wait(p), 0);
    EXPECT_EQ(fcntl(0, F_GETFL), flags);
    return crank_close(p);
}

/* Nothing but crank_shell_start knows what these characters mean to a shell. */
TEST_BOTH(process, is_given_its_arguments_as_they_are)
{
    CRANK_AUTO_OUTPUT crank_output output = { 0 };
    const char *const argv[] = { "printf", "%s|", "$HOME; echo x", "`true`", "a  'b", "*", "", NULL };
    EXPECT_EQ(crank_run_process(argv, NULL, &output), 0);
    EXPECT_STR(output.out, "$HOME; echo x|`true`|a  'b|*||");
    return 0;
}

TEST_BOTH(process, has_the_descriptors_passed_and_no_others)
{
    CRANK_AUTO_OUTPUT crank_output output = { 0 };
    int pipes[2];
    EXPECT_EQ(pipe(pipes), 0); /* without close-on-exec */
    EXPECT_EQ(write(pipes[1], "in\n", 3), 3);
    EXPECT_EQ(run_shell("read x <&3; echo $x; ls /proc/self/fd | wc -l; [ -e /proc/self/fd/4 ] && echo 4",
                  &(crank_process_options){ .pass = (int[]){ pipes[0] }, .pass_count = 1 }, &output),
        1);
    EXPECT_STR(output.out, "in\n5\n"); /* 0 to 3, and the folder that ls reads */
    close(pipes[0]);
    close(pipes[1]);
    return 0;
}

TEST_BOTH(process, exchanges_descriptors_without_losing_one)
{
    CRANK_AUTO_OUTPUT crank_output output = { 0 };
    int a[2], b[2];
    EXPECT_EQ(pipe2(a, O_CLOEXEC) | pipe2(b, O_CLOEXEC), 0);
    EXPECT_EQ(write(a[1], "a\n", 2) + write(b[1], "b\n", 2), 4);
    int low = a[0] < b[0] ? a[0] : b[0];
    int high = a[0] < b[0] ? b[0] : a[0];
    EXPECT_EQ(run_shell("read x <&3; read y <&4; echo $x$y",
                  &(crank_process_options){ .pass = (int[]){ high, low }, .pass_count = 2 }, &output),
        0);
    EXPECT_STR(output.out, high == b[0] ? "ba\n" : "ab\n");
    for (int i = 0; i < 2; i++) {
        close(a[i]);
        close(b[i]);
    }
    return 0;
}

TEST_BOTH(process, starts_where_our_own_input_is_closed)
{
    CRANK_AUTO_OUTPUT crank_output output = { 0 };
    int kept = fcntl(0, F_DUPFD_CLOEXEC, 10);
    close(0);
    int status = run_shell("cat; echo $?", &(crank_process_options){ .in = 0 }, &output);
    EXPECT_EQ(status, 0);
    crank_process *p = start_shell("[ -e /proc/self/fd/0 ]", NULL);
    EXPECT_EQ(crank_process_wait(p), 1);
    crank_try(crank_close(p));
    if (kept >= 0) {
        EXPECT_EQ(dup2(kept, 0), 0);
        close(kept);
    }
    return 0;
}

/* The kernel's word on which signals a program begins with. */
TEST_BOTH(process, begins_with_no_signal_blocked_and_SIGPIPE_as_ever)
{
    CRANK_AUTO_OUTPUT crank_output output = { 0 };
    const char *const argv[] = { "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status", NULL };
    struct sigaction ignored = { .sa_handler = SIG_IGN }, before;
    sigset_t some, mask;
    sigemptyset(&some);
    sigaddset(&some, SIGUSR1);
    sigprocmask(SIG_BLOCK, &some, &mask);
    sigaction(SIGPIPE, &ignored, &before);
    int status = crank_run_process(argv, NULL, &output);
    sigaction(SIGPIPE, &before, NULL);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    EXPECT_EQ(status, 0);
    EXPECT_CONTAINS(output.out, "SigBlk:\t0000000000000000\n");
    EXPECT_EQ(strtoul(strstr(output.out, "SigIgn:") + 7, NULL, 16) & (1u << (SIGPIPE - 1)), 0);
    return 0;
}

/* ---- What fails ---- */

TEST_BOTH(process, that_cannot_be_started_says_why_and_leaves_nothing)
{
    const char *const none[] = { "/no/such/program", NULL };
    const char *const folder[] = { "/etc", NULL };
    const char *const ls[] = { "ls", NULL };
    const crank_process_options nowhere = { .cwd = "/no/such/folder" }, closed = { .in = 900 },
                                wrong = { .out = CRANK_MERGE };
    EXPECT(!crank_process_start(none, NULL));
    EXPECT_EQ(errno, ENOENT);
    EXPECT_CONTAINS(crank_error(), "cannot start /no/such/program");
    EXPECT(!crank_process_start(folder, &(crank_process_options){ .in = CRANK_PIPE, .out = CRANK_PIPE }));
    EXPECT_EQ(errno, EACCES);
    EXPECT(!crank_process_start(ls, &nowhere));
    EXPECT_EQ(errno, ENOENT);
    EXPECT_CONTAINS(crank_error(), "/no/such/folder");
    EXPECT(!crank_process_start(ls, &closed));
    EXPECT_EQ(errno, EBADF);
    EXPECT(!crank_process_start(ls, &wrong));
    EXPECT_EQ(errno, EINVAL);
    return 0;
}

TEST_BOTH(process, lives_beside_a_hundred_that_cannot_be_started)
{
    const char *const none[] = { "/no/such/program", NULL };
    crank_process *p = start_shell("read x; exit 4", &(crank_process_options){ .in = CRANK_PIPE });
    for (int i = 0; i < 100; i++)
        EXPECT(!crank_process_start(none, &(crank_process_options){ .in = CRANK_PIPE, .out = CRANK_PIPE }));
    EXPECT_EQ(crank_printf(crank_process_in(p), "go\n"), 0);
    EXPECT_EQ(crank_process_wait(p), 4);
    return crank_close(p);
}

static int start_and_close(void)
{
    const char *const argv[] = { "sh", "-c", "exec sleep 1000", NULL };
    CRANK_AUTO_PROCESS crank_process *p =
        crank_process_start(argv, &(crank_process_options){ .in = CRANK_PIPE, .out = CRANK_PIPE });
    return p ? crank_sleep(1000) : -errno;
}
TEST_BOTH(process, whose_start_is_cancelled_at_any_moment_is_not_left)
{
    for (int i = 0; i < 20; i++) {
        crank_task *task = crank_spawn(start_and_close);
        for (int k = 0; k < i / 2; k++)
            crank_try(crank_sleep(0.0002));
        EXPECT_EQ(crank_cancel(task), 0);
        EXPECT_EQ(crank_await(task), -ECANCELED);
    }
    EXPECT_EQ(waitpid(-1, NULL, WNOHANG), -1);
    return 0;
}

TEST_BOTH(process, that_others_have_reaped_has_lost_its_status_which_is_said)
{
    struct sigaction ignored = { .sa_handler = SIG_IGN }, before;
    sigaction(SIGCHLD, &ignored, &before);
    crank_process *p = start_shell("read x; exit 4", &(crank_process_options){ .in = CRANK_PIPE });
    EXPECT_EQ(crank_printf(crank_process_in(p), "go\n"), 0);
    EXPECT_EQ(crank_process_wait(p), -ECHILD);
    EXPECT_EQ(crank_process_wait(p), -ECHILD);
    EXPECT_CONTAINS(crank_error(), "SIGCHLD");
    sigaction(SIGCHLD, &before, NULL);
    return crank_close(p);
}

/* ---- Signals and the end ---- */

TEST_BOTH(close, of_a_process_that_runs_ends_it_by_SIGTERM)
{
    crank_process *p = start_shell("exec sleep 1000", NULL);
    crank_task *waiting = crank_spawn(wait_for, p);
    EXPECT_EQ(crank_sleep(0), 0);
    EXPECT_EQ(crank_close(p), 0);
    EXPECT_EQ(crank_await(waiting), 256 + SIGTERM);
    return 0;
}

TEST_BOTH(close, of_a_process_that_ignores_SIGTERM_kills_it_after_its_grace)
{
    char line[16];
    int told[2];
    EXPECT_EQ(pipe2(told, O_CLOEXEC), 0);
    crank_process *p = start_shell("trap 'echo TERM >&3' TERM; echo ready; for i in $(seq 300); do sleep 0.01; done",
        &(crank_process_options){ .out = CRANK_PIPE, .grace = 0.3, .pass = &told[1], .pass_count = 1 });
    EXPECT(crank_read_line(crank_process_out(p), line, sizeof line) > 0);
    crank_task *waiting = crank_spawn(wait_for, p);
    EXPECT_EQ(crank_sleep(0), 0);
    double before = crank_time();
    EXPECT_EQ(crank_close(p), 0);
    EXPECT(crank_time() - before >= 0.3);
    EXPECT_EQ(crank_await(waiting), 256 + SIGKILL);
    close(told[1]);
    EXPECT_EQ(read(told[0], line, sizeof line), 5); /* once */
    close(told[0]);
    return 0;
}

static int close_it(crank_process *p)
{
    EXPECT_EQ(crank_cancel(crank_self()), 0);
    return crank_close(p);
}
TEST_BOTH(close, of_a_process_reaps_it_though_the_task_is_cancelled)
{
    crank_process *p = start_shell("exec sleep 1000", &(crank_process_options){ .in = CRANK_PIPE });
    EXPECT_EQ(crank_await(crank_spawn(close_it, p)), -ECANCELED);
    EXPECT_EQ(waitpid(-1, NULL, WNOHANG), -1);
    EXPECT_EQ(crank_close((crank_process *)NULL), 0);
    return 0;
}

static int fail_with_one(void)
{
    CRANK_AUTO_PROCESS crank_process *p = start_shell("exec sleep 1000", NULL);
    (void)p;
    return crank_fail(-EIO, "the disk is gone");
}
TEST_BOTH(auto_process, leaves_the_failure_of_its_block_as_it_is)
{
    EXPECT_EQ(crank_await(crank_spawn(fail_with_one)), -EIO);
    EXPECT_STR(crank_error(), "the disk is gone");
    return 0;
}

TEST_BOTH(finish, of_a_process_empties_its_variable)
{
    CRANK_AUTO_PROCESS crank_process *p = start_shell("exec sleep 1000", NULL);
    EXPECT_EQ(crank_finish(p), 0);
    EXPECT(!p);
    return 0;
}

static int read_one(crank_stream *stream)
{
    char byte;
    return (int)crank_read(stream, &byte, 1);
}
TEST_BOTH(close, of_a_process_ends_the_calls_on_its_pipes)
{
    crank_process *p = start_shell("exec sleep 1000", &(crank_process_options){ .out = CRANK_PIPE });
    crank_task *reading = crank_spawn(read_one, crank_process_out(p));
    EXPECT_EQ(crank_sleep(0), 0);
    EXPECT_EQ(crank_close(p), 0);
    EXPECT_EQ(crank_await(reading), -ECONNABORTED);
    return 0;
}

TEST_BOTH(signal, sent_to_a_process_as_it_ends_reaches_it_or_none)
{
    for (int i = 0; i < 20; i++) {
        crank_process *p = start_shell("exit 0", NULL);
        int err = 0;
        while (err == 0)
            err = crank_process_signal(p, SIGCONT);
        EXPECT_EQ(err, -ESRCH);
        EXPECT_EQ(crank_process_wait(p), 0);
        crank_try(crank_close(p));
    }
    return 0;
}

TEST_BOTH(session, has_its_signals_sent_to_all_its_processes)
{
    char line[16];
    crank_process *p = start_shell(
        "trap : USR1; "
        "sh -c 'trap \"echo got; exit 0\" USR1; echo up; for i in $(seq 300); do sleep 0.01; done' & wait; wait",
        &(crank_process_options){ .out = CRANK_PIPE, .session = true });
    EXPECT_EQ(getsid(crank_process_id(p)), crank_process_id(p));
    EXPECT(crank_read_line(crank_process_out(p), line, sizeof line) > 0);
    EXPECT_EQ(crank_process_signal(p, SIGUSR1), 0);
    EXPECT_EQ(crank_read_line(crank_process_out(p), line, sizeof line), 4);
    EXPECT_STR(line, "got\n");
    EXPECT_EQ(crank_process_wait(p), 0);
    EXPECT_EQ(crank_process_signal(p, SIGUSR1), -ESRCH);
    return crank_close(p);
}

static int start_and_signal(void)
{
    crank_process *p = start_shell("kill -USR1 $$; exit 1", NULL);
    EXPECT_EQ(crank_process_wait(p), 256 + SIGUSR1);
    return crank_close(p);
}
TEST_BOTH(signals, of_a_process_are_its_own)
{
    CRANK_SIGNALS(asked, SIGUSR1);
    return start_and_signal();
}

/* ---- Many ---- */

/* Its descriptors are the three and the folder that is listed. */
static int start_and_list(void)
{
    CRANK_AUTO_OUTPUT crank_output output = { 0 };
    const char *const argv[] = { "ls", "/proc/self/fd", NULL };
    EXPECT_EQ(crank_run_process(argv, &(crank_process_options){ .input = "x", .input_size = 1 }, &output), 0);
    EXPECT_STR(output.out, "0\n1\n2\n3\n");
    return 0;
}
TEST_BOTH(process, has_no_pipe_of_those_that_start_beside_it)
{
    CRANK_GROUP_LIMIT(group, 8);
    for (int i = 0; i < 100; i++)
        crank_group_spawn(&group, start_and_list);
    return crank_group_wait(&group);
}
static int start_and_wait(int n)
{
    char command[32];
    snprintf(command, sizeof command, "exit %d", n % 200);
    EXPECT_EQ(run_shell(command, &(crank_process_options){ .input = "x", .input_size = 1 }, NULL), n % 200);
    return 0;
}
TEST_BOTH(process, is_started_five_hundred_times)
{
    test_needs_long();
    CRANK_GROUP_LIMIT(group, 8);
    for (int i = 0; i < 500; i++)
        crank_group_spawn(&group, start_and_wait, i);
    return crank_group_wait(&group);
}

/* ---- The simulator ---- */

TEST_SIM(process, is_not_started_by_the_simulator_which_says_so)
{
    const char *const argv[] = { "true", NULL };
    EXPECT(!crank_process_start(argv, &(crank_process_options){ .in = CRANK_DISCARD }));
    EXPECT_EQ(errno, ENOTSUP);
    EXPECT_CONTAINS(crank_error(), "simulator");
    return 0;
}
