/* SPDX-License-Identifier: MIT */
/* generator_end.c: generators that nobody closes, that are handed to another task, or whose task is
 * cancelled: what their bodies have open is not lost. */
#include "trail.h"

static char reported[1024];
static int reports;
static void keep(const crank_report *report, void *arg)
{
    (void)arg;
    reports++;
    snprintf(reported, sizeof reported, "%s", report->text);
}
static const crank_options kept = { .backend = CRANK_BACKEND_SIM, .on_report = keep };

static int body(const char *name, int to)
{
    int err = 0;
    for (int i = 0; i < to && err == 0; i++)
        err = crank_yield(i);
    if (err == -ECANCELED)
        EXPECT_EQ(crank_sleep(1), 0);
    say("%s%d", name, err);
    return err;
}

static int leave_one(void)
{
    int n;
    return crank_next(crank_generate(body, "a", 9), &n) - 1;
}
TEST(generator, nobody_closes_is_closed_when_the_run_ends)
{
    EXPECT_EQ(crank_run_with(&kept, leave_one), 0);
    EXPECT_TRAIL("a-125");
    EXPECT_EQ(reports, 1);
    EXPECT_CONTAINS(reported, "generator body");
    EXPECT_CONTAINS(reported, "generator_end.c:");
}

static int leave_in_a_child(void)
{
    crank_try(crank_await(crank_spawn(leave_one)));
    say("app");
    return 0;
}
TEST(generator, a_tasks_end_leaves_open_is_closed_when_the_run_ends)
{
    EXPECT_EQ(crank_run_with(&kept, leave_in_a_child), 0);
    EXPECT_TRAIL("app a-125");
    EXPECT_EQ(reports, 1);
}

static int never_asked(void) { return crank_generate(body, "a", 9) && crank_generate(body, "b", 9) ? 0 : -ENOMEM; }
TEST(generator, that_was_never_asked_nor_closed_costs_nothing)
{
    EXPECT_EQ(crank_run_with(&kept, never_asked), 0);
    EXPECT_TRAIL("");
}

static bool odd(int n) { return n % 2; }
static int delegate(crank_generator *given)
{
    int err = (int)crank_yield_from(given);
    say("delegate%d", err);
    return err;
}
static int over_an_own(int to)
{
    crank_foreach(int, n, crank_generate(body, "inner", to)) crank_try(crank_yield(n));
    return 0;
}
static int leave_nested(void)
{
    int n = -1;
    crank_generator *filtered = crank_filter(int, crank_generate(body, "source", 9), odd);
    EXPECT_EQ(crank_next(filtered, &n), 1);
    crank_generator *outer = crank_generate(delegate, crank_generate(body, "given", 9));
    EXPECT_EQ(crank_next(outer, &n), 1);
    EXPECT_EQ(crank_next(crank_generate(over_an_own, 9), &n), 1);
    crank_generate(delegate, crank_generate(body, "unasked", 9));
    return 0;
}
TEST(generator, nests_left_open_are_closed_from_the_outside)
{
    EXPECT_EQ(crank_run_with(&kept, leave_nested), 0);
    EXPECT_TRAIL("source-125 given-125 delegate-125 inner-125");
}

static int child(const char *name, double seconds)
{
    int err = crank_sleep(seconds);
    say("%s%d", name, err);
    return err;
}
static int with_group(void)
{
    CRANK_GROUP(group);
    crank_group_spawn(&group, child, "c", 100.0);
    crank_try(crank_yield(1));
    return crank_group_wait(&group);
}
static int leave_a_group_asleep(void)
{
    int n;
    return crank_next(crank_generate(with_group), &n) - 1 + crank_sleep(1);
}
TEST(generator, left_open_with_a_group_inside_ends_its_children)
{
    EXPECT_EQ(crank_run_with(&kept, leave_a_group_asleep), 0);
    EXPECT_TRAIL("c-125");
}

static int bad_cleanup(void)
{
    if (crank_yield(1) < 0)
        return crank_fail(EIO, "could not flush");
    return 0;
}
static int leave_a_bad_one(void)
{
    int n;
    return crank_next(crank_generate(bad_cleanup), &n) - 1;
}
TEST(generator, left_open_whose_cleanup_fails_is_reported_with_that)
{
    EXPECT_EQ(crank_run_with(&kept, leave_a_bad_one), 0);
    EXPECT_EQ(reports, 2);
    EXPECT_CONTAINS(reported, "could not flush");
}

