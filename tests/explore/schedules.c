/* SPDX-License-Identifier: MIT */
/* schedules.c: small closed worlds, each run through its schedules: what a primitive promises holds in all of them. */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#include <crank.h>
#include "test.h"

/* ---- lock: one at a time, and a cancelled waiter takes nothing */

static crank_lock *lock;
static int inside;
static int entered;

static int visit(void)
{
    CRANK_WITH_LOCK(lock);
    EXPECT_EQ(++inside, 1);
    int err = crank_sleep(0);
    EXPECT_EQ(inside--, 1);
    entered++;
    return err;
}

TEST_EXPLORED(lock, is_held_by_one_at_a_time, 400)
{
    CRANK_LOCK(turns);
    lock = turns;
    inside = entered = 0;
    crank_try(crank_gather(NULL, crank_spawn(visit), crank_spawn(visit), crank_spawn(visit)));
    EXPECT_EQ(entered, 3);
    return 0;
}

TEST_EXPLORED(lock, is_free_after_a_waiter_was_cancelled, 400)
{
    CRANK_LOCK(turns);
    lock = turns;
    inside = entered = 0;
    crank_task *a = crank_spawn(visit);
    crank_task *b = crank_spawn(visit);
    crank_sleep(0);
    crank_cancel(b);
    long first = crank_await(a);
    long second = crank_await(b);
    EXPECT_EQ(first, 0);
    EXPECT(second == 0 || second == -ECANCELED);
    EXPECT_EQ(crank_lock_acquire_nowait(turns), 0);
    crank_lock_release(turns);
    return 0;
}

/* With TEST_PLANTED in the environment the lock is left out: tests/build/explore.sh sees that this is found. */
static int balance;

static int take(bool careful)
{
    if (careful)
        crank_try(crank_lock_acquire(lock));
    int before = balance;
    int err = crank_sleep(0);
    balance = before - 1;
    if (careful)
        crank_lock_release(lock);
    return err;
}

TEST_EXPLORED(lock, makes_a_change_whole, 400)
{
    bool careful = !getenv("TEST_PLANTED");
    CRANK_LOCK(turns);
    lock = turns;
    balance = 2;
    crank_task *a = crank_spawn(take, careful);
    crank_try(crank_sleep(0));
    crank_task *b = crank_spawn(take, careful);
    crank_try(crank_gather(NULL, a, b));
    EXPECT_EQ(balance, 0);
    return 0;
}

/* ---- queue: what is put is got once, in each putter's order, whoever is cancelled */

static crank_queue *queue;
static int got[8];
static int got_count;

static int put_two(int first)
{
    crank_try(crank_put(queue, first));
    return crank_put(queue, first + 1);
}

/* One getter alone: of two, the one whose element came first may be the one that runs last. */
static int get_four(void)
{
    for (int i = 0, value; i < 4; i++) {
        crank_try(crank_get(queue, &value));
        got[got_count++] = value;
    }
    return 0;
}

static int place_of(int value)
{
    for (int i = 0; i < got_count; i++)
        if (got[i] == value)
            return i;
    return -1;
}

TEST_EXPLORED(queue, gives_each_element_once_and_in_order, 400)
{
    CRANK_QUEUE(elements, int, 1);
    queue = elements;
    got_count = 0;
    crank_try(crank_gather(NULL, crank_spawn(put_two, 10), crank_spawn(put_two, 20), crank_spawn(get_four)));
    EXPECT_EQ(got_count, 4);
    for (int value = 10; value <= 20; value += 10)
        EXPECT(place_of(value) >= 0 && place_of(value) < place_of(value + 1));
    return 0;
}

static int get_one(int *place) { return crank_get(queue, place); }

