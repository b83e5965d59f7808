/* SPDX-License-Identifier: MIT */
/* arrivals.c: what is on its way through the simulated network.
 *
 * Owns the order by instant; the order within one is the network's to choose. Arrivals lie
 * in the sockets that sent them, in a list that is sorted as they come: nearly all are planned for
 * an instant no earlier than the last one, so the place is found from the end. What an arrival
 * means is its type's to know. */
#include "world/arrivals.h"

#include "base/check.h"

void cr_arrival_plan(cr_arrivals *all, cr_arrival *arrival, int64_t at, const cr_arrival_type *type)
{
    CR_ASSERT(!arrival->type);
    arrival->type = type;
    arrival->at = at;
    arrival->before = all->last;
    while (arrival->before && arrival->before->at > at)
        arrival->before = arrival->before->before;
    arrival->next = arrival->before ? arrival->before->next : all->first;
    *(arrival->before ? &arrival->before->next : &all->first) = arrival;
    *(arrival->next ? &arrival->next->before : &all->last) = arrival;
}

void cr_arrival_drop(cr_arrivals *all, cr_arrival *arrival)
{
    if (!arrival->type)
        return;
    *(arrival->before ? &arrival->before->next : &all->first) = arrival->next;
    *(arrival->next ? &arrival->next->before : &all->last) = arrival->before;
    arrival->type = NULL;
}

size_t cr_arrivals_due(const cr_arrivals *all, int64_t now)
{
    const cr_arrival *first = all->first;
    size_t count = 0;
    if (!first || first->at > now)
        return 0;
    for (const cr_arrival *arrival = first; arrival && arrival->at == first->at;
         arrival = arrival->next)
        count++;
    return count;
}

cr_arrival *cr_arrivals_at(const cr_arrivals *all, size_t n)
{
    cr_arrival *arrival = all->first;
    while (n-- > 0)
        arrival = arrival->next;
    return arrival;
}
