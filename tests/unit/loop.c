/* SPDX-License-Identifier: MIT */
/* loop.c: the order within a turn, starving, and a loop that cannot be made. */
#include "loop/callback.h"
#include "loops.h"

/* A service that puts itself at the end of the line again: something is always ready. */
typedef struct spinner {
    cr_service service;
    crank_loop *loop;
    long turns;
    long limit;
    bool done;
} spinner;

static void spin(crank_loop *loop, cr_service *service)
{
    spinner *s = cr_container_of(service, spinner, service);
    if (s->done || ++s->turns == s->limit)
        crank_loop_stop(loop);
    else
        cr_service_push(loop, service);
}

static void start_spinning(spinner *s, crank_loop *loop, long limit)
{
    *s = (spinner){ .service.run = spin, .loop = loop, .limit = limit };
    cr_service_push(loop, &s->service);
}

static void end_spinning(void *arg) { ((spinner *)arg)->done = true; }

EACH_LOOP(turn, fires_timers_though_something_is_always_ready)
{
    spinner s;
    start_spinning(&s, loop, 1000000000);
    EXPECT(crank_call_later(loop, 0.002, end_spinning, &s));
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT(s.done);
}

/* What stands at the end of a pass runs once, in a loop that another one drives, too. */
typedef struct settler {
    cr_settle settle;
    crank_loop *loop;
    journal log;
} settler;
static void run_settler(crank_loop *loop, cr_settle *settle)
{
    settler *s = cr_container_of(settle, settler, settle);
    EXPECT(loop == s->loop && !settle->place);
    note(&s->log, 's');
}
static void ask_to_settle(void *arg)
{
    settler *s = arg;
    note(&s->log, 'c');
    cr_loop_settle(s->loop, &s->settle);
    cr_loop_settle(s->loop, &s->settle);
}
static void note_call(void *arg) { note(&((settler *)arg)->log, 'n'); }
EACH_LOOP(turn, runs_what_is_to_settle_once_at_its_end_where_another_loop_drives_it)
{
    settler s = { .settle.run = run_settler, .loop = loop };
    EXPECT(crank_call_soon(loop, ask_to_settle, &s) && crank_call_soon(loop, note_call, &s));
    crank_loop_run_once(loop, 0);
    EXPECT_STR(s.log.text, "cns");
    crank_loop_run_once(loop, 0);
    EXPECT_STR(s.log.text, "cns");
    cr_loop_settle(loop, &s.settle);
    crank_loop_run_once(loop, 0);
    EXPECT_STR(s.log.text, "cnss");
}

/* The clock of a simulation moves of itself only where something is ready without end. */
TEST(turn, without_anything_ready_begins_anew_to_count_those_that_pass_no_time)
{
    crank_loop *loop = open_loop(CRANK_BACKEND_SIM, 0);
    int64_t started = cr_now(loop);
    spinner s;
    for (int i = getenv("TEST_EMULATED") ? 90 : 0; i < 100; i++) {
        start_spinning(&s, loop, 150 * CR_STEPS);
        while (loop->runner.head)
            cr_turn(loop, false, 0);
        cr_turn(loop, false, 0);
    }
    EXPECT_EQ(cr_now(loop), started);
    start_spinning(&s, loop, 11000 * CR_STEPS);
    while (loop->runner.head)
        cr_turn(loop, false, 0);
    EXPECT(cr_now(loop) > started);
    crank_loop_free(loop);
}

EACH_LOOP(turn, looks_at_descriptors_though_something_is_always_ready)
{
    spinner s;
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    EXPECT_EQ(crank_add_reader(loop, ends[0], end_spinning, &s), 0);
    start_spinning(&s, loop, 1000000000);
    EXPECT_EQ(write(ends[1], "x", 1), 1);
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT(s.done);
    crank_remove_reader(loop, ends[0]);
    close(ends[0]);
    close(ends[1]);
}

typedef struct stop_post {
    cr_post post;
    spinner *spinner;
} stop_post;

static void deliver_stop(cr_post *post) { cr_container_of(post, stop_post, post)->spinner->done = true; }

EACH_LOOP(turn, delivers_posts_though_something_is_always_ready)
{
    spinner s;
    stop_post stop = { .post.deliver = deliver_stop, .spinner = &s };
    start_spinning(&s, loop, 1000000000);
    cr_loop_post(loop, &stop.post);
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT(s.done && s.turns < 1000);
}

static void post_then_count(crank_loop *loop, cr_service *service)
{
    spinner *s = cr_container_of(service, spinner, service);
    static stop_post stop;
    if (s->turns == 0) {
        stop = (stop_post){ .post.deliver = deliver_stop, .spinner = s };
        cr_loop_post(loop, &stop.post);
    }
    if (s->done)
        crank_loop_stop(loop);
    else if (++s->turns < 1000)
        cr_service_push(loop, service);
}

