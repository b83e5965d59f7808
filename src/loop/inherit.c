/* SPDX-License-Identifier: MIT */
/* inherit.c: what a child process makes of its parent's loops.
 *
 * A child has one thread, a copy of all memory, and the parent's files: epoll sets, eventfds,
 * rings. What it changes in these the parent sees. So the child's only thread has no loop, whatever
 * it was in, and no loop counts as alive; tasks and jobs of the parent's runs are never touched
 * again. A loop of crank_loop_new may go on in both processes: it is made the child's own by the
 * first call on it, and not before, since most children call exec.
 *
 * Owns: the handler that a child begins with, as far as this layer and the ones below it go (layers
 * above install their own), and the way of a loop from parent to child. */
#include "loop/inherit.h"

#include <pthread.h>

#include "base/check.h"
#include "loop/registry.h"

static pthread_once_t prepared = PTHREAD_ONCE_INIT;
static __thread bool forked_in_run;

/* In the child, on its only thread, before fork returns there. */
/* unreached: as fork returns gcov forgets what the child has counted. */
static void begin_child(void)
{
    forked_in_run = forked_in_run || cr_loop_here;
    cr_loop_here = NULL;
    cr_loop_served = NULL;
    cr_capture_into(NULL);
    cr_capture_into_block(NULL);
    cr_registry_forget();
}

static void prepare(void) { cr_fork_prepare(begin_child); }
void cr_inherit_prepare(void) { (void)pthread_once(&prepared, prepare); }

const char *cr_inherit_note(void)
{
    return forked_in_run ? "; this process was forked in a run, which goes on in its parent alone: "
                           "call crank_run, exec or _exit here"
                         : "";
}

void cr_inherit_came_back(void)
{
    cr_check_failed("fork: the child has returned to the loop that runs in its parent; let it call "
                    "exec or _exit, or run a loop of its own and end");
}

/* The parent's frames may say that it runs: here nothing does. */
void cr_inherit_loop(crank_loop *loop, const char *call)
{
    CR_CHECK(loop->bare,
        "%s: this is the loop of a run in the process that forked this one; make another with "
        "crank_loop_new, or call crank_run",
        call);
    loop->running = false;
    loop->runner.current = NULL;
    loop->watched = (cr_watched){ .postpone_at = CR_NEVER };
    loop->backend->type->leave_parent(loop->backend);
    cr_wakeup_inherit(loop->wakeup);
    cr_registry_add(loop);
    loop->renew = true;
}

/* A post that came before the backend had its descriptors could not wake it: here it is woken. */
int cr_inherit_renew(crank_loop *loop)
{
    if (CR_LIKELY(!loop->renew))
        return 0;
    int err = loop->backend->type->reopen(loop->backend);
    if (err < 0)
        return err;
    loop->renew = false;
    if (!cr_wakeup_sleep(loop->wakeup))
        loop->backend->type->wake(loop->backend);
    return 0;
}
