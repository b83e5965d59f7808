/* SPDX-License-Identifier: MIT */
#ifndef CRANK_LAYER_H
#define CRANK_LAYER_H
/* For libraries that stand on crank, as it stands on the system: what they take from here comes from where crank takes
 * it, so that a simulated run gives them its own chance and clock, and a test that makes memory short reaches them too.
 * Included by itself: crank.h does not include it. None of it waits; outside a run, and on worker threads, memory,
 * chance and clock are the system's. */
#include "base.h"

CRANK_BEGIN_DECLS

/* Memory, not cleared, to be given back with crank_release; NULL when it is short. */
CRANK_API void *crank_alloc(size_t size);
/* NULL is ignored. */
CRANK_API void crank_release(void *memory);
/* A random number; simulated, the next one that the seed decides. Never to be made a key of where it is simulated. */
CRANK_API uint64_t crank_random(void);
/* Seconds since 1970-01-01T00:00:00Z, without leap seconds, which the system's administrator may set back; simulated,
 * 2026-01-01T00:00:00Z and as much as the run has lasted on its own clock. crank_time is for spans of time. */
CRANK_API double crank_wall_time(void);
/* Give back the memory of the running task's stack that lies below what is in use: for a task that was deep in its
 * calls once and from now on waits for long. What is needed of it again costs a page fault. Outside a task, and in
 * builds with a sanitizer, nothing. */
CRANK_API void crank_layer_trim_stack(void);
/* What a clean-up at the end of a block leaves as it was: kept until it is over. */
typedef struct crank_layer_block {
    void *failure;
    bool without_scope;
} crank_layer_block;
/* Around such a clean-up, which may wait and may fail: the error that leaves the block stays the caller's. In a task
 * alone (a CHECK); each begin has its end. */
CRANK_API void crank_layer_block_begin(crank_layer_block *ret_kept);
CRANK_API void crank_layer_block_end(crank_layer_block *kept);
/* Report what cannot be given to any caller, as CRANK_REPORT_NOTE: to the run's on_report, else to stderr. text is one
 * line or several, without the newline at the end; error a negative errno or 0. Outside a run: to stderr. */
CRANK_API void crank_layer_report(int error, const char *text);

CRANK_END_DECLS
#endif
