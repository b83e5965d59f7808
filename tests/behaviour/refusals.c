/* SPDX-License-Identifier: MIT */
/* refusals.c: what is refused with a sentence, and what NULL and numbers at the edge mean, call by call. */
#include "trail.h"

#include <crank/loop.h>
#include <limits.h>
#include <pthread.h>

static const crank_options sim = { .backend = CRANK_BACKEND_SIM };
static int nap(double seconds) { return crank_sleep(seconds); }

/* ---- objects */

TEST_CHECKS(barrier, of_nobody_is_refused, "0 parties; a barrier takes 1 to") { return crank_barrier_new(0) != NULL; }
TEST_CHECKS(barrier, of_more_than_there_can_be_is_refused, "2147483648 parties; a barrier takes 1 to")
{
    return crank_barrier_new((size_t)INT_MAX + 1) != NULL;
}
TEST_SIM(barrier, of_as_many_as_there_can_be_is_made)
{
    crank_barrier *barrier = crank_barrier_new(INT_MAX);
    EXPECT(barrier);
    crank_barrier_free(barrier);
    return 0;
}
TEST_CHECKS(queue, of_nothing_is_refused, "elements of 0 bytes; give the size of a type")
{
    return crank_queue_new(0, CRANK_KIND_STRUCT, 1) != NULL;
}
TEST_CHECKS(queue, of_elements_beyond_measure_is_refused, "bytes; give the size of a type")
{
    return crank_queue_new((SIZE_MAX >> 9) + 1, CRANK_KIND_STRUCT, 1) != NULL;
}
TEST_CHECKS(declaring, a_lock_without_memory_is_refused, "out of memory while declaring a lock")
{
    return crank_made_(NULL) != NULL;
}
TEST_CHECKS(queue, says_which_elements_it_was_given, "an 8-byte signed integer")
{
    CRANK_QUEUE(queue, short, 1);
    return crank_put(queue, 1L);
}
TEST_CHECKS(queue, says_which_elements_it_holds, "2-byte signed integers")
{
    CRANK_QUEUE(queue, short, 1);
    return crank_put(queue, 1.5);
}
static crank_lock *kept_lock;
static int take(void) { return crank_lock_acquire(kept_lock); }
TEST_CHECKS(lock, released_by_another_is_refused, "crank_lock_release")
{
    kept_lock = crank_lock_new();
    crank_task *holder = crank_spawn(take);
    crank_try(crank_sleep(1));
    crank_lock_release(kept_lock);
    return crank_done(holder);
}
static void release_in_callback(void *arg)
{
    (void)arg;
    crank_lock_release(kept_lock);
}
TEST_CHECKS(lock, released_in_a_callback_is_refused, "crank_lock_release")
{
    kept_lock = crank_lock_new();
    crank_try(crank_lock_acquire(kept_lock));
    EXPECT(crank_call_later(crank_current_loop(), 1, release_in_callback, NULL));
    return crank_sleep(2);
}
static int wait_for(crank_semaphore *semaphore) { return crank_semaphore_acquire(semaphore); }
TEST_SIM(semaphore, is_what_its_waiter_is_said_to_wait_for)
{
    char line[300];
    CRANK_SEMAPHORE(semaphore, 0);
    crank_task *waiter = crank_spawn(wait_for, semaphore);
    crank_try(crank_sleep(1));
    EXPECT(crank_describe(waiter, line, sizeof line) > 0);
    EXPECT_CONTAINS(line, "waits for a permit 0x");
    crank_semaphore_release(semaphore);
    return (int)crank_await(waiter);
}

/* ---- tasks and futures */

