/* SPDX-License-Identifier: MIT */
/* generator.c: functions that give values one by one, each on an extra stack of the task that asks.
 *
 * A generator is no task: while it runs, the running task runs on the generator's stack, and a wait
 * in its body parks that task. Asking is a bare switch of stacks (asymmetric coroutines, as Lua's
 * and Python's are): it has no place in the ready line, no scheduler sees it, and it costs two
 * swaps per value. A value is copied straight from the yield to the place of the asker.
 *
 * Owns: the switch between a generator and who asks it, and the chain of generators of a task
 * (fiber.generator is the innermost that runs, up the one that asked it). Does not own adaptors.
 *
 * Invariant: a generator runs on behalf of one task at a time, and between two values of none.
 * Scopes that a body has open when it yields go to sleep with it, and wake with it; so the
 * asker's chain is the same before and after it has asked, and nobody closes another's scope. */
#include "generator/generator.h"
#include "scope/scope.h"
#include "task/describe.h"
#include "task/error.h"
#include "task/report.h"
#include "base/check.h"
#include "base/text.h"
#include <string.h>

/* Stands for a generator that could not be made, where a loop needs one to ask. */
static const crank_generator missing;

static crank_generator *running(const cr_task *task) { return task->fiber.generator; }

static const char *name_of(const crank_generator *g) { return g->site->function; }

/* Nothing runs and no stack is taken until it is first asked: one that is never asked costs its
 * record. The arguments are kept as captured. */
crank_generator *cr_generator_make(crank_function_ *fn, const crank_site *site)
{
    cr_check_site = site;
    crank_loop *loop = cr_checked_loop("crank_generate");
    CR_CHECK(site->kind == CRANK_KIND_SIGNED && site->size >= sizeof(int),
        "crank_generate: %s must return int or long", site->function);
    cr_check_site = NULL;
    crank_generator *g = cr_generators_get(loop);
    if (!g) {
        errno = ENOMEM;
        return NULL;
    }
    g->site = site;
    g->function = fn;
    g->line = site->line;
    if (site->large)
        g->many = *cr_fiber_captured_large();
    else if (site->args > 0)
        g->few = *cr_fiber_captured_small();
    const cr_task *self = cr_self();
    g->body.up = self ? self->fiber.generator : NULL;
    return g;
}

crank_generator *crank_generate_(int zero, crank_function_ *fn, const crank_site *site)
{
    (void)zero;
    return cr_generator_make(fn, site);
}

/* ---- the switch */

/* Scopes opened since it was entered are those above below: they leave the task's chain with it. */
static void go_to_sleep(crank_generator *g, cr_task *self)
{
    if (CR_UNLIKELY(self->fiber.scope != g->body.below))
        cr_scopes_detach(self, g->body.below, &g->scope_top, &g->scope_bottom);
    self->fiber.generator = g->body.up;
}

/* The body, at the base of the generator's stack. Pushing the stack while still on it is safe:
 * nobody else runs before the switch. */
CRANK_NORETURN static void body(void *arg)
{
    crank_generator *g = arg;
    cr_side_entered(&g->own);
    cr_returned returned = { 0 };
    cr_call_captured(g->function, &g->few, g->site->large ? &g->many : NULL, &returned);
    g->result = g->site->size == sizeof(int) ? (int)returned.integer : (long)returned.integer;
    g->state = CR_GENERATOR_ENDED;
    go_to_sleep(g, cr_self());
    CR_CHECK(!g->scope_top,
        "generator %s returned while a timeout or group of it was open: was it left by longjmp?",
        name_of(g));
    cr_stack_push(&g->loop->runner.stacks, g->stack); /* nobody takes it before we have left it */
    g->stack = NULL;
    cr_side_leave(&g->own, &g->asker, g->result < 0 ? g->result : 0);
}

/* The runner's hot stacks may be used up, as at a task's first run; here the asker is told. */
static int first_run(crank_generator *g)
{
    crank_loop *loop = g->loop;
    if (!loop->runner.stacks && cr_stacks_refill(cr_task_state_of(loop)->stacks) < 0)
        return cr_error_set(
            -ENOMEM, "crank_next: no memory for the stack of generator %s", name_of(g));
    g->stack = cr_stack_pop(&loop->runner.stacks);
    cr_side_prepare(&g->own, &loop->runner, g->stack, body, g);
    return 0;
}

