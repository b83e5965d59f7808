/* SPDX-License-Identifier: MIT */
#ifndef CRANK_SCOPE_H
#define CRANK_SCOPE_H
/* Lifetimes that nest: timeouts, groups, gather, wait, shield. Scope macros are declarations, valid to the end of the
 * block; leaving the block in any way but longjmp ends the scope. */
#include "base.h"
#include "call.h"
#include "task.h"
/* Not a system header, unlike its neighbours: gcc would then keep silent about an ignored crank_gather. */

CRANK_BEGIN_DECLS

/* ---- Timeouts -------------------------------------------------------------------------------------------------- */

/* On the user's stack a scope is one pointer; its state is the loop's. */
typedef struct crank_timeout {
    void *state;
} crank_timeout;

#ifndef __cplusplus
/* The frame of the function that opens a scope, by which crank_try knows the scopes it leaves. Were that function
 * inlined, into itself above all, several calls would have one frame: one with the address of a label is not. */
#define CRANK_FRAME_ \
    __extension__({ \
        __label__ crank_here_; \
    crank_here_:; \
        static const void *const crank_at_ = &&crank_here_; \
        __asm__ volatile("" : : "m"(crank_at_)); \
        __builtin_frame_address(0); \
    })
/* A time limit to the end of the block. When it passes, the current or next wait inside returns -ECANCELED, once; a
 * crank_try that leaves the block with it returns -ETIMEDOUT instead. seconds <= 0 expires at once, CRANK_FOREVER
 * never; NaN ends it at once as well, with -EINVAL in place of -ETIMEDOUT. It cuts waits short and nothing else: an
 * await of what cannot be interrupted, a thread job that has started or a child that refuses, returns when that has
 * ended, and gives what it gave. When there is no memory for the limit, its first wait fails with -ENOMEM, and to its
 * end the block closes streams as if the limit had passed. */
#define CRANK_TIMEOUT(t, seconds) \
    crank_timeout t CRANK_CLEANUP_(crank_timeout_end_) = { NULL }; \
    crank_timeout_begin_(&(t), (seconds), __func__, CRANK_FRAME_)
/* The value of expr, computed under a time limit. Where the limit made it -ECANCELED, -ETIMEDOUT (a pointer: NULL and
 * errno ETIMEDOUT; a double stays as it is, NaN from an await); under a limit of NaN -EINVAL. */
#define crank_within(seconds, expr) CRANK_WITHIN_(__COUNTER__, seconds, expr)
#define CRANK_WITHIN_(id, seconds, expr) \
    __extension__({ \
        crank_timeout CRANK_CAT_(crank_t_, id) CRANK_CLEANUP_(crank_timeout_end_) = { NULL }; \
        crank_within_begin_(&CRANK_CAT_(crank_t_, id), (seconds), __func__, CRANK_FRAME_); \
        __typeof__(expr) CRANK_CAT_(crank_v_, id) = (expr); \
        __builtin_choose_expr(__builtin_classify_type(CRANK_CAT_(crank_v_, id)) == 8, CRANK_CAT_(crank_v_, id), \
            __builtin_choose_expr(__builtin_classify_type(CRANK_CAT_(crank_v_, id)) == 5, \
                crank_within_ptr_(&CRANK_CAT_(crank_t_, id), (void *)(intptr_t)(CRANK_CAT_(crank_v_, id))), \
                (__typeof__(expr))crank_within_end_(&CRANK_CAT_(crank_t_, id), \
                    (long)(intptr_t)(CRANK_CAT_(crank_v_, id))))); \
    })
/* The value of expr, computed while requests to cancel from outside wait. They are noticed by the first wait after. */
#define crank_shield(expr) CRANK_SHIELD_(__COUNTER__, expr)
#define CRANK_SHIELD_(id, expr) \
    __extension__({ \
        crank_timeout CRANK_CAT_(crank_t_, id) CRANK_CLEANUP_(crank_shield_end_) = { NULL }; \
        crank_shield_begin_(&CRANK_CAT_(crank_t_, id)); \
        (expr); \
    })