EACH_LOOP(turn, delivers_a_post_of_its_own_thread_before_anything_else_runs)
{
    spinner s;
    start_spinning(&s, loop, 0);
    s.service.run = post_then_count;
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT_EQ(s.turns, 1);
}

TEST(turn, under_the_simulator_computing_takes_no_time_until_it_never_ends)
{
    if (getenv("TEST_EMULATED"))
        test_skip("two million turns take minutes in an emulator");
    crank_loop *loop = open_loop(CRANK_BACKEND_SIM, 0);
    spinner s;
    int64_t start = cr_now(loop);
    start_spinning(&s, loop, 500000);
    crank_loop_run(loop);
    EXPECT_EQ(cr_now(loop), start);
    start_spinning(&s, loop, 2000000);
    crank_loop_run(loop);
    EXPECT(cr_now(loop) > start);
    crank_loop_free(loop);
}

static int starved_calls;
static bool starved_yes(crank_loop *loop)
{
    (void)loop;
    return ++starved_calls == 3;
}

/* Calls that must not come. */
static enum cr_idle idle_never(crank_loop *loop)
{
    (void)loop;
    test_fail(__FILE__, __LINE__, "a starved loop has nothing to wait for");
    return CR_IDLE_DONE;
}

EACH_LOOP(turn, asks_the_layer_above_when_nothing_can_ever_happen)
{
    static const cr_hooks hooks = { .starved = starved_yes, .idle = idle_never };
    starved_calls = 0;
    loop->hooks = &hooks;
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT_EQ(starved_calls, 3);
    loop->hooks = NULL;
}

static int idle_calls;
static enum cr_idle idle_twice(crank_loop *loop)
{
    (void)loop;
    return ++idle_calls % 3 ? CR_IDLE_NOW : CR_IDLE_DONE;
}

static void stop_loop(void *arg) { crank_loop_stop(arg); }

/* Three sequence until all is done, then none before a second has passed and something has run. */
TEST(turn, gives_housekeeping_its_moments_once_a_second)
{
    static const cr_hooks hooks = { .idle = idle_twice };
    crank_loop *loop = open_loop(CRANK_BACKEND_SIM, 0);
    loop->hooks = &hooks;
    for (int i = 1; i <= 40; i++) {
        loop->runner.switches++;
        crank_call_later(loop, 0.1, stop_loop, loop);
        crank_loop_run(loop);
    }
    EXPECT_EQ(idle_calls, 9);
    crank_call_later(loop, 60, stop_loop, loop);
    crank_loop_run(loop);
    int before = idle_calls;
    crank_call_later(loop, 60, stop_loop, loop);
    crank_loop_run(loop);
    EXPECT_EQ(idle_calls, before);
    crank_loop_free(loop);
}

/* A second later, though nothing has run meanwhile; then no more. */
static enum cr_idle idle_later(crank_loop *loop)
{
    (void)loop;
    return ++idle_calls % 2 ? CR_IDLE_LATER : CR_IDLE_DONE;
}
TEST(turn, comes_back_for_what_housekeeping_puts_off)
{
    static const cr_hooks hooks = { .idle = idle_later };
    crank_loop *loop = open_loop(CRANK_BACKEND_SIM, 0);
    loop->hooks = &hooks;
    loop->runner.switches++;
    const int expected[] = { 0, 0, 1, 2, 2 }; /* it is asked before a wait */
    for (int i = 0; i < 5; i++) {
        crank_call_later(loop, i == 0 ? 0.5 : 1, stop_loop, loop);
        crank_loop_run(loop);
        EXPECT_EQ(idle_calls, expected[i]);
    }
    crank_loop_free(loop);
}

/* Nothing else would end the sleep before its hour. */
static enum cr_idle idle_twice_then_stop(crank_loop *loop)
{
    enum cr_idle more = idle_twice(loop);
    if (more == CR_IDLE_DONE)
        crank_call_soon(loop, stop_loop, loop);
    return more;
}
TEST(turn, wakes_a_long_sleep_once_for_housekeeping)
{
    static const cr_hooks hooks = { .idle = idle_twice_then_stop };
    crank_loop *loop = open_loop(CRANK_BACKEND_EPOLL, 0);
    loop->hooks = &hooks;
    loop->runner.switches++;
    loop->tidy_at = cr_now(loop) + 2000000;
    double before = crank_loop_time(loop);
    crank_handle *hour = crank_call_later(loop, 3600, stop_loop, loop);
    crank_loop_run(loop);
    EXPECT_EQ(idle_calls, 3);
    EXPECT(crank_loop_time(loop) - before < 3600);
    crank_handle_cancel(hour);
    crank_loop_free(loop);
}

static void nothing(void *arg) { (void)arg; }

static void start_another(void *arg)
{
    spinner *s = arg;
    if (++s->turns < 5)
        crank_call_later(s->loop, 0, start_another, s);
}