/* Run the body to its next yield or its end: that gives the answer, 1, 0, or its failure, straight
 * to our caller. */
static inline int enter(crank_generator *g, cr_task *self, cr_scope *below, int thrown)
{
    g->body.up = self->fiber.generator;
    g->body.below = below;
    g->state = CR_GENERATOR_RUNNING;
    self->fiber.generator = g;
    return cr_side_swap(&g->asker, &g->own, thrown);
}

/* What was thrown is what the yield in the body returns; it is taken once. */
static inline int resume(crank_generator *g)
{
    cr_task *self = cr_self();
    if (CR_UNLIKELY(g->state == CR_GENERATOR_NEW)) {
        int err = first_run(g);
        if (err < 0)
            return err;
    }
    cr_scope *below = self->fiber.scope;
    if (CR_UNLIKELY(g->scope_top != NULL)) {
        cr_scopes_attach(g->loop, self, g->scope_top, g->scope_bottom);
        g->scope_top = NULL;
    }
    int thrown = g->thrown;
    g->thrown = 0;
    return enter(g, self, below, thrown);
}

/* ---- asking */

void cr_generator_check(const crank_generator *g, const char *call)
{
    CR_CHECK(g->state != CR_GENERATOR_CLOSED,
        "%s: generator %s was closed before, by crank_generator_close, at the end of a "
        "crank_foreach, or by an adaptor or call that took it over; make a new one",
        call, name_of(g));
}

/* Out of line: the reasons are of interest only when there is one. */
static CR_COLD void cannot_ask(const crank_generator *g, const char *call)
{
    CR_CHECK(cr_loop_here == g->loop, "%s: generator %s was made in another run or thread", call,
        name_of(g));
    cr_generator_check(g, call);
    const crank_generator *up = running(cr_checked_self(call));
    while (up && up != g)
        up = (const crank_generator *)(const void *)up->body.up;
    CR_CHECK(!up, "%s: generator %s asks itself for a value", call, name_of(g));
    CR_CHECK(g->state != CR_GENERATOR_RUNNING,
        "%s: generator %s is asked by another task already, and waits; only one may ask at a time",
        call, name_of(g));
}

/* May it be asked? 1; 0 at the end; -ENOMEM for one that could not be made. */
static inline int may_ask(crank_generator *g, const char *call)
{
    if (CR_UNLIKELY(!g || g == &missing))
        return cr_error_set(-ENOMEM, "%s: the generator could not be made: out of memory", call);
    if (CR_UNLIKELY(g->state >= CR_GENERATOR_RUNNING || cr_loop_here != g->loop || !cr_self()))
        cannot_ask(g, call);
    return g->state != CR_GENERATOR_ENDED;
}

/* For the adaptors, which know sizes and kinds at run time only. */
int cr_generator_ask(crank_generator *g, cr_place out, cr_place in, const char *call)
{
    int may = may_ask(g, call);
    if (CR_UNLIKELY(may <= 0))
        return may;
    g->out = out;
    g->in = in;
    return resume(g);
}

static CR_NOINLINE int next(crank_generator *g, void *ret_value, size_t size, unsigned char kind)
{
    return cr_generator_ask(
        g, (cr_place){ ret_value, (uint32_t)size, kind }, (cr_place){ 0 }, "crank_next");
}

/* One that sleeps at a yield, without scopes of its own, is gone on with at once. */
int crank_next_(crank_generator *g, void *ret_value, size_t size, unsigned char kind)
{
    cr_task *self = cr_self();
    if (CR_UNLIKELY(!g || !self || g->state != CR_GENERATOR_SLEEPING || g->loop != cr_loop_here ||
                    g->scope_top))
        return next(g, ret_value, size, kind);
    g->out = (cr_place){ ret_value, (uint32_t)size, kind };
    g->in.at = NULL;
    return enter(g, self, self->fiber.scope, 0);
}

