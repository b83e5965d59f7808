/* SPDX-License-Identifier: MIT */
/* debug.c: what debug mode finds: frames that have gone, tasks that wait for their children for long, handles that
 * pile up. */
#include <ucontext.h>
#include "base/base.h"
#include "trail.h"

static char reported[4096];
static enum crank_report_kind kind;
static int reports;
static void keep(const crank_report *report, void *arg)
{
    (void)arg;
    reports++;
    kind = report->kind;
    snprintf(reported, sizeof reported, "%s", report->text);
}
static const crank_options debug = { .backend = CRANK_BACKEND_SIM, .debug = true, .on_report = keep };

static int use_later(int *n)
{
    crank_try(crank_sleep(1));
    return *n;
}
__attribute__((noinline)) static void spawn_with_a_local(void)
{
    int local = 5;
    crank_spawn(use_later, &local);
}
static int parent_of_a_gone_frame(void)
{
    spawn_with_a_local();
    return 0;
}

TEST_CHECKS_OUTSIDE(
    debug, a_child_that_points_into_a_frame_that_has_gone_is_refused, "points into a frame of its parent")
{
    (void)crank_run_with(&debug, parent_of_a_gone_frame);
}

static int use_second_later(int n, int *of)
{
    crank_try(crank_sleep(1));
    return of[n];
}
__attribute__((noinline)) static void spawn_with_a_second(int n)
{
    int local[2] = { 5, 6 };
    crank_spawn(use_second_later, n, local);
}
static int parent_of_a_gone_second(void)
{
    spawn_with_a_second(1);
    return 0;
}
TEST_CHECKS_OUTSIDE(debug, names_the_argument_that_points_there, "argument 2 of task")
{
    (void)crank_run_with(&debug, parent_of_a_gone_second);
}

/* What lay in a register that no argument of the call came in is no argument. */
static int take_real(int n, double seconds)
{
    crank_try(crank_sleep(seconds));
    return n;
}
static int take_real_first(double seconds, const int *n)
{
    crank_try(crank_sleep(seconds));
    return *n;
}
__attribute__((noinline)) static double leave_in_registers(const int *a, const int *b, const int *c, const int *d)
{
    __asm__ volatile("" : : "r"(a), "r"(b), "r"(c), "r"(d));
    return 0.5;
}
static int nine = 9;
__attribute__((noinline)) static void spawn_after_a_call_with_addresses(crank_task **tasks)
{
    int local = 5;
    tasks[0] = crank_spawn(take_real, 1, leave_in_registers(&local, &local, &local, &local));
    (void)leave_in_registers(&local, &local, &local, &local);
    tasks[1] = crank_spawn(take_real_first, 1, &nine); /* an int that becomes a double */
}
static int spawns_with_reals(void)
{
    crank_task *tasks[2];
    long results[2];
    spawn_after_a_call_with_addresses(tasks);
    crank_try(crank_await(crank_spawn(take_real, 0, 0.0))); /* which looks whose frames have gone */
    crank_try(crank_gather_n(tasks, 2, results));
    return (int)(results[0] + results[1]);
}
TEST(debug, a_real_argument_is_not_taken_for_an_address)
{
    EXPECT_EQ(crank_run_with(&debug, spawns_with_reals), 10);
    EXPECT_EQ(reports, 0);
}

__attribute__((noinline)) static int spawn_many(int a)
{
    int local = a;
    crank_task *t = crank_spawn(use_later, &local);
    int n = (int)crank_await(t);
    return n;
}
static int awaits_in_the_frame(void)
{
    int sum = 0;
    for (int i = 0; i < 5; i++)
        sum += spawn_many(i);
    return sum;
}
TEST(debug, a_child_awaited_in_the_frame_it_points_into_is_fine)
{
    EXPECT_EQ(crank_run_with(&debug, awaits_in_the_frame), 10);
    EXPECT_EQ(reports, 0);
}