TEST_EXPLORED(queue, loses_nothing_to_a_getter_that_is_cancelled, 400)
{
    CRANK_QUEUE(elements, int, 0);
    int value = 0, cancelled = 0;
    queue = elements;
    crank_task *getter = crank_spawn(get_one, &cancelled);
    crank_task *putter = crank_spawn(put_two, 1);
    crank_sleep(0);
    crank_cancel(getter);
    bool took = crank_await(getter) == 0;
    EXPECT_EQ(crank_await(putter), 0);
    crank_try(crank_get(elements, &value));
    EXPECT_EQ(value, took ? 2 : 1);
    EXPECT_EQ(cancelled, took ? 1 : 0);
    return 0;
}

/* ---- group: ends after its last child, also where it is cancelled or one of them fails */

static int alive;

static int child(int rounds, int result)
{
    int err = 0;
    alive++;
    for (int i = 0; i < rounds && err == 0; i++)
        err = crank_sleep(0);
    alive--;
    return err < 0 ? err : result;
}

static int opener(int result)
{
    CRANK_GROUP(g);
    crank_group_spawn(&g, child, 1, 0);
    crank_group_spawn(&g, child, 2, result);
    return crank_group_wait(&g);
}

TEST_EXPLORED(group, ends_after_its_children_when_it_is_cancelled, 400)
{
    alive = 0;
    crank_task *task = crank_spawn(opener, 0);
    crank_sleep(0);
    crank_cancel(task);
    long result = crank_await(task);
    EXPECT(result == 0 || result == -ECANCELED);
    EXPECT_EQ(alive, 0);
    return 0;
}

TEST_EXPLORED(group, gives_the_failure_of_a_child, 400)
{
    alive = 0;
    EXPECT_EQ(opener(-EPROTO), -EPROTO);
    EXPECT_EQ(alive, 0);
    return 0;
}

static int nap_twice(void)
{
    alive++;
    int err = crank_sleep(0.02);
    if (err == 0)
        err = crank_sleep(0.02);
    alive--;
    return err;
}

TEST_EXPLORED(timeout, passes_or_does_not_and_leaves_nothing, 400)
{
    alive = 0;
    int err = crank_within(0.05, nap_twice());
    EXPECT(err == 0 || err == -ETIMEDOUT);
    EXPECT_EQ(alive, 0);
    EXPECT_EQ(crank_cancelling(crank_self()), 0);
    return 0;
}

/* ---- threads: jobs, posts and submissions */

static crank_loop *loop;
static int posted;

static void count_post(void *arg) { posted += *(int *)arg; }

static int post_twice(int *amount)
{
    crank_try(crank_post(loop, count_post, amount));
    return crank_post(loop, count_post, amount);
}

TEST_EXPLORED(to_thread, jobs_that_post_are_each_heard_twice, 400)
{
    static int one = 1, ten = 10;
    loop = crank_current_loop();
    posted = 0;
    crank_task *a = crank_to_thread(post_twice, &one);
    crank_task *b = crank_to_thread(post_twice, &ten);
    crank_try(crank_gather(NULL, a, b));
    crank_sleep(0.001);
    EXPECT_EQ(posted, 22);
    return 0;
}

static int answer(int number)
{
    int err = crank_sleep(0.01);
    return err < 0 ? err : number + 1;
}

static long ask(int number)
{
    long value = 0;
    crank_submission *submission = crank_submit(loop, answer, number);
    int err = submission ? crank_submission_wait(submission, CRANK_FOREVER, &value) : -errno;
    return err < 0 ? err : value;
}

TEST_EXPLORED(submit, gives_each_thread_its_own_answer, 400)
{
    loop = crank_current_loop();
    crank_task *a = crank_to_thread(ask, 1);
    crank_task *b = crank_to_thread(ask, 10);
    EXPECT_EQ(crank_await(a), 2);
    EXPECT_EQ(crank_await(b), 11);
    return 0;
}

static long ask_and_cancel(int number)
{
    long value = 0;
    crank_submission *submission = crank_submit(loop, answer, number);
    if (!submission)
        return -errno;
    crank_submission_cancel(submission);
    int err = crank_submission_wait(submission, CRANK_FOREVER, &value);
    return err < 0 ? err : value;
}