/* A body that has not come to a yield has nowhere to receive a value: Python refuses it as well. */
int crank_send_(crank_generator *g, const void *value, size_t size, unsigned char kind,
    void *ret_value, size_t ret_size, unsigned char ret_kind)
{
    int may = may_ask(g, "crank_send");
    if (may <= 0)
        return may;
    if (g->state == CR_GENERATOR_NEW)
        return cr_error_set(-EINVAL,
            "crank_send: generator %s has not come to its first yield; call crank_next first",
            name_of(g));
    return cr_generator_ask(g, (cr_place){ ret_value, (uint32_t)ret_size, ret_kind },
        (cr_place){ (void *)(uintptr_t)value, (uint32_t)size, kind }, "crank_send");
}

/* Into one that has not begun the error is its end: there is no yield to return it from. */
int crank_throw(crank_generator *g, int error)
{
    int may = may_ask(g, "crank_throw");
    error = error > 0 ? -error : error < 0 ? error : -EINVAL;
    if (may <= 0)
        return may;
    if (g->state == CR_GENERATOR_NEW) {
        g->state = CR_GENERATOR_ENDED;
        g->result = error;
        return error;
    }
    g->thrown = error;
    return cr_generator_ask(g, (cr_place){ 0 }, (cr_place){ 0 }, "crank_throw");
}

/* ---- closing */

/* Has the body's -ECANCELED more to say than that it was closed? A request that was taken back
 * meanwhile does not count. */
static bool interrupted(const cr_closing *closing)
{
    return closing->fired || (closing->asked && CR_COUNTS_REQUESTS(cr_self()) > 0);
}

/* The body is resumed with -ECANCELED and must end: its cleanup runs, and its scopes close, on
 * the task that closes it. Sources are closed after it, since its cleanup may still ask them. */
/* NOLINTNEXTLINE(misc-no-recursion): as deep as the program's text nests adaptors. */
static int end(crank_generator *g, cr_closing *closing)
{
    int result = 0;
    if (!g || g == &missing)
        return 0;
    if (may_ask(g, "crank_generator_close") > 0 && g->state == CR_GENERATOR_SLEEPING) {
        g->thrown = -ECANCELED;
        g->body.closing = closing;
        result = cr_generator_ask(g, (cr_place){ 0 }, (cr_place){ 0 }, "crank_generator_close");
    }
    CR_CHECK(result <= 0,
        "crank_generator_close: generator %s yields again though it was asked to end", name_of(g));
    if (result == -ECANCELED && !interrupted(closing))
        result = 0;
    for (size_t i = 0; i < 2; i++) {
        cr_closing source = { .begun = closing->begun };
        int ended = end(g->sources[i], &source);
        if (ended < 0 && (result == 0 || result == -ECANCELED))
            result = ended;
        closing->asked |= source.asked;
        closing->fired |= source.fired;
    }
    cr_generators_put(g);
    return result;
}

/* What a cleanup was told of goes on to the caller, together with what the edge of a block in there
 * has left for the next wait. */
int crank_generator_close(crank_generator *g)
{
    cr_closing closing = { 0 };
    int result = end(g, &closing);
    if (result == -ECANCELED)
        cr_interruption_answer(cr_self());
    return result;
}

/* A body that ended with a bare number said nothing, or said something about an earlier error. */
static cr_failure *report_closing(
    crank_loop *loop, const cr_task *self, cr_failure *failure, int error)
{
    if (!failure || cr_failure_error(failure) != error) {
        cr_failure_free(failure);
        failure = cr_failure_new(error, self ? cr_describe_name(self) : NULL);
        if (failure)
            cr_failure_message(failure, "%s", cr_failure_error_words(error));
    }
    if (failure)
        cr_report_failure(loop, self, failure, "of a generator that was closed: ");
    return failure;
}

/* The wait that gave -ECANCELED for a request, or for a scope that fired, had no caller to hand it
 * to: the next wait after the block gives it again, with the reason. */
