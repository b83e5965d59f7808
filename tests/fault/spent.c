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

/* ---- a group for which there was no room */

static int lasting(double *ret_ended)
{
    int err = crank_sleep(100);
    *ret_ended = crank_time();
    return err;
}
static int never_begun(void)
{
    test_fail(__FILE__, __LINE__, "a child of no group has run");
    return 0;
}
static int add_to_a_group_without_room(crank_task *task, crank_task *other)
{
    int result = 5;
    out_of_memory(true);
    CRANK_GROUP(g);
    out_of_memory(false);
    EXPECT_EQ(crank_group_add(&g, task), -ENOMEM);
    EXPECT_STR(crank_error(), "crank_group_add: there was no memory for the group");
    EXPECT_EQ(crank_group_add_into(&g, &result, other), -ENOMEM);
    EXPECT_EQ(result, 5);
    EXPECT_EQ(crank_group_start(&g, NULL, never_begun), -ENOMEM);
    return crank_group_wait(&g);
}
static long use_a_group_without_room(void *arg)
{
    double ended = 0;
    (void)arg;
    crank_task *task = crank_spawn_eager(lasting, &ended), *other = crank_spawn_eager(lasting, &ended);
    crank_try(crank_sleep(1));
    double now = crank_time();
    EXPECT_EQ(add_to_a_group_without_room(task, other), -ENOMEM);
    EXPECT_STR(crank_error(), "crank_group_wait: there was no memory for the group");
    EXPECT_EQ(crank_await(task), -ECANCELED);
    EXPECT_EQ(crank_await(other), -ECANCELED);
    EXPECT(ended == now);
    return 0;
}
TEST(group, without_room_cancels_what_it_is_given_and_says_so) { EXPECT_EQ(run(use_a_group_without_room), 0); }

/* ---- a call of many arguments */

static long sum_of_ten(long a, long b, long c, long d, long e, long f, long g, long h, long i, long j)
{
    return a + b + c + d + e + f + g + h + i + j;
}
#define SPAWN_TEN(n) crank_spawn(sum_of_ten, (n), 1L, 2L, 3L, 4L, 5L, 6L, 7L, 8L, 9L)
enum { MANY = 2000 };
/* The tasks that can be had have their arguments; when there is memory again, so have others. */
static long spawn_many_with_ten(void *arg)
{
    static crank_task *tasks[MANY];
    int n = 0, refused = 0;
    (void)arg;
    out_of_memory(true);
    while (n < MANY && refused < 3) {
        errno = 0;
        tasks[n] = SPAWN_TEN((long)n);
        if (tasks[n])
            n++;
        else
            refused += errno == ENOMEM;
    }
    out_of_memory(false);
    EXPECT_EQ(refused, 3);
    for (int more = n + 3; n < more; n++)
        tasks[n] = SPAWN_TEN((long)n);
    for (int i = 0; i < n; i++)
        EXPECT_EQ(crank_await(tasks[i]), 45 + i);
    return 0;
}
TEST(spawn, of_many_arguments_without_memory_loses_none_of_those_of_others) { EXPECT_EQ(run(spawn_many_with_ten), 0); }

/* ---- timers */

enum { SLEEPERS = 400 };
/* By itself, or with a limit around it. */
static int sleep_then(crank_event *begin, bool limited)
{
    crank_try(crank_event_wait(begin));
    return limited ? crank_within(2, crank_sleep(1)) : crank_sleep(1);
}
static long sleep_without_memory(void *arg)
{
    static crank_task *tasks[SLEEPERS];
    int lacking[2] = { 0 };
    CRANK_EVENT(begin);
    (void)arg;
    for (int i = 0; i < SLEEPERS; i++)
        tasks[i] = crank_spawn(sleep_then, begin, i % 2 == 1);
    crank_try(crank_sleep(1));
    double now = crank_time();
    out_of_memory(true);
    crank_event_set(begin);
    for (int i = 0; i < SLEEPERS; i++) {
        long err = crank_await(tasks[i]);
        EXPECT(err == 0 || err == -ENOMEM);
        lacking[i % 2] += err == -ENOMEM;
    }
    out_of_memory(false);
    EXPECT(lacking[0] > 0 && lacking[1] > 0);
    EXPECT(lacking[0] + lacking[1] < SLEEPERS);
    EXPECT(crank_time() == now + 1);
    return 0;
}
TEST(sleep, for_which_there_is_no_timer_fails_at_once) { EXPECT_EQ(run(sleep_without_memory), 0); }

/* ---- a generator's stack */

static bool no_mapping;
static void *map_unless_told(void *context, size_t size) { return no_mapping ? NULL : cr_sys_real.map(context, size); }
static long begin_generators_without_memory(void *arg)
{
    enum { GENERATORS = 2000 };
    static crank_generator *generators[GENERATORS];
    int begun = 0, value = 0, err = 0;
    (void)arg;
    for (int i = 0; i < GENERATORS; i++)
        generators[i] = crank_generate(source, i);
    no_mapping = true;
    while (begun < GENERATORS && (err = crank_next(generators[begun], &value)) == 1)
        EXPECT_EQ(value, begun++);
    no_mapping = false;
    EXPECT_EQ(err, -ENOMEM);
    EXPECT_CONTAINS(crank_error(), "crank_next: no memory for the stack of generator source");
    EXPECT_EQ(crank_next(generators[begun], &value), 1); /* it has not begun: it can be asked again */
    EXPECT_EQ(value, begun);
    for (int i = 0; i < GENERATORS; i++)
        (void)crank_generator_close(generators[i]);
    return 0;
}
TEST(generator, for_which_there_is_no_stack_says_so_and_begins_later)
{
    cr_sys sys = cr_sys_real;
    crank_options options = { .backend = CRANK_BACKEND_SIM };
    sys.map = map_unless_told;
    EXPECT_EQ(cr_run_raw_on(&sys, &options, begin_generators_without_memory, NULL), 0);
}

/* ---- a failure for whose whole text there is no room */

static long print_without_memory(void *arg)
{
    (void)arg;
    EXPECT_EQ(breaks(), -EPROTO);
    out_of_memory(true);
    crank_error_print();
    out_of_memory(false);
    crank_error_clear();
    return 0;
}
TEST(error, is_printed_by_its_message_alone_where_there_is_no_room_for_more)
{
    test_capture();
    EXPECT_EQ(run(print_without_memory), 0);
    EXPECT_STR(test_captured(), "crank: broken\n");
}