#endif
CRANK_API void crank_timeout_begin_(crank_timeout *t, double seconds, const char *function, const void *frame);
CRANK_API void crank_within_begin_(crank_timeout *t, double seconds, const char *function, const void *frame);
CRANK_API void crank_timeout_end_(crank_timeout *t);
CRANK_API long crank_within_end_(crank_timeout *t, long value);
CRANK_API void *crank_within_ptr_(crank_timeout *t, void *value);
CRANK_API void crank_shield_begin_(crank_timeout *t);
CRANK_API void crank_shield_end_(crank_timeout *t);
/* Move the limit to so many seconds from now. Fails with -ETIME when it has passed already; -EINVAL for NaN. */
CRANK_API int crank_reschedule(crank_timeout *t, double seconds);
/* Has it passed? */
CRANK_API bool crank_expired(const crank_timeout *t);
/* Seconds left: negative when passed, CRANK_FOREVER without a limit. */
CRANK_API double crank_remaining(const crank_timeout *t);

/* ---- Groups ---------------------------------------------------------------------------------------------------- */

/* Children that end before the block does. The first failure cancels the others and interrupts the opener's wait.
 * Leaving the block with children alive cancels and awaits them. */
typedef struct crank_group {
    void *state;
} crank_group;

#ifndef __cplusplus
/* Declare it after everything its children use. When there is no memory for it, its
 * first wait fails with -ENOMEM. */
#define CRANK_GROUP(g) \
    crank_group g CRANK_CLEANUP_(crank_group_end_) = { NULL }; \
    crank_group_begin_(&(g), 0, __func__, CRANK_FRAME_)
/* A group that runs at most limit children at once; the others wait their turn, first come first served. A limit of 0
 * is none. */
#define CRANK_GROUP_LIMIT(g, limit) \
    crank_group g CRANK_CLEANUP_(crank_group_end_) = { NULL }; \
    crank_group_begin_(&(g), (limit), __func__, CRANK_FRAME_)
/* Spawn into a group, from the opener or any task that may reach it (a child may add siblings). Gives a borrowed
 * handle, good until the child has ended; NULL when memory is short (the group then fails with -ENOMEM) or the group
 * has failed or was cancelled. */
#define crank_group_spawn(group, ...) CRANK_CAPTURE_(__COUNTER__, crank_group_spawn_, (group), __VA_ARGS__)
CRANK_API crank_task *crank_group_spawn_(crank_group *group, crank_function_ *fn, const crank_site *site);

/* The same, and what fn returns is written to *result, a variable of that very type, when the child has succeeded; it
 * is untouched where the child fails or is cancelled. Declare the variable before the group, which it must outlive, and
 * read it after crank_group_wait. Where result is NULL what fn returns is dropped. */
#define crank_group_spawn_into(group, result, ...) CRANK_CAPTURE_INTO_(__COUNTER__, group, result, __VA_ARGS__)
#define CRANK_CAPTURE_INTO_(id, group, result, ...) \
    __extension__({ \
        __typeof__(((void)0, (result))) CRANK_CAT_(crank_i_, id) = (result); \
        _Static_assert(!__builtin_types_compatible_p(CRANK_RESULT_OF_(__VA_ARGS__), void), \
            "crank_group_spawn_into: the function returns nothing; use crank_group_spawn"); \
        _Static_assert(__builtin_types_compatible_p( \
                __typeof__(*CRANK_CAT_(crank_i_, id)), CRANK_RESULT_OF_(__VA_ARGS__)), \
            "crank_group_spawn_into: the result is a variable of the very type that the function returns"); \
        CRANK_CAPTURE_(id, crank_group_spawn_into_, ((crank_into_){ (group), CRANK_CAT_(crank_i_, id) }), \
            __VA_ARGS__); \
    })
