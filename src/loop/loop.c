/* SPDX-License-Identifier: MIT */
/* loop.c: what a loop can be asked.
 *
 * Owns which loop is this thread's, and the way between seconds and instants. The turn is turn.c's,
 * beginning and end are open.c's. */
#include "loop/loop.h"

void (*cr_watchdog_sleeps)(void);

__thread crank_loop *cr_loop_here __attribute__((tls_model("initial-exec")));

/* A positive span never becomes 0: a call with the least time still waits. */
int64_t cr_loop_nanoseconds(double seconds)
{
    if (__builtin_isnan(seconds))
        return -1;
    if (seconds <= 0)
        return 0;
    double span = seconds * (double)CR_SECOND;
    if (span >= (double)CR_NEVER)
        return CR_NEVER;
    return span < 1 ? 1 : (int64_t)(span + 0.5);
}

int64_t cr_loop_instant(double time)
{
    int64_t instant = cr_loop_nanoseconds(time);
    bool before = (double)instant / (double)CR_SECOND < time;
    return instant >= 0 && instant < CR_NEVER && before ? instant + 1 : instant;
}

/* Nothing to choose among one: it leaves no trace in the hash. */
size_t cr_loop_choose(crank_loop *loop, size_t n)
{
    const cr_backend_type *type = loop->backend->type;
    return type->choose && n > 1 ? type->choose(loop->backend, n) : 0;
}

/* Only a flag: the loop looks at it between turns. A program's would return with app unended. */
void crank_loop_stop(crank_loop *loop)
{
    cr_loop_check_given(loop, "crank_loop_stop");
    CR_CHECK(!loop->tasks,
        "crank_loop_stop: this is the loop of a program, which ends when app returns; cancel app "
        "with crank_cancel to end it early");
    loop->stopping = true;
}

bool crank_loop_running(const crank_loop *loop)
{
    cr_loop_check_given(loop, "crank_loop_running");
    return __atomic_load_n(&loop->running, __ATOMIC_RELAXED);
}

double crank_loop_time(crank_loop *loop)
{
    cr_loop_check_given(loop, "crank_loop_time");
    return (double)cr_now(loop) / (double)CR_SECOND;
}

crank_loop *crank_current_loop(void) { return cr_loop_here; }

const char *crank_backend_name(void)
{
    return cr_loop_here ? cr_loop_here->backend->type->name : NULL;
}

uint64_t crank_trace_hash(void)
{
    crank_loop *loop = cr_loop_here;
    if (!loop || !loop->backend->type->trace_hash)
        return 0;
    return loop->backend->type->trace_hash(loop->backend);
}
