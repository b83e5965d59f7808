/* SPDX-License-Identifier: MIT */
/* cancel_everywhere_sim.c: the waiting calls of crank/sim.h, cancelled at every point.
 *
 * A kill that is cancelled has asked the tasks of the host to end all the same; a settling has changed nothing. */
#include <crank/sim.h>
#include "points.h"

static crank_task *task;

static int lives_on(void)
{
    int err = crank_sleep(1000);
    for (int i = 0; i < 5; i++)
        TOLD_EQ(crank_sleep(0), 0);
    return err;
}
static int make_host(void)
{
    task = crank_sim_host("host", lives_on);
    crank_try(crank_sleep(0));
    return task ? 0 : -errno;
}
static long do_kill(void) { return crank_sim_kill("host"); }
static int judge_kill(const struct told *t)
{
    TOLD(t->result == 0 || t->result == -ECANCELED);
    TOLD(t->result < 0 || crank_done(task));
    if (!t->begun || (t->asked && !t->asked_inside))
        crank_cancel(task);
    TOLD_EQ(crank_await(task), -ECANCELED);
    return 0;
}

static long do_settle(void) { return crank_sim_settle(5e-5); }
static int judge_settle(const struct told *t)
{
    TOLD(t->result == 0 || t->result == -ECANCELED);
    return 0;
}

static const struct row rows[] = {
    { "crank_sim_kill", "a host whose task takes some turns to end", make_host, do_kill, { 0 }, NULL, judge_kill, 0,
        NULL },
    { "crank_sim_settle", "another task runs", NULL, do_settle, { 0 }, NULL, judge_settle, 0, NULL },
};

TEST_SEEDS(cancel, at_every_point_of_a_simulated_end_leaves_no_task, 5)
{
    return try_rows(rows, CRANK_COUNT(rows), true);
}