TEST_SIM(future, of_null_is_let_go)
{
    crank_future_free(NULL);
    EXPECT_EQ(crank_cancel(NULL), -ESRCH);
    EXPECT_EQ(crank_cancel_because(NULL, "whatever"), -ESRCH);
    crank_drop(NULL);
    crank_detach(NULL);
    crank_abandon(NULL);
    EXPECT_EQ(crank_await_shared((crank_task *)NULL), -ENOMEM);
    return 0;
}
TEST_CHECKS(future, freed_that_is_a_task_is_refused, "crank_future_free: this is a task, not a future")
{
    crank_future_free((crank_future *)(void *)crank_spawn(nap, 1.0));
    return 0;
}
TEST_CHECKS(future, set_that_is_a_task_is_refused, "crank_set_result: this is a task, not a future")
{
    return crank_set_result((crank_future *)(void *)crank_spawn(nap, 1.0), 1);
}
TEST_CHECKS(future, set_to_what_fits_no_word_is_refused, "a future holds an integer, a double or a pointer")
{
    char large[16] = "";
    return crank_set_result_(crank_future_new(), large, sizeof large, CRANK_KIND_STRUCT);
}
TEST_CHECKS(future, set_to_nothing_is_refused, "a future holds an integer, a double or a pointer")
{
    return crank_set_result_(crank_future_new(), "", 1, CRANK_KIND_VOID);
}
TEST_SIM(future, gives_values_of_every_size)
{
    signed char byte = -3;
    short two = -300;
    unsigned char unsigned_byte = 200;
    unsigned short unsigned_two = 60000;
    unsigned long unsigned_long = 6000000000;
    crank_future *futures[7];
    for (int i = 0; i < 7; i++)
        futures[i] = crank_future_new();
    crank_try(crank_set_result(futures[0], byte));
    crank_try(crank_set_result(futures[1], two));
    crank_try(crank_set_result(futures[2], unsigned_byte));
    crank_try(crank_set_result(futures[3], unsigned_two));
    crank_try(crank_set_result(futures[4], unsigned_long));
    crank_try(crank_set_result(futures[5], -4000000000L));
    crank_try(crank_set_result(futures[6], true));
    EXPECT_EQ(crank_await(futures[0]), -3);
    EXPECT_EQ(crank_await(futures[1]), -300);
    EXPECT_EQ(crank_await(futures[2]), 200);
    EXPECT_EQ(crank_await(futures[3]), 60000);
    EXPECT_EQ(crank_await(futures[4]), 6000000000L);
    EXPECT_EQ(crank_await(futures[5]), -4000000000L);
    EXPECT_EQ(crank_await(futures[6]), 1);
    for (int i = 0; i < 7; i++)
        crank_future_free(futures[i]);
    return 0;
}
TEST_SIM(future, takes_an_error_of_either_sign_and_of_none)
{
    static const int given[] = { EIO, -EIO, 0 };
    static const int expected[] = { -EIO, -EIO, -EINVAL };
    for (int i = 0; i < 3; i++) {
        crank_future *future = crank_future_new();
        crank_try(crank_set_error(future, given[i], "number %d", i));
        EXPECT_EQ(crank_await(future), expected[i]);
        EXPECT_CONTAINS(crank_error(), "number");
        crank_future_free(future);
    }
    return 0;
}
static unsigned unsigned_result(void) { return 4000000000U; }
static unsigned long unsigned_long_result(void) { return 5000000000UL; }
static unsigned char unsigned_char_result(void) { return 250; }
static unsigned short unsigned_short_result(void) { return 65000; }
static signed char char_result(void) { return 100; }
static short short_result(void) { return 30000; }
static bool bool_result(void) { return true; }
TEST_SIM(await, gives_integers_of_every_size_as_they_are)
{
    EXPECT_EQ(crank_await(crank_spawn(unsigned_result)), 4000000000L);
    EXPECT_EQ(crank_await(crank_spawn(unsigned_long_result)), 5000000000L);
    EXPECT_EQ(crank_await(crank_spawn(unsigned_char_result)), 250);
    EXPECT_EQ(crank_await(crank_spawn(unsigned_short_result)), 65000);
    EXPECT_EQ(crank_await(crank_spawn(char_result)), 100);
    EXPECT_EQ(crank_await(crank_spawn(short_result)), 30000);
    EXPECT_EQ(crank_await(crank_spawn(bool_result)), 1);
    return 0;
}
TEST_SIM(name, of_null_is_the_number_again)
{
    crank_task *task = crank_spawn(nap, 1.0);
    crank_set_name(task, "named");
    EXPECT_STR(crank_name(task), "named");
    crank_set_name(task, NULL);
    EXPECT(strcmp(crank_name(task), "named") != 0);
    return (int)crank_await(task);
}
TEST_SIM(was_cancelled, is_said_of_those_that_have_ended_so)
{
    crank_task *task = crank_spawn(nap, 1.0);
    crank_try(crank_sleep(0));
    EXPECT(!crank_was_cancelled(task));
    crank_cancel(task);
    EXPECT(!crank_was_cancelled(task));
    crank_try(crank_sleep(0));
    EXPECT(crank_was_cancelled(task));
    crank_drop(task);
    task = crank_spawn(nap, 0.5);
    crank_try(crank_sleep(1));
    EXPECT(!crank_was_cancelled(task));
    crank_drop(task);
    return 0;
}
static int notes;
static void note(crank_task *task, void *arg)
{
    (void)task;
    (void)arg;
    notes++;
}
static void note_too(crank_task *task, void *arg) { note(task, arg); }
TEST_SIM(on_done, is_taken_back_by_function_and_argument)
{
    int here = 0;
    crank_task *task = crank_spawn(nap, 1.0);
    EXPECT_EQ(crank_remove_on_done(task, note, NULL), 0);
    crank_try(crank_on_done(task, note, NULL));
    crank_try(crank_on_done(task, note, &here));
    crank_try(crank_on_done(task, note_too, NULL));
    EXPECT_EQ(crank_remove_on_done(task, note, NULL), 1);
    EXPECT_EQ(crank_remove_on_done(task, note, NULL), 0);
    crank_try(crank_await_shared(task));
    crank_try(crank_sleep(0));
    EXPECT_EQ(notes, 2);
    crank_drop(task);
    return 0;
}

