/* SPDX-License-Identifier: MIT */
/* generators.c: generators that the program left open.
 *
 * A generator may be handed from task to task, so its end cannot be tied to that of a task. It is
 * tied to the run: when app and the detached tasks have ended, a last task closes those that still
 * sleep at a yield, so that their cleanups run and the children of their groups end (as asyncio.run
 * does for asynchronous generators), and says so once. The others have nothing to clean up but
 * memory.
 *
 * Owns the list of a loop's generators, newest first, and the freelist of their records, which stay
 * records after the end: so one that was closed can be told from one that may be asked. The order
 * of closing is from the outside in: a body closes what it asks by itself, and must not find it
 * gone. */
#include "generator/generator.h"
#include "scope/spawn.h"
#include "task/report.h"
#include <stdio.h>
#include <string.h>

void cr_generators_open(crank_loop *loop)
{
    cr_freelist_init(
        &cr_task_state_of(loop)->generator_freelist, loop->sys, sizeof(crank_generator));
}

crank_generator *cr_generators_get(crank_loop *loop)
{
    cr_task_state *tasks = cr_task_state_of(loop);
    crank_generator *g = cr_freelist_get(&tasks->generator_freelist);
    if (!g)
        return NULL;
    memset(g, 0, sizeof *g);
    g->loop = loop;
    g->older = tasks->generators;
    if (g->older)
        g->older->newer = g;
    tasks->generators = g;
    return g;
}

void cr_generators_put(crank_generator *g)
{
    cr_task_state *tasks = cr_task_state_of(g->loop);
    if (g->newer)
        g->newer->older = g->older;
    else
        tasks->generators = g->older;
    if (g->older)
        g->older->newer = g->newer;
    cr_free(g->loop->sys, g->plan);
    g->state = CR_GENERATOR_CLOSED;
    cr_freelist_put(&tasks->generator_freelist, g);
}

/* The oldest that sleeps and is asked by no other generator; else the oldest that sleeps, left open
 * by a body that has ended. */
static crank_generator *next_to_close(const cr_task_state *tasks, size_t *ret_outermost)
{
    crank_generator *outermost = NULL, *any = NULL;
    *ret_outermost = 0;
    for (crank_generator *g = tasks->generators; g; g = g->older) {
        if (g->state != CR_GENERATOR_SLEEPING)
            continue;
        any = g;
        if (g->body.up || g->owned)
            continue;
        outermost = g;
        ++*ret_outermost;
    }
    return outermost ? outermost : any;
}

static void report(crank_loop *loop, const crank_generator *g, size_t count)
{
    char text[512], more[40] = "";
    if (count > 1)
        snprintf(more, sizeof more, " (and %zu more)", count - 1);
    snprintf(text, sizeof text,
        "generator %s, made at %s:%d in %s(), was left open%s and is closed now; close it with "
        "crank_generator_close, CRANK_AUTO_GENERATOR or crank_foreach",
        g->site->function, g->site->file, g->site->line, g->site->caller, more);
    cr_report(loop, CRANK_REPORT_LEFTOVER, 0, NULL, text);
}

/* The last task. A cleanup may leave others open: it looks again. */
static void close_all(void)
{
    crank_loop *loop = cr_loop_here;
    size_t count;
    bool said = false;
    for (crank_generator *g; (g = next_to_close(cr_task_state_of(loop), &count));) {
        if (!said)
            report(loop, g, count);
        said = true;
        crank_generator_end_(g);
    }
}

bool cr_generators_end(crank_loop *loop)
{
    static const crank_site site = { "(closes generators)", "", "", 0, CRANK_KIND_VOID, 1, 0, false,
        0, 0 };
    cr_task_state *tasks = cr_task_state_of(loop);
    size_t count;
    if (CR_LIKELY(!tasks->generators) || !next_to_close(tasks, &count))
        return false;
    cr_task *task = cr_spawn_make_owned(loop, tasks->detached, close_all, &site);
    if (!task)
        return false; /* short of memory at the very end: their memory is freed all the same */
    cr_spawn_ready(loop, task);
    return true;
}

void cr_generators_free(crank_loop *loop)
{
    cr_task_state *tasks = cr_task_state_of(loop);
    while (tasks->generators)
        cr_generators_put(tasks->generators);
    cr_freelist_deinit(&tasks->generator_freelist);
}
