/* SPDX-License-Identifier: MIT */
/* timer.c: a heap for the near future, a wheel for the rest.
 *
 * Time is cut into ticks of about a millisecond. Timers up to the current tick lie in a 4-ary heap
 * ordered by (deadline, age); later ones in a hierarchical wheel (Varghese & Lauck 1987, scheme 7),
 * in lists by tick, where starting and stopping is a few stores. When the heap runs empty the
 * current tick moves to the earliest list of the wheel, whose timers enter the heap. So the next
 * deadline is always exact and the order is that of one large heap, while the heap that is searched
 * is small. A wheel alone, as in Linux or tokio, would round deadlines to ticks and fire in the
 * order of lists.
 *
 * The current tick may run ahead of the clock: if the only timer is an hour away, it lies in the
 * heap, and so does all that is started before it. When the heap has thus doubled, the current tick
 * returns to the clock's (rewind), which the starts since then have paid for. The heap's room is
 * reserved for all timers at start, for nothing may fail later; memory that is never touched costs
 * nothing.
 *
 * A million timers do not fit a cache: what costs is to walk a list whose members lie anywhere. So
 * the wheel's first level spans four seconds, most timers are walked over once, and lists are
 * walked from both ends at a time.
 *
 * Invariant: a timer lies in the heap if its tick is at most the current one, else in the list its
 * tick and the current one name. No timer carries a mark of where it is, so a function that moves
 * the current tick moves the timers with it. */
#include "loop/timer.h"

#include <string.h>

#define TICK_SHIFT 20 /* a tick is 2^20 ns */
#define NEAR_BITS 12  /* 4,096 ticks: four seconds */
#define FAR_BITS 6    /* 64 lists on each further level */
#define NEAR_SLOTS (1u << NEAR_BITS)
#define FAR_SLOTS (1u << FAR_BITS)
#define NEAR 0            /* the first level */
#define LEVELS 7          /* 12 + 6 * 6 bits: an int64 of nanoseconds has 43 bits of ticks */
#define ARITY 4           /* of the heap */
#define ROOM_FIRST 64     /* timers, before the heap grows */
#define REWIND_SLACK 1024 /* starts, so that small heaps are left alone */

/* The key lies in the heap beside the pointer: sifting compares without touching the timers. */
typedef struct entry {
    int64_t deadline;
    uint64_t age_kind;
    cr_timer *timer;
} entry;

struct list {
    cr_timer *first;
    cr_timer *last;
};

/* Mapped, not allocated: what is never touched of the lists is never cleared. */
struct cr_timers {
    const cr_sys *sys;
    entry *heap; /* ordered, except while a list is spread into it */
    size_t heap_count;
    size_t room;      /* of the heap: at least count */
    size_t count;     /* all timers */
    size_t rewind_at; /* heap_count at which the current tick returns to the clock */
    uint64_t age;     /* of the next timer started */
    int64_t now;      /* of the last pop */
    uint64_t tick;    /* timers up to this one are in the heap */
    /* Which lists are not empty: of the first level, in words that words has a bit for; of the
     * others, by level. */
    uint64_t words;
    uint64_t near_used[NEAR_SLOTS / 64];
    uint64_t far_used[LEVELS];
    struct list near[NEAR_SLOTS];
    struct list far[LEVELS][FAR_SLOTS]; /* the first is unused */
};

static uint64_t tick_of(int64_t deadline)
{
    return deadline < 0 ? 0 : (uint64_t)deadline >> TICK_SHIFT;
}
/* Ages differ always, so the order is total and the same in every run. */
static bool before(const entry *a, const entry *b)
{
    return a->deadline < b->deadline || (a->deadline == b->deadline && a->age_kind < b->age_kind);
}

/* A timer in the heap has its place in next; one in the wheel has the links of its list. Which it
 * is, its tick says. */
static void place(cr_timers *timers, size_t at, entry item)
{
    timers->heap[at] = item;
    item.timer->next = (cr_timer *)(uintptr_t)at;
}

/* A hole is moved and the item is placed once, at the end. */
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

/* Four children lie side by side: fewer levels, hence fewer misses, than two. */
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

/* The last one takes the place, and may have to go either way: it comes from another branch. */
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

/* Where in the wheel a tick belongs: the level is that of the highest digit in which it differs
 * from the current one. All lists of a level come before all of the next, and within a level a
 * list's number is above the current tick's digit. */
struct seat {
    unsigned level;
    unsigned slot;
};

static unsigned shift_of(unsigned level)
{
    return level == NEAR ? 0 : NEAR_BITS + (level - 1) * FAR_BITS;
}

/* The digit of the tick at this level is the list's number. */
static struct seat seat_at(unsigned level, uint64_t tick)
{
    uint64_t digit = tick >> shift_of(level);
    unsigned last = level == NEAR ? NEAR_SLOTS - 1 : FAR_SLOTS - 1;
    return (struct seat){ level, (unsigned)digit & last };
}

