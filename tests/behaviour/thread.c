/* SPDX-License-Identifier: MIT */
/* thread.c: what is true of functions on worker threads: results, the pool, what they may call. */
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>

#include "jobs.h"

/* ---- Results ---- */

static short give_short(short x) { return x; }
static signed char give_char(void) { return -3; }
static unsigned char give_byte(void) { return 250; }
static unsigned give_unsigned(void) { return 4000000000u; }
static bool give_bool(int x) { return x > 0; }
static long give_long(long x) { return x; }
static double give_double(double x) { return x / 2; }
static float give_float(float x) { return x / 4; }
static void *give_pointer(void *x) { return x; }
static void give_nothing(int *place) { *place = 5; }

TEST_EACH_BACKEND(to_thread, gives_each_kind_of_integer)
{
    EXPECT_EQ(crank_await(crank_to_thread(give_int, 41)), 41);
    EXPECT_EQ(crank_await(crank_to_thread(give_short, (short)300)), 300);
    EXPECT_EQ(crank_await(crank_to_thread(give_byte)), 250);
    EXPECT_EQ(crank_await(crank_to_thread(give_unsigned)), 4000000000L);
    EXPECT_EQ(crank_await(crank_to_thread(give_bool, 4)), 1);
    EXPECT_EQ(crank_await(crank_to_thread(give_bool, -4)), 0);
    EXPECT_EQ(crank_await(crank_to_thread(give_long, 1L << 40)), 1L << 40);
    EXPECT_EQ(crank_await(crank_to_thread(give_char)), -3);
    return 0;
}

TEST_EACH_BACKEND(to_thread, gives_doubles_floats_and_pointers)
{
    int place = 0;
    EXPECT(crank_await_double(crank_to_thread(give_double, 5.0)) == 2.5);
    EXPECT(crank_await_double(crank_to_thread(give_float, 5.0f)) == 1.25);
    EXPECT(crank_await_ptr(crank_to_thread(give_pointer, &place)) == &place);
    EXPECT(crank_await_ptr(crank_to_thread(give_pointer, NULL)) == NULL);
    EXPECT_EQ(crank_await(crank_to_thread(give_nothing, &place)), 0);
    EXPECT_EQ(place, 5);
    return 0;
}

typedef struct pair {
    long a, b;
} pair;
static long add_many(int a, long b, double c, short d, pair e, float f, const char *g, unsigned char h, long i, long j)
{
    return a + b + (long)c + d + e.a + e.b + (long)f + (long)strlen(g) + h + i + j;
}
static double add_two(double a, pair b) { return a + (double)(b.a * b.b); }

TEST_EACH_BACKEND(to_thread, passes_arguments_of_every_kind)
{
    pair p = { 1000, 2000 };
    crank_task *many = crank_to_thread(add_many, 1, 2L, 3.0, (short)4, p, 5.0f, "seven!!", 8, 9L, 10L);
    crank_task *two = crank_to_thread(add_two, 0.5, p);
    EXPECT_EQ(crank_await(many), 1 + 2 + 3 + 4 + 3000 + 5 + 7 + 8 + 9 + 10);
    EXPECT(crank_await_double(two) == 2000000.5);
    return 0;
}

static void *fail_pointer(void)
{
    crank_fail(ENODEV, "no such thing");
    return NULL;
}

TEST_EACH_BACKEND(to_thread, a_failure_brings_its_message)
{
    EXPECT_EQ(crank_await(crank_to_thread(fail_there, 3)), -EIO);
    EXPECT_STR(crank_error(), "disk 3 is gone");
    EXPECT_EQ(crank_last_failure()->error, -EIO);
    errno = 0;
    EXPECT(crank_await_ptr(crank_to_thread(fail_pointer)) == NULL);
    EXPECT_EQ(errno, ENODEV);
    EXPECT_STR(crank_error(), "no such thing");
    return 0;
}

