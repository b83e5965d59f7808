/* SPDX-License-Identifier: MIT */
/* hibernate.c: idle tasks whose stacks are put away, and nobody notices. */
#include <sys/mman.h>
#include <unistd.h>
#include "base/base.h"
#include "trail.h"

static const crank_options sleepy = { .backend = CRANK_BACKEND_SIM, .hibernate_after = 1 };
static const crank_options at_once = { .backend = CRANK_BACKEND_SIM, .hibernate_after = 1e-9 };

/* Is the page of this address in memory? Guarded pages count as not. */
static bool resident(const void *address)
{
    unsigned char in_core = 0;
    void *page = (void *)((uintptr_t)address & ~(uintptr_t)4095);
    return mincore(page, 4096, &in_core) == 0 && (in_core & 1);
}

static const int *place_of_sleeper;
static int sleeper(double seconds, int seed)
{
    volatile int frame[100];
    for (int i = 0; i < 100; i++)
        frame[i] = seed * i;
    place_of_sleeper = (const int *)(uintptr_t)&frame[50];
    crank_try(crank_sleep(seconds));
    for (int i = 0; i < 100; i++)
        EXPECT_EQ(frame[i], seed * i);
    return seed;
}

static int one_sleeps_long(void)
{
    crank_task *task = crank_spawn(sleeper, 10.0, 3);
    crank_try(crank_sleep(0.5));
    EXPECT(resident(place_of_sleeper));
    crank_try(crank_sleep(5));
    EXPECT(CR_SWITCH_SANITIZED || getenv("TEST_EMULATED") || !resident(place_of_sleeper)); /* qemu keeps pages */
    EXPECT_EQ(crank_await(task), 3);
    return 0;
}
TEST(hibernate, puts_a_stack_away_and_brings_it_back) { EXPECT_EQ(crank_run_with(&sleepy, one_sleeps_long), 0); }

static int sleeps_whatever_is_asked(void)
{
    int err = 0;
    while (err != -ENOMEM)
        err = crank_shield(crank_sleep(CRANK_FOREVER));
    return err;
}
static int awaits_for_ever(void) { return (int)crank_await(crank_spawn(sleeps_whatever_is_asked)); }
static int given_up;
static void count_given_up(const crank_report *report, void *arg)
{
    (void)arg;
    given_up += strstr(report->text, "been given up") != NULL;
}
TEST(hibernate, ends_with_a_run_that_gives_sleeping_tasks_up)
{
    crank_options options = at_once;
    options.on_report = count_given_up;
    EXPECT_EQ(crank_run_with(&options, awaits_for_ever), -EDEADLK);
    EXPECT_EQ(given_up, 1);
}

static int touched_by_another(void)
{
    crank_task *task = crank_spawn(sleeper, 10.0, 3);
    crank_try(crank_sleep(5));
    EXPECT_EQ(*place_of_sleeper, 150);
    EXPECT(resident(place_of_sleeper));
    crank_try(crank_sleep(4));
    EXPECT_EQ(crank_await(task), 3);
    return 0;
}
TEST(hibernate, a_touch_by_another_task_brings_it_back) { EXPECT_EQ(crank_run_with(&sleepy, touched_by_another), 0); }

static int cancel_asleep(void)
{
    crank_task *task = crank_spawn(sleeper, 100.0, 3);
    crank_try(crank_sleep(5));
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    return 0;
}
TEST(hibernate, a_cancellation_wakes_it) { EXPECT_EQ(crank_run_with(&sleepy, cancel_asleep), 0); }

static int limited_sleeper(void) { return crank_within(20.0, sleeper(100, 7)) == -ETIMEDOUT ? 0 : -1; }
static int limit_asleep(void) { return (int)crank_await(crank_spawn(limited_sleeper)); }
TEST(hibernate, a_time_limit_wakes_it) { EXPECT_EQ(crank_run_with(&sleepy, limit_asleep), 0); }

static int getter(crank_queue *q)
{
    int value = 0;
    crank_try(crank_get(q, &value));
    return value;
}
static int putter(crank_queue *q, int value)
{
    crank_try(crank_put(q, value));
    return 0;
}
static int queue_asleep(void)
{
    CRANK_QUEUE(q, int, 1);
    crank_task *get = crank_spawn(getter, q);
    crank_try(crank_sleep(5));
    crank_try(crank_put(q, 42));
    EXPECT_EQ(crank_await(get), 42);
    crank_try(crank_put(q, 1));
    crank_task *put = crank_spawn(putter, q, 2);
    crank_try(crank_sleep(5));
    int first, second;
    crank_try(crank_get(q, &first));
    crank_try(crank_get(q, &second));
    EXPECT(first == 1 && second == 2);
    return (int)crank_await(put);
}
TEST(hibernate, items_pass_through_places_on_stacks_that_are_away)
{
    EXPECT_EQ(crank_run_with(&sleepy, queue_asleep), 0);
}

static int child_writes(int *result)
{
    crank_try(crank_sleep(10));
    *result = 5;
    return 0;
}
static int parent_of_writer(void)
{
    int result = 0;
    CRANK_GROUP(g);
    crank_group_spawn(&g, child_writes, &result);
    crank_try(crank_group_wait(&g));
    return result;
}
static int parent_asleep(void) { return (int)crank_await(crank_spawn(parent_of_writer)) == 5 ? 0 : -1; }
TEST(hibernate, a_parent_with_children_stays_awake) { EXPECT_EQ(crank_run_with(&sleepy, parent_asleep), 0); }