/* The tick is later than the current one, so they differ in some digit and the count is defined. */
static unsigned level_of(const cr_timers *timers, uint64_t tick)
{
    unsigned highest = 63u - (unsigned)__builtin_clzll(tick ^ timers->tick);
    return highest < NEAR_BITS ? NEAR : 1 + (highest - NEAR_BITS) / FAR_BITS;
}

static struct list *list_at(cr_timers *timers, struct seat seat)
{
    return seat.level == NEAR ? &timers->near[seat.slot] : &timers->far[seat.level][seat.slot];
}

/* Bits over lists, and bits over words of them: finding the earliest takes two counts of zeros. */
static void mark_used(cr_timers *timers, struct seat seat)
{
    if (seat.level != NEAR) {
        timers->far_used[seat.level] |= UINT64_C(1) << seat.slot;
    } else {
        timers->near_used[seat.slot / 64] |= UINT64_C(1) << seat.slot % 64;
        timers->words |= UINT64_C(1) << seat.slot / 64;
    }
}

static void mark_empty(cr_timers *timers, struct seat seat)
{
    if (seat.level != NEAR)
        timers->far_used[seat.level] &= ~(UINT64_C(1) << seat.slot);
    else if (!(timers->near_used[seat.slot / 64] &= ~(UINT64_C(1) << seat.slot % 64)))
        timers->words &= ~(UINT64_C(1) << seat.slot / 64);
}

/* The earliest list below a level. False where there is none. */
static bool earliest(const cr_timers *timers, unsigned end, struct seat *ret_seat)
{
    if (timers->words) {
        unsigned word = (unsigned)__builtin_ctzll(timers->words);
        unsigned bit = (unsigned)__builtin_ctzll(timers->near_used[word]);
        *ret_seat = (struct seat){ NEAR, word * 64 + bit };
        return true;
    }
    for (unsigned level = NEAR + 1; level < end; level++)
        if (timers->far_used[level]) {
            *ret_seat = (struct seat){ level, (unsigned)__builtin_ctzll(timers->far_used[level]) };
            return true;
        }
    return false;
}

/* At the end: a list stands in the order of starting, though its timers are sorted later anyway. */
static void wheel_add(cr_timers *timers, cr_timer *timer, uint64_t tick)
{
    struct seat seat = seat_at(level_of(timers, tick), tick);
    struct list *list = list_at(timers, seat);
    timer->next = NULL;
    timer->prev = list->last;
    if (list->last) {
        list->last->next = timer;
    } else {
        list->first = timer;
        mark_used(timers, seat);
    }
    list->last = timer;
}

/* From the middle the list need not be known, which saves its cache line; at an end it is found
 * from the timer's tick, by the invariant. */
static void wheel_remove(cr_timers *timers, cr_timer *timer)
{
    if (timer->next && timer->prev) {
        timer->next->prev = timer->prev;
        timer->prev->next = timer->next;
        return;
    }
    uint64_t tick = tick_of(timer->deadline);
    struct seat seat = seat_at(level_of(timers, tick), tick);
    struct list *list = list_at(timers, seat);
    *(timer->next ? &timer->next->prev : &list->last) = timer->prev;
    *(timer->prev ? &timer->prev->next : &list->first) = timer->next;
    if (!list->first)
        mark_empty(timers, seat);
}

/* The whole list at once: its timers keep their links until they are spread. */
static struct list wheel_take(cr_timers *timers, struct seat seat)
{
    struct list *list = list_at(timers, seat);
    struct list taken = *list;
    *list = (struct list){ NULL, NULL };
    mark_empty(timers, seat);
    return taken;
}

/* While spreading a list: into the heap's array, in no order yet, or into the lists of lower
 * levels. */
static void spread(cr_timers *timers, cr_timer *timer)
{
    uint64_t tick = tick_of(timer->deadline);
    if (tick <= timers->tick)
        timers->heap[timers->heap_count++] = (entry){ timer->deadline, timer->age_kind, timer };
    else
        wheel_add(timers, timer, tick);
}

/* Two walks at a time: the members lie far apart, and the memory can fetch two as fast as one. */
static void spread_list(cr_timers *timers, struct list list)
{
    for (cr_timer *first = list.first, *last = list.last;;) {
        cr_timer *next = first->next;
        cr_timer *prev = last->prev;
        spread(timers, first);
        if (first == last)
            return;
        spread(timers, last);
        if (next == last)
            return;
        first = next;
        last = prev;
    }
}

/* Make a heap of what lies in its array. Floyd's construction: linear, where adding one by one
 * would not be. */
static void order_heap(cr_timers *timers)
{
    for (size_t i = timers->heap_count / ARITY + 1; i-- > 0;)
        if (i < timers->heap_count)
            sift_down(timers, i, timers->heap[i]);
    for (size_t i = 0; i < timers->heap_count; i++)
        place(timers, i, timers->heap[i]);
}