TEST_EACH_BACKEND(to_thread, a_failure_of_one_job_is_not_the_next_ones)
{
    EXPECT_EQ(crank_await(crank_to_thread(fail_there, 1)), -EIO);
    crank_error_clear();
    EXPECT_EQ(crank_await(crank_to_thread(give_int, -ENOENT)), -ENOENT);
    EXPECT(!strstr(crank_error(), "disk"));
    return 0;
}

TEST_EACH_BACKEND(to_thread, gathers_many)
{
    enum { n = 3000 };
    static crank_task *tasks[n];
    static long results[n];
    for (int i = 0; i < n; i++)
        tasks[i] = crank_to_thread(give_int, i);
    EXPECT_EQ(crank_gather_n(tasks, n, results), 0);
    for (int i = 0; i < n; i++)
        EXPECT_EQ(results[i], i);
    return 0;
}

TEST_EACH_BACKEND(to_thread, many_one_after_the_other)
{
    for (int i = 0; i < 300; i++)
        EXPECT_EQ(crank_await(crank_to_thread(give_int, i)), i);
    return 0;
}

static int compare_thread(pthread_t loop_thread)
{
    return pthread_equal(pthread_self(), loop_thread) || crank_self() || crank_current_loop();
}

TEST_EACH_BACKEND(to_thread, runs_elsewhere_than_the_loop)
{
    EXPECT_EQ(crank_await(crank_to_thread(compare_thread, pthread_self())), 0);
    EXPECT(crank_thread_count() >= 1);
    return 0;
}

TEST_EACH_BACKEND(to_thread, no_thread_is_made_before_the_first_job)
{
    EXPECT_EQ(crank_thread_count(), 0);
    EXPECT_EQ(crank_sleep(0), 0);
    EXPECT_EQ(crank_thread_count(), 0);
    return 0;
}

TEST(to_thread, nobody_counts_threads_outside_a_run) { EXPECT_EQ(crank_thread_count(), 0); }

/* ---- The pool ---- */

static int order_app(void)
{
    crank_task *tasks[20];
    reset();
    for (int i = 0; i < 20; i++)
        tasks[i] = crank_to_thread(note, i);
    crank_try(crank_gather_n(tasks, 20, (long *)NULL));
    for (int i = 0; i < 20; i++)
        EXPECT_EQ(trail[i], i);
    EXPECT_EQ(crank_thread_count(), 1);
    return 0;
}
TEST(to_thread, jobs_start_in_the_order_submitted) { run_on_each(1, order_app); }

static atomic_int at_work, most_at_work;
static int work_a_little(void)
{
    int now = atomic_fetch_add(&at_work, 1) + 1;
    int most = atomic_load(&most_at_work);
    while (now > most && !atomic_compare_exchange_weak(&most_at_work, &most, now))
        continue;
    usleep(200);
    atomic_fetch_sub(&at_work, 1);
    return 0;
}
static int limit_app(void)
{
    crank_task *tasks[24];
    atomic_store(&most_at_work, 0);
    for (int i = 0; i < 24; i++)
        tasks[i] = crank_to_thread(work_a_little);
    crank_try(crank_gather_n(tasks, 24, (long *)NULL));
    EXPECT(crank_thread_count() <= 3);
    EXPECT(atomic_load(&most_at_work) <= 3);
    EXPECT(atomic_load(&most_at_work) >= 1);
    return 0;
}
TEST(to_thread, never_more_threads_than_the_limit) { run_on_each(3, limit_app); }

static int several_blocked_app(void)
{
    crank_task *tasks[4];
    reset();
    for (int i = 0; i < 4; i++)
        tasks[i] = crank_to_thread(wait_at_gate);
    crank_task *last = crank_to_thread(give_int, 1);
    if (strcmp(crank_backend_name(), "sim") != 0)
        EXPECT_EQ(crank_within(5, crank_await(last)), 1); /* four block, the fifth finds a thread */
    atomic_store(&gate, true);
    if (strcmp(crank_backend_name(), "sim") == 0)
        EXPECT_EQ(crank_await(last), 1);
    return crank_gather_n(tasks, 4, (long *)NULL);
}
TEST(to_thread, as_many_threads_as_block) { run_on_each(5, several_blocked_app); }