/* The type of the result of a function with its arguments. */
#define CRANK_RESULT_OF_(...) \
    __typeof__(CRANK_CAT_(CRANK_TYPE_CALL_, CRANK_HAS_ARGS_(__VA_ARGS__))( \
        (CRANK_FIRST_(__VA_ARGS__, 0)), __VA_ARGS__))
typedef struct crank_into_ {
    crank_group *group;
    void *result;
} crank_into_;
CRANK_API crank_task *crank_group_spawn_into_(crank_into_ into, crank_function_ *fn, const crank_site *site);
#endif
/* Take a task that runs already into the group: a child of the caller's that nobody else awaits, such as a thread job
 * (crank_to_thread) or an eager task. It is a child of the group's like others from then on, its handle is borrowed.
 * One that has ended is taken in too: its failure is the group's. It is never held back by a limit, but counts. Where
 * the group has failed or was cancelled, the task is cancelled. 0; NULL, a task that could not be spawned, fails the
 * group with -ENOMEM, as short memory does. Where there was no memory for the group itself (-ENOMEM) the task is
 * cancelled and stays the caller's. Another's child, one awaited, dropped or detached, and a future are a CHECK. */
CRANK_API int crank_group_add(crank_group *group, crank_task *task);
#ifndef __cplusplus
/* The same, and the task's result is written to *result, a long, int, double or pointer that fits its kind (a CHECK),
 * when it has succeeded. As for crank_group_spawn_into the variable must outlive the group. */
#define crank_group_add_into(group, result, task) CRANK_ADD_INTO_(__COUNTER__, group, result, task)
#define CRANK_ADD_INTO_(id, group, result, task) \
    __extension__({ \
        _Static_assert(CRANK_IS_RESULT_(CRANK_KIND_OF_((result), CRANK_RESULTS_CLASS_(result))), \
            "crank_group_add_into: the result is an integer, a double or a pointer"); \
        crank_group_add_into_((group), (task), (result), CRANK_SIZEOF_AT_(result), \
            CRANK_KIND_OF_((result), CRANK_RESULTS_CLASS_(result))); \
    })
#define CRANK_IS_RESULT_(kind) \
    ((kind) == CRANK_KIND_SIGNED || (kind) == CRANK_KIND_UNSIGNED || (kind) == CRANK_KIND_DOUBLE || \
        (kind) == CRANK_KIND_POINTER)
#endif
CRANK_API int crank_group_add_into_(crank_group *group, crank_task *task, void *result, size_t size,
    unsigned char kind);
#ifndef __cplusplus
/* Spawn into a group a child that says when it is ready, and wait for that. 0 when the child has called
 * crank_started(value): *ret_value is the value then (a long, int, double or pointer that fits its kind, a CHECK, or
 * NULL), and the child is one of the group's. Until then it is the caller's: what it fails with, this fails with, and
 * the group does not; -EPROTO for a child that ends without having called it. Fails with -ECANCELED when the caller is
 * cancelled: the child is cancelled too and has ended (where it says that it has started all the same, that counts,
 * and the request stays); with -ECANCELED where the group has failed or was cancelled; -ENOMEM. The child is never held
 * back by a limit, but counts. */
#define crank_group_start(group, ret_value, ...) \
    crank_must_use_(CRANK_CAPTURE_START_(__COUNTER__, group, ret_value, __VA_ARGS__))
#define CRANK_CAPTURE_START_(id, group, ret_value, ...) \
    __extension__({ \
        _Static_assert(CRANK_IS_RESULT_(CRANK_KIND_OF_((ret_value), CRANK_RESULTS_CLASS_(ret_value))) || \
                CRANK_KIND_OF_((ret_value), CRANK_RESULTS_CLASS_(ret_value)) == CRANK_KIND_VOID, \
            "crank_group_start: the value is an integer, a double or a pointer"); \
        CRANK_CAPTURE_(id, crank_group_start_, \
            ((crank_start_){ (group), (ret_value), CRANK_SIZEOF_AT_(ret_value), \
                CRANK_KIND_OF_((ret_value), CRANK_RESULTS_CLASS_(ret_value)) }), \
            __VA_ARGS__); \
    })
