/* SPDX-License-Identifier: MIT */
/* spent.c: what still holds when there is no memory left at all, from a moment on. */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#include "faults.h"
#include "run/run.h"
#include "task/wait.h"
#include "thread/blocking.h"

/* A table that works until it is told not to. */
static faults table;
static void out_of_memory(bool from_now)
{
    table.from_then = from_now;
    table.fail_at = from_now ? atomic_load(&table.calls) + 1 : 0;
}
static int reports;
static void count_report(const crank_report *report, void *arg)
{
    (void)report, (void)arg;
    reports++;
}
static long run(long (*fn)(void *))
{
    crank_options options = { .backend = CRANK_BACKEND_SIM, .on_report = count_report };
    faults_init(&table, 0, false);
    return cr_run_raw_on(&table.sys, &options, fn, NULL);
}

/* ---- a request that goes down a long chain of waits */

enum { CHAIN = 3000 };
static crank_task *links[CHAIN];
static int asked;
static int link_of(int i)
{
    long err = i + 1 < CHAIN ? crank_await(links[i + 1]) : crank_sleep(CRANK_FOREVER);
    asked += err == -ECANCELED;
    return (int)err;
}
static long ask_a_chain(void *arg)
{
    (void)arg;
    for (int i = 0; i < CHAIN; i++)
        links[i] = crank_spawn(link_of, i);
    crank_try(crank_sleep(1));
    crank_task *first = links[0];
    out_of_memory(true);
    EXPECT_EQ(crank_cancel(first), 0);
    long result = crank_await(first);
    out_of_memory(false);
    EXPECT_EQ(asked, CHAIN);
    return result == -ECANCELED ? 0 : result;
}
TEST(cancel, goes_down_a_chain_of_any_length_without_memory) { EXPECT_EQ(run(ask_a_chain), 0); }

/* ---- a gather that has not even room for itself */

static int doze(double seconds) { return crank_sleep(seconds); }
static long gather_of_oneself(void *arg)
{
    (void)arg;
    out_of_memory(true);
    return crank_gather((int *)NULL, crank_self());
}
TEST_CHECKS_OUTSIDE(gather, of_oneself_is_refused_without_memory, "itself") { (void)run(gather_of_oneself); }

static long gather_of_one_twice(void *arg)
{
    (void)arg;
    crank_task *task = crank_spawn(doze, 1.0);
    out_of_memory(true);
    return crank_gather((int *)NULL, task, task);
}
TEST_CHECKS_OUTSIDE(gather, of_one_task_twice_is_refused_without_memory, "given twice")
{
    (void)run(gather_of_one_twice);
}

static crank_task *handed[2];
static int make_two(void)
{
    handed[0] = crank_spawn(doze, 1.0);
    handed[1] = crank_spawn(doze, 2.0);
    return 0;
}
static long gather_of_anothers(void *arg)
{
    (void)arg;
    crank_task *maker = crank_spawn(make_two);
    crank_try(crank_sleep(0.5));
    out_of_memory(true);
    int err = crank_gather((int *)NULL, handed[0], handed[1]);
    out_of_memory(false);
    EXPECT_EQ(err, -ENOMEM);
    long made = crank_await(maker);
    return made == -ECANCELED ? 0 : made;
}
TEST(gather, of_anothers_children_ends_them_without_memory) { EXPECT_EQ(run(gather_of_anothers), 0); }

static int cleaned;
static int slow_to_end(void)
{
    int err = crank_sleep(100);
    EXPECT_EQ(crank_sleep(1), 0);
    cleaned++;
    return err;
}
static long gather_of_slow_ones(void *arg)
{
    (void)arg;
    crank_task *tasks[] = { crank_spawn(slow_to_end), crank_spawn(slow_to_end), crank_spawn(slow_to_end) };
    crank_try(crank_sleep(1));
    double started = crank_time();
    out_of_memory(true);
    int err = crank_gather_n(tasks, 3, (int *)NULL);
    out_of_memory(false);
    EXPECT_EQ(err, -ENOMEM);
    EXPECT_EQ(cleaned, 3);
    EXPECT(crank_time() == started + 1); /* all were asked before any was waited for */
    return 0;
}
TEST(gather, without_memory_ends_all_it_was_given_together) { EXPECT_EQ(run(gather_of_slow_ones), 0); }

static int breaks(void) { return crank_fail(EPROTO, "broken"); }
static long gather_of_a_failure(void *arg)
{
    (void)arg;
    crank_task *task = crank_spawn(breaks);
    crank_try(crank_sleep(1));
    out_of_memory(true);
    int err = crank_gather((int *)NULL, task);
    out_of_memory(false);
    EXPECT_EQ(err, -ENOMEM);
    return 0;
}
TEST(gather, without_memory_hides_nothing_behind_a_failure_it_did_not_ask_for)
{
    EXPECT_EQ(run(gather_of_a_failure), 0);
    EXPECT_EQ(reports, 0);
}

static long gather_without_its_limit(void *arg)
{
    (void)arg;
    crank_task *task = crank_spawn(breaks);
    crank_try(crank_sleep(1));
    out_of_memory(true);
    CRANK_TIMEOUT(limit, 1.0);
    out_of_memory(false);
    EXPECT_EQ(crank_gather((int *)NULL, task), -ENOMEM);
    return 0;
}
TEST(gather, without_the_limit_around_it_says_so_first) { EXPECT_EQ(run(gather_without_its_limit), 0); }

