/* SPDX-License-Identifier: MIT */
/* event.c: a flag that tasks wait for.
 *
 * Raising it wakes all waiters at once: each of them goes on, also when the flag is cleared before
 * it runs. Invariant: while the flag is raised there are no waiters.
 *
 * The wake-up itself is the message: a woken task does not look at the flag again, so an event that
 * is raised and cleared in one breath is seen by all tasks that waited, as asyncio's is. */
#include "sync/object.h"

struct crank_event {
    cr_object object;
    cr_waitq waiters; /* empty while raised */
    bool raised;
};

static size_t event_describe(const cr_task *task, char *buf, size_t size)
{
    const crank_event *event = cr_container_of(task->wait_object, crank_event, waiters);
    return cr_object_print(buf, size, "%p", (const void *)event);
}

/* No abort: leaving the line is all. */
static const cr_wait_ops event_wait = {
    .hibernatable = true,
    .what = "waits for an event",
    .describe = event_describe,
};

crank_event *crank_event_new(void) { return cr_object_new(sizeof(crank_event)); }

void crank_event_free(crank_event *event)
{
    if (!event)
        return;
    cr_object_look(&event->object, "crank_event_free");
    CR_CHECK(!event->waiters.head, "crank_event_free: tasks wait for event %p; let them end first",
        (void *)event);
    cr_object_free(event);
}

/* The flag is raised before the first task is woken: whatever runs next finds it raised. */
void crank_event_set(crank_event *event)
{
    cr_object_given(event, "crank_event_set");
    cr_object_use(&event->object, cr_loop_here, event->waiters.head, "crank_event_set");
    event->raised = true;
    cr_waitq_wake_all(event->object.loop, &event->waiters, 0);
}

void crank_event_clear(crank_event *event)
{
    cr_object_given(event, "crank_event_clear");
    cr_object_use(&event->object, cr_loop_here, event->waiters.head, "crank_event_clear");
    event->raised = false;
}

bool crank_event_is_set(const crank_event *event)
{
    cr_object_given(event, "crank_event_is_set");
    cr_object_look(&event->object, "crank_event_is_set");
    return event->raised;
}

/* The whole way: notices a cancellation, and waits in line. */
static CR_NOINLINE int wait_for_event(crank_event *event)
{
    cr_caller w;
    int err = cr_checkpoint(&w, "crank_event_wait");
    if (err < 0)
        return err;
    cr_object_use(&event->object, w.loop, event->waiters.head, "crank_event_wait");
    if (event->raised)
        return 0;
    return cr_waitq_park(&w, &event->waiters, &event_wait);
}

CR_QUICK int crank_event_wait(crank_event *event)
{
    cr_caller w;
    if (cr_object_quick(&event->object, &w) && event->raised)
        return 0;
    return wait_for_event(event);
}
