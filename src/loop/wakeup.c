/* SPDX-License-Identifier: MIT */
/* wakeup.c: a stack that many push and one takes whole.
 *
 * The head is NULL while the loop is awake and nothing is posted, ASLEEP while it sleeps, CLOSED
 * from the end of a program on, else the newest post. Closing is one exchange as well, which takes
 * what was posted before it: a post is either refused or delivered. Sleeping and posting are both
 * one exchange of the head against what was read there, so of a post and a falling asleep one comes
 * first: either the loop sees the post, or the poster sees the sleeper and wakes it.
 *
 * The push is Treiber's; taking the whole stack at once rules out the confusion of a reused
 * address (ABA) that popping one by one has. The order is turned round when it is taken. A
 * poster is counted while it is inside, for its post may be delivered, and the loop end, before
 * it has called wake. */
#include "loop/wakeup.h"
#include "base/fork.h"

#include <sched.h>
#include <stdatomic.h>

struct cr_wakeup {
    const cr_sys *sys;
    cr_backend *backend;
    _Atomic(cr_post *) head;
    atomic_size_t inside;
    unsigned forks; /* cr_forks of the process that may wake the backend: not a child of it */
};

static const char asleep, closed;
#define ASLEEP ((cr_post *)(uintptr_t)&asleep)
#define CLOSED ((cr_post *)(uintptr_t)&closed)

/* Asleep from the start: a post to a loop that does not run yet makes its descriptor readable. */
int cr_wakeup_new(const cr_sys *sys, cr_backend *backend, cr_wakeup **ret_wakeup)
{
    cr_wakeup *wakeup = cr_alloc(sys, sizeof *wakeup);
    if (!wakeup)
        return -ENOMEM;
    wakeup->sys = sys;
    wakeup->backend = backend;
    atomic_init(&wakeup->head, ASLEEP);
    atomic_init(&wakeup->inside, 0);
    wakeup->forks = cr_forks;
    *ret_wakeup = wakeup;
    return 0;
}

/* Posters are inside for some instructions: waiting for them needs no more than yielding. */
void cr_wakeup_free(cr_wakeup *wakeup)
{
    if (!wakeup)
        return;
    while (atomic_load(&wakeup->inside) > 0)
        sched_yield();
    cr_free(wakeup->sys, wakeup);
}

/* The loop may have been awake in the parent; here it does not run. */
void cr_wakeup_inherit(cr_wakeup *wakeup)
{
    atomic_store(&wakeup->inside, 0);
    (void)cr_wakeup_sleep(wakeup);
    wakeup->forks = cr_forks;
}

/* Nothing of the loop may be touched after the count has gone down. */
bool cr_wakeup_post(cr_wakeup *wakeup, cr_post *post)
{
    atomic_fetch_add(&wakeup->inside, 1);
    cr_post *head = atomic_load(&wakeup->head);
    do {
        if (head == CLOSED)
            break;
        post->next = head == ASLEEP ? NULL : head;
    } while (!atomic_compare_exchange_weak(&wakeup->head, &head, post));
    if (head == ASLEEP && wakeup->forks == cr_forks)
        wakeup->backend->type->wake(wakeup->backend);
    atomic_fetch_sub(&wakeup->inside, 1);
    return head != CLOSED;
}

/* A post's memory may be gone once it is delivered, so its next is read before. */
static void deliver_all(cr_post *newest)
{
    cr_post *oldest = NULL;
    while (newest && newest != ASLEEP) {
        cr_post *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        cr_post *post = oldest;
        oldest = post->next;
        post->deliver(post);
    }
}

/* The plain load first: nearly every turn finds nothing, and an exchange would take the cache
 * line from the posters. */
CR_HOT void cr_wakeup_deliver(cr_wakeup *wakeup)
{
    cr_post *head = atomic_load_explicit(&wakeup->head, memory_order_relaxed);
    if (head && head != CLOSED)
        deliver_all(atomic_exchange(&wakeup->head, NULL));
}

void cr_wakeup_close(cr_wakeup *wakeup)
{
    cr_post *newest = atomic_exchange(&wakeup->head, CLOSED);
    if (newest != CLOSED)
        deliver_all(newest);
}

/* A loop that is asleep already (it does not run) stays so. */
CR_HOT bool cr_wakeup_sleep(cr_wakeup *wakeup)
{
    cr_post *head = NULL;
    return atomic_compare_exchange_strong(&wakeup->head, &head, ASLEEP) || head == ASLEEP;
}

/* The clock is read every thirty-two looks: it costs as much as they do together. */
bool cr_wakeup_spin(cr_wakeup *wakeup, int64_t span, int64_t deadline)
{
    const cr_sys *sys = wakeup->sys;
    int64_t end = sys->now(sys->context) + span;
    if (end > deadline)
        end = deadline;
    do {
        for (int i = 0; i < 32; i++) {
            if (atomic_load_explicit(&wakeup->head, memory_order_relaxed))
                return true;
            cr_relax();
        }
    } while (sys->now(sys->context) < end);
    return false;
}

bool cr_wakeup_empty(const cr_wakeup *wakeup)
{
    cr_post *head = atomic_load(&wakeup->head);
    return !head || head == ASLEEP || head == CLOSED;
}

/* A poster that has taken the sleeping mark away may have lost its processor before it woke the
 * backend: the loop sleeps on, and it is not the loop's fault. */
bool cr_wakeup_asleep(const cr_wakeup *wakeup)
{
    return atomic_load(&wakeup->head) == ASLEEP || atomic_load(&wakeup->inside) > 0;
}