static int deadlocked(void)
{
    int n;
    CRANK_EVENT(event);
    if (crank_next(crank_generate(body, "a", 9), &n) < 0)
        return -EINVAL;
    return crank_event_wait(event);
}
TEST(generator, left_open_is_closed_after_a_deadlock_too)
{
    EXPECT_EQ(crank_run_with(&kept, deadlocked), -EDEADLK);
    EXPECT_TRAIL("a-125");
}

/* ---- one generator, two tasks */

static int take_one(crank_generator *g)
{
    int n = -1;
    int more = crank_next(g, &n);
    return more < 0 ? more : n;
}

static int delegate_all(void)
{
    crank_generator *inner = crank_generate(body, "inner", 3);
    return (int)crank_yield_from(inner);
}
static int take_under_a_limit(crank_generator *g)
{
    CRANK_TIMEOUT(limit, 10.0);
    return take_one(g);
}
TEST_SIM(generator, that_delegates_can_be_handed_from_task_to_task)
{
    crank_generator *g = crank_generate(delegate_all);
    EXPECT_EQ(crank_await(crank_spawn(take_one, g)), 0);
    EXPECT_EQ(crank_await(crank_spawn(take_under_a_limit, g)), 1);
    EXPECT_EQ(take_under_a_limit(g), 2);
    EXPECT_EQ(crank_await(crank_spawn(take_one, g)), -1);
    EXPECT_TRAIL("inner0");
    return crank_generator_close(g);
}

static crank_task *inner_child;
static int asks_for_its_parent(void)
{
    inner_child = crank_self();
    return crank_sleep(100);
}
static int group_across(void)
{
    CRANK_GROUP(group);
    crank_group_spawn(&group, asks_for_its_parent);
    crank_try(crank_yield(1));
    crank_try(crank_yield(2));
    return 0;
}

TEST_SIM(generator, a_groups_children_belong_to_whoever_runs_it)
{
    crank_generator *g = crank_generate(group_across);
    EXPECT_EQ(crank_await(crank_spawn(take_one, g)), 1);
    crank_try(crank_sleep(1));
    EXPECT(!crank_parent(inner_child));
    EXPECT_EQ(take_one(g), 2);
    EXPECT(!crank_parent(inner_child));
    EXPECT_EQ(crank_generator_close(g), 0);
    return 0;
}

static int asks_inside(void)
{
    CRANK_GROUP(group);
    crank_group_spawn(&group, asks_for_its_parent);
    crank_try(crank_yield(1));
    crank_try(crank_sleep(1));
    crank_try(crank_yield(2));
    return 0;
}
static int check_parent(crank_task *expected)
{
    EXPECT(crank_parent(inner_child) == expected);
    return 0;
}
TEST_SIM(generator, a_groups_children_know_the_task_that_runs_it_now)
{
    crank_generator *g = crank_generate(asks_inside);
    EXPECT_EQ(crank_await(crank_spawn(take_one, g)), 1);
    crank_try(crank_sleep(0));
    crank_spawn(check_parent, crank_self());
    EXPECT_EQ(take_one(g), 2);
    return crank_generator_close(g);
}

static int fails(void) { return crank_fail(EIO, "the child failed"); }
static int group_that_fails(void)
{
    CRANK_GROUP(group);
    crank_group_spawn(&group, fails);
    crank_try(crank_yield(1));
    int err = crank_sleep(100);
    say("%d", err);
    return crank_group_wait(&group);
}
TEST_SIM(generator, a_group_that_fails_asleep_interrupts_who_goes_on)
{
    crank_generator *g = crank_generate(group_that_fails);
    EXPECT_EQ(crank_await(crank_spawn(take_one, g)), 1);
    crank_try(crank_sleep(1));
    EXPECT_EQ(take_one(g), -EIO);
    EXPECT_STR(crank_error(), "the child failed");
    EXPECT_TRAIL("-125");
    return crank_generator_close(g);
}

static int limited(void)
{
    CRANK_TIMEOUT(limit, 2.0);
    crank_try(crank_yield(1));
    crank_try(crank_sleep(100));
    return 0;
}
static int go_on_after_a_request(crank_generator *g)
{
    EXPECT_EQ(crank_sleep(100), -ECANCELED);
    return take_one(g);
}
TEST_SIM(generator, a_limit_inside_is_still_its_own_in_a_task_that_was_asked_before)
{
    crank_generator *g = crank_generate(limited);
    EXPECT_EQ(take_one(g), 1);
    crank_task *task = crank_spawn(go_on_after_a_request, g);
    crank_try(crank_sleep(1));
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), -ETIMEDOUT);
    return crank_generator_close(g);
}