static int work_until_told(void)
{
    atomic_fetch_add(&at_work, 1);
    return wait_at_gate();
}
static int default_app(void)
{
    enum { MOST = 1 + 4, MORE = 2000, LONG = 100000 };
    crank_task *tasks[MOST + 3];
    reset();
    atomic_store(&at_work, 0);
    for (size_t i = 0; i < CRANK_COUNT(tasks); i++)
        tasks[i] = crank_to_thread(work_until_told);
    for (int i = 0; i < LONG && atomic_load(&at_work) < MOST; i++)
        crank_try(crank_sleep(0.000001));
    for (int i = 0; i < MORE; i++) /* turns in which one more could begin */
        crank_try(crank_sleep(0.000001));
    int working = atomic_load(&at_work), threads = (int)crank_thread_count();
    open_gate(NULL);
    crank_try(crank_gather_n(tasks, CRANK_COUNT(tasks), (long *)NULL));
    EXPECT_EQ(working, MOST);
    EXPECT_EQ(threads, MOST);
    return 0;
}
TEST(to_thread, as_many_as_the_cores_it_may_use_and_four_where_no_limit_is_given)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    EXPECT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    run_for_real(0, default_app);
}

static long loop_of_its_own(void *arg)
{
    EXPECT_EQ(crank_await(crank_to_thread(give_int, *(int *)arg)), *(int *)arg);
    return 0;
}
static void *thread_with_loop(void *arg) { return (void *)(intptr_t)crank_run_raw(NULL, loop_of_its_own, arg); }
TEST(to_thread, loops_in_several_threads_have_their_own_workers)
{
    pthread_t threads[3];
    int numbers[3] = { 1, 2, 3 };
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(pthread_create(&threads[i], NULL, thread_with_loop, &numbers[i]), 0);
    for (int i = 0; i < 3; i++) {
        void *result = &numbers;
        pthread_join(threads[i], &result);
        EXPECT(result == NULL);
    }
}

/* ---- What a job may call ---- */

static int sleep_there(void) { return crank_sleep(0); }
TEST_CHECKS(to_thread, a_job_cannot_wait_in_crank, "crank_sleep")
{
    return (int)crank_await(crank_to_thread(sleep_there));
}
static int nest(void) { return crank_to_thread(give_int, 1) ? 0 : 1; }
TEST_CHECKS(to_thread, a_job_cannot_start_jobs, "no program runs on this thread")
{
    return (int)crank_await(crank_to_thread(nest));
}
TEST_CHECKS_OUTSIDE(to_thread, needs_a_run, "crank_to_thread") { (void)crank_to_thread(give_int, 1); }

static crank_local key, never_set;

static int read_key_at_gate(void)
{
    wait_at_gate();
    EXPECT(crank_local_get(&never_set) == NULL);
    return (int)(intptr_t)crank_local_get(&key);
}

static crank_task *spawn_reader(intptr_t value)
{
    EXPECT_EQ(crank_local_set(&key, (void *)value), 0);
    return crank_to_thread(read_key_at_gate);
}

TEST_EACH_BACKEND(to_thread, a_job_reads_the_locals_of_its_spawn_whatever_is_set_after)
{
    long results[3];
    crank_task *none = crank_to_thread(read_key_at_gate), *one = spawn_reader(1), *two = spawn_reader(2);
    crank_try(crank_local_set(&key, (void *)(intptr_t)3));
    open_gate(NULL);
    crank_try(crank_gather(results, none, one, two));
    EXPECT_EQ(results[0], 0);
    EXPECT_EQ(results[1], 1);
    EXPECT_EQ(results[2], 2);
    EXPECT(crank_local_get(&key) == (void *)(intptr_t)3);
    return 0;
}