EACH_LOOP(turn, does_not_run_what_a_due_timer_makes_due_in_the_same_turn)
{
    spinner s = { .loop = loop };
    crank_call_later(loop, 0, start_another, &s);
    for (int i = 1; i <= 5; i++) {
        crank_loop_run_once(loop, 0.001);
        EXPECT_EQ(s.turns, i);
    }
}

/* The table of OS calls whose k-th fallible call fails. */
static int calls_left;
static bool fails(void) { return calls_left-- == 0; }
static void *poor_alloc(void *context, size_t size) { return fails() ? NULL : cr_sys_real.alloc(context, size); }
static void *poor_alloc_zero(void *context, size_t size)
{
    return fails() ? NULL : cr_sys_real.alloc_zero(context, size);
}
static void *poor_resize(void *context, void *memory, size_t size)
{
    return fails() ? NULL : cr_sys_real.resize(context, memory, size);
}
static void *poor_map(void *context, size_t size) { return fails() ? NULL : cr_sys_real.map(context, size); }
static int poor_eventfd(void *context, unsigned value, int flags)
{
    return fails() ? -EMFILE : cr_sys_real.eventfd(context, value, flags);
}
static int poor_epoll_create(void *context, int flags)
{
    return fails() ? -EMFILE : cr_sys_real.epoll_create(context, flags);
}
static int poor_epoll_ctl(void *context, int epfd, int op, int fd, struct epoll_event *event)
{
    return fails() ? -ENOMEM : cr_sys_real.epoll_ctl(context, epfd, op, fd, event);
}

static cr_sys poor_sys(void)
{
    cr_sys sys = cr_sys_real;
    sys.alloc = poor_alloc;
    sys.alloc_zero = poor_alloc_zero;
    sys.resize = poor_resize;
    sys.map = poor_map;
    sys.eventfd = poor_eventfd;
    sys.epoll_create = poor_epoll_create;
    sys.epoll_ctl = poor_epoll_ctl;
    return sys;
}

/* Whatever fails, the errno says so and nothing is left behind: the runner looks. */
static void open_with_failures(crank_backend backend)
{
    cr_sys sys = poor_sys();
    crank_options options = { .backend = backend };
    int failures = 0;
    for (int k = 0;; k++) {
        crank_loop *loop = NULL;
        const char *why;
        EXPECT(k < 1000);
        calls_left = k;
        int err = cr_loop_open(&options, &sys, &loop, &why);
        if (err == 0) {
            cr_loop_close(loop);
            if (calls_left >= 0)
                break;
            continue;
        }
        EXPECT(err == -ENOMEM || err == -EMFILE);
        EXPECT(!loop);
        failures++;
    }
    EXPECT(failures >= 6);
}

TEST(loop, that_cannot_be_opened_leaves_nothing_behind_on_sim) { open_with_failures(CRANK_BACKEND_SIM); }
TEST(loop, that_cannot_be_opened_leaves_nothing_behind_on_epoll) { open_with_failures(CRANK_BACKEND_EPOLL); }

static void count(void *arg) { ++*(int *)arg; }

/* Each request fails cleanly or is served; the loop goes on. */
static void ask_with_failures(crank_backend backend)
{
    cr_sys sys = poor_sys();
    crank_options options = { .backend = backend };
    for (int k = 0; k < 40; k++) {
        int ends[2];
        int calls = 0;
        int expected = 0;
        calls_left = -1;
        crank_loop *loop = open_with(&options, &sys);
        EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
        calls_left = k;
        for (int i = 0; i < 100; i++) {
            expected += crank_call_soon(loop, count, &calls) != NULL;
            expected += crank_call_later(loop, 0.001, count, &calls) != NULL;
        }
        int err = crank_add_reader(loop, ends[0], count, &calls);
        EXPECT(err == 0 || err == -ENOMEM);
        EXPECT_EQ(crank_remove_reader(loop, ends[0]), err == 0);
        calls_left = -1;
        EXPECT_EQ(crank_loop_run(loop), 0);
        EXPECT_EQ(calls, expected);
        cr_loop_close(loop);
        close(ends[0]);
        close(ends[1]);
    }
}

TEST(loop, serves_on_when_memory_is_short_on_sim) { ask_with_failures(CRANK_BACKEND_SIM); }
TEST(loop, serves_on_when_memory_is_short_on_epoll) { ask_with_failures(CRANK_BACKEND_EPOLL); }

static void call_from_elsewhere(void *arg)
{
    cr_loop_here = NULL; /* as it is on any other thread */
    crank_call_soon(arg, nothing, NULL);
}

TEST_CHECKS_OUTSIDE(callback, asked_for_from_another_thread_is_refused, "crank_call_soon: called from another thread")
{
    crank_loop *loop = open_loop(CRANK_BACKEND_SIM, 0);
    EXPECT(crank_call_soon(loop, call_from_elsewhere, loop));
    crank_loop_run(loop);
}