static int closes_when_asked(crank_generator *g)
{
    int err = crank_sleep(100);
    int closed = crank_generator_close(g);
    say("%d %d", err, closed);
    return 0;
}
static int waits_in_its_cleanup(void)
{
    int err = crank_yield(1);
    int wait = crank_sleep(1);
    say("%d %d", err, wait);
    return err;
}
TEST_SIM(generator, closed_by_a_cancelled_task_may_wait_and_is_interrupted_by_a_second_request)
{
    crank_generator *g = crank_generate(waits_in_its_cleanup);
    EXPECT_EQ(take_one(g), 1);
    crank_task *task = crank_spawn(closes_when_asked, g);
    crank_try(crank_sleep(1));
    crank_cancel(task);
    crank_try(crank_sleep(0.5));
    crank_cancel(task);
    EXPECT_EQ(crank_await(task), 0);
    EXPECT_TRAIL("-125 -125 -125 -125");
    return 0;
}

static crank_generator *around;
static int asks_around(void) { return take_one(around); }
static int runs_its_asker(void)
{
    CRANK_GROUP(group);
    crank_group_spawn(&group, asks_around);
    crank_try(crank_yield(1));
    return crank_group_wait(&group);
}
TEST_CHECKS(generator, asked_by_a_child_of_a_group_inside_is_refused, "is a child of a group inside")
{
    around = crank_generate(runs_its_asker);
    EXPECT_EQ(take_one(around), 1);
    return crank_sleep(1);
}

/* ---- failures on the way out */

static int integers(void)
{
    for (int i = 1;; i++)
        crank_try(crank_yield(i));
}
TEST_SIM(adaptor, take_passes_on_what_is_thrown_in)
{
    int n;
    crank_generator *g = crank_take(crank_generate(integers), 5);
    EXPECT_EQ(crank_next(g, &n), 1);
    EXPECT_EQ(crank_throw(g, EPROTO), -EPROTO);
    EXPECT_EQ(crank_generator_close(g), 0);
    return 0;
}
TEST_SIM(adaptor, what_is_sent_to_take_is_for_nobody)
{
    int n;
    crank_generator *g = crank_take(crank_generate(integers), 5);
    EXPECT_EQ(crank_next(g, &n), 1);
    EXPECT_EQ(crank_send(g, 7, &n), 1);
    EXPECT_EQ(n, 2);
    EXPECT_EQ(crank_generator_close(g), 0);
    return 0;
}

/* Python's zip(it, it): the fifth has no partner. */
TEST_SIM(adaptor, zip_of_one_with_itself_takes_its_values_in_pairs)
{
    typedef CRANK_PAIR(int, int) pair;
    crank_generator *g = crank_generate(body, "it", 5);
    crank_foreach(pair, p, crank_zip(int, g, int, g)) say("%d+%d", p.first, p.second);
    EXPECT_TRAIL("0+1 2+3 it0");
    g = crank_generate(body, "it", 5);
    crank_foreach(pair, p, crank_zip(int, g, int, g)) break;
    EXPECT_TRAIL("it-125");
    EXPECT_EQ(crank_close(crank_zip(int, NULL, int, NULL)), 0);
    return 0;
}

static int breaks_when_closed(void) { return crank_yield(1) < 0 ? crank_fail(EIO, "cleanup broke") : 0; }
static int fails_without_a_word(void) { return crank_yield(1) < 0 ? -EIO : 0; }
static int delegates_to_it(void)
{
    crank_try(crank_yield_from(crank_generate(breaks_when_closed)));
    return 0;
}
TEST_SIM(yield_from, a_failure_of_the_inner_ones_closing_is_what_the_outer_one_ends_with)
{
    crank_generator *g = crank_generate(delegates_to_it);
    EXPECT_EQ(take_one(g), 1);
    EXPECT_EQ(crank_generator_close(g), -EIO);
    EXPECT_STR(crank_error(), "cleanup broke");
    return 0;
}

static int returns_from_the_loop(void)
{
    crank_foreach(int, n, crank_generate(fails_without_a_word)) return n - 1;
    return -1;
}
TEST(generator, whose_closing_fails_without_a_word_is_reported_all_the_same)
{
    EXPECT_EQ(crank_run_with(&kept, returns_from_the_loop), 0);
    EXPECT_EQ(reports, 1);
    EXPECT_CONTAINS(reported, "unawaited failure: of a generator that was closed");
    EXPECT_CONTAINS(reported, "[EIO]");
}

