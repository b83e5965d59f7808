/* SPDX-License-Identifier: MIT */
/* error.c: which task has which failure.
 *
 * Owns: the failure of the running code (its task's, hung off its ext, or its thread's), from
 * crank_fail to crank_error_print, and the ways of a failure between tasks. A failure moves to the
 * task that awaits its own, and is freed with the last one. Nothing is allocated until an error
 * occurs. A cancellation without a reason has none: it is no failure but an answer. Does not own
 * what a failure is (failure.c). */
#include "task/error.h"
#include "task/describe.h"
#include "task/result.h"
#include "base/check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the running code's failure belongs: its task's ext, which is made only for one that
 * fails. */
static cr_failure **slot_here(bool make)
{
    cr_task *self = cr_self();
    if (!self)
        return cr_failure_thread(make);
    cr_ext *ext = make ? cr_record_ext(cr_task_state_of(cr_loop_here), self) : self->ext;
    return ext ? &ext->failure : NULL;
}

cr_failure *cr_error_here(void)
{
    cr_failure **slot = slot_here(false);
    return slot ? *slot : NULL;
}

/* A new failure of the running task, or of this thread, in place of its last: that is freed once
 * the new one has its message, which may quote it. A thread's outlives the loop, and its memory. */
static cr_failure *begin(int error, cr_failure **ret_last)
{
    cr_failure **slot = slot_here(true);
    *ret_last = NULL;
    if (!slot)
        return NULL;
    cr_task *self = cr_self();
    *ret_last = *slot;
    *slot = cr_failure_new_in(
        self ? cr_loop_here->sys : &cr_sys_real, error, self ? cr_describe_name(self) : NULL);
    if (*slot && self)
        cr_failure_set_moment(*slot, cr_task_state_of(cr_loop_here)->sequence);
    return *slot;
}

const char *cr_error_cut_since(uint64_t interruption)
{
    const cr_failure *failure = cr_error_here();
    return failure && cr_failure_error(failure) == -ECANCELED &&
                   cr_failure_moment(failure) >= interruption
               ? cr_failure_text(failure)
               : NULL;
}

/* A caller that gives no error at all, or a positive one, is understood rather than refused. */
static int negative(int error) { return error == 0 ? -EINVAL : error > 0 ? -error : error; }

CRANK_PRINTF(2, 0) static void set(int error, const char *format, va_list args)
{
    cr_failure *last, *failure = begin(error, &last);
    if (failure)
        cr_failure_message_list(failure, format, args);
    cr_failure_free(last);
}

/* The number is returned whatever happens to the message, so that callers can return this call. */
int cr_error_set(int error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set(error, format, args);
    va_end(args);
    return error;
}

/* A request that is delivered has taken away what an earlier one had left: what is there is of this
 * one, its reason or what a call further in has said. */
int cr_error_set_cut(const char *format, ...)
{
    const cr_failure *said = cr_error_here();
    if (said && cr_failure_error(said) == -ECANCELED)
        return -ECANCELED;
    va_list args;
    va_start(args, format);
    set(-ECANCELED, format, args);
    va_end(args);
    return -ECANCELED;
}

/* The place is the trace's first entry, so that an error shows where it was made even untried. */
int crank_fail_(
    const char *file, int line, const char *function, int error, const char *format, ...)
{
    cr_failure *last, *failure = begin(negative(error), &last);
    if (failure) {
        va_list args;
        va_start(args, format);
        cr_failure_message_list(failure, format, args);
        va_end(args);
        cr_failure_note(
            failure, (crank_trace_entry){ .file = file, .function = function, .line = line });
    }
    cr_failure_free(last);
    return negative(error);
}

/* errno is read first: everything after may change it. */
int crank_sys_failed_(const char *file, int line, const char *function, const char *what)
{
    int error = errno;
    return crank_fail_(
        file, line, function, error, "%s: %s", what, cr_failure_error_words(-(long)error));
}

/* An -ECANCELED that leaves a scope of this very function is looked at first: it may be that
 * scope's own doing, and then becomes a timeout or a child's error here. An error that differs
 * from the one noted is another failure, whose trace begins here; a bare cancellation gets none. */
int crank_traced_(const char *file, int line, const char *function, const char *what, long error,
    const void *frame)
{
    int err = error < INT32_MIN ? INT32_MIN : (int)error;
    cr_task *self = cr_self();
    if (err == -ECANCELED && self && self->fiber.scope)
        err = cr_task_state_of(cr_loop_here)
                  ->pending->leave_scopes(cr_loop_here, self, function, frame);
    cr_failure *failure = cr_error_here();
    bool continued = failure && cr_failure_error(failure) == err;
    if (err == -ECANCELED && !continued)
        return err;
    if (!continued) {
        cr_failure *last;
        failure = begin(err, &last);
        if (failure)
            cr_failure_message(failure, "%s", cr_failure_error_words(err));
        cr_failure_free(last);
    }
    if (failure)
        cr_failure_note(failure,
            (crank_trace_entry){ .file = file, .function = function, .what = what, .line = line });
    return err;
}

/* A pointer's failure has no number of its own. errno is believed where it agrees with what was
 * noted or nothing was: some other call may have set it since. */