/* ---- blocks */

TEST_CHECKS(group, waited_for_as_a_pool_is_refused, "this is a group, not a CRANK_POOL")
{
    CRANK_GROUP(g);
    long results[1];
    return crank_pool_wait(&g, results, 1);
}
TEST_CHECKS(pool, of_nobody_is_refused, "a pool must allow at least one task at once")
{
    CRANK_POOL(pool, 0);
    return 0;
}
static void *fails_with_a_number(int error)
{
    errno = error;
    return NULL;
}
static int kept_value = 7;
static void *gives_a_pointer(void) { return &kept_value; }
static void *sleeps_long(void)
{
    int err = crank_sleep(100);
    errno = -err;
    return err < 0 ? NULL : &kept_value;
}
TEST_SIM(within, keeps_a_pointers_own_error)
{
    void *pointer = crank_within(1.0, gives_a_pointer());
    EXPECT(pointer == &kept_value);
    pointer = crank_within(1.0, fails_with_a_number(EIO));
    EXPECT(!pointer && errno == EIO);
    pointer = crank_within(1.0, sleeps_long());
    EXPECT(!pointer && errno == ETIMEDOUT);
    return 0;
}
TEST_SIM(timeout, of_no_number_ends_the_block_saying_so)
{
    CRANK_TIMEOUT(t, NAN);
    EXPECT(!crank_expired(&t));
    EXPECT_EQ(crank_reschedule(&t, 1), -EINVAL);
    EXPECT_CONTAINS(crank_error(), "the time limit is not a number");
    EXPECT_EQ(crank_reschedule(&t, NAN), -EINVAL);
    EXPECT(crank_remaining(&t) <= 0);
    return 0;
}
static int stuck_in_group(void)
{
    CRANK_GROUP(g);
    crank_group_spawn(&g, nap, 1.0);
    crank_group_spawn(&g, nap, 2.0);
    return crank_group_wait(&g);
}
TEST_SIM(group, tells_how_many_its_opener_waits_for)
{
    char line[300];
    crank_task *opener = crank_spawn(stuck_in_group);
    crank_try(crank_sleep(0.5));
    crank_describe(opener, line, sizeof line);
    EXPECT_CONTAINS(line, "2 children of its group");
    crank_try(crank_sleep(1));
    crank_describe(opener, line, sizeof line);
    EXPECT_CONTAINS(line, "1 child of its group");
    return (int)crank_await(opener);
}
static int waits_for_some(crank_task **tasks) { return (int)crank_wait(tasks, 3, CRANK_ALL_COMPLETED, CRANK_FOREVER); }
TEST_SIM(wait, tells_how_many_it_waits_for)
{
    char line[300];
    crank_task *tasks[] = { crank_spawn(nap, 1.0), crank_spawn(nap, 3.0), crank_spawn(nap, 4.0) };
    crank_task *waiter = crank_spawn(waits_for_some, tasks);
    crank_try(crank_sleep(2));
    crank_describe(waiter, line, sizeof line);
    EXPECT_CONTAINS(line, "waits for 2 of 3 tasks");
    EXPECT_EQ(crank_await(waiter), 3);
    for (int i = 0; i < 3; i++)
        crank_try(crank_await(tasks[i]));
    return 0;
}

