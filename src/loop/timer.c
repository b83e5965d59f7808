/* SPDX-License-Identifier: MIT */
/* timer.c: a heap for the near future, a wheel for the rest.
 *
 * Time is cut into ticks of about a millisecond. Timers up to the current tick lie in a 4-ary heap ordered by (deadline,
 * age); later ones in a hierarchical wheel, in lists by tick, where starting and stopping is a few stores. When the heap
 * runs empty the current tick moves to the earliest list of the wheel, whose timers enter the heap. So the next deadline
 * is always exact and the order is that of one large heap, while the heap that is searched is small.
 *
 * The current tick may run ahead of the clock: if the only timer is an hour away, it lies in the heap, and so does all
 * that is started before it. When the heap has thus doubled, the current tick returns to the clock's (rewind), which the
 * starts since then have paid for. The heap's room is reserved for all timers at start, for nothing may fail later;
 * memory that is never touched costs nothing. */
#include "loop/timer.h"

#define TICK_SHIFT 20
#define DIGIT_BITS 6
#define SLOTS 64
#define LEVELS 8 /* 43 bits of ticks are all of an int64 of nanoseconds */
#define ARITY 4
#define ROOM_FIRST 64
#define REWIND_SLACK 1024

typedef struct entry {
    int64_t deadline;
    uint64_t age_kind;
    cr_timer *timer;
} entry;

struct list {
    cr_timer *first;
    cr_timer *last;
};

struct cr_timers {
    const cr_sys *sys;
    entry *heap;
    size_t heap_count;
    size_t room;      /* of the heap: at least count */
    size_t count;     /* all timers */
    size_t rewind_at; /* heap_count at which the current tick returns to the clock */
    uint64_t age;
    int64_t now;    /* of the last pop */
    uint64_t tick;  /* timers up to this one are in the heap */
    uint64_t used[LEVELS]; /* which lists of a level are not empty */
    struct list wheel[LEVELS][SLOTS];
};

static uint64_t tick_of(int64_t deadline) { return deadline < 0 ? 0 : (uint64_t)deadline >> TICK_SHIFT; }
static bool before(const entry *a, const entry *b)
{
    return a->deadline < b->deadline || (a->deadline == b->deadline && a->age_kind < b->age_kind);
}

/* A timer in the heap has its place in next; one in the wheel has the links of its list. Which it is, its tick says. */
static void place(cr_timers *timers, size_t at, entry item)
{
    timers->heap[at] = item;
    item.timer->next = (cr_timer *)(uintptr_t)at;
}

static void sift_up(cr_timers *timers, size_t at, entry item)
{
    while (at > 0) {
        size_t parent = (at - 1) / ARITY;
        if (!before(&item, &timers->heap[parent]))
            break;
        place(timers, at, timers->heap[parent]);
        at = parent;
    }
    place(timers, at, item);
}

static size_t least_child(const cr_timers *timers, size_t first)
{
    size_t end = first + ARITY < timers->heap_count ? first + ARITY : timers->heap_count;
    size_t least = first;
    for (size_t child = first + 1; child < end; child++)
        if (before(&timers->heap[child], &timers->heap[least]))
            least = child;
    return least;
}

static void sift_down(cr_timers *timers, size_t at, entry item)
{
    for (size_t first; (first = at * ARITY + 1) < timers->heap_count;) {
        size_t least = least_child(timers, first);
        if (!before(&timers->heap[least], &item))
            break;
        place(timers, at, timers->heap[least]);
        at = least;
    }
    place(timers, at, item);
}

static void heap_add(cr_timers *timers, cr_timer *timer)
{
    sift_up(timers, timers->heap_count++, (entry){ timer->deadline, timer->age_kind, timer });
}

static void heap_remove(cr_timers *timers, size_t at)
{
    entry last = timers->heap[--timers->heap_count];
    if (at == timers->heap_count)
        return;
    if (at > 0 && before(&last, &timers->heap[(at - 1) / ARITY]))
        sift_up(timers, at, last);
    else
        sift_down(timers, at, last);
}

