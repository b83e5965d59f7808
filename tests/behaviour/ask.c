/* SPDX-License-Identifier: MIT */
/* ask.c: what one may ask about tasks: names, parents, states, lists, results; and being told of an end by a
 * callback. */
#include "trail.h"

static int word(const char *name)
{
    say("%s", name);
    return 0;
}

static int slow(double seconds, const char *name)
{
    int err = crank_sleep(seconds);
    say("%s%s", name, err < 0 ? "!" : "");
    return err;
}

static int seven_later(void)
{
    crank_try(crank_sleep(0.001));
    return 7;
}

TEST_SIM(task, knows_itself_its_parent_and_its_name)
{
    EXPECT(crank_parent(NULL) == NULL);
    crank_set_name(NULL, "main");
    EXPECT_STR(crank_name(crank_self()), "main");
    crank_task *child = crank_spawn(slow, 1.0, "x");
    EXPECT(crank_parent(child) == crank_self());
    EXPECT(strncmp(crank_name(child), "Task-", 5) == 0);
    crank_set_name(child, "a name that is longer than the sixty-three bytes which are kept of it");
    EXPECT_EQ(strlen(crank_name(child)), 63);
    crank_try(crank_await(child));
    return 0;
}

static int reported;
static void count_report(const crank_report *report, void *arg)
{
    (void)report, (void)arg;
    reported++;
}
static int fail_at_once(void) { return crank_fail(EIO, "disk %d is gone", 3); }
static int ask_for_a_failure(void)
{
    crank_task *task = crank_spawn(fail_at_once);
    long value = 0;
    crank_try(crank_sleep(1));
    EXPECT_EQ(crank_result(task, &value), 0);
    EXPECT_EQ(value, -EIO);
    EXPECT_CONTAINS(crank_error(), "disk 3 is gone");
    crank_drop(task);
    return 0;
}
TEST(task, whose_failure_was_asked_for_is_not_reported)
{
    crank_options options = { .backend = CRANK_BACKEND_SIM, .on_report = count_report };
    EXPECT_EQ(crank_run_with(&options, ask_for_a_failure), 0);
    EXPECT_EQ(reported, 0);
}

TEST_SIM(task, says_when_it_is_done_and_with_what)
{
    crank_task *task = crank_spawn(seven_later);
    long value = 99;
    EXPECT(!crank_done(task));
    EXPECT_EQ(crank_result(task, &value), -EAGAIN);
    EXPECT_EQ(value, 99);
    crank_try(crank_sleep(1));
    EXPECT(crank_done(task));
    EXPECT(!crank_was_cancelled(task));
    EXPECT_EQ(crank_result(task, &value), 0);
    EXPECT_EQ(value, 7);
    EXPECT_EQ(crank_cancel(task), -ESRCH);
    EXPECT_EQ(crank_await(task), 7);
    return 0;
}

TEST_SIM(task, describes_itself_in_every_state)
{
    char line[300];
    crank_task *task = crank_spawn(slow, 1.0, "x");
    crank_describe(task, line, sizeof line);
    EXPECT_CONTAINS(line, "<Task new name='Task-");
    EXPECT_CONTAINS(line, "fn=slow spawned at ask.c:");
    crank_try(crank_sleep(0));
    crank_describe(task, line, sizeof line);
    EXPECT_CONTAINS(line, "<Task pending");
    EXPECT_CONTAINS(line, "sleeps 1.000 s more>");
    crank_describe(NULL, line, sizeof line);
    EXPECT_CONTAINS(line, "<Task running");
    crank_cancel(task);
    crank_describe(task, line, sizeof line);
    EXPECT_CONTAINS(line, "<Task cancelling");
    crank_try(crank_sleep(0));
    crank_describe(task, line, sizeof line);
    EXPECT_CONTAINS(line, "<Task cancelled");
    EXPECT_CONTAINS(line, "result=-125");
    EXPECT_EQ(crank_describe(task, line, 10), strlen("") + crank_describe(task, NULL, 0));
    EXPECT_EQ(crank_await(task), -ECANCELED);
    return 0;
}

TEST_SIM(tasks, lists_all_that_live_oldest_first)
{
    crank_task *list[8];
    crank_task *a = crank_spawn(slow, 1.0, "a"), *b = crank_spawn(slow, 2.0, "b");
    EXPECT_EQ(crank_tasks(list, 8), 3);
    EXPECT(list[0] == crank_self() && list[1] == a && list[2] == b);
    EXPECT_EQ(crank_tasks(list, 2), 3);
    EXPECT(list[0] == crank_self() && list[1] == a);
    crank_try(crank_await(a));
    EXPECT_EQ(crank_tasks(NULL, 0), 2);
    crank_try(crank_await(b));
    return 0;
}

enum { MANY = 5000 };