TEST_SIM(pool, says_held_of_those_whose_turn_has_not_come)
{
    char line[300];
    CRANK_POOL(pool, 1);
    crank_task *first = crank_pool_spawn(&pool, nap, 1.0);
    crank_task *second = crank_pool_spawn(&pool, nap, 1.0);
    crank_describe(second, line, sizeof line);
    EXPECT_CONTAINS(line, "<Task held ");
    crank_describe(first, line, sizeof line);
    EXPECT_CONTAINS(line, "<Task new ");
    return crank_pool_wait(&pool, NULL, 0);
}
static int refuses(void) { return crank_fail(EPROTO, "refused"); }
TEST_SIM(group, keeps_the_failure_of_a_child_that_is_awaited)
{
    CRANK_GROUP(g);
    crank_task *fine = crank_group_spawn(&g, nap, 1.0);
    crank_try(crank_await(fine));
    EXPECT_EQ(crank_group_count(&g), 0);
    crank_task *broken = crank_group_spawn(&g, refuses);
    EXPECT_EQ(crank_await(broken), -EPROTO);
    EXPECT_CONTAINS(crank_error(), "refused");
    EXPECT_EQ(crank_group_wait(&g), -EPROTO);
    EXPECT_CONTAINS(crank_error(), "refused");
    return 0;
}

/* ---- debug mode */

static int reported;
static void count_report(const crank_report *report, void *arg)
{
    (void)report;
    (void)arg;
    reported++;
}
static const crank_options debug = { .backend = CRANK_BACKEND_SIM, .debug = true, .on_report = count_report };
static int hold_two(void)
{
    crank_lock *first = crank_lock_new();
    crank_lock *second = crank_lock_new();
    for (int i = 0; i < 2; i++) {
        crank_try(crank_lock_acquire(first));
        crank_try(crank_lock_acquire(second));
        crank_lock_release(first);
        crank_lock_release(second);
    }
    crank_lock_free(second);
    crank_lock_free(first);
    return 0;
}
TEST(lock, taken_twice_and_freed_is_no_lost_one)
{
    EXPECT_EQ(crank_run_with(&debug, hold_two), 0);
    EXPECT_EQ(reported, 0);
}
static int from_two_places(int count)
{
    for (int i = 0; i < count; i++) {
        (void)crank_spawn(nap, 0.0);
        (void)crank_spawn(nap, 0.0);
    }
    crank_try(crank_sleep(1));
    return 0;
}
TEST(unclaimed_tasks, of_one_place_are_reported_from_a_thousand_on)
{
    EXPECT_EQ(crank_run_with(&debug, from_two_places, 999), 0); /* 1998 in all */
    EXPECT_EQ(reported, 0);
    EXPECT_EQ(crank_run_with(&debug, from_two_places, 1000), 0);
    EXPECT(reported > 0);
}

/* ---- gathering */

static double real(void) { return 1.5; }
static float small_real(void) { return 2.5F; }
static void *pointer(void) { return &kept_value; }
static long long_value(void) { return 5; }
static void nothing(void) {}
TEST_SIM(gather, takes_results_of_the_kind_of_the_array)
{
    double reals[2];
    void *pointers[1];
    long longs[3];
    int ints[2];
    crank_try(crank_gather(reals, crank_spawn(real), crank_spawn(small_real)));
    EXPECT(reals[0] == 1.5 && reals[1] == 2.5);
    crank_try(crank_gather(pointers, crank_spawn(pointer)));
    EXPECT(pointers[0] == &kept_value);
    crank_try(crank_gather(longs, crank_spawn(long_value), crank_spawn(unsigned_result), crank_spawn(nothing)));
    EXPECT(longs[0] == 5 && longs[1] == 4000000000L && longs[2] == 0);
    crank_try(crank_gather(ints, crank_spawn(short_result), crank_spawn(bool_result)));
    EXPECT(ints[0] == 30000 && ints[1] == 1);
    return crank_gather(NULL, crank_spawn(real), crank_spawn(pointer), crank_spawn(nothing));
}
TEST_CHECKS(
    gather, of_a_real_into_integers_is_refused, "(floating point) does not fit the results' array of 8-byte integers")
{
    long longs[1];
    return crank_gather(longs, crank_spawn(small_real));
}
TEST_CHECKS(
    gather, of_a_pointer_into_integers_is_refused, "(a pointer) does not fit the results' array of 8-byte integers")
{
    long longs[1];
    return crank_gather(longs, crank_spawn(pointer));
}
TEST_CHECKS(gather, of_a_long_into_ints_is_refused, "(an integer) does not fit the results' array of 4-byte integers")
{
    int ints[1];
    return crank_gather(ints, crank_spawn(long_value));
}
TEST_CHECKS(
    gather, of_an_integer_into_doubles_is_refused, "(an integer) does not fit the results' array of 8-byte doubles")
{
    double reals[1];
    return crank_gather(reals, crank_spawn(long_value));
}
TEST_CHECKS(
    gather, of_an_integer_into_pointers_is_refused, "(an integer) does not fit the results' array of 8-byte pointers")
{
    void *pointers[1];
    return crank_gather(pointers, crank_spawn(long_value));
}
TEST_CHECKS(gather, of_what_is_in_a_group_is_refused, "is awaited by somebody else, was dropped, belongs to a group")
{
    CRANK_GROUP(g);
    return crank_gather(NULL, crank_group_spawn(&g, nap, 1.0));
}
TEST_CHECKS(gather, of_one_task_twice_is_refused, "or is given twice")
{
    crank_task *task = crank_spawn(nap, 1.0);
    return crank_gather(NULL, task, task);
}