static int hundreds(void)
{
    enum { N = 1000 };
    static crank_task *tasks[N];
    for (int i = 0; i < N; i++)
        tasks[i] = crank_spawn(sleeper, 5.0 + 0.01 * (i % 37), i);
    long r[N];
    crank_try(crank_gather_n(tasks, N, r));
    for (int i = 0; i < N; i++)
        EXPECT_EQ(r[i], i);
    return 0;
}
TEST(hibernate, serves_many_in_batches) { EXPECT_EQ(crank_run_with(&sleepy, hundreds), 0); }

enum { CROWD = 1000, TOGETHER = 64 };
static const void *place_in_crowd[CROWD];
static int wait_in_crowd(int number, crank_event *over)
{
    volatile int here = number;
    place_in_crowd[number] = (const void *)(uintptr_t)&here;
    crank_try(crank_event_wait(over));
    if (number == 0) {
        EXPECT(resident(place_in_crowd[1]) && resident(place_in_crowd[TOGETHER - 1]));
        EXPECT(CR_SWITCH_SANITIZED || getenv("TEST_EMULATED") || !resident(place_in_crowd[TOGETHER]));
    }
    return here;
}
static int crowd_wakes(void)
{
    CRANK_EVENT(over);
    crank_task *tasks[CROWD];
    long r[CROWD];
    for (int i = 0; i < CROWD; i++)
        tasks[i] = crank_spawn(wait_in_crowd, i, over);
    crank_try(crank_sleep(5));
    EXPECT(CR_SWITCH_SANITIZED || getenv("TEST_EMULATED") || !resident(place_in_crowd[0]));
    crank_event_set(over);
    crank_try(crank_gather_n(tasks, CROWD, r));
    for (int i = 0; i < CROWD; i++)
        EXPECT_EQ(r[i], i);
    return 0;
}
TEST(hibernate, those_next_in_line_come_back_together) { EXPECT_EQ(crank_run_with(&sleepy, crowd_wakes), 0); }

static int ping(crank_event *mine, crank_event *other, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        crank_try(crank_event_wait(mine));
        crank_event_clear(mine);
        crank_event_set(other);
        crank_try(crank_sleep(0.001));
    }
    return rounds;
}
static int play(void)
{
    CRANK_EVENT(a);
    CRANK_EVENT(b);
    crank_task *one = crank_spawn(ping, a, b, 50), *two = crank_spawn(ping, b, a, 50);
    crank_event_set(a);
    long r[2];
    crank_try(crank_gather(r, one, two));
    return r[0] == 50 && r[1] == 50 ? 0 : -1;
}
TEST(hibernate, at_every_park_changes_nothing) { EXPECT_EQ(crank_run_with(&at_once, play), 0); }

/* ---- Memory that a pending read writes to ---- */

static crank_stream *here, *there;
static const char *place_of_bytes;
static int read_onto_the_stack(void)
{
    char buf[20000];
    memset(buf, 'x', sizeof buf);
    place_of_bytes = buf + sizeof buf / 2;
    long n = crank_try(crank_read(here, buf, sizeof buf));
    for (long i = 0; i < n; i++)
        EXPECT_EQ(buf[i], 'a');
    EXPECT_EQ(buf[n], 'x');
    return (int)n;
}
static int lend_the_stack(char **ret_buf)
{
    char buf[20000];
    memset(buf, 'x', sizeof buf);
    *ret_buf = buf;
    crank_try(crank_sleep(20));
    EXPECT_EQ(buf[3999], 'a');
    EXPECT_EQ(buf[4000], 'x');
    return 0;
}
static int read_onto_another(char *buf) { return (int)crank_read(here, buf, 20000); }

static int one_reads_onto_its_stack(void)
{
    static char bytes[10000];
    memset(bytes, 'a', sizeof bytes);
    crank_try(crank_socket_pair(&here, &there));
    crank_task *reader = crank_spawn(read_onto_the_stack);
    crank_try(crank_sleep(5));
    EXPECT(resident(place_of_bytes));
    crank_try(crank_write(there, bytes, sizeof bytes));
    EXPECT_EQ(crank_await(reader), sizeof bytes);
    crank_try(crank_close(here));
    return crank_close(there);
}
TEST(hibernate, spares_a_stack_onto_which_bytes_are_read)
{
    EXPECT_EQ(crank_run_with(&sleepy, one_reads_onto_its_stack), 0);
}

/* The lender's stack is there when the read begins, and away when the bytes come. */
static int one_reads_onto_another_stack(void)
{
    static char bytes[4000];
    char *buf = NULL;
    memset(bytes, 'a', sizeof bytes);
    crank_try(crank_socket_pair(&here, &there));
    crank_task *lender = crank_spawn(lend_the_stack, &buf);
    crank_try(crank_sleep(0.1));
    crank_task *reader = crank_spawn(read_onto_another, buf);
    crank_try(crank_sleep(5));
    EXPECT(CR_SWITCH_SANITIZED || getenv("TEST_EMULATED") || !resident(buf + sizeof bytes / 2));
    crank_try(crank_write(there, bytes, sizeof bytes));
    EXPECT_EQ(crank_await(reader), sizeof bytes);
    EXPECT_EQ(crank_await(lender), 0);
    crank_try(crank_close(here));
    return crank_close(there);
}
TEST(hibernate, of_a_lender_of_its_stack_loses_no_byte_that_is_read)
{
    EXPECT_EQ(crank_run_with(&sleepy, one_reads_onto_another_stack), 0);
}

static int deadlocked(void)
{
    CRANK_EVENT(never);
    return crank_event_wait(never);
}
static void quiet(const crank_report *report, void *arg)
{
    (void)arg;
    EXPECT_EQ(report->kind, CRANK_REPORT_DEADLOCK);
}
TEST(hibernate, does_not_hide_a_deadlock)
{
    crank_options options = sleepy;
    options.on_report = quiet;
    EXPECT_EQ(crank_run_with(&options, deadlocked), -EDEADLK);
}
