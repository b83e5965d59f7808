/* SPDX-License-Identifier: MIT */
/* condition.c: two conditions of one lock: a wait returns with the lock, and no notification is lost.
 *
 * A notified task stands in the lock's line. When it is cancelled there its notification goes to the next, and it
 * still returns with the lock; a second request is then kept for its next wait. */
#include "model.h"

enum { ACQUIRE, RELEASE, WAIT, NOTIFY, NOTIFY_ALL, OPS, CONDITIONS = 2 };

static crank_lock *lock;
static crank_condition *conditions[CONDITIONS];
static actor *holder;
static actor_line lock_line, lines[CONDITIONS];

static void open_conditions(unsigned variant)
{
    (void)variant;
    holder = NULL;
    lock_line.count = 0;
    lock = crank_lock_new();
    FUZZ_EXPECT(lock);
    for (int i = 0; i < CONDITIONS; i++) {
        lines[i].count = 0;
        conditions[i] = crank_condition_new(lock);
        FUZZ_EXPECT(conditions[i]);
    }
}
static void close_conditions(void)
{
    FUZZ_EXPECT(!holder && lock_line.count == 0 && lines[0].count == 0 && lines[1].count == 0);
    for (int i = 0; i < CONDITIONS; i++)
        crank_condition_free(conditions[i]);
    crank_lock_free(lock);
}
/* What would be a mistake becomes what is none: everything but acquiring wants the lock. */
static void step(unsigned op, actor *a, unsigned arg)
{
    actor_tell(a, holder != a ? ACQUIRE : op == ACQUIRE ? WAIT : op, arg);
}
static unsigned which(const actor *a) { return a->arg % CONDITIONS; }

static void take(actor *a)
{
    holder = a;
    actor_decide(a, a->doomed ? -ECANCELED : 0);
}
static void pass_on(void)
{
    holder = NULL;
    actor *next = line_shift(&lock_line);
    if (next)
        take(next);
}
static void notify(unsigned condition, unsigned n)
{
    for (actor *a; n > 0 && (a = line_shift(&lines[condition])); n--) {
        a->retakes = true;
        line_join(&lock_line, a);
    }
}

static void begin(actor *a)
{
    a->doomed = a->retakes = false;
    switch (a->op) {
    case ACQUIRE:
        if (holder)
            line_join(&lock_line, a);
        else
            take(a);
        return;
    case WAIT:
        line_join(&lines[which(a)], a);
        pass_on();
        return;
    case RELEASE: pass_on(); break;
    case NOTIFY: notify(which(a), a->arg / CONDITIONS % 3); break;
    default: notify(which(a), ACTORS);
    }
    actor_decide(a, 0);
}
static long call(actor *a)
{
    crank_condition *condition = conditions[which(a)];
    switch (a->op) {
    case ACQUIRE: return crank_lock_acquire(lock);
    case WAIT: return crank_condition_wait(condition);
    case RELEASE: crank_lock_release(lock); return 0;
    case NOTIFY: crank_condition_notify(condition, a->arg / CONDITIONS % 3); return 0;
    default: crank_condition_notify_all(condition); return 0;
    }
}
static bool cancel(actor *a)
{
    if (a->retakes) {
        if (a->doomed)
            return true; /* answered with the first */
        a->doomed = true;
        notify(which(a), 1);
    } else if (line_leave(&lock_line, a)) {
        actor_decide(a, -ECANCELED);
    } else {
        FUZZ_EXPECT(line_leave(&lines[which(a)], a));
        a->doomed = a->retakes = true;
        if (holder)
            line_join(&lock_line, a);
        else
            take(a);
    }
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
    .waiting = 1u << ACQUIRE | 1u << WAIT,
    .open = open_conditions,
    .close = close_conditions,
    .step = step,
    .begin = begin,
    .call = call,
    .cancel = cancel,
    .check = check,
    .give_up = give_up,
};
const fuzz_target fuzz_this = { .name = "condition", .length = 120, .in_task = true, .run = model_run };