static int is_cancelled_when_it_collects(void)
{
    int all[4];
    crank_generator *g = crank_generate(breaks_when_closed);
    EXPECT_EQ(take_one(g), 1);
    crank_cancel(crank_self());
    return crank_collect(g, all, 4) == -ECANCELED ? 0 : 1;
}
TEST(collect, reports_a_failure_of_the_closing_that_its_own_hides)
{
    EXPECT_EQ(crank_run_with(&kept, is_cancelled_when_it_collects), 0);
    EXPECT_EQ(reports, 1);
    EXPECT_CONTAINS(reported, "cleanup broke");
}

static int with_a_limit(void)
{
    CRANK_TIMEOUT(t, 2.5);
    for (int i = 1;; i++)
        crank_try(crank_yield(i));
}
static int breaks_off_after_the_limit(void)
{
    crank_foreach(int, n, crank_generate(with_a_limit))
    {
        crank_try(crank_sleep(5 * n));
        break;
    }
    crank_generator *g = crank_generate(with_a_limit);
    EXPECT_EQ(take_one(g), 1);
    crank_try(crank_sleep(5));
    EXPECT_EQ(crank_generator_close(g), 0);
    return 0;
}
TEST(generator, closed_after_a_limit_inside_has_passed_has_not_failed)
{
    EXPECT_EQ(crank_run_with(&kept, breaks_off_after_the_limit), 0);
    EXPECT_EQ(reports, 0);
}

static int gives_one_after_a_while(void)
{
    crank_try(crank_sleep(5));
    return crank_yield(1);
}
TEST_CHECKS(generator, asked_by_two_tasks_at_once_is_refused, "asked by another task already")
{
    crank_generator *g = crank_generate(gives_one_after_a_while);
    return crank_gather(NULL, crank_spawn(take_one, g), crank_spawn(take_one, g));
}

static int leave_one_within(void)
{
    int n;
    crank_try(crank_next(crank_generate(body, "inner", 9), &n));
    return crank_yield(1) == 0 ? 0 : -EIO;
}
static int ask_to_the_end(void)
{
    int n;
    CRANK_AUTO_GENERATOR crank_generator *outer = crank_generate(leave_one_within);
    EXPECT_EQ(crank_next(outer, &n), 1);
    EXPECT_EQ(crank_next(outer, &n), 0);
    return 0;
}
TEST(generator, that_an_ended_one_left_open_is_closed_when_the_run_ends)
{
    EXPECT_EQ(crank_run_with(&kept, ask_to_the_end), 0);
    EXPECT_TRAIL("inner-125");
    EXPECT_EQ(reports, 1);
    EXPECT_CONTAINS(reported, "was left open and is closed now");
}

static int slow_to_close(void)
{
    int err = crank_yield(1);
    EXPECT_EQ(crank_sleep(15), 0); /* nobody asks for its end, however long it takes */
    say("%d", err);
    return err;
}
static int leave_one_and_a_detached_task(void)
{
    int n;
    crank_detach(crank_spawn(crank_sleep, 1e9));
    EXPECT_EQ(crank_next(crank_generate(slow_to_close), &n), 1);
    return crank_sleep(1);
}
TEST(generator, closed_when_the_run_ends_takes_its_time_whoever_was_waited_for_before)
{
    EXPECT_EQ(crank_run_with(&kept, leave_one_and_a_detached_task), 0);
    EXPECT_TRAIL("-125");
    EXPECT_EQ(reports, 1); /* that it was left open */
}

#if defined(__x86_64__)
/* The argument's register as the caller left it: clang's functions count on what is above a narrow value. */
__attribute__((naked)) static long register_of(__attribute__((unused)) short value)
{
    __asm__("movq %rdi, %rax\n\tret");
}
__attribute__((naked)) static long register_of_unsigned(__attribute__((unused)) unsigned short value)
{
    __asm__("movq %rdi, %rax\n\tret");
}
static int one_unsigned(unsigned short value) { return crank_yield(value); }
static int shorts(void)
{
    static const short values[] = { -2, 3, -32768 };
    for (size_t i = 0; i < CRANK_COUNT(values); i++)
        crank_try(crank_yield(values[i]));
    return 0;
}
TEST_SIM(adaptor, map_gives_its_function_narrow_values_as_a_caller_would)
{
    long values[3];
    EXPECT_EQ(crank_collect(crank_map(long, short, crank_generate(shorts), register_of), values, 3), 3);
    EXPECT_EQ(values[0], -2);
    EXPECT_EQ(values[1], 3);
    EXPECT_EQ(values[2], -32768);
    EXPECT_EQ(crank_collect(crank_map(long, unsigned short, crank_generate(one_unsigned, 65534), register_of_unsigned),
                  values, 1),
        1);
    EXPECT_EQ(values[0], 65534);
    return 0;
}
#endif
