/* SPDX-License-Identifier: MIT */
/* event.c: whoever waits when an event is raised goes on, and nobody waits while it is. */
#include "model.h"

enum { WAIT, SET, CLEAR, OPS };

static crank_event *event;
static bool raised;
static actor_line line;

static void open_event(unsigned variant)
{
    raised = variant & 1;
    line.count = 0;
    event = crank_event_new();
    FUZZ_EXPECT(event);
    if (raised)
        crank_event_set(event);
}
static void close_event(void)
{
    FUZZ_EXPECT(line.count == 0);
    crank_event_free(event);
}
static void step(unsigned op, actor *a, unsigned arg)
{
    switch (op) {
    case WAIT: actor_tell(a, WAIT, arg); return;
    case SET:
        raised = true;
        for (actor *first; (first = line_shift(&line));)
            actor_decide(first, 0);
        crank_event_set(event);
        return;
    default: raised = false; crank_event_clear(event);
    }
}
static void begin(actor *a)
{
    if (raised)
        actor_decide(a, 0);
    else
        line_join(&line, a);
}
static long call(actor *a)
{
    (void)a;
    return crank_event_wait(event);
}
static bool cancel(actor *a)
{
    FUZZ_EXPECT(line_leave(&line, a));
    actor_decide(a, -ECANCELED);
    return true;
}
static void check(void) { FUZZ_EQUAL(crank_event_is_set(event), raised); }

const model model_this = {
    .ops = OPS,
    .waiting = 1u << WAIT,
    .open = open_event,
    .close = close_event,
    .step = step,
    .begin = begin,
    .call = call,
    .cancel = cancel,
    .check = check,
};
const fuzz_target fuzz_this = { .name = "event", .length = 100, .in_task = true, .run = model_run };