TEST_EXPLORED(submit, is_answered_or_cancelled_never_neither, 400)
{
    loop = crank_current_loop();
    crank_task *a = crank_to_thread(ask_and_cancel, 1);
    crank_task *b = crank_to_thread(ask, 10);
    long first = crank_await(a);
    EXPECT(first == 2 || first == -ECANCELED);
    EXPECT_EQ(crank_await(b), 11);
    return 0;
}

TEST_EXPLORED(to_thread, a_cancelled_job_has_run_or_never_will, 400)
{
    static int one = 1;
    loop = crank_current_loop();
    posted = 0;
    crank_task *a = crank_to_thread(post_twice, &one);
    crank_task *b = crank_to_thread(post_twice, &one);
    crank_sleep(0);
    crank_cancel(b);
    EXPECT_EQ(crank_await(a), 0);
    long second = crank_await(b);
    crank_sleep(0.001);
    EXPECT_EQ(posted, second == 0 || posted == 4 ? 4 : 2);
    EXPECT(second == 0 || second == -ECANCELED);
    return 0;
}

/* ---- signals: each is the receiver's or the old handler's, whatever meets it */

static volatile sig_atomic_t old_calls;
static void old_handler(int number)
{
    (void)number;
    old_calls++;
}
static int receive_one(int *ret_received)
{
    CRANK_SIGNALS(asked, SIGUSR1);
    int number = crank_signals_next(&asked);
    *ret_received += number == SIGUSR1;
    return number < 0 ? number : crank_sleep(0);
}
static int send_one(void)
{
    crank_try(crank_sleep(0));
    return raise(SIGUSR1);
}
TEST_EXPLORED(signals, that_no_task_has_taken_are_the_old_handlers, 400)
{
    struct sigaction action = { .sa_handler = old_handler };
    int received = 0;
    old_calls = 0;
    EXPECT_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    crank_task *receiver = crank_spawn(receive_one, &received);
    crank_task *sender = crank_spawn(send_one);
    crank_try(crank_sleep(0));
    crank_cancel(receiver);
    long result = crank_await(receiver);
    EXPECT(result == 0 || result == -ECANCELED);
    EXPECT_EQ(crank_await(sender), 0);
    EXPECT_EQ(received + old_calls, 1);
    return 0;
}

/* ---- wait_fd: a number is the next file's when it was closed and opened again */

static int wait_for(int fd) { return crank_wait_fd(fd, CRANK_READABLE); }
TEST_EXPLORED(wait_fd, of_a_number_that_was_closed_and_used_again_is_for_its_next_file, 300)
{
    int before[2], ends[2];
    EXPECT_EQ(pipe2(before, O_CLOEXEC), 0);
    crank_task *first = crank_spawn(wait_for, before[0]);
    crank_try(crank_sleep(0));
    crank_fd_closing(before[0]);
    close(before[0]);
    close(before[1]);
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    EXPECT_EQ(ends[0], before[0]);
    crank_task *second = crank_spawn(wait_for, ends[0]);
    crank_try(crank_sleep(0));
    EXPECT(!crank_done(second));
    EXPECT_EQ(write(ends[1], "x", 1), 1);
    EXPECT_EQ(crank_await(second), CRANK_READABLE);
    long told = crank_await(first);
    EXPECT(told == -EBADF || told == CRANK_READABLE); /* this where its call came later */
    close(ends[0]);
    close(ends[1]);
    return 0;
}

/* ---- sleep: as long as asked for, where no choice says otherwise */

static double awake_at;
static int wake_up(void)
{
    double started = crank_time();
    crank_try(crank_sleep(0.001));
    awake_at = crank_time() - started;
    return 0;
}
static int sleep_beside(void) { return crank_gather(NULL, crank_spawn(wake_up), crank_spawn(crank_sleep, 0.002)); }
TEST(sleep, ends_in_time_where_the_first_possibility_is_chosen_throughout)
{
    const crank_options options = { .backend = CRANK_BACKEND_SIM, .choices = "0" };
    EXPECT_EQ(crank_run_with(&options, sleep_beside), 0);
    EXPECT_NEAR(awake_at, 0.001, 1e-9);
}