/* More than one slab of records; every other one used twice, so that the order is not that of memory. */
TEST_SIM(tasks, lists_many_oldest_first)
{
    static crank_task *made[MANY], *list[MANY + 1];
    for (int i = 0; i < MANY; i++)
        made[i] = crank_spawn(slow, 0.1, "");
    for (int i = 0; i < MANY; i += 2) {
        crank_cancel(made[i]);
        crank_await(made[i]);
    }
    for (int i = 0; i < MANY; i += 2)
        made[i] = crank_spawn(slow, 0.1, "");
    for (size_t max = 0; max <= MANY + 1; max += max < 3 ? 1 : MANY / 2 - 1) {
        EXPECT_EQ(crank_tasks(list, max), MANY + 1);
        for (size_t i = 0; i < max; i++) {
            size_t expected = i <= MANY / 2 ? 2 * i - 1 : 2 * (i - MANY / 2 - 1);
            EXPECT(list[i] == (i == 0 ? crank_self() : made[expected]));
        }
    }
    return 0;
}

static void note_done(crank_task *task, void *arg)
{
    (void)task;
    say("done:%s", (const char *)arg);
}

TEST_EACH_BACKEND(on_done, is_called_once_in_the_order_asked_for)
{
    crank_task *task = crank_spawn(seven_later);
    crank_try(crank_on_done(task, note_done, "1"));
    crank_try(crank_on_done(task, note_done, "2"));
    crank_try(crank_on_done(task, note_done, "gone"));
    (void)crank_remove_on_done(task, note_done, NULL);
    crank_try((int)(crank_await(task) - 7));
    crank_try(settle());
    return 0;
}

TEST_EACH_BACKEND(on_done, removed_between_the_end_and_the_call_is_not_called)
{
    crank_future *future = crank_future_new();
    crank_task *task = crank_future_task(future);
    crank_try(crank_on_done(task, note_done, "1"));
    crank_try(crank_on_done(task, note_done, "2"));
    crank_try(crank_on_done(task, note_done, "1"));
    crank_try(crank_set_result(future, 7));
    crank_try(crank_on_done(task, note_done, "3"));
    EXPECT_EQ(crank_remove_on_done(task, note_done, "1"), 2);
    EXPECT_EQ(crank_remove_on_done(task, note_done, "1"), 0);
    EXPECT_EQ(crank_remove_on_done(task, note_done, "3"), 1);
    crank_try(crank_sleep(0));
    EXPECT_TRAIL("done:2");
    EXPECT_EQ(crank_remove_on_done(task, note_done, "2"), 0);
    crank_future_free(future);
    return 0;
}

static void remove_itself(crank_task *task, void *times)
{
    ++*(int *)times;
    EXPECT_EQ(crank_remove_on_done(task, remove_itself, times), 0);
}
TEST_EACH_BACKEND(on_done, in_its_own_call_is_not_there_to_be_removed)
{
    int times = 0;
    crank_task *task = crank_spawn(word, "w");
    crank_try(crank_on_done(task, remove_itself, &times));
    crank_try(crank_await(task));
    crank_try(crank_sleep(0));
    EXPECT_EQ(times, 1);
    return 0;
}

static crank_future *removed_late;
static int remove_and_end(void)
{
    removed_late = crank_future_new();
    crank_try(crank_on_done(crank_future_task(removed_late), note_done, "1"));
    crank_try(crank_set_result(removed_late, 7));
    EXPECT_EQ(crank_remove_on_done(crank_future_task(removed_late), note_done, "1"), 1);
    return 0;
}
TEST(on_done, removed_as_the_run_ends_leaves_nothing)
{
    EXPECT_EQ(crank_run_with(&(crank_options){ .backend = CRANK_BACKEND_SIM }, remove_and_end), 0);
    EXPECT_TRAIL("");
}

TEST_EACH_BACKEND(on_done, of_an_ended_task_is_called_soon)
{
    static const char name[] = "late";
    crank_task *task = crank_spawn(word, "w");
    crank_try(crank_sleep(0));
    crank_try(crank_on_done(task, note_done, (void *)(uintptr_t)name));
    EXPECT_TRAIL("w");
    crank_try(settle());
    EXPECT_TRAIL("done:late");
    crank_try(crank_await(task));
    return 0;
}

static void ask_again(crank_task *task, void *arg)
{
    int *times = arg;
    if (++*times < 100000)
        (void)crank_on_done(task, ask_again, times);
}
static int ask_at_the_end(int *times) { return crank_on_done(crank_self(), ask_again, times); }
TEST(on_done, without_end_is_given_up_with_the_run_and_leaves_nothing)
{
    crank_options options = { .backend = CRANK_BACKEND_EPOLL };
    int times = 0;
    EXPECT_EQ(crank_run_with(&options, ask_at_the_end, &times), 0);
    EXPECT(times > 0 && times < 100000);
}
