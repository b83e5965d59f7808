/* SPDX-License-Identifier: MIT */
/* job_queue.c: the queue between a loop and its workers.
 *
 * A ring that the loop fills and workers empty, without a lock: head and tail only grow, so a
 * position is taken by the worker that moves head past it, and what was read from the ring before
 * that is right. A full ring is copied into one twice as large; the old one stays until the end,
 * because a worker may be reading it, but its pages are given back: it reads NULL then, and looks
 * again. A job's own state says whether a worker has it, so that it can be cancelled in place; a
 * cancelled one leaves the ring when its turn comes. */
#include "thread/workers.h"
#include "base/pages.h"

/* Two kilobytes: a program with few jobs at a time never grows it. */
#define RING_FIRST 256u

/* places has mask + 1 of them, a power of two; position n lies at n & mask. */
struct cr_job_ring {
    cr_job_ring *older;
    uint64_t mask;
    _Atomic(cr_job *) places[];
};

/* Relaxed: head and tail are what orders the accesses. */
static inline cr_job *place_at(cr_job_ring *ring, uint64_t position)
{
    return atomic_load_explicit(&ring->places[position & ring->mask], memory_order_relaxed);
}

/* Committed at once: workers would take the page faults one by one, under load. */
static cr_job_ring *ring_new(const cr_sys *sys, uint64_t size)
{
    cr_job_ring *ring = cr_alloc_zero(sys, sizeof *ring + size * sizeof ring->places[0]);
    if (!ring)
        return NULL;
    cr_pages_commit(sys, ring->places, size * sizeof ring->places[0]);
    ring->mask = size - 1;
    return ring;
}

int cr_job_queue_init(cr_job_queue *jobs, const cr_sys *sys)
{
    cr_job_ring *ring = ring_new(sys, RING_FIRST);
    if (!ring)
        return -ENOMEM;
    jobs->sys = sys;
    atomic_init(&jobs->ring, ring);
    return 0;
}

/* The sizes double, so all the older rings together are no larger than the newest. */
void cr_job_queue_deinit(cr_job_queue *jobs)
{
    cr_job_ring *ring = atomic_load(&jobs->ring);
    while (ring) {
        cr_job_ring *older = ring->older;
        cr_free(jobs->sys, ring);
        ring = older;
    }
}

/* A ring twice as large with the same jobs at the same positions. */
static CR_NOINLINE cr_job_ring *ring_grow(cr_job_queue *jobs, cr_job_ring *old, uint64_t tail)
{
    cr_job_ring *ring = ring_new(jobs->sys, (old->mask + 1) * 2);
    if (!ring)
        return NULL;
    /* From what the loop last knew of the head: what workers took meanwhile is copied in vain
     * and never read. */
    for (uint64_t at = jobs->head_seen; at != tail; at++) {
        cr_job *job = place_at(old, at);
        atomic_store_explicit(&ring->places[at & ring->mask], job, memory_order_relaxed);
    }
    ring->older = old;
    atomic_store_explicit(&jobs->ring, ring, memory_order_release);
    cr_pages_release(jobs->sys, old->places, (old->mask + 1) * sizeof old->places[0]);
    return ring;
}

/* Only the loop's thread puts, so the tail needs no compare-and-swap. */
int cr_job_queue_put(cr_job_queue *jobs, cr_job *job)
{
    uint64_t tail = atomic_load_explicit(&jobs->tail, memory_order_relaxed);
    cr_job_ring *ring = atomic_load_explicit(&jobs->ring, memory_order_relaxed);
    if (CR_UNLIKELY(tail - jobs->head_seen > ring->mask)) {
        jobs->head_seen = atomic_load_explicit(&jobs->head, memory_order_acquire);
        if (tail - jobs->head_seen > ring->mask)
            ring = ring_grow(jobs, ring, tail);
        if (!ring)
            return -ENOMEM;
    }
    atomic_store_explicit(&ring->places[tail & ring->mask], job, memory_order_relaxed);
    /* in one order with the counts of searching and resting workers */
    atomic_store(&jobs->tail, tail + 1);
    return 0;
}

/* The jobs behind the one at head will soon be taken, and lie in the cache of the core that made
 * them: fetch the second next, and what the next, fetched by now, is about. */
static inline void fetch_ahead(cr_job_ring *ring, uint64_t head, uint64_t tail)
{
    enum { line = 64 };
    if (tail - head < 3)
        return;
    cr_job *next = place_at(ring, head + 1);
    cr_job *later = place_at(ring, head + 2);
    if (!next)
        return;
    __builtin_prefetch(later, 1);
    const char *about = atomic_load_explicit(&next->about, memory_order_relaxed);
    __builtin_prefetch(about);
    __builtin_prefetch(about + line);
}

/* Read first, then claimed by moving head: where another was faster the exchange fails, and what
 * was read is forgotten. A position is never used twice, since both ends only grow (Vyukov's and
 * Lamport's rings, with one producer), so no ABA arises. */
cr_job *cr_job_queue_take(cr_job_queue *jobs)
{
    uint64_t head = atomic_load_explicit(&jobs->head, memory_order_acquire);
    for (;;) {
        uint64_t tail = atomic_load(&jobs->tail);
        if (head == tail)
            return NULL;
        /* The ring is read after the tail: it is one that holds this position. */
        cr_job_ring *ring = atomic_load_explicit(&jobs->ring, memory_order_acquire);
        cr_job *job = place_at(ring, head);
        if (CR_UNLIKELY(!job)) { /* an old ring, by now */
            head = atomic_load_explicit(&jobs->head, memory_order_acquire);
            continue;
        }
        if (!atomic_compare_exchange_weak(&jobs->head, &head, head + 1))
            continue;
        fetch_ahead(ring, head, tail);
        uint32_t queued = CR_JOB_QUEUED;
        if (atomic_compare_exchange_strong(&job->state, &queued, CR_JOB_RUNNING))
            return job;
        cr_job_queue_give_back(jobs, job);
        head++;
    }
}

/* Pushing is the only thing done to the list but taking it whole, so a reused address does no
 * harm. */
void cr_job_queue_give_back(cr_job_queue *jobs, cr_job *job)
{
    job->next = atomic_load_explicit(&jobs->back, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&jobs->back, &job->next, job))
        continue;
}

/* Newest first as pushed; turned round, so that results arrive in the order in which they came. */
cr_job *cr_job_queue_collect(cr_job_queue *jobs)
{
    cr_job *newest = atomic_load(&jobs->back) ? atomic_exchange(&jobs->back, NULL) : NULL;
    cr_job *oldest = NULL;
    while (newest) {
        cr_job *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}