/* The level is that of the highest digit in which a tick differs from the current one: all lists of a level come before
 * all of the next, and within a level a list's number is above the current tick's digit. */
static unsigned level_of(const cr_timers *timers, uint64_t tick)
{
    return (63u - (unsigned)__builtin_clzll(tick ^ timers->tick)) / DIGIT_BITS;
}

static void wheel_add(cr_timers *timers, cr_timer *timer, uint64_t tick)
{
    unsigned level = level_of(timers, tick);
    unsigned slot = (unsigned)(tick >> (level * DIGIT_BITS)) % SLOTS;
    struct list *list = &timers->wheel[level][slot];
    timer->next = NULL;
    timer->prev = list->last;
    if (list->last)
        list->last->next = timer;
    else
        list->first = timer;
    list->last = timer;
    timers->used[level] |= UINT64_C(1) << slot;
}

static void wheel_remove(cr_timers *timers, cr_timer *timer)
{
    if (timer->next && timer->prev) {
        timer->next->prev = timer->prev;
        timer->prev->next = timer->next;
        return;
    }
    uint64_t tick = tick_of(timer->deadline);
    unsigned level = level_of(timers, tick);
    unsigned slot = (unsigned)(tick >> (level * DIGIT_BITS)) % SLOTS;
    struct list *list = &timers->wheel[level][slot];
    *(timer->next ? &timer->next->prev : &list->last) = timer->prev;
    *(timer->prev ? &timer->prev->next : &list->first) = timer->next;
    if (!list->first)
        timers->used[level] &= ~(UINT64_C(1) << slot);
}

static void add(cr_timers *timers, cr_timer *timer)
{
    uint64_t tick = tick_of(timer->deadline);
    if (tick <= timers->tick)
        heap_add(timers, timer);
    else
        wheel_add(timers, timer, tick);
}

/* The wheel's earliest list: its level and number, and the tick at which it begins. The wheel is not empty. */
static uint64_t earliest(const cr_timers *timers, unsigned *ret_level, unsigned *ret_slot)
{
    unsigned level = 0;
    while (!timers->used[level])
        level++;
    unsigned slot = (unsigned)__builtin_ctzll(timers->used[level]);
    unsigned shift = level * DIGIT_BITS;
    *ret_level = level;
    *ret_slot = slot;
    return (timers->tick >> (shift + DIGIT_BITS) << (shift + DIGIT_BITS)) | ((uint64_t)slot << shift);
}

/* Move the current tick to the wheel's earliest list, unless it begins after limit, and spread its timers. The heap is
 * empty, the wheel is not. */
static bool advance(cr_timers *timers, uint64_t limit)
{
    unsigned level;
    unsigned slot;
    uint64_t tick = earliest(timers, &level, &slot);
    if (tick > limit)
        return false;
    cr_timer *timer = timers->wheel[level][slot].first;
    timers->wheel[level][slot] = (struct list){ NULL, NULL };
    timers->used[level] &= ~(UINT64_C(1) << slot);
    timers->tick = tick;
    while (timer) {
        cr_timer *next = timer->next;
        add(timers, timer);
        timer = next;
    }
    timers->rewind_at = 2 * timers->heap_count + timers->count / 4 + REWIND_SLACK;
    return true;
}

/* The lists of all levels below this one become its list number slot: what is in them differs from an earlier current
 * tick in that digit. */
static void join_lists(cr_timers *timers, unsigned level, unsigned slot)
{
    struct list *all = &timers->wheel[level][slot];
    for (unsigned lower = 0; lower < level; lower++)
        for (; timers->used[lower]; timers->used[lower] &= timers->used[lower] - 1) {
            struct list *list = &timers->wheel[lower][__builtin_ctzll(timers->used[lower])];
            list->first->prev = all->last;
            *(all->last ? &all->last->next : &all->first) = list->first;
            all->last = list->last;
            *list = (struct list){ NULL, NULL };
        }
    if (all->first)
        timers->used[level] |= UINT64_C(1) << slot;
}