static cr_failure *leave_to_next_wait(
    cr_task *self, const cr_closing *closing, uint64_t since, cr_failure *failure)
{
    bool asked = closing->asked && CR_COUNTS_REQUESTS(self) > 0;
    cr_interruption_defer(self, since, asked);
    if (!asked || !failure || cr_failure_error(failure) != -ECANCELED || self->ext->reason)
        return failure;
    self->ext->reason = failure;
    return NULL;
}

/* At the edge of a block nobody can be given an error: a failure of the closing is reported, and
 * the one with which the block is being left is kept apart meanwhile. */
void crank_generator_end_(crank_generator *g)
{
    cr_task *self = cr_self();
    crank_loop *loop = cr_loop_here;
    uint64_t since = loop ? cr_task_state_of(loop)->sequence++ : 0;
    cr_closing closing = { .begun = since + 1 };
    cr_failure *before =
        self ? cr_error_take(self) : NULL; /* the error that leaves the block stays the caller's */
    int result = end(g, &closing);
    cr_failure *failure = self ? cr_error_take(self) : NULL;
    if (result < 0 && interrupted(&closing))
        failure = leave_to_next_wait(self, &closing, since, failure);
    if (result < 0 && result != -ECANCELED)
        failure = report_closing(loop, self, failure, result);
    cr_failure_free(failure);
    if (before)
        cr_error_give(loop, self, before);
}

static void check_given(const crank_generator *g, const char *call)
{
    CR_CHECK(g, "%s: the generator is NULL; crank_generate gives that when memory is short", call);
}

int crank_generator_result(const crank_generator *g, long *ret_value)
{
    check_given(g, "crank_generator_result");
    cr_generator_check(g, "crank_generator_result");
    if (g->state != CR_GENERATOR_ENDED)
        return -EAGAIN;
    *ret_value = g->result;
    return 0;
}

int crank_generator_line(const crank_generator *g)
{
    check_given(g, "crank_generator_line");
    cr_generator_check(g, "crank_generator_line");
    return g->state == CR_GENERATOR_ENDED ? 0 : g->line;
}

size_t crank_generator_describe(const crank_generator *g, char *buf, size_t size)
{
    static const char *const states[] = { "new", "sleeping", "ended", "running", "closed" };
    check_given(g, "crank_generator_describe");
    const char *file = strrchr(g->site->file, '/');
    return cr_text_format(buf, size, "<Generator %s fn=%s at %s:%d>", states[g->state], name_of(g),
        file ? file + 1 : g->site->file, g->line);
}

/* So that crank_foreach needs no test for NULL: its first value asks, and fails with -ENOMEM. */
crank_generator *crank_foreach_source_(crank_generator *g)
{
    return g ? g : (crank_generator *)(uintptr_t)&missing;
}

/* ---- yielding */

/* The innermost generator that runs: a function called by the body may yield for it. */
static inline crank_generator *yielder(const char *call, cr_task **ret_self)
{
    cr_task *self = cr_self();
    crank_generator *g = self ? running(self) : NULL;
    CR_CHECK(g, "%s: not in a generator; call it from a function that crank_generate runs", call);
    *ret_self = self;
    return g;
}

static const char *kind_name(unsigned char kind)
{
    static const char *const names[] = { "?", "void", "bool", "signed integer", "unsigned integer",
        "float", "double", "pointer", "struct" };
    return names[kind];
}

/* A wrong type would overwrite the asker's memory: it is found before the copy. */
static CR_COLD void mismatch(
    const crank_generator *g, const char *call, cr_place given, cr_place wanted)
{
    cr_check_failed("%s: a %u-byte %s meets a place for a %u-byte %s in generator %s (line %d)",
        call, given.size, kind_name(given.kind), wanted.size, kind_name(wanted.kind), name_of(g),
        g->line);
}

/* The asker's place may lie on a stack, but on one of the task that runs: it is not away. */
static inline void hand_over(const crank_generator *g, cr_place to, cr_place from, const char *call)
{
    if (CR_UNLIKELY(to.size != from.size || to.kind != from.kind))
        mismatch(g, call, from, to);
    memcpy(to.at, from.at, to.size);
}

/* Sleep until asked again. 0, or what was thrown in. */
static inline int sleep_here(crank_generator *g, cr_task *self, int line)
{
    g->line = line;
    g->state = CR_GENERATOR_SLEEPING;
    go_to_sleep(g, self);
    return cr_side_swap(&g->own, &g->asker, 1);
}