/* A program may have stacks of its own: of what is above their frames nothing is known. */
static struct {
    _Alignas(16) char stack[65536];
    int value;
} own;
static ucontext_t outside;
static void spawn_from_there(void) { crank_spawn(use_later, &own.value); }
static int spawns_on_a_stack_of_its_own(void)
{
    static ucontext_t inside;
    EXPECT_EQ(getcontext(&inside), 0);
    inside.uc_stack = (stack_t){ .ss_sp = own.stack, .ss_size = sizeof own.stack };
    inside.uc_link = &outside;
    makecontext(&inside, spawn_from_there, 0);
    EXPECT_EQ(swapcontext(&outside, &inside), 0);
    return 0;
}
TEST(debug, a_child_spawned_on_a_stack_of_the_programs_own_is_left_alone)
{
    if (CR_SWITCH_SANITIZED)
        test_skip("a sanitizer must be told of every change of stacks");
    EXPECT_EQ(crank_run_with(&debug, spawns_on_a_stack_of_its_own), 0);
    EXPECT_EQ(reports, 0);
}

static int long_child(double seconds) { return crank_sleep(seconds); }
static int returns_early(void)
{
    crank_spawn(long_child, 15.0);
    return 0;
}
static int app_with_early_return(void) { return (int)crank_await(crank_spawn(returns_early)); }
TEST(debug, a_task_that_has_returned_is_named_when_its_children_take_long)
{
    EXPECT_EQ(crank_run_with(&debug, app_with_early_return), 0);
    EXPECT_EQ(reports, 1);
    EXPECT_EQ(kind, CRANK_REPORT_LEFTOVER);
    EXPECT_CONTAINS(reported, "returns_early");
}
TEST(debug, is_silent_about_short_waits_for_children)
{
    crank_options patient = debug;
    patient.grace = 20;
    EXPECT_EQ(crank_run_with(&patient, app_with_early_return), 0);
    EXPECT_EQ(reports, 0);
}

static int waits_for(crank_event *event) { return crank_event_wait(event); }
static int leaves_a_stuck_child(crank_event *never)
{
    crank_spawn(waits_for, never);
    return 0;
}
static int app_with_a_stuck_grandchild(void)
{
    CRANK_EVENT(never);
    return (int)crank_await(crank_spawn(leaves_a_stuck_child, never));
}
TEST(debug, a_deadlock_below_a_task_that_has_returned_is_told_at_once)
{
    EXPECT_EQ(crank_run_with(&debug, app_with_a_stuck_grandchild), -EDEADLK);
    EXPECT_EQ(reports, 1);
    EXPECT_EQ(kind, CRANK_REPORT_DEADLOCK);
}

static int pile_up(void)
{
    for (int i = 0; i < 1500; i++) {
        crank_spawn(long_child, 0.0);
        if (i % 100 == 0)
            crank_try(crank_sleep(0));
    }
    return crank_sleep(1);
}
TEST(debug, a_thousand_unclaimed_children_of_one_place_are_reported_once)
{
    EXPECT_EQ(crank_run_with(&debug, pile_up), 0);
    EXPECT_EQ(reports, 1);
    EXPECT_EQ(kind, CRANK_REPORT_UNCLAIMED);
    EXPECT_CONTAINS(reported, "1000 ended tasks of long_child, spawned at tests/behaviour/debug.c:");
    EXPECT_CONTAINS(reported, "crank_drop");
}

static int leaves_two(void)
{
    crank_set_name(crank_spawn(long_child, 5.0), "child");
    crank_task *detached = crank_spawn(long_child, 5.0);
    crank_set_name(detached, "detached");
    crank_detach(detached);
    return crank_sleep(1);
}
TEST(debug, names_each_task_that_apps_end_cancels)
{
    crank_options options = debug;
    options.leftovers = CRANK_CANCEL;
    EXPECT_EQ(crank_run_with(&options, leaves_two), 0);
    EXPECT_EQ(reports, 2);
    EXPECT_EQ(kind, CRANK_REPORT_LEFTOVER);
    EXPECT_CONTAINS(reported, "cancelled because app has ended");
    EXPECT_CONTAINS(reported, "name='detached' fn=long_child");
    options.debug = false;
    EXPECT_EQ(crank_run_with(&options, leaves_two), 0);
    EXPECT_EQ(reports, 2);
}