/* ---- a limit there is no memory for */

static int give_seven(void) { return crank_sleep(0.5) < 0 ? -ECANCELED : 7; }
static long await_without_its_limit(void *arg)
{
    (void)arg;
    crank_task *task = crank_spawn(give_seven);
    out_of_memory(true);
    CRANK_TIMEOUT(limit, 1.0);
    out_of_memory(false);
    EXPECT_EQ(crank_await(task), -ENOMEM);
    EXPECT_CONTAINS(crank_error(), "out of memory for a timeout");
    return 0;
}
TEST(await, without_the_limit_around_it_says_so) { EXPECT_EQ(run(await_without_its_limit), 0); }

static int raise_flag(bool *flag)
{
    *flag = true;
    return 0;
}
static long call_on_without_a_limit(void *arg)
{
    (void)arg;
    bool flag = false;
    CRANK_SEMAPHORE(semaphore, 1);
    crank_task *other = crank_spawn(raise_flag, &flag);
    out_of_memory(true);
    CRANK_TIMEOUT(limit, 1.0);
    out_of_memory(false);
    EXPECT_EQ(crank_semaphore_acquire(semaphore), -ENOMEM);
    for (int i = 0; i < 100000 && !flag; i++) {
        crank_try(crank_semaphore_acquire(semaphore));
        crank_semaphore_release(semaphore);
    }
    EXPECT(flag);
    return crank_await(other);
}
TEST(room, is_made_after_a_limit_could_not_be_had) { EXPECT_EQ(run(call_on_without_a_limit), 0); }

/* ---- a file of which nothing can be said */

static int stat_fails(void *context, int fd, struct stat *ret_stat)
{
    (void)context, (void)fd, (void)ret_stat;
    return -EIO;
}
static long open_what_cannot_be_asked(void *arg)
{
    (void)arg;
    errno = 0;
    crank_stream *stream = crank_open("/dev/null", "r");
    EXPECT(!stream);
    EXPECT_EQ(errno, EIO);
    return 0;
}
TEST(open, of_a_file_that_cannot_be_asked_what_it_is_fails)
{
    cr_sys sys = cr_sys_real;
    crank_options options = { .backend = CRANK_BACKEND_SIM };
    sys.stat = stat_fails;
    EXPECT_EQ(cr_run_raw_on(&sys, &options, open_what_cannot_be_asked, NULL), 0);
}

/* ---- adaptors for which there is no room */

static int closed;
static int source(int n)
{
    int err = 0;
    for (; err == 0; n++)
        err = crank_yield(n);
    closed++;
    return err;
}
static crank_generator *begun_source(void)
{
    int value;
    crank_generator *g = crank_generate(source, 7);
    EXPECT_EQ(crank_next(g, &value), 1);
    return g;
}
static int twice(int n) { return 2 * n; }
static long adapt_without_memory(void *arg)
{
    (void)arg;
    crank_generator *sources[4];
    for (int i = 0; i < 4; i++)
        sources[i] = begun_source();
    out_of_memory(true);
    errno = 0;
    EXPECT(!crank_take(sources[0], 3));
    EXPECT_EQ(errno, ENOMEM);
    EXPECT_EQ(closed, 1);
    EXPECT(!crank_map(int, int, sources[1], twice));
    EXPECT_EQ(closed, 2);
    EXPECT(!crank_zip(int, sources[2], int, sources[3]));
    EXPECT_EQ(closed, 4);
    out_of_memory(false);
    CRANK_AUTO_GENERATOR crank_generator *mine = begun_source();
    out_of_memory(true);
    EXPECT(!crank_take_from(mine, 3));
    out_of_memory(false);
    EXPECT_EQ(closed, 4); /* it stays the caller's */
    return 0;
}
TEST(adaptor, without_memory_closes_what_it_was_given) { EXPECT_EQ(run(adapt_without_memory), 0); }

/* ---- no thread for what must be written */

static long write_to_nobody(void *end) { return write(*(int *)end, "x", 1) < 0 ? -errno : 0; }
static long call_without_a_thread(void *arg)
{
    int ends[2];
    sigset_t mask;
    (void)arg;
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    close(ends[0]);
    cr_caller w = { cr_loop_here, cr_self() };
    EXPECT_EQ(cr_checkpoint(&w, "test"), 0);
    out_of_memory(true);
    EXPECT_EQ(cr_blocking_call_uncancellable(&w, write_to_nobody, &ends[1], "a pipe"), -EPIPE);
    out_of_memory(false);
    close(ends[1]);
    EXPECT_EQ(sigpending(&mask), 0);
    EXPECT(!sigismember(&mask, SIGPIPE));
    EXPECT_EQ(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    EXPECT(!sigismember(&mask, SIGPIPE));
    return 0;
}
TEST(close, without_a_thread_survives_a_pipe_whose_reader_has_gone)
{
    signal(SIGPIPE, SIG_DFL);
    EXPECT_EQ(run(call_without_a_thread), 0);
}