/* Return the current tick to the clock's, giving the wheel what lies in the heap after it. */
static void rewind_to_clock(cr_timers *timers)
{
    uint64_t tick = tick_of(timers->now);
    if (tick < timers->tick) {
        unsigned level = level_of(timers, tick);
        join_lists(timers, level, (unsigned)(timers->tick >> (level * DIGIT_BITS)) % SLOTS);
        timers->tick = tick;
        size_t kept = 0;
        for (size_t i = 0; i < timers->heap_count; i++) {
            entry item = timers->heap[i];
            if (tick_of(item.deadline) <= tick)
                place(timers, kept++, item);
            else
                wheel_add(timers, item.timer, tick_of(item.deadline));
        }
        timers->heap_count = kept;
        for (size_t i = kept / ARITY + 1; i-- > 0;)
            if (i < kept)
                sift_down(timers, i, timers->heap[i]);
    }
    timers->rewind_at = 2 * timers->heap_count + timers->count / 4 + REWIND_SLACK;
}

int cr_timers_new(const cr_sys *sys, int64_t now, cr_timers **ret_timers)
{
    cr_timers *timers = cr_alloc_zero(sys, sizeof *timers);
    entry *heap = timers ? cr_alloc(sys, ROOM_FIRST * sizeof *heap) : NULL;
    if (!heap) {
        cr_free(sys, timers);
        return -ENOMEM;
    }
    timers->sys = sys;
    timers->heap = heap;
    timers->room = ROOM_FIRST;
    timers->now = now;
    timers->tick = tick_of(now);
    timers->rewind_at = REWIND_SLACK;
    *ret_timers = timers;
    return 0;
}

void cr_timers_free(cr_timers *timers)
{
    if (!timers)
        return;
    cr_free(timers->sys, timers->heap);
    cr_free(timers->sys, timers);
}

static CR_COLD int grow(cr_timers *timers)
{
    entry *heap = cr_resize(timers->sys, timers->heap, 2 * timers->room * sizeof *heap);
    if (!heap)
        return -ENOMEM;
    timers->heap = heap;
    timers->room *= 2;
    return 0;
}

int cr_timers_start(cr_timers *timers, cr_timer *timer, enum cr_timer_kind kind, int64_t deadline)
{
    if (CR_UNLIKELY(timers->count == timers->room) && grow(timers) < 0)
        return -ENOMEM;
    if (CR_UNLIKELY(timers->heap_count >= timers->rewind_at))
        rewind_to_clock(timers);
    timer->deadline = deadline;
    timer->age_kind = timers->age++ << 3 | (uint64_t)kind;
    timers->count++;
    add(timers, timer);
    return 0;
}

void cr_timers_stop(cr_timers *timers, cr_timer *timer)
{
    timers->count--;
    if (tick_of(timer->deadline) <= timers->tick)
        heap_remove(timers, (size_t)(uintptr_t)timer->next);
    else
        wheel_remove(timers, timer);
}

cr_timer *cr_timers_pop(cr_timers *timers, int64_t now)
{
    timers->now = now;
    if (timers->count == 0) {
        if (tick_of(now) > timers->tick)
            timers->tick = tick_of(now);
        return NULL;
    }
    while (timers->heap_count == 0)
        if (!advance(timers, tick_of(now)))
            return NULL;
    cr_timer *first = timers->heap[0].timer;
    if (timers->heap[0].deadline > now)
        return NULL;
    timers->count--;
    heap_remove(timers, 0);
    return first;
}

int64_t cr_timers_next(cr_timers *timers)
{
    if (timers->count == 0)
        return CR_NEVER;
    while (timers->heap_count == 0)
        advance(timers, UINT64_MAX);
    return timers->heap[0].deadline;
}

size_t cr_timers_count(const cr_timers *timers) { return timers->count; }