typedef struct crank_start_ {
    crank_group *group;
    void *result;
    size_t size;
    unsigned char kind;
} crank_start_;
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_group_start_(crank_start_ how, crank_function_ *fn,
    const crank_site *site);
/* In a task that was spawned by crank_group_start: it is ready, with this value for who waits. Never waits. In any
 * other task it does nothing; a second call is a CHECK. */
#define crank_started(value) CRANK_STARTED_(__COUNTER__, value)
#define CRANK_STARTED_(id, value) \
    __extension__({ \
        __typeof__(((void)0, (value))) CRANK_CAT_(crank_v_, id) = (value); \
        _Static_assert(sizeof CRANK_CAT_(crank_v_, id) <= 8 && \
            CRANK_KIND_OF_(&CRANK_CAT_(crank_v_, id), CRANK_VALUE_CLASS_(&CRANK_CAT_(crank_v_, id))) \
                != CRANK_KIND_STRUCT, "crank_started takes an integer, a double or a pointer"); \
        crank_started_(&CRANK_CAT_(crank_v_, id), sizeof CRANK_CAT_(crank_v_, id), \
            CRANK_KIND_OF_(&CRANK_CAT_(crank_v_, id), CRANK_VALUE_CLASS_(&CRANK_CAT_(crank_v_, id)))); \
    })
CRANK_API void crank_started_(const void *value, size_t size, unsigned char kind);
#endif
CRANK_API void crank_group_begin_(crank_group *group, size_t limit, const char *function, const void *frame);
CRANK_API void crank_group_end_(crank_group *group);
/* Wait until every child has ended. 0, or the first failure: crank_error gives its message, crank_last_failure every
 * child's. Fails with -ECANCELED when the opener was cancelled (children are cancelled and have ended), -ENOMEM; else
 * what the first failed child failed with. The group can be used again after. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_group_wait(crank_group *group);
/* Cancel all children, and the opener's wait; crank_group_wait then gives 0 if nobody fails otherwise. */
CRANK_API void crank_group_cancel(crank_group *group);
/* Children that have not ended. */
CRANK_API size_t crank_group_count(const crank_group *group);

/* A pool: a group with a limit that keeps its children's results, in the order in which they were spawned. */
#ifndef __cplusplus
#define CRANK_POOL(p, limit) \
    crank_group p CRANK_CLEANUP_(crank_group_end_) = { NULL }; \
    crank_pool_begin_(&(p), (limit), __func__, CRANK_FRAME_)
#define crank_pool_spawn(pool, ...) CRANK_CAPTURE_(__COUNTER__, crank_group_spawn_, (pool), __VA_ARGS__)
#endif
CRANK_API void crank_pool_begin_(crank_group *pool, size_t limit, const char *function, const void *frame);
/* The same as a function, for other languages: integer results only. Fails as the macro. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_pool_wait(crank_group *pool, long *ret_results, size_t max);
/* Wait until every child has ended. 0, and ret_results[i] is the result of the i-th child spawned, for i < max:
 * ret_results is an array of long, int, double or pointers that fits the results' kind (a CHECK), or NULL. A child that
 * was cancelled in a pool that did not fail has -ECANCELED, NaN or NULL there. Fails as crank_group_wait, and leaves
 * ret_results untouched then. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_pool_wait_(crank_group *pool, void *ret_results, size_t max,
    size_t size, unsigned char kind);
#ifndef __cplusplus
#define crank_pool_wait(pool, ret_results, max) \
    crank_pool_wait_((pool), (ret_results), (max), CRANK_SIZEOF_AT_(ret_results), \
        CRANK_KIND_OF_((ret_results), CRANK_RESULTS_CLASS_(ret_results)))
#endif

/* ---- Gather and wait ------------------------------------------------------------------------------------------- */