long crank_null_error_(void)
{
    cr_failure *failure = cr_error_here();
    if (failure && (errno == 0 || errno == -cr_failure_error(failure)))
        return cr_failure_error(failure);
    return errno > 0 ? -errno : failure ? cr_failure_error(failure) : -EINVAL;
}

const char *crank_error(void)
{
    cr_failure *failure = cr_error_here();
    return failure ? cr_failure_text(failure) : "";
}

const crank_failure *crank_last_failure(void)
{
    cr_failure *failure = cr_error_here();
    return failure ? cr_failure_public(failure) : NULL;
}

void crank_error_clear(void)
{
    cr_failure **slot = slot_here(false);
    if (slot) {
        cr_failure_free(*slot);
        *slot = NULL;
    }
}

/* ---- between tasks */

cr_failure *cr_error_take(cr_task *task)
{
    cr_failure *failure = cr_failure_of(task);
    if (failure)
        task->ext->failure = NULL;
    return failure;
}

/* Short memory costs the task its failure's text; its error is in its result. */
void cr_error_give(crank_loop *loop, cr_task *task, cr_failure *failure)
{
    cr_ext *ext = cr_record_ext(cr_task_state_of(loop), task);
    if (!ext) {
        cr_failure_free(failure);
        return;
    }
    cr_failure_free(ext->failure);
    ext->failure = failure;
}

/* A request is an error of the task's from the moment it is delivered: its reason takes the place
 * of the last error then and not before, when that may be one the task is still dealing with. That
 * of an earlier request never stands for this one. */
void cr_error_deliver_reason(cr_task *task)
{
    cr_ext *ext = task->ext;
    if (!ext || (!ext->reason && !(ext->failure && cr_failure_error(ext->failure) == -ECANCELED)))
        return;
    cr_failure_free(ext->failure);
    ext->failure = ext->reason;
    ext->reason = NULL;
}

/* A task failed without a word: what its waiter said before is about something else. But the reason
 * for which both were cancelled is the waiter's. */
static void forget(cr_task *task, int error)
{
    cr_failure *failure = task ? cr_failure_of(task) : NULL;
    if (!failure || (error == -ECANCELED && cr_failure_error(failure) == -ECANCELED))
        return;
    task->ext->failure = NULL;
    cr_failure_free(failure);
}

/* Noting the spawn place is what makes the trace read across the await. */
void cr_error_move(crank_loop *loop, cr_task *from, cr_task *to)
{
    cr_failure *failure = cr_error_take(from);
    if (!failure) {
        forget(to, cr_result_error(from));
        return;
    }
    cr_failure_spawned(failure, from->site);
    if (to) {
        cr_error_give(loop, to, failure);
        return;
    }
    cr_failure_set_thread(cr_failure_outlive(failure));
}

/* Short memory costs the copy's text; the error is in the result that is handed over with it. */
void cr_error_copy(crank_loop *loop, cr_task *from, cr_task *to)
{
    const cr_failure *failure = cr_failure_of(from);
    cr_failure *copy = failure ? cr_failure_copy_in(failure, loop->sys) : NULL;
    if (!copy) {
        forget(to, cr_result_error(from));
        return;
    }
    cr_failure_spawned(copy, from->site);
    cr_error_give(loop, to, copy);
}

/* What a task has to say that has failed, or that could not be spawned (NULL). A future keeps what
 * it has, for others may wait for it. */
static cr_failure *failure_of_one(crank_loop *loop, cr_task *task, int error)
{
    cr_failure *failure = NULL;
    if (task && (task->fiber.flags & CR_TASK_FUTURE))
        failure = cr_failure_of(task) ? cr_failure_copy_in(cr_failure_of(task), loop->sys) : NULL;
    else if (task)
        failure = cr_error_take(task);
    if (!failure) {
        failure = cr_failure_new(error, task ? cr_describe_name(task) : NULL);
        if (failure)
            cr_failure_message(failure, "%s",
                task ? cr_failure_error_words(error)
                     : "the task could not be spawned: out of memory");
    }
    if (failure && task)
        cr_failure_spawned(failure, task->site);
    return failure;
}

void cr_error_collect(crank_loop *loop, cr_failure **all, cr_task *task, int error)
{
    cr_failure *failure = failure_of_one(loop, task, error);
    if (!failure)
        return;
    if (!*all) {
        *all = cr_failure_new(error, task ? cr_describe_name(task) : NULL);
        if (*all)
            cr_failure_message(*all, "%s", cr_failure_text(failure));
    }
    if (!*all || cr_failure_add_child(*all, failure) < 0)
        cr_failure_free(failure);
}

/* With no error the text is empty: printing it is always safe. */
size_t crank_error_format(char *buf, size_t size)
{
    const cr_failure *failure = cr_error_here();
    if (failure)
        return cr_failure_format(failure, buf, size);
    if (size > 0)
        buf[0] = '\0';
    return 0;
}

void crank_error_print(void)
{
    size_t size = crank_error_format(NULL, 0) + 1;
    char *text = cr_alloc(cr_failure_sys(), size); /* no large frame: this may be a task's stack */
    cr_paint paint = cr_check_paint();
    if (text && crank_error_format(text, size) > 0)
        fprintf(stderr, "%scrank:%s %s", paint.on, paint.off, text);
    else if (size > 1)
        fprintf(stderr, "%scrank:%s %s\n", paint.on, paint.off, crank_error());
    cr_free(cr_failure_sys(), text);
}
