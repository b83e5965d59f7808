/* SPDX-License-Identifier: MIT */
/* stack.c: guarded stacks in slabs, hot ones first.
 *
 * Owns: slabs and their guards, the cold and spare lists. The hot list belongs to the runner,
 * which pops and pushes without asking; so nothing here counts stacks in use.
 *
 * Invariant: a slot is handed out only after its guard holds. A free stack is in exactly one of:
 * *hot, spare (both linked through the word at the top), cold (an array: linking a cold stack
 * would commit its page again).
 *
 * Slots come in steps of as many as one page of the page table maps: their guards are set and
 * their top pages committed together. That saves the faults, and where page tables are shadowed,
 * as in a virtual machine, what it costs to come back to one later: a fresh stack costs half of
 * what it does committed by touch, with guards set for 64 slots at a time. Only the first step of
 * all is handed out one by one and committed by touch: a program with few tasks pays for those it
 * has.
 *
 * A kernel that knows no MADV_GUARD_INSTALL refuses it, but an emulator may ignore it: so the
 * first guard is tried before it is believed. Where guards must be made with mprotect each costs
 * two mappings of a limited number; without any left malloc and thread creation fail for
 * everybody, so the whole process stops at half of them. */
#include "context/stack.h"

#include "base/check.h"
#include "base/valgrind.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if CR_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#endif

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

#define KIB ((size_t)1 << 10)
#define GIB ((size_t)1 << 30)
#define TABLE_REACH (2048 * KIB) /* what one page of the page table maps */

enum {
    BATCH = 64,       /* slots per system call, at most */
    FIRST_SLOTS = 16, /* in the first slab */
    SLABS_MAX = 256,  /* with 16 GiB each more stacks than there are task handles */
    COLOURS = 16,     /* tops of so many neighbours differ */
    COLOUR_STEP = 64, /* a cache line */
    ABOVE_TOP = 192,  /* the stack's head, and what capture may read above an argument area */
    MAP_COUNT_DEFAULT = 65530, /* Linux's, where it cannot be read */
    MAPPINGS_PER_GUARD = 2,    /* it splits one in three */
};
#define SLAB_BYTES_MAX (16 * GIB)
#define USABLE_DEFAULT (192 * KIB)

/* Bytes of a slot, and of the guard at its low end. The guard is as large as a frame may be that
 * leaps over it untouched; larger frames are the compiler's to probe (-fstack-clash-protection). */
struct size_class {
    size_t slot;
    size_t guard;
};

/* The large ones hold what a program asks for that names a round number. */
static const struct size_class classes[] = {
    { 64 * KIB, 16 * KIB },
    { 256 * KIB, 64 * KIB },
    { (1024 + 64) * KIB, 64 * KIB },
    { (8192 + 64) * KIB, 64 * KIB },
};

/* A slab is filled from its beginning: guarded runs ahead of handed by at most a step. */
struct slab {
    char *base;
    size_t slots;
    size_t guarded;     /* the first so many have their guard */
    size_t handed;      /* the first so many have been handed out at least once */
    unsigned *valgrind; /* ids of the registered slots, under Valgrind only */
};

/* How guards are made on this kernel; found out with the first step and kept from then on. */
enum guards { GUARDS_UNKNOWN, GUARDS_MARKED, GUARDS_PROTECTED };

struct cr_stacks {
    const cr_sys *sys;
    void **hot;    /* the runner's list, by its address */
    void *spare;   /* cut off the hot list, pages still there */
    void *trimmed; /* head of the hot list when it was last found short enough */
    size_t trimmed_to;
    bool refilled; /* since then */
    void **cold;   /* pages given back */
    size_t n_cold;
    size_t cold_room;
    size_t slot;
    size_t guard;
    enum guards guards;
    size_t page;
    bool one_by_one;  /* process_madvise does not do it here */
    bool by_touch;    /* nor MADV_POPULATE_WRITE */
    bool limit_told;  /* it is said once */
    size_t protected; /* our part of guards_protected */
    size_t n_slabs;
    struct slab slabs[SLABS_MAX];
};