/* How one of several ended. */
typedef struct crank_outcome {
    int error; /* 0, or negative errno */
    union {
        long value;
        double number;
        void *pointer;
    };
    char message[64]; /* of the error, cut */
} crank_outcome;

#ifndef __cplusplus
/* Wait for all, give up their handles, put their results in order into results: an array of long, int, double or
 * pointer that fits their kind (a CHECK), or NULL. On the first failure, or when the caller is cancelled, the others
 * are cancelled, and it returns when all have ended: that failure, or -ECANCELED. results is then untouched. */
#define crank_gather(results, ...) \
    crank_must_use_(CRANK_GATHER_(__COUNTER__, crank_gather_, results, __VA_ARGS__))
#define CRANK_GATHER_(id, call, results, ...) \
    __extension__({ \
        CRANK_TASKS_(id, __VA_ARGS__); \
        call(CRANK_CAT_(crank_a_, id), CRANK_COUNT(CRANK_CAT_(crank_a_, id)), (results), CRANK_SIZEOF_AT_(results), \
            CRANK_KIND_OF_((results), CRANK_RESULTS_CLASS_(results))); \
    })
#define CRANK_RESULTS_CLASS_(p) \
    (__builtin_classify_type(*__builtin_choose_expr( \
        __builtin_types_compatible_p(__typeof__(*(p)), void), (int *)0, (p))) == 5 \
        ? CRANK_KIND_POINTER : CRANK_KIND_STRUCT)
#define crank_gather_n(tasks, n, results) \
    crank_gather_( \
        (tasks), (n), (results), CRANK_SIZEOF_AT_(results), CRANK_KIND_OF_((results), CRANK_RESULTS_CLASS_(results)))
/* Wait for all, whatever becomes of them: outcomes is an array of crank_outcome. 0, or -ECANCELED when the caller was
 * cancelled (then all were cancelled and have ended, and outcomes is filled). */
#define crank_gather_settled(outcomes, ...) \
    crank_must_use_(CRANK_SETTLED_(__COUNTER__, outcomes, __VA_ARGS__))
#define CRANK_SETTLED_(id, outcomes, ...) \
    __extension__({ \
        CRANK_TASKS_(id, __VA_ARGS__); \
        crank_gather_settled_n(CRANK_CAT_(crank_a_, id), CRANK_COUNT(CRANK_CAT_(crank_a_, id)), (outcomes)); \
    })
/* Wait for the first to succeed: its index, from 0. The others are cancelled then, and it returns when all have ended;
 * their handles are given up. Where none succeeds it fails with the failure that came first (crank_last_failure has all
 * beneath it); with -ECANCELED when the caller was cancelled (then all were cancelled and have ended), or when all the
 * tasks were; -ENOMEM. outcomes is an array of crank_outcome, filled in any case, or NULL: one that lost may have given
 * a result all the same, which has to be released. */
#define crank_any(outcomes, ...) crank_must_use_(CRANK_ANY_(__COUNTER__, outcomes, __VA_ARGS__))
#define CRANK_ANY_(id, outcomes, ...) \
    __extension__({ \
        CRANK_TASKS_(id, __VA_ARGS__); \
        crank_any_n(CRANK_CAT_(crank_a_, id), CRANK_COUNT(CRANK_CAT_(crank_a_, id)), (outcomes)); \
    })
#define CRANK_TASKS_(id, ...) \
    _Static_assert(CRANK_ARGS_(__VA_ARGS__) <= 14, "crank_gather takes at most 15; use crank_gather_n"); \
    crank_task *const CRANK_CAT_(crank_a_, id)[] = { \
        CRANK_TASK_OF_(CRANK_FIRST_(__VA_ARGS__, 0)) /* which CRANK_EACH_ passes over */ \
        CRANK_EACH_(CRANK_AND_TASK_OF_, __VA_ARGS__) }
