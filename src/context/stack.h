/* SPDX-License-Identifier: MIT */
/* stack.h: guarded stacks in slabs, hot ones first.
 *
 * Owns: slots, their guards, the free lists, the report of an overflow. A slot is virtual memory
 * committed on touch; its lowest part is a guard. Slabs double in size. A slot is named by its top:
 * an address inside the slot's uppermost page, 64-byte aligned, at a small varying offset (cache
 * colouring), whose word links it while it is free and above which a cr_stack_head (128 bytes)
 * belongs to the pool. */
#ifndef CR_STACK_H
#define CR_STACK_H
#include "base/sys.h"
#include <sys/mman.h>
#include <sys/uio.h>

/* Newer than Debian 12's headers. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

typedef struct cr_stacks cr_stacks;

/* A pool whose stacks have at least usable bytes (rounded up to a class: 48 KiB, 192 KiB, 1 MiB,
 * 8 MiB). *hot is where the pool keeps its free hot stacks (the runner's field). 0, -ENOMEM,
 * -EINVAL for more than 8 MiB. */
int cr_stacks_new(const cr_sys *sys, size_t usable, void **hot, cr_stacks **ret_stacks);
/* Unmaps everything. Every stack must be back. */
void cr_stacks_free(cr_stacks *stacks);
/* Make sure *hot is not empty. 0; -ENOMEM; -EMFILE-like limits give -ENOMEM too, with a line saying
 * which limit. */
int cr_stacks_refill(cr_stacks *stacks);
/* The caller has made sure that there is one. The same two lines stand in the assembly. */
static inline void *cr_stack_pop(void **hot)
{
    void *top = *hot;
    CR_ASSUME(top != NULL);
    *hot = *(void **)top;
    return top;
}
/* Last in, first out: the stack used last is the one whose pages are in the cache. */
static inline void cr_stack_push(void **hot, void *top)
{
    *(void **)top = *hot;
    *hot = top;
}
/* Idle time: keep so many hot stacks and set the others aside, to be used again when the hot ones
 * run out. Returns whether there are any aside. */
bool cr_stacks_set_aside(cr_stacks *stacks, size_t keep);
/* Give back the pages of some that stand aside. Returns whether there are more. */
bool cr_stacks_trim(cr_stacks *stacks);

/* Advise the kernel about n ranges of stacks, in one system call where it can, else one by one.
 * 0 or the first -errno. */
int cr_stacks_advise(cr_stacks *stacks, const struct iovec *ranges, size_t n, int advice);

/* The usable range of the slot that holds address: true and *ret_low (just above the guard),
 * *ret_high. */
bool cr_stacks_find(const cr_stacks *stacks, const void *address, char **ret_low, char **ret_high);
/* Is address inside a slot's guard? Then that slot's usable range, as above. Async-signal-safe. */
bool cr_stacks_in_guard(
    const cr_stacks *stacks, const void *address, char **ret_low, char **ret_high);
/* Has the kernel been seen to keep guards that cost no mapping (MADV_GUARD_INSTALL)? Known once
 * there is a stack. */
bool cr_stacks_guards_marked(const cr_stacks *stacks);
/* How many bytes below its top every stack has at least. */
size_t cr_stacks_usable(const cr_stacks *stacks);
/* How many are out: neither hot nor set aside nor cold. Walks those that are not. */
size_t cr_stacks_in_use(const cr_stacks *stacks);
/* Slots ever handed out, mappings held. */
void cr_stacks_statistics(const cr_stacks *stacks, size_t *ret_slots, size_t *ret_mappings);

/* The instruction at this address has touched the first page, where nothing lies: a layer above
 * says what call that was, or comes back. NULL: nobody. Called in the handler. */
extern void (*cr_null_faulted)(uintptr_t at);
/* Asked first about any fault of this thread: true when it has made the address good. NULL: nobody.
 * Called in the handler. */
extern __thread bool (*cr_stack_restore)(const void *address)
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* Per-thread alternate signal stack with a SIGSEGV and SIGBUS handler that calls report(address)
 * for a fault inside a guard of this thread's pools and then lets the default action happen; other
 * faults go to the handler there was before. Counted: install per loop, remove at its end. */
int cr_overflow_install(const cr_sys *sys, cr_stacks *stacks,
    void (*report)(const void *address, size_t depth, size_t limit));
void cr_overflow_remove(cr_stacks *stacks);
#endif