/* Guards made with mprotect, of all pools: the limit on mappings is the process's. */
static atomic_size_t guards_protected;

/* A class whose stacks have usable bytes even where pages are bigger than its guard. */
static bool choose_class(size_t usable, size_t page, struct size_class *ret_class)
{
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        size_t guard = classes[i].guard < page ? page : classes[i].guard;
        if (guard < classes[i].slot && classes[i].slot - guard >= usable) {
            *ret_class = (struct size_class){ classes[i].slot, guard };
            return true;
        }
    }
    return false;
}

/* Maps nothing yet: the first stack does. */
int cr_stacks_new(const cr_sys *sys, size_t usable, void **hot, cr_stacks **ret_stacks)
{
    struct size_class class;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (!choose_class(usable ? usable : USABLE_DEFAULT, page, &class))
        return -EINVAL;
    cr_stacks *stacks = cr_alloc_zero(sys, sizeof *stacks);
    if (!stacks)
        return -ENOMEM;
    stacks->sys = sys;
    stacks->hot = hot;
    /* A page more than a round number: else equal places of all stacks fell into the same few
     * sets of the second-level cache. */
    stacks->slot = class.slot + page;
    stacks->guard = class.guard + page;
    stacks->page = page;
    stacks->one_by_one = RUNNING_ON_VALGRIND; /* it does not know process_madvise and says so */
    stacks->by_touch = RUNNING_ON_VALGRIND;
    *hot = NULL;
    *ret_stacks = stacks;
    return 0;
}

static char *slot_at(const cr_stacks *stacks, const struct slab *slab, size_t index)
{
    return slab->base + index * stacks->slot;
}

/* Tops of neighbouring slots must not fall into the same sets of the first-level cache: they are
 * equal in all bits within a page. */
static void *slot_top(const cr_stacks *stacks, const struct slab *slab, size_t index)
{
    return slot_at(stacks, slab, index + 1) - ABOVE_TOP - index % COLOURS * COLOUR_STEP;
}

/* The slot a top belongs to: tops lie in a slot's last page, slots need no alignment. The watchdog
 * asks from its thread while the list may grow: a slab is filled in before it is counted. */
static const struct slab *slab_of(const cr_stacks *stacks, const void *address)
{
    for (size_t i = __atomic_load_n(&stacks->n_slabs, __ATOMIC_ACQUIRE); i-- > 0;) {
        const struct slab *slab = &stacks->slabs[i];
        size_t guarded = __atomic_load_n(&slab->guarded, __ATOMIC_RELAXED);
        if ((uintptr_t)address - (uintptr_t)slab->base < guarded * stacks->slot)
            return slab;
    }
    return NULL;
}

/* Tell the tools about a slot that is handed out for the first time, and that it is gone.
 * LeakSanitizer must look for pointers in parked stacks, but would die reading a guard: so each
 * usable range by itself. */
static void announce_slot(cr_stacks *stacks, struct slab *slab, size_t index)
{
    char *slot = slot_at(stacks, slab, index);
    if (slab->valgrind) { /* unreached: under Valgrind alone */
        slab->valgrind[index] =
            VALGRIND_STACK_REGISTER(slot + stacks->guard, slot + stacks->slot - 1);
    }
#if CR_ASAN
    __lsan_register_root_region(slot + stacks->guard, stacks->slot - stacks->guard);
#endif
}

/* What is mapped here next is not a stack: the tools must forget all they knew of it. */
static void retract_slot(CR_UNUSED cr_stacks *stacks, struct slab *slab, size_t index)
{
    if (slab->valgrind) { /* unreached: under Valgrind alone */
        VALGRIND_STACK_DEREGISTER(slab->valgrind[index]);
    }
#if CR_ASAN
    char *slot = slot_at(stacks, slab, index);
    __lsan_unregister_root_region(slot + stacks->guard, stacks->slot - stacks->guard);
    __asan_unpoison_memory_region(slot + stacks->guard, stacks->slot - stacks->guard);
#endif
}

