/* SPDX-License-Identifier: MIT */
/* future.c: values set later.
 *
 * A future is a record without a fiber: an owner, watchers, and a result whose kind is known once
 * it is set. It does not count among its owner's children (no task's end waits for a future to be
 * set, and a program that never sets it must be able to end), but goes with it: an owner that ends
 * cancels it, and the tasks that await it get -ECANCELED.
 *
 * It is set once. Being a record like a task's it is awaited, gathered, watched and cancelled by
 * the same code; what differs is that several may await it and that awaiting does not give it
 * up. */
#include "scope/cancel.h"
#include "scope/end.h"
#include "scope/nursery.h"
#include "scope/spawn.h"
#include "task/describe.h"
#include "task/error.h"
#include "base/check.h"
#include <string.h>

/* Made as a task and then put aside: fields that hold a captured call elsewhere are cleared
 * here. */
crank_future *crank_future_new_(const crank_site *site)
{
    crank_loop *loop = cr_checked_loop("crank_future_new");
    cr_task *task = cr_spawn_make(loop, NULL, site);
    if (!task)
        return NULL;
    task->fiber.life = CR_EXTERNAL;
    task->fiber.run = CR_RUN_RESUME;
    task->fiber.wait = NULL;
    task->fiber.flags |= CR_TASK_FUTURE;
    task->child = NULL;
    cr_nursery_uncount_future(loop, task);
    if (CR_UNLIKELY(cr_spawn_unwanted(loop)))
        (void)cr_cancel_task(loop, task);
    return (crank_future *)(void *)cr_task_handle(task);
}

/* For bindings and C++, where the place of the call is not known. */
#undef crank_future_new
crank_future *crank_future_new(void)
{
    static const crank_site site = { "(future)", "", "", 0, CRANK_KIND_SIGNED, sizeof(long), 0,
        false, 0, 0 };
    return crank_future_new_(&site);
}

/* The same record seen as a task: a future is awaited, gathered and asked about like one. */
crank_task *crank_future_task(crank_future *future) { return (crank_task *)(void *)future; }

/* The tasks that still await it are told that it was cancelled, before the record goes. */
void crank_future_free(crank_future *future)
{
    if (!future)
        return;
    cr_task *task = cr_task_of((const crank_task *)(const void *)future, "crank_future_free");
    CR_CHECK(task->fiber.flags & CR_TASK_FUTURE, "crank_future_free: this is a task, not a future");
    CR_CHECK(!(task->fiber.flags & CR_TASK_DROPPED), "crank_future_free: it was let go before");
    if (task->fiber.life != CR_ENDED)
        (void)cr_cancel_task(cr_loop_here, task);
    cr_end_release(cr_loop_here, task);
}

/* The site of a future that holds a value of this kind and size. */
static const crank_site *site_of(unsigned char kind, size_t size)
{
#define VALUE(k, s) \
    { \
        "(future)", "", "", 0, k, s, 0, false, 0, 0 \
    }
#define SIZES(k) \
    { \
        VALUE(k, 1), VALUE(k, 2), VALUE(k, 4), VALUE(k, 8) \
    }
    static const crank_site sites[][4] = { [CRANK_KIND_BOOL] = SIZES(CRANK_KIND_BOOL),
        [CRANK_KIND_SIGNED] = SIZES(CRANK_KIND_SIGNED),
        [CRANK_KIND_UNSIGNED] = SIZES(CRANK_KIND_UNSIGNED),
        [CRANK_KIND_FLOAT] = SIZES(CRANK_KIND_FLOAT),
        [CRANK_KIND_DOUBLE] = SIZES(CRANK_KIND_DOUBLE),
        [CRANK_KIND_POINTER] = SIZES(CRANK_KIND_POINTER) };
#undef SIZES
#undef VALUE
    return &sites[kind][size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3];
}

/* A future that can still be set; else why not. */
static int unset(crank_future *future, const char *call, cr_task **ret_task)
{
    cr_task *task = cr_task_of((const crank_task *)(const void *)future, call);
    CR_CHECK(task->fiber.flags & CR_TASK_FUTURE, "%s: this is a task, not a future", call);
    *ret_task = task;
    if (task->fiber.life != CR_ENDED)
        return 0;
    if (task->fiber.flags & CR_TASK_CANCELED)
        return -ECANCELED;
    return cr_error_set(-EALREADY, "%s: the future has a value or an error already", call);
}

/* The site comes before the end is told: it says how the result is to be read. */
int crank_set_result_(crank_future *future, const void *value, size_t size, unsigned char kind)
{
    cr_task *task;
    int err = unset(future, "crank_set_result", &task);
    if (err < 0)
        return err;
    CR_CHECK(kind >= CRANK_KIND_BOOL && kind <= CRANK_KIND_POINTER && size <= 8,
        "crank_set_result: a future holds an integer, a double or a pointer");
    task->fiber.result = 0;
    memcpy(&task->fiber.result, value, size);
    task->site = site_of(kind, size);
    cr_end_future(cr_loop_here, task);
    return 0;
}

/* Short memory costs the message, not the error. */
int crank_set_error(crank_future *future, int error, const char *format, ...)
{
    cr_task *task;
    int err = unset(future, "crank_set_error", &task);
    if (err < 0)
        return err;
    error = error > 0 ? -error : error < 0 ? error : -EINVAL;
    cr_failure *failure = cr_failure_new(error, cr_describe_name(task));
    if (failure) {
        va_list args;
        cr_failure_of_future(failure);
        va_start(args, format);
        cr_failure_message_list(failure, format, args);
        va_end(args);
        cr_error_give(cr_loop_here, task, failure);
    }
    cr_end_complete_error(cr_loop_here, task, error);
    return 0;
}