/* The whole way: a struct, a place that wants nothing, a body with scopes open, or a mistake. */
static CR_NOINLINE int yield(const void *value, size_t size, unsigned char kind, int line)
{
    cr_task *self;
    crank_generator *g = yielder("crank_yield", &self);
    cr_place from = { (void *)(uintptr_t)value, (uint32_t)size, kind };
    if (CR_LIKELY(g->out.at != NULL))
        hand_over(g, g->out, from, "crank_yield");
    return sleep_here(g, self, line);
}

/* A word that is waited for is copied, and the asker goes on, at once. The two sizes are spelled
 * out, for a copy of a known size is two instructions. */
int crank_yield_(const void *value, size_t size, unsigned char kind, int line)
{
    cr_task *self = cr_self();
    crank_generator *g = self ? running(self) : NULL;
    if (CR_UNLIKELY(!g || !g->out.at || g->out.size != size || g->out.kind != kind ||
                    self->fiber.scope != g->body.below))
        return yield(value, size, kind, line);
    if (size == sizeof(long))
        memcpy(g->out.at, value, sizeof(long));
    else if (size == sizeof(int))
        memcpy(g->out.at, value, sizeof(int));
    else
        return yield(value, size, kind, line);
    g->line = line;
    g->state = CR_GENERATOR_SLEEPING;
    self->fiber.generator = g->body.up;
    return cr_side_swap(&g->own, &g->asker, 1);
}

int cr_generator_sleep(int line)
{
    cr_task *self;
    crank_generator *g = yielder("crank_yield", &self);
    return sleep_here(g, self, line);
}

/* 1 where something was sent; 0 where the asker only called for the next value. */
static int receive(crank_generator *g, cr_task *self, cr_place ret, int line)
{
    int err = sleep_here(g, self, line);
    if (err < 0 || !g->in.at)
        return err;
    hand_over(g, ret, g->in, "crank_send");
    return 1;
}

int crank_receive_(void *ret, size_t size, unsigned char kind, int line)
{
    cr_task *self;
    crank_generator *g = yielder("crank_receive", &self);
    return receive(g, self, (cr_place){ ret, (uint32_t)size, kind }, line);
}

/* A yield and a receive in one: the value goes out before it sleeps, the answer is what it wakes
 * to. */
int crank_exchange_(const void *value, size_t size, unsigned char kind, void *ret, size_t ret_size,
    unsigned char ret_kind, int line)
{
    cr_task *self;
    crank_generator *g = yielder("crank_exchange", &self);
    if (g->out.at)
        hand_over(g, g->out, (cr_place){ (void *)(uintptr_t)value, (uint32_t)size, kind },
            "crank_exchange");
    return receive(g, self, (cr_place){ ret, (uint32_t)ret_size, ret_kind }, line);
}

/* The inner one writes straight into the asker's place, so a value passes any number of levels
 * without being copied. What is thrown in is the inner's to handle; a closing is not handed on,
 * for closing the inner comes anyway, and its failure is then what the outer one ends with. */
long crank_yield_from(crank_generator *inner)
{
    cr_task *self;
    crank_generator *g = yielder("crank_yield_from", &self);
    int more = cr_generator_ask(inner, g->out, (cr_place){ 0 }, "crank_yield_from");
    while (more > 0) {
        int thrown = sleep_here(g, cr_self(), inner->line); /* perhaps another task than before */
        if (thrown < 0 && g->body.closing) {
            more = thrown;
        } else if (thrown < 0) {
            inner->thrown = thrown;
            more = cr_generator_ask(inner, g->out, (cr_place){ 0 }, "crank_yield_from");
        } else {
            more = cr_generator_ask(inner, g->out, g->in, "crank_yield_from");
        }
    }
    if (more < 0 && !g->body.closing) {
        crank_generator_end_(inner);
        return more;
    }
    long result = more < 0 || !inner ? more : inner->result;
    int closed = crank_generator_close(inner);
    return closed < 0 ? closed : result;
}