/* Guards go with the mapping; those made by mprotect are taken off the process's count. */
void cr_stacks_free(cr_stacks *stacks)
{
    if (!stacks)
        return;
    const cr_sys *sys = stacks->sys;
    for (size_t i = 0; i < stacks->n_slabs; i++) {
        struct slab *slab = &stacks->slabs[i];
        for (size_t index = 0; index < slab->handed; index++)
            retract_slot(stacks, slab, index);
        sys->unmap(sys->context, slab->base, slab->slots * stacks->slot);
        cr_free(sys, slab->valgrind);
    }
    atomic_fetch_sub_explicit(&guards_protected, stacks->protected, memory_order_relaxed);
    *stacks->hot = NULL;
    cr_free(sys, stacks->cold);
    cr_free(sys, stacks);
}

int cr_stacks_advise(cr_stacks *stacks, const struct iovec *ranges, size_t n, int advice)
{
    const cr_sys *sys = stacks->sys;
    if (!stacks->one_by_one && n > 1) {
        size_t total = 0;
        for (size_t i = 0; i < n; i++)
            total += ranges[i].iov_len;
        ssize_t done = sys->advise_many(sys->context, ranges, n, advice);
        if (done >= 0 && (size_t)done == total)
            return 0;
        stacks->one_by_one = done < 0;
    }
    for (size_t i = 0; i < n; i++) {
        int result = sys->advise(sys->context, ranges[i].iov_base, ranges[i].iov_len, advice);
        if (result < 0)
            return result;
    }
    return 0;
}