static int spawn_reader_and_go(void) { return (int)crank_await(spawn_reader(7)); }

TEST_EACH_BACKEND(to_thread, a_thread_keeps_no_job_s_locals_for_the_next)
{
    open_gate(NULL);
    EXPECT_EQ(crank_await(crank_spawn(spawn_reader_and_go)), 7);
    EXPECT_EQ(crank_await(crank_to_thread(read_key_at_gate)), 0);
    return 0;
}

static int set_key(void) { return crank_local_set(&key, NULL); }
TEST_CHECKS(to_thread, a_job_cannot_set_a_local, "crank_local_set: called in a thread job")
{
    return (int)crank_await(crank_to_thread(set_key));
}

static int post_gate(crank_loop *loop) { return crank_post(loop, open_gate, NULL); }
TEST_EACH_BACKEND(to_thread, a_job_may_post)
{
    reset();
    EXPECT_EQ(crank_await(crank_to_thread(post_gate, crank_current_loop())), 0);
    while (!atomic_load(&gate))
        crank_try(crank_sleep(0.0001));
    return 0;
}

static int doubled(int x)
{
    crank_try(crank_sleep(0.001));
    return 2 * x;
}
static long submit_and_wait(crank_loop *loop, int x)
{
    long value = 0;
    crank_submission *submission = crank_submit(loop, doubled, x);
    EXPECT(submission);
    int err = crank_submission_wait(submission, CRANK_FOREVER, &value);
    return err < 0 ? err : value + 1;
}
TEST_EACH_BACKEND(to_thread, a_job_may_submit_and_wait_for_it)
{
    crank_task *tasks[5];
    long results[5];
    for (int i = 0; i < 5; i++)
        tasks[i] = crank_to_thread(submit_and_wait, crank_current_loop(), i);
    crank_try(crank_gather_n(tasks, 5, results));
    for (int i = 0; i < 5; i++)
        EXPECT_EQ(results[i], 2 * i + 1);
    return 0;
}

/* ---- The simulator ---- */

static int really_sleep(void) { return usleep(3000); }
TEST_SIM(to_thread, takes_no_virtual_time)
{
    double before = crank_time();
    EXPECT_EQ(crank_await(crank_to_thread(really_sleep)), 0);
    EXPECT(crank_time() == before);
    return 0;
}

static int first_to_end;
static int load(int number) { return number; }
static int race(int number)
{
    crank_try((int)crank_await(crank_to_thread(load, number)) - number);
    if (!first_to_end)
        first_to_end = number;
    return 0;
}
static int race_of_two(void)
{
    first_to_end = 0;
    return crank_gather(NULL, crank_spawn(race, 1), crank_spawn(race, 2));
}
TEST(to_thread, the_second_job_ends_first_under_some_seed)
{
    int seconds = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        crank_options options = { .backend = CRANK_BACKEND_SIM, .seed = seed };
        EXPECT_EQ(crank_run_with(&options, race_of_two), 0);
        EXPECT(seed > 0 || first_to_end == 1);
        seconds += first_to_end == 2;
    }
    EXPECT(seconds > 0 && seconds < 40);
}

static int give_one(void) { return 1; }
static int give_jobs_for_ever(void)
{
    for (;;)
        crank_try((int)crank_await(crank_to_thread(give_one)));
}
TEST_SIM(to_thread, does_not_hold_the_clock_for_ever)
{
    test_needs_long();
    double before = crank_time();
    EXPECT_EQ(crank_within(0.01, give_jobs_for_ever()), -ETIMEDOUT);
    EXPECT(crank_time() < before + 0.02);
    return 0;
}

