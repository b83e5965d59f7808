/* SPDX-License-Identifier: MIT */
/* start.c: spawning into a group a child that says when it is ready (Trio's nursery.start).
 *
 * Until it has called crank_started the child is its starter's own: the starter waits for it, its
 * failure is the starter's, and a request to the starter is passed on to it. With crank_started it
 * becomes a child of the group and the starter goes on, in one step.
 *
 * Owns: the time between the spawn and that step. The state lies in the scopes' freelist while the
 * starter waits; the child finds it by its ext, where a mark stays behind for the rest of its life.
 * Invariant: the state is there exactly as long as the child is alive and has not said it, and the
 * starter is parked as long. */
#include <string.h>
#include "base/check.h"
#include "base/text.h"
#include "group/group.h"
#include "group/results.h"
#include "scope/cancel.h"
#include "scope/end.h"
#include "scope/join.h"
#include "scope/nursery.h"
#include "scope/reap.h"
#include "scope/scope.h"
#include "scope/spawn.h"
#include "task/describe.h"
#include "task/error.h"
#include "task/hibernate.h"
#include "task/result.h"
#include "task/wait.h"

typedef struct start {
    cr_gather base; /* the child's joiner: told of an end that comes first */
    crank_loop *loop;
    cr_task *self;  /* the starter */
    cr_task *child; /* NULL: it has started, or ended */
    cr_nursery *group;
    void *result; /* where the value goes; NULL: nowhere */
    size_t size;
    unsigned char kind;
    bool started;
    bool interrupted; /* the starter was asked to stop */
    bool named;       /* a child that does not end was reported */
    int error;        /* what the child failed with before it had started */
} start;
_Static_assert(sizeof(start) <= CR_SCOPE_SIZE, "a start fits the scopes' freelist");

/* In the ext of a child that has started, in place of its start: only its address counts. */
static const start is_over;

/* ---- the starter's wait */

static cr_task *start_holder(const cr_task *self)
{
    return ((const start *)self->wait_object)->child;
}
static size_t start_describe(const cr_task *self, char *buf, size_t size)
{
    return cr_text_format(buf, size, "task '%s'", cr_describe_name(start_holder(self)));
}

static bool start_abort(cr_task *self);
static void start_repeat(cr_task *self);
static cr_task *start_unnamed(cr_task *self)
{
    start *s = self->wait_object;
    bool named = s->named;
    s->named = true;
    return named ? NULL : s->child;
}
static void start_ask(crank_loop *loop, cr_task *self)
{
    (void)cr_cancel_task(loop, ((start *)self->wait_object)->child);
}
static const cr_wait_ops start_wait, start_end_wait;
static const cr_reap start_reap = {
    .plain = &start_wait, .graced = &start_end_wait, .unnamed = start_unnamed, .ask = start_ask
};
/* The same wait twice: the second after the child was asked to end, with the grace period's
 * timer. */
static const cr_wait_ops start_wait = { .what = "waits for the start of",
    .abort = start_abort,
    .repeat = start_repeat,
    .reap = &start_reap,
    .blocked_by = start_holder,
    .describe = start_describe };
static const cr_wait_ops start_end_wait = { .what = "waits for the end of",
    .abort = start_abort,
    .repeat = start_repeat,
    .on_timeout = cr_reap_due,
    .reap = &start_reap,
    .blocked_by = start_holder,
    .describe = start_describe };

/* The child may end within the request, and the starter have been woken. */
static void ask_child(start *s)
{
    (void)cr_cancel_task(s->loop, s->child);
    if (s->child)
        cr_reap_asked(s->loop, s->self, &start_reap);
}

static bool start_abort(cr_task *self)
{
    start *s = self->wait_object;
    self->fiber.flags |= CR_TASK_DELIVERING;
    s->interrupted = true;
    ask_child(s);
    return false;
}
static void start_repeat(cr_task *self) { ask_child(self->wait_object); }

static void wake_starter(start *s)
{
    s->child = NULL;
    cr_reap_end(s->loop, s->self, &start_reap);
    s->self->fiber.flags = (uint16_t)(s->self->fiber.flags & ~CR_TASK_DELIVERING);
    cr_wake(s->loop, s->self, 0);
}

/* Without having said it. Its failure is the starter's, and its record goes. */
static void ended_early(crank_loop *loop, cr_gather *base, cr_task *task)
{
    start *s = cr_container_of(base, start, base);
    task->joiner = 0;
    s->error = cr_result_error(task);
    cr_join_claim(loop, task, s->self);
    wake_starter(s);
}

/* What the starter is told. A request is answered where its -ECANCELED is what comes of it; else it
 * stays for the next wait. */