/* How many guards mprotect may make in this process: half of the mappings it may have. */
static size_t protected_max(const cr_sys *sys)
{
    long count = 0;
    int fd = sys->open(sys->context, "/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC, 0);
    if (fd >= 0) {
        char text[32] = "";
        (void)sys->read(sys->context, fd, text, sizeof text - 1);
        if (strchr(text, '\n')) /* else nothing could be read, or not all of the number */
            count = strtol(text, NULL, 10);
        sys->close(sys->context, fd);
    }
    return (size_t)(count > 0 ? count : MAP_COUNT_DEFAULT) / 2 / MAPPINGS_PER_GUARD;
}

/* Once per pool, straight to stderr: the spawn fails with -ENOMEM, which would not say what to
 * raise. */
static CR_COLD void tell_limit(cr_stacks *stacks, size_t most)
{
    if (stacks->limit_told)
        return;
    stacks->limit_told = true;
    char line[256];
    int length = snprintf(line, sizeof line,
        "crank: no more stacks: each needs %d mappings before Linux 6.13, and %zu stacks hold half "
        "of vm.max_map_count; raise it (sysctl vm.max_map_count) or run fewer tasks at once\n",
        MAPPINGS_PER_GUARD, most);
    (void)!stacks->sys->write(stacks->sys->context, STDERR_FILENO, line, (size_t)length);
}

/* Guard the next n slots with mprotect, as far as the limit allows. 0 when at least one was. */
static int guard_protected(cr_stacks *stacks, struct slab *slab, size_t n)
{
    const cr_sys *sys = stacks->sys;
    size_t most = protected_max(sys);
    size_t before = slab->guarded;
    for (; n > 0; n--) {
        char *slot = slot_at(stacks, slab, slab->guarded);
        if (atomic_fetch_add_explicit(&guards_protected, 1, memory_order_relaxed) >= most ||
            sys->protect_none(sys->context, slot, stacks->guard) < 0) {
            atomic_fetch_sub_explicit(&guards_protected, 1, memory_order_relaxed);
            break;
        }
        stacks->protected ++;
        __atomic_store_n(&slab->guarded, slab->guarded + 1, __ATOMIC_RELAXED);
    }
    if (slab->guarded > before)
        return 0;
    if (atomic_load_explicit(&guards_protected, memory_order_relaxed) >= most)
        tell_limit(stacks, most);
    return -ENOMEM;
}

/* The first guard of all is read from: a kernel that took the advice without acting on it would
 * let us. -EINVAL then means that guards must be made otherwise. */
static int guard_marked(cr_stacks *stacks, struct slab *slab, size_t n)
{
    struct iovec ranges[BATCH];
    for (size_t i = 0; i < n; i++)
        ranges[i] = (struct iovec){ slot_at(stacks, slab, slab->guarded + i), stacks->guard };
    int result = cr_stacks_advise(stacks, ranges, n, MADV_GUARD_INSTALL);
    if (result < 0)
        return result;
    if (stacks->guards == GUARDS_UNKNOWN) {
        const cr_sys *sys = stacks->sys;
        char *guard = slot_at(stacks, slab, slab->guarded);
        if (sys->advise(sys->context, guard, stacks->guard, MADV_POPULATE_READ) != -EFAULT)
            return -EINVAL;
        stacks->guards = GUARDS_MARKED;
    }
    __atomic_store_n(&slab->guarded, slab->guarded + n, __ATOMIC_RELAXED);
    return 0;
}

/* As many slots as one page of the page table maps: see the head. */
static size_t step_of(const cr_stacks *stacks)
{
    size_t n = TABLE_REACH / (stacks->slot - stacks->page); /* as good as, with the odd page */
    return n < 1 ? 1 : n < BATCH ? n : BATCH;
}

/* Once guards of a kind have held, that kind is not doubted any more: a failure is then a want
 * of memory. */
static int guard_more(cr_stacks *stacks, struct slab *slab)
{
    size_t n = slab->slots - slab->guarded;
    if (n > step_of(stacks))
        n = step_of(stacks);
    if (stacks->guards != GUARDS_PROTECTED) {
        int result = guard_marked(stacks, slab, n);
        if (result != -EINVAL || stacks->guards == GUARDS_MARKED)
            return result < 0 ? -ENOMEM : 0;
        stacks->guards = GUARDS_PROTECTED;
    }
    return guard_protected(stacks, slab, n);
}

/* Twice the last slab, or less where address space is short. */
static int map_slab(cr_stacks *stacks)
{
    const cr_sys *sys = stacks->sys;
    if (stacks->n_slabs == SLABS_MAX)
        return -ENOMEM;
    size_t slots = stacks->n_slabs ? 2 * stacks->slabs[stacks->n_slabs - 1].slots : FIRST_SLOTS;
    if (slots * stacks->slot > SLAB_BYTES_MAX)
        slots = SLAB_BYTES_MAX / stacks->slot;
    char *base = sys->map(sys->context, slots * stacks->slot);
    while (!base && slots > FIRST_SLOTS) {
        slots /= 2;
        base = sys->map(sys->context, slots * stacks->slot);
    }
    if (!base)
        return -ENOMEM;
    struct slab *slab = &stacks->slabs[stacks->n_slabs];
    *slab = (struct slab){ .base = base, .slots = slots };
    /* One touched byte must not commit 2 MiB. A kernel without huge pages refuses, and is right. */
    (void)sys->advise(sys->context, base, slots * stacks->slot, MADV_NOHUGEPAGE);
    /* Stacks that it does not know would make it report at switches. */
    if (RUNNING_ON_VALGRIND) { /* unreached: under Valgrind alone */
        slab->valgrind = cr_alloc_zero(sys, slots * sizeof *slab->valgrind);
        if (!slab->valgrind) {
            (void)sys->unmap(sys->context, base, slots * stacks->slot);
            return -ENOMEM;
        }
    }
    __atomic_store_n(&stacks->n_slabs, stacks->n_slabs + 1, __ATOMIC_RELEASE);
    return 0;
}

/* Commit the top pages of n stacks at once. Gives how many to hand out: one, to be committed by
 * touch, where that cannot be done. */
static size_t commit(cr_stacks *stacks, void *const *tops, size_t n)
{
    struct iovec ranges[BATCH];
    if (n == 1 || stacks->by_touch)
        return 1;
    for (size_t i = 0; i < n; i++) {
        char *page = (char *)tops[i] - (uintptr_t)tops[i] % stacks->page;
        ranges[i] = (struct iovec){ page, stacks->page };
    }
    if (cr_stacks_advise(stacks, ranges, n, MADV_POPULATE_WRITE) == 0)
        return n;
    stacks->by_touch = true;
    return 1;
}

/* Pushed from the last to the first, so that stacks come out in address order. */
static int hand_out_new(cr_stacks *stacks)
{
    struct slab *slab = stacks->n_slabs ? &stacks->slabs[stacks->n_slabs - 1] : NULL;
    if (!slab || slab->handed == slab->slots) {
        int result = map_slab(stacks);
        if (result < 0)
            return result;
        slab = &stacks->slabs[stacks->n_slabs - 1];
    }
    if (slab->handed == slab->guarded) {
        int result = guard_more(stacks, slab);
        if (result < 0)
            return result;
    }
    bool first = slab == stacks->slabs && slab->handed < step_of(stacks);
    size_t n = first ? 1 : slab->guarded - slab->handed;
    void *tops[BATCH];
    for (size_t i = 0; i < n; i++)
        tops[i] = slot_top(stacks, slab, slab->handed + i);
    n = commit(stacks, tops, n);
    for (size_t i = n; i-- > 0;) {
        announce_slot(stacks, slab, slab->handed + i);
        cr_stack_push(stacks->hot, tops[i]);
    }
    slab->handed += n;
    return 0;
}

/* The most recently given back first: their page tables are the likeliest to be there still. */
static void hand_out_cold(cr_stacks *stacks)
{
    size_t n = stacks->n_cold < step_of(stacks) ? stacks->n_cold : step_of(stacks);
    n = commit(stacks, stacks->cold + stacks->n_cold - n, n);
    for (void **top = stacks->cold + stacks->n_cold - n; n > 0; n--, stacks->n_cold--)
        cr_stack_push(stacks->hot, *top++);
}

/* Spare before cold, cold before new: what still has its pages costs nothing, what has had them
 * costs a commit, new ones a guard as well. */
int cr_stacks_refill(cr_stacks *stacks)
{
    if (*stacks->hot)
        return 0;
    stacks->refilled = true;
    if (stacks->spare) {
        *stacks->hot = stacks->spare;
        stacks->spare = NULL;
        return 0;
    }
    if (stacks->n_cold) {
        hand_out_cold(stacks);
        return 0;
    }
    return hand_out_new(stacks);
}

/* An array beside the stacks and not a list through them: linking would touch the pages that
 * have just been given back. Without memory for it the stacks stay spare. */
static bool cold_room(cr_stacks *stacks, size_t n)
{
    size_t room = stacks->cold_room ? stacks->cold_room : BATCH;
    while (room < stacks->n_cold + n)
        room *= 2;
    if (room == stacks->cold_room)
        return true;
    void **cold = cr_resize(stacks->sys, stacks->cold, room * sizeof *cold);
    if (!cold)
        return false;
    stacks->cold = cold;
    stacks->cold_room = room;
    return true;
}

/* What lies behind the first keep stacks is cut off the hot list. Walking it costs a cache miss
 * each: so not while the list looks as it did. */
bool cr_stacks_set_aside(cr_stacks *stacks, size_t keep)
{
    bool unchanged =
        *stacks->hot == stacks->trimmed && keep == stacks->trimmed_to && !stacks->refilled;
    if (stacks->spare || unchanged)
        return stacks->spare != NULL;
    stacks->trimmed = *stacks->hot;
    stacks->trimmed_to = keep;
    stacks->refilled = false;
    void **link = stacks->hot;
    for (; keep > 0 && *link; keep--)
        link = *link;
    stacks->spare = *link;
    *link = NULL;
    return stacks->spare != NULL;
}

/* A batch per call, so that a loop which could have something better to do finds out. */
bool cr_stacks_trim(cr_stacks *stacks)
{
    if (!stacks->spare || !cold_room(stacks, BATCH))
        return false;
    struct iovec ranges[BATCH];
    size_t n = 0;
    for (; n < BATCH && stacks->spare; n++) {
        char *top = cr_stack_pop(&stacks->spare);
        const struct slab *slab = slab_of(stacks, top);
        CR_ASSERT(slab);
        size_t index = (size_t)(top - slab->base) / stacks->slot;
        char *slot = slot_at(stacks, slab, index);
        ranges[n] = (struct iovec){ slot + stacks->guard, stacks->slot - stacks->guard };
        stacks->cold[stacks->n_cold++] = top;
    }
    /* Pages that stay because they are locked in memory do no harm. */
    (void)cr_stacks_advise(stacks, ranges, n, MADV_DONTNEED);
    return stacks->spare != NULL;
}

/* Fill in the usable range of the slot that holds address; NULL is no slot, else the slot's lowest
 * byte. */
static char *locate(const cr_stacks *stacks, const void *address, char **ret_low, char **ret_high)
{
    const struct slab *slab = slab_of(stacks, address);
    if (!slab)
        return NULL;
    char *slot = slot_at(stacks, slab, (size_t)((const char *)address - slab->base) / stacks->slot);
    *ret_low = slot + stacks->guard;
    *ret_high = slot + stacks->slot;
    return slot;
}

/* Addresses in the guard do not count: nothing usable lies there. */
bool cr_stacks_find(const cr_stacks *stacks, const void *address, char **ret_low, char **ret_high)
{
    char *low;
    char *high;
    if (!locate(stacks, address, &low, &high) || (const char *)address < low)
        return false;
    *ret_low = low;
    *ret_high = high;
    return true;
}

/* Reads the slabs' list only, which grows at its end: a handler may interrupt its growing. */
bool cr_stacks_in_guard(
    const cr_stacks *stacks, const void *address, char **ret_low, char **ret_high)
{
    char *low;
    char *high;
    if (!locate(stacks, address, &low, &high) || (const char *)address >= low)
        return false;
    *ret_low = low;
    *ret_high = high;
    return true;
}

bool cr_stacks_guards_marked(const cr_stacks *stacks) { return stacks->guards == GUARDS_MARKED; }

/* The smallest of all colours: what every stack has. */
size_t cr_stacks_usable(const cr_stacks *stacks)
{
    return stacks->slot - stacks->guard - ABOVE_TOP - (size_t)(COLOURS - 1) * COLOUR_STEP;
}

static size_t count_list(void *const *top)
{
    size_t count = 0;
    for (; top; top = *top)
        count++;
    return count;
}

/* The runner takes from the hot list and gives back to it without saying so: hence by what is
 * left. */
size_t cr_stacks_in_use(const cr_stacks *stacks)
{
    size_t handed = 0;
    for (size_t i = 0; i < stacks->n_slabs; i++)
        handed += stacks->slabs[i].handed;
    return handed - count_list(*stacks->hot) - count_list(stacks->spare) - stacks->n_cold;
}

void cr_stacks_statistics(const cr_stacks *stacks, size_t *ret_slots, size_t *ret_mappings)
{
    size_t slots = 0;
    for (size_t i = 0; i < stacks->n_slabs; i++)
        slots += stacks->slabs[i].handed;
    *ret_slots = slots;
    *ret_mappings = stacks->n_slabs + MAPPINGS_PER_GUARD * stacks->protected;
}
