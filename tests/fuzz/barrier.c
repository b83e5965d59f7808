/* SPDX-License-Identifier: MIT */
/* barrier.c: so many go through together with the places 0 to parties - 1, whoever left the line before. */
#include "model.h"

enum { WAIT, RESET, ABORT, OPS };

static crank_barrier *barrier;
static int parties;
static bool broken;
static actor_line line;

static void open_barrier(unsigned variant)
{
    parties = (int)(variant % ACTORS) + 1;
    broken = false;
    line.count = 0;
    barrier = crank_barrier_new((size_t)parties);
    FUZZ_EXPECT(barrier);
}
static void close_barrier(void)
{
    FUZZ_EXPECT(line.count == 0);
    crank_barrier_free(barrier);
}
static void step(unsigned op, actor *a, unsigned arg)
{
    if (op == WAIT) {
        actor_tell(a, WAIT, arg);
        return;
    }
    broken = op == ABORT;
    for (actor *first; (first = line_shift(&line));)
        actor_decide(first, -EPIPE);
    if (op == ABORT)
        crank_barrier_abort(barrier);
    else
        crank_barrier_reset(barrier);
}
static void begin(actor *a)
{
    if (broken) {
        actor_decide(a, -EPIPE);
    } else if (line.count + 1 < parties) {
        line_join(&line, a);
    } else {
        actor_decide(a, parties - 1);
        for (int place = 0; line.count > 0; place++)
            actor_decide(line_shift(&line), place);
    }
}
static long call(actor *a)
{
    (void)a;
    return crank_barrier_wait(barrier);
}
static bool cancel(actor *a)
{
    FUZZ_EXPECT(line_leave(&line, a));
    actor_decide(a, -ECANCELED);
    return true;
}
static void check(void)
{
    FUZZ_EQUAL(crank_barrier_waiting(barrier), line.count);
    FUZZ_EQUAL(crank_barrier_broken(barrier), broken);
}

const model model_this = {
    .ops = OPS,
    .waiting = 1u << WAIT,
    .open = open_barrier,
    .close = close_barrier,
    .step = step,
    .begin = begin,
    .call = call,
    .cancel = cancel,
    .check = check,
};
const fuzz_target fuzz_this = { .name = "barrier", .length = 100, .in_task = true, .run = model_run };
