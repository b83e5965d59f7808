/* SPDX-License-Identifier: MIT */
/* lock.c: a lock has one holder, and goes to the first in line. */
#include "model.h"

enum { ACQUIRE, ACQUIRE_NOWAIT, RELEASE, OPS };

static crank_lock *lock;
static actor *holder;
static actor_line line;

static void open_lock(unsigned variant)
{
    (void)variant;
    holder = NULL;
    line.count = 0;
    lock = crank_lock_new();
    FUZZ_EXPECT(lock);
}
static void close_lock(void)
{
    FUZZ_EXPECT(!holder && line.count == 0);
    crank_lock_free(lock);
}
/* What would be a mistake becomes what is none: who holds the lock releases it, who does not acquires it. */
static void step(unsigned op, actor *a, unsigned arg)
{
    actor_tell(a, holder == a ? RELEASE : op == RELEASE ? ACQUIRE : op, arg);
}

static void take(actor *a, long outcome)
{
    holder = a;
    actor_decide(a, outcome);
}
static void begin(actor *a)
{
    switch (a->op) {
    case ACQUIRE:
        if (holder)
            line_join(&line, a);
        else
            take(a, 0);
        break;
    case ACQUIRE_NOWAIT:
        if (holder)
            actor_decide(a, -EAGAIN);
        else
            take(a, 0);
        break;
    default:
        actor_decide(a, 0);
        holder = line_shift(&line);
        if (holder)
            actor_decide(holder, 0);
    }
}
static long call(actor *a)
{
    switch (a->op) {
    case ACQUIRE: return crank_lock_acquire(lock);
    case ACQUIRE_NOWAIT: return crank_lock_acquire_nowait(lock);
    default: crank_lock_release(lock); return 0;
    }
}
static bool cancel(actor *a)
{
    FUZZ_EXPECT(line_leave(&line, a));
    actor_decide(a, -ECANCELED);
    return true;
}
static void check(void) { FUZZ_EQUAL(crank_lock_held(lock), holder != NULL); }
static void give_up(actor *a)
{
    if (holder == a)
        actor_tell(a, RELEASE, 0);
}

const model model_this = {
    .ops = OPS,
    .waiting = 1u << ACQUIRE,
    .open = open_lock,
    .close = close_lock,
    .step = step,
    .begin = begin,
    .call = call,
    .cancel = cancel,
    .check = check,
    .give_up = give_up,
};
const fuzz_target fuzz_this = { .name = "lock", .length = 100, .in_task = true, .run = model_run };