static int outcome(const start *s, const crank_site *site)
{
    if (s->started)
        return 0;
    if (s->error && s->error != -ECANCELED)
        return s->error;
    if (s->error == -ECANCELED || (s->interrupted && cr_interruption_deliverable(s->self))) {
        cr_interruption_give(s->self);
        return -ECANCELED;
    }
    return cr_error_set(
        -EPROTO, "crank_group_start: %s has ended without crank_started", site->function);
}

/* ---- starting */

/* Everything that can fail, before the child is made ready. NULL and *ret_err where it has. */
static start *prepare(const cr_caller *w, cr_task *task, const crank_start_ *how, int *ret_err)
{
    static const char call[] = "crank_group_start";
    cr_task_state *tasks = cr_task_state_of(w->loop);
    cr_nursery *group = how->group->state ? cr_group_nursery(how->group, call) : NULL;
    if (group && cr_group_ending(group)) {
        *ret_err = -ECANCELED;
        return NULL;
    }
    start *s = group && cr_record_ext(tasks, task) ? cr_freelist_get(&tasks->scopes) : NULL;
    if (!s) {
        *ret_err = cr_error_set(-ENOMEM, "%s: out of memory", call);
        return NULL;
    }
    *s = (start){ .base.ended = ended_early,
        .loop = w->loop,
        .self = w->self,
        .child = task,
        .group = group,
        .result = how->result,
        .size = how->size,
        .kind = how->kind };
    task->ext->start = s;
    task->joiner = (uintptr_t)&s->base | 1;
    return s;
}

/* The task is made first, for its call was captured where the next one goes; it is not ready, so
 * that nothing has happened where a request is pending. */
int crank_group_start_(crank_start_ how, crank_function_ *fn, const crank_site *site)
{
    cr_check_site = site;
    crank_loop *loop = cr_checked_loop("crank_group_start");
    (void)cr_checked_self("crank_group_start");
    cr_check_site = NULL;
    cr_task *task = cr_spawn_make(loop, fn, site);
    cr_caller w;
    int err = cr_checkpoint(&w, "crank_group_start");
    if (err == 0 && !task)
        err = cr_error_set(-ENOMEM, "crank_group_start: out of memory");
    start *s = err < 0 || !task ? NULL : prepare(&w, task, &how, &err);
    if (!s) {
        if (task)
            cr_end_unmake(loop, task);
        return err;
    }
    cr_spawn_ready(loop, task);
    w.self->wait_object = s;
    (void)cr_park(&w, &start_wait);
    err = outcome(s, site);
    cr_freelist_put(&cr_task_state_of(loop)->scopes, s);
    return err;
}

/* ---- in the child */

/* A value as a task would have returned it: integers widened by their sign, floats to doubles. */
static uint64_t bits_of(const void *value, size_t size, unsigned char kind)
{
    uint64_t bits = 0;
    if (kind == CRANK_KIND_FLOAT) {
        float small;
        memcpy(&small, value, sizeof small);
        double wide = (double)small;
        memcpy(&bits, &wide, sizeof bits);
        return bits;
    }
    memcpy(&bits, value, size);
    unsigned unused = 64 - 8 * (unsigned)size;
    if (kind == CRANK_KIND_SIGNED && unused > 0)
        bits = (uint64_t)((int64_t)(bits << unused) >> unused);
    return bits;
}

/* The variable may lie on a stack that is put away. */
static void store(const start *s, const void *value, size_t size, unsigned char kind)
{
    crank_site site = { .kind = kind, .size = (unsigned char)size };
    CR_CHECK(cr_results_fits(&site, s->size, s->kind),
        "crank_started: the value (%s of %zu bytes) does not fit the starter's variable, which is "
        "for %zu-byte %s",
        cr_results_words(&site), size, s->size, cr_results_variables_words(s->kind));
    uint64_t bits = bits_of(value, size, kind);
    cr_hibernate_ensure(s->result);
    memcpy(s->result, &bits, s->size);
}

/* The group may be ending: then the child is asked to end, as its siblings were. The starter is the
 * child's parent until it is taken in, and is parked. */
void crank_started_(const void *value, size_t size, unsigned char kind)
{
    cr_task *self = cr_checked_self("crank_started");
    start *s = self->ext ? self->ext->start : NULL;
    if (!s)
        return;
    CR_CHECK(
        s != &is_over, "crank_started: task '%s' has called it before", cr_describe_name(self));
    if (s->result)
        store(s, value, size, kind);
    self->ext->start = (start *)(uintptr_t)&is_over;
    self->joiner = 0;
    s->started = true;
    crank_loop *loop = s->loop;
    cr_nursery *group = s->group;
    wake_starter(s);
    if (cr_group_take(loop, group, self, &(cr_delivery){ .result = NULL }) < 0)
        cr_group_lacks(loop, group, "crank_group_start");
}
