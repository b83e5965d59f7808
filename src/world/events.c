/* SPDX-License-Identifier: MIT */
/* events.c: what is on its way through the simulated network.
 *
 * Owns the order of arrival by instant; the order within one is the network's to choose. Events lie
 * in the sockets that sent them, in a list that is sorted as they come: nearly all are planned for
 * an instant no earlier than the last one, so the place is found from the end. What an arrival
 * means is its type's to know. */
#include "world/events.h"

#include "base/check.h"

void cr_event_plan(cr_events *events, cr_event *event, int64_t at, const cr_event_type *type)
{
    CR_ASSERT(!event->type);
    event->type = type;
    event->at = at;
    event->before = events->last;
    while (event->before && event->before->at > at)
        event->before = event->before->before;
    event->next = event->before ? event->before->next : events->first;
    *(event->before ? &event->before->next : &events->first) = event;
    *(event->next ? &event->next->before : &events->last) = event;
}

void cr_event_drop(cr_events *events, cr_event *event)
{
    if (!event->type)
        return;
    *(event->before ? &event->before->next : &events->first) = event->next;
    *(event->next ? &event->next->before : &events->last) = event->before;
    event->type = NULL;
}

size_t cr_events_due(const cr_events *events, int64_t now)
{
    const cr_event *first = events->first;
    size_t count = 0;
    if (!first || first->at > now)
        return 0;
    for (const cr_event *event = first; event && event->at == first->at; event = event->next)
        count++;
    return count;
}

cr_event *cr_events_at(const cr_events *events, size_t n)
{
    cr_event *event = events->first;
    while (n-- > 0)
        event = event->next;
    return event;
}