/* Move the current tick to the wheel's earliest list, unless that begins after limit, and spread
 * its timers. The heap is empty, the wheel is not. */
static bool advance(cr_timers *timers, uint64_t limit)
{
    struct seat seat = { NEAR, 0 };
    (void)earliest(timers, LEVELS, &seat);
    unsigned above = shift_of(seat.level + 1);
    uint64_t tick = timers->tick >> above << above;
    tick |= (uint64_t)seat.slot << shift_of(seat.level);
    if (tick > limit)
        return false;
    timers->tick = tick;
    spread_list(timers, wheel_take(timers, seat));
    order_heap(timers);
    timers->rewind_at = 2 * timers->heap_count + timers->count / 4 + REWIND_SLACK;
    return true;
}

/* The lists of all levels below this one become one of its own: what is in them differs from an
 * earlier current tick in that digit. */
static void join_lists(cr_timers *timers, struct seat seat)
{
    struct list *all = list_at(timers, seat);
    for (struct seat lower; earliest(timers, seat.level, &lower);) {
        struct list list = wheel_take(timers, lower);
        list.first->prev = all->last;
        *(all->last ? &all->last->next : &all->first) = list.first;
        all->last = list.last;
    }
    if (all->first)
        mark_used(timers, seat);
}

/* Return the current tick to the clock's, giving the wheel what lies in the heap after it. */
static void rewind_to_clock(cr_timers *timers)
{
    uint64_t tick = tick_of(timers->now);
    if (tick < timers->tick) {
        unsigned level = level_of(timers, tick);
        if (level != NEAR)
            join_lists(timers, seat_at(level, timers->tick));
        timers->tick = tick;
        size_t count = timers->heap_count;
        timers->heap_count = 0;
        for (size_t i = 0; i < count; i++)
            spread(timers, timers->heap[i].timer);
        order_heap(timers);
    }
    timers->rewind_at = 2 * timers->heap_count + timers->count / 4 + REWIND_SLACK;
}

/* Heap first, for that may fail without anything to undo; the wheel is mapped, which clears it. */
int cr_timers_new(const cr_sys *sys, int64_t now, cr_timers **ret_timers)
{
    entry *heap = cr_alloc(sys, ROOM_FIRST * sizeof *heap);
    cr_timers *timers = heap ? sys->map(sys->context, sizeof *timers) : NULL;
    if (!timers) {
        cr_free(sys, heap);
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
    const cr_sys *sys = timers->sys;
    cr_free(sys, timers->heap);
    sys->unmap(sys->context, timers, sizeof *timers);
}

/* For all timers, those in the wheel too: any of them may come to lie in the heap. Only what lies
 * there is copied; an allocator that must move the room copies, and so touches, all of it. */
static CR_COLD int grow(cr_timers *timers)
{
    entry *heap = cr_alloc(timers->sys, 2 * timers->room * sizeof *heap);
    if (!heap)
        return -ENOMEM;
    memcpy(heap, timers->heap, timers->heap_count * sizeof *heap);
    cr_free(timers->sys, timers->heap);
    timers->heap = heap;
    timers->room *= 2;
    return 0;
}

/* The only call that can fail, and it changes nothing then. A rewind comes before the timer is
 * added, so that its tick is compared with the tick that will stand. */
int cr_timers_start(cr_timers *timers, cr_timer *timer, enum cr_timer_kind kind, int64_t deadline)
{
    if (CR_UNLIKELY(timers->count == timers->room) && grow(timers) < 0)
        return -ENOMEM;
    if (CR_UNLIKELY(timers->heap_count >= timers->rewind_at))
        rewind_to_clock(timers);
    timer->deadline = deadline;
    timer->age_kind = timers->age++ << 3 | (uint64_t)kind;
    timers->count++;
    uint64_t tick = tick_of(deadline);
    if (tick <= timers->tick)
        heap_add(timers, timer);
    else
        wheel_add(timers, timer, tick);
    return 0;
}

/* Where it lies follows from its tick alone: see the invariant. */
void cr_timers_stop(cr_timers *timers, cr_timer *timer)
{
    timers->count--;
    if (tick_of(timer->deadline) <= timers->tick)
        heap_remove(timers, (size_t)(uintptr_t)timer->next);
    else
        wheel_remove(timers, timer);
}

/* Never past now: a wheel's list that begins later is left alone, so that an early look costs
 * nothing. With no timers at all the current tick follows the clock, which keeps the wheel near. */
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

/* The list with the next deadline is spread to find it exactly: the work is done once, since it
 * would have to be spread when it comes due. */
int64_t cr_timers_next(cr_timers *timers)
{
    if (timers->count == 0)
        return CR_NEVER;
    while (timers->heap_count == 0)
        advance(timers, UINT64_MAX);
    return timers->heap[0].deadline;
}

size_t cr_timers_count(const cr_timers *timers) { return timers->count; }