/* ---- generators */

static char *texts(void) { return NULL; }
TEST_CHECKS(generator, that_returns_no_int_is_refused, "must return int or long")
{
    static const crank_site site = { "texts", "", "", 0, CRANK_KIND_POINTER, 8, 0, false, 0, 0 };
    return crank_generate_(0, (crank_function_ *)texts, &site) != NULL;
}
static int one_value(void) { return crank_yield(1L); }
static crank_generator *asked;
static int asks_itself(void)
{
    long value;
    return crank_next(asked, &value);
}
static int asks_the_other(crank_generator *other)
{
    long value;
    return crank_next(other, &value);
}
TEST_CHECKS(generator, that_asks_itself_through_another_is_refused, "generator asks_the_other asks itself for a value")
{
    long value;
    crank_generator *inner = crank_generate(asks_itself);
    asked = crank_generate(asks_the_other, inner);
    return crank_next(asked, &value);
}
static int asks_slowly(void)
{
    crank_try(crank_sleep(10));
    return crank_yield(1L);
}
static int ask_it(crank_generator *g)
{
    long value;
    return crank_next(g, &value);
}
TEST_CHECKS(generator, asked_by_two_at_once_is_refused, "only one may ask at a time")
{
    crank_generator *g = crank_generate(asks_slowly);
    crank_task *task = crank_spawn(ask_it, g);
    crank_try(crank_sleep(1));
    int err = ask_it(g);
    crank_drop(task);
    return err;
}
static int ask_the_other(void) { return ask_it(asked); }
static void *run_that_asks(void *arg)
{
    (void)crank_run_with(&sim, ask_the_other);
    return arg;
}
TEST_CHECKS(generator, asked_on_another_thread_is_refused, "generator one_value was made in another run or thread")
{
    pthread_t thread;
    asked = crank_generate(one_value);
    EXPECT_EQ(pthread_create(&thread, NULL, run_that_asks, NULL), 0);
    return pthread_join(thread, NULL);
}
TEST_SIM(generator, is_thrown_errors_of_either_sign_and_of_none)
{
    static const int given[] = { EIO, -EIO, 0 };
    static const int expected[] = { -EIO, -EIO, -EINVAL };
    long value;
    for (int i = 0; i < 3; i++) {
        CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(one_value);
        EXPECT_EQ(crank_next(g, &value), 1);
        EXPECT_EQ(crank_throw(g, given[i]), expected[i]);
    }
    return 0;
}
static int signed_bytes(void)
{
    for (int i = -2; i < 2; i++) {
        signed char value = (signed char)i;
        crank_try(crank_yield(value));
    }
    return 0;
}
static int as_int(signed char value) { return value; }
static float half(signed char value) { return (float)value / 2; }
TEST_SIM(map, hands_on_what_is_narrow_and_what_is_real)
{
    int values[4];
    float halves[4];
    EXPECT_EQ(crank_collect(crank_map(int, signed char, crank_generate(signed_bytes), as_int), values, 4), 4);
    EXPECT(values[0] == -2 && values[3] == 1);
    EXPECT_EQ(crank_collect(crank_map(float, signed char, crank_generate(signed_bytes), half), halves, 4), 4);
    EXPECT(halves[0] == -1 && halves[3] == 0.5F);
    return 0;
}
