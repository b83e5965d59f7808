/* SPDX-License-Identifier: MIT */
/* semaphore.c: permits, with and without a bound, go to the first in line and are never lost nor doubled. */
#include "model.h"

enum { ACQUIRE, ACQUIRE_NOWAIT, RELEASE, OPS };

static crank_semaphore *semaphore;
static size_t permits, bound;
static actor_line line;

static void open_semaphore(unsigned variant)
{
    permits = variant / 2 % 4;
    bound = variant % 2 ? permits : SIZE_MAX;
    line.count = 0;
    semaphore = variant % 2 ? crank_semaphore_new_bounded(permits) : crank_semaphore_new(permits);
    FUZZ_EXPECT(semaphore);
}
static void close_semaphore(void)
{
    FUZZ_EXPECT(line.count == 0);
    crank_semaphore_free(semaphore);
}
static void step(unsigned op, actor *a, unsigned arg)
{
    switch (op) {
    case ACQUIRE: actor_tell(a, ACQUIRE, arg); return;
    case ACQUIRE_NOWAIT:
        FUZZ_EQUAL(crank_semaphore_acquire_nowait(semaphore), permits ? 0 : -EAGAIN);
        permits -= permits > 0;
        return;
    default:
        if (permits == bound) /* a CHECK */
            return;
        crank_semaphore_release(semaphore);
        actor *first = line_shift(&line);
        if (first)
            actor_decide(first, 0);
        else
            permits++;
    }
}
static void begin(actor *a)
{
    if (permits == 0) {
        line_join(&line, a);
        return;
    }
    permits--;
    actor_decide(a, 0);
}
static long call(actor *a)
{
    (void)a;
    return crank_semaphore_acquire(semaphore);
}
static bool cancel(actor *a)
{
    FUZZ_EXPECT(line_leave(&line, a));
    actor_decide(a, -ECANCELED);
    return true;
}
static void check(void) { FUZZ_EQUAL(crank_semaphore_value(semaphore), permits); }

const model model_this = {
    .ops = OPS,
    .waiting = 1u << ACQUIRE,
    .open = open_semaphore,
    .close = close_semaphore,
    .step = step,
    .begin = begin,
    .call = call,
    .cancel = cancel,
    .check = check,
};
const fuzz_target fuzz_this = { .name = "semaphore", .length = 100, .in_task = true, .run = model_run };
