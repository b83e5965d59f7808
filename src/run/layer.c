/* SPDX-License-Identifier: MIT */
/* layer.c: crank/layer.h, the OS table as libraries beside the core see it.
 *
 * Owns nothing. The table is the running loop's; where no loop runs, before the first run or on a
 * worker thread, it is the real one. */
#include <crank/layer.h>

#include <stdio.h>

#include "base/check.h"
#include "base/pages.h"
#include "task/record.h"
#include "task/report.h"
#include "task/wait.h"

static const cr_sys *table(void) { return cr_loop_here ? cr_loop_here->sys : &cr_sys_real; }

/* Whatever is asked for: NULL means short of memory. */
void *crank_alloc(size_t size) { return cr_alloc(table(), size > 0 ? size : 1); }

/* All tables have one heap. */
void crank_release(void *memory) { cr_free(table(), memory); }

/* For identifiers and jitter. */
uint64_t crank_random(void) { return table()->random(table()->context); }

/* To a microsecond: a double has no more of such a number. */
double crank_wall_time(void) { return (double)table()->wall_now(table()->context) / 1e9; }

/* The pages below this frame, but for those that the call itself needs. */
void crank_layer_trim_stack(void)
{
    enum { OWN = 2048 };
    char *low, *high, *here = __builtin_frame_address(0);
    crank_loop *loop = cr_loop_here;
    if (CR_SWITCH_SANITIZED || !loop || !loop->tasks ||
        !cr_stacks_find(cr_task_state_of(loop)->stacks, here, &low, &high))
        return;
    if (here - low > OWN)
        cr_pages_release(loop->sys, low, (size_t)(here - low) - OWN);
}

static cr_caller caller(const char *call)
{
    return (cr_caller){ cr_checked_loop(call), cr_checked_self(call) };
}

void crank_layer_block_begin(crank_layer_block *ret_kept)
{
    cr_caller w = caller("crank_layer_block_begin");
    cr_block_end kept = cr_checkpoint_block_end(&w);
    *ret_kept = (crank_layer_block){ kept.failure, kept.without_scope };
}

void crank_layer_block_end(crank_layer_block *kept)
{
    cr_caller w = caller("crank_layer_block_end");
    cr_checkpoint_block_left(&w, &(cr_block_end){ kept->failure, kept->without_scope });
}

void crank_layer_report(int error, const char *text)
{
    CR_CHECK(text, "crank_layer_report: the text is NULL");
    if (cr_loop_here && cr_loop_here->tasks)
        cr_report(cr_loop_here, CRANK_REPORT_NOTE, error, cr_self(), text);
    else
        fprintf(stderr, "crank: note: %s\n", text);
}