static double time_there(void) { return crank_time(); }
TEST_EACH_BACKEND(to_thread, a_jobs_time_is_the_loops)
{
    crank_try(crank_sleep(0.001));
    double before = crank_time();
    double there = crank_await_double(crank_to_thread(time_there));
    EXPECT(before <= there && there <= crank_time());
    return 0;
}

static uint64_t hash;
static int perturbed_app(void)
{
    crank_task *tasks[12];
    crank_loop *loop = crank_current_loop();
    atomic_store(&trail_length, 0);
    for (int i = 0; i < 12; i++)
        tasks[i] = i % 3 == 0   ? crank_to_thread(note, i)
                   : i % 3 == 1 ? crank_to_thread(post_gate, loop)
                                : crank_to_thread(submit_and_wait, loop, i);
    crank_try(crank_gather_n(tasks, 12, (long *)NULL));
    hash = crank_trace_hash();
    return 0;
}
TEST(to_thread, equal_seeds_give_equal_runs)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        crank_options options = { .backend = CRANK_BACKEND_SIM, .seed = seed, .threads_max = 3 };
        EXPECT_EQ(crank_run_with(&options, perturbed_app), 0);
        uint64_t first = hash;
        int order[4];
        memcpy(order, trail, sizeof order);
        EXPECT_EQ(crank_run_with(&options, perturbed_app), 0);
        EXPECT(hash == first);
        EXPECT_EQ(memcmp(order, trail, sizeof order), 0);
    }
}

TEST_SEEDS(to_thread, every_job_runs_once_whatever_the_order, 200)
{
    crank_task *tasks[9];
    atomic_store(&trail_length, 0);
    for (int i = 0; i < 9; i++)
        tasks[i] = i % 2 ? crank_to_thread(submit_and_wait, crank_current_loop(), i) : crank_to_thread(note, i);
    long results[9];
    crank_try(crank_gather_n(tasks, 9, results));
    EXPECT_EQ(atomic_load(&trail_length), 5);
    for (int i = 0; i < 9; i++)
        EXPECT_EQ(results[i], i % 2 ? 2 * i + 1 : i);
    return 0;
}

static int never(void) { return crank_sleep(CRANK_FOREVER); }
static int submit_for_ever(crank_loop *loop)
{
    long value = 0;
    crank_submission *submission = crank_submit(loop, never);
    EXPECT(submission);
    EXPECT_EQ(crank_submission_wait(submission, CRANK_FOREVER, &value), 0);
    return (int)value;
}
static int deadlocked_app(void) { return (int)crank_await(crank_to_thread(submit_for_ever, crank_current_loop())); }
TEST(to_thread, a_job_that_waits_for_what_never_ends_is_a_deadlock_in_the_simulator)
{
    crank_options options = { .backend = CRANK_BACKEND_SIM, .on_report = keep_report };
    EXPECT_EQ(crank_run_with(&options, deadlocked_app), -EDEADLK);
    EXPECT_CONTAINS(reported, "deadlock");
}

static int block_for_ever(int *fds)
{
    char byte;
    return (int)read(fds[0], &byte, 1);
}
static int stuck_app(void)
{
    int fds[2];
    EXPECT_EQ(pipe(fds), 0);
    int result = (int)crank_await(crank_to_thread(block_for_ever, fds));
    EXPECT_EQ(result, -ETIMEDOUT);
    EXPECT_CONTAINS(crank_error(), "block_for_ever");
    return result;
}
/* In a process of its own: the blocked thread and what it holds cannot be had back. */
TEST(to_thread, a_job_that_blocks_the_simulator_is_named)
{
    test_needs_long();
    crank_options options = { .backend = CRANK_BACKEND_SIM, .on_report = keep_report };
    pid_t child = fork();
    if (child == 0) {
        EXPECT_EQ(crank_run_with(&options, stuck_app), -ETIMEDOUT);
        EXPECT_CONTAINS(reported, "block_for_ever");
        _exit(0);
    }
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}
