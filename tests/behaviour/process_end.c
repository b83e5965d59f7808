/* SPDX-License-Identifier: MIT */
/* process_end.c: a program that ends between two looks of the library at whether it has.
 *
 * A poll of its pidfd can complete while it runs: one that was cancelled for the last waiter, when another has come
 * meanwhile. A look follows, and before the next poll another. Here the first look that finds the end says that there
 * is none yet, as one does that comes a moment earlier. */
#include <unistd.h>

#include "loop/loop.h"
#include "test.h"

static cr_sys table;
static const cr_sys *before;
static int status; /* of the program, -1: no look has found its end */

static int look_early(void *context, int fd, int *ret_status)
{
    if (status < 0) {
        (void)before->wait_pidfd(context, fd, &status);
        return 0;
    }
    *ret_status = status;
    return 1;
}

static void look_a_moment_earlier(void)
{
    status = -1;
    before = cr_loop_here->sys;
    table = *before;
    table.wait_pidfd = look_early;
    cr_loop_here->sys = &table;
}

static crank_process *start_reader(void)
{
    crank_process *p = crank_shell_start("read x; exit 3", &(crank_process_options){ .in = CRANK_PIPE });
    if (!p)
        crank_error_print();
    EXPECT(p);
    return p;
}
static int wait_for(crank_process *p) { return crank_process_wait(p); }

static int wait_and_end(void)
{
    crank_process *p = start_reader();
    look_a_moment_earlier();
    crank_task *waiting = crank_spawn(wait_for, p);
    EXPECT_EQ(crank_sleep(0), 0);
    EXPECT_EQ(crank_printf(crank_process_in(p), "x\n"), 0);
    EXPECT_EQ(crank_await(waiting), 3);
    cr_loop_here->sys = before;
    return crank_close(p);
}
static int close_it(void)
{
    crank_process *p = start_reader();
    look_a_moment_earlier();
    int err = crank_close(p);
    cr_loop_here->sys = before;
    EXPECT(status >= 0);
    return err;
}

#define TEST_BOTH(name, fn) \
    TEST_APP_(test_process_##fn##_e, "process", #name "_on_epoll", .backend = CRANK_BACKEND_EPOLL) { return fn(); } \
    TEST_APP_(test_process_##fn##_u, "process", #name "_on_uring", .backend = CRANK_BACKEND_URING) { return fn(); }
TEST_BOTH(that_ends_between_two_looks_wakes_those_that_wait, wait_and_end)
TEST_BOTH(that_ends_between_two_looks_is_closed, close_it)