#define CRANK_AND_TASK_OF_(i, task) , CRANK_TASK_OF_(task)
#endif
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_gather_(crank_task *const *tasks, size_t n, void *results,
    size_t size, unsigned char kind);
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_gather_settled_n(crank_task *const *tasks, size_t n,
    crank_outcome *ret_outcomes);
/* The same for an array of n tasks; -EINVAL for n == 0. Fails as crank_any. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_any_n(crank_task *const *tasks, size_t n,
    crank_outcome *ret_outcomes);

typedef enum crank_when { CRANK_FIRST_COMPLETED, CRANK_FIRST_ERROR, CRANK_ALL_COMPLETED } crank_when;
/* Wait until one, one that failed (a cancelled one has not), or all of the tasks have ended, or timeout seconds have
 * passed. The ended ones are moved to the front of tasks, order kept; gives how many. The handles stay valid; nothing
 * is cancelled, also not when the caller is (-ECANCELED). Fails with -EINVAL for n == 0 or NaN, -ENOMEM. */
CRANK_API CRANK_BLOCKS ssize_t crank_wait(crank_task **tasks, size_t n, crank_when when, double timeout);
/* Wait for one and move the one that ended first to the front. 0; fails as crank_wait. */
CRANK_API CRANK_BLOCKS int crank_wait_next_(crank_task **tasks, size_t n);

#ifndef __cplusplus
/* Loop over tasks in the order in which they end: in the body t has ended, crank_await(t) gives its result at once.
 * The array is reordered. Leaving the loop early leaves the others alone. A cancelled wait returns from the function
 * as crank_try does. */
#define crank_foreach_completed(t, tasks, n) CRANK_FOREACH_COMPLETED_(__COUNTER__, t, tasks, n)
#define CRANK_FOREACH_COMPLETED_(id, t, tasks, n) \
    for (size_t CRANK_CAT_(crank_i_, id) = 0, CRANK_CAT_(crank_n_, id) = (n); \
         CRANK_CAT_(crank_i_, id) < CRANK_CAT_(crank_n_, id); \
         CRANK_CAT_(crank_i_, id) = CRANK_CAT_(crank_n_, id)) \
        for (crank_task *t; CRANK_CAT_(crank_i_, id) < CRANK_CAT_(crank_n_, id) && __extension__({ \
                 int crank_w_ = crank_wait_next_((tasks) + CRANK_CAT_(crank_i_, id), \
                     CRANK_CAT_(crank_n_, id) - CRANK_CAT_(crank_i_, id)); \
                 if (crank_w_ < 0) \
                     return CRANK_TRACED_("crank_foreach_completed", crank_w_); \
                 t = (tasks)[CRANK_CAT_(crank_i_, id)++]; \
                 (void)t; /* a body need not look at it */ \
                 true; \
             });)
#endif

#ifndef __cplusplus
/* ---- Calls kept for later: for libraries that have macros like crank_serve ------------------------------------- */

/* A captured call that is made many times, each with another first argument, a pointer. The library's macro ends in
 * CRANK_CAPTURE_(__COUNTER__, maker, what, handler, (request *)0, extra...); maker(what, function, site) keeps the call
 * before it spawns or waits. */
typedef struct crank_kept_call crank_kept_call;
/* NULL when memory is short. */
CRANK_API crank_kept_call *crank_kept_call_new_(crank_function_ *function, const crank_site *site);
/* Call it here, in the running task, with first in the place of its first argument: what it returned, where that is a
 * signed number; else 0. */
CRANK_API long crank_kept_call_make_(crank_kept_call *call, void *first);
/* Where it was captured, and what is known of the function. */
CRANK_API const crank_site *crank_kept_call_site_(const crank_kept_call *call);
/* NULL is ignored. */
CRANK_API void crank_kept_call_free_(crank_kept_call *call);
#endif

CRANK_END_DECLS
#endif
