/* SPDX-License-Identifier: MIT */
/* pages.c: advice to the kernel about pages that lie whole in a stretch of memory.
 *
 * Owns nothing: the memory is the caller's, and stays mapped. Advice that the kernel refuses
 * changes nothing but speed. */
#include "base/pages.h"

/* The pages that lie in it whole: those at its edges are shared with others. Kernels before 5.14
 * refuse, and the pages come by fault. */
void cr_pages_commit(const cr_sys *sys, void *memory, size_t size)
{
    enum { page = 4096, populate_write = 23 /* MADV_POPULATE_WRITE */ };
    uintptr_t start = ((uintptr_t)memory + page - 1) & ~(uintptr_t)(page - 1);
    uintptr_t end = ((uintptr_t)memory + size) & ~(uintptr_t)(page - 1);
    if (end > start + page)
        (void)sys->advise(sys->context, (void *)start, end - start, populate_write);
}

void cr_pages_release(const cr_sys *sys, void *memory, size_t size)
{
    enum { page = 4096, dontneed = 4 /* MADV_DONTNEED */ };
    uintptr_t start = ((uintptr_t)memory + page - 1) & ~(uintptr_t)(page - 1);
    uintptr_t end = ((uintptr_t)memory + size) & ~(uintptr_t)(page - 1);
    if (end > start)
        (void)sys->advise(sys->context, (void *)start, end - start, dontneed);
}
