/* SPDX-License-Identifier: MIT */
/* epoll.c: how the epoll backend waits: for far deadlines one timer is armed, and stays so over many waits. */
#include <errno.h>
#include "backend/epoll.h"
#include "test.h"

static const cr_sys *const real = &cr_sys_real;
static struct {
    int timers, armed, timed_waits;
    int timer_error, arm_error;
} made;

static int make_timer(void *c) { return made.timers++, made.timer_error ? made.timer_error : real->timerfd(c); }
static int arm_timer(void *c, int fd, int64_t at)
{
    made.armed++;
    return made.arm_error ? made.arm_error : real->timerfd_set(c, fd, at);
}
static int count_wait(void *c, int set, struct epoll_event *events, int n, int64_t timeout_ns)
{
    made.timed_waits += timeout_ns > 0;
    return real->epoll_wait(c, set, events, n, timeout_ns);
}

static cr_backend *open_counted(int timer_error)
{
    static cr_sys sys;
    cr_backend *backend;
    memset(&made, 0, sizeof made);
    made.timer_error = timer_error;
    sys = cr_sys_real;
    sys.timerfd = make_timer;
    sys.timerfd_set = arm_timer;
    sys.epoll_wait = count_wait;
    EXPECT_EQ(cr_backend_epoll.open(&sys, 0, &backend), 0);
    return backend;
}

static int64_t after(int64_t ns) { return real->now(NULL) + ns; }

/* Each ends at once. */
static void wait_often(cr_backend *backend, int64_t span, int times)
{
    for (int i = 0; i < times; i++) {
        cr_backend_epoll.wake(backend);
        cr_backend_epoll.turn(backend, after(span));
    }
}

static void wait_until(cr_backend *backend, int64_t deadline)
{
    for (int turns = 0; real->now(NULL) < deadline; turns++) {
        EXPECT(turns < 10);
        cr_backend_epoll.turn(backend, deadline);
    }
}

TEST(epoll, waits_with_far_deadlines_share_a_timer)
{
    cr_backend *backend = open_counted(0);
    wait_often(backend, 60 * CR_SECOND, 100);
    EXPECT(made.timers == 1 && made.armed == 1);
    wait_often(backend, 30 * CR_SECOND, 100); /* sooner */
    EXPECT(made.timers == 1 && made.armed == 2);
    EXPECT_EQ(made.timed_waits, 0);
    wait_often(backend, 5 * CR_SECOND / 1000, 20); /* near, or past where this process had to wait */
    EXPECT(made.armed == 2 && made.timed_waits > 0);
    cr_backend_epoll.close(backend);
}

/* Also one that comes while the timer is armed for a later one, and one that follows it. */
TEST(epoll, a_wait_with_a_far_deadline_ends_at_it)
{
    cr_backend *backend = open_counted(0);
    wait_often(backend, 60 * CR_SECOND, 1);
    for (int i = 0; i < 3; i++)
        wait_until(backend, after(20 * CR_SECOND / 1000));
    EXPECT(made.armed > 1); /* those waits for which the time was still far when they began */
    cr_backend_epoll.close(backend);
}

TEST(epoll, without_a_timer_its_waits_have_timeouts)
{
    cr_backend *backend = open_counted(-EMFILE);
    wait_often(backend, CR_SECOND, 5);
    EXPECT(made.timers == 1 && made.armed == 0);
    EXPECT_EQ(made.timed_waits, 5);
    cr_backend_epoll.close(backend);
    backend = open_counted(0);
    made.arm_error = -ENOMEM;
    wait_often(backend, CR_SECOND, 5);
    EXPECT(made.armed == 5 && made.timed_waits == 5);
    made.arm_error = 0;
    wait_often(backend, CR_SECOND, 5);
    EXPECT(made.armed == 6 && made.timed_waits == 5);
    cr_backend_epoll.close(backend);
}
