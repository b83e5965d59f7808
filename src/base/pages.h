/* SPDX-License-Identifier: MIT */
/* pages.h: pages of memory, asked for before they are touched and given back without unmapping. */
#ifndef CR_PAGES_H
#define CR_PAGES_H
#include "base/sys.h"

/* Memory that is about to be written from one end to the other: one call of the kernel's instead
 * of a page fault for each page, which cost ten times as much. */
void cr_pages_commit(const cr_sys *sys, void *memory, size_t size);
/* The pages that lie in it whole are given back, and read as zero from now on. */
void cr_pages_release(const cr_sys *sys, void *memory, size_t size);
#endif
