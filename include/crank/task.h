/* SPDX-License-Identifier: MIT */
#ifndef CRANK_TASK_H
#define CRANK_TASK_H
/* Tasks and futures: what runs, and the values that come later. */
#include "base.h"
#include "call.h"
#if defined(__GNUC__)
#pragma GCC system_header
#endif

CRANK_BEGIN_DECLS

/* Whatever can be awaited. A user's own type embeds this as its first member and is awaited by &object.base.
 * await runs in a task, may wait, and gives the result (negative errno: a failure). Awaited by crank_await it runs
 * in the caller's task; where several things are awaited at once (gather, wait) it runs in a child task. */
typedef struct crank_awaitable crank_awaitable;
struct crank_awaitable {
    long (*await)(crank_awaitable *self);
};

/* ---- Spawning -------------------------------------------------------------------------------------------------- */

/* Start a task that calls fn(args...). The task first runs when the caller waits. It belongs to the calling task,
 * which does not end before it. The arguments are copied; what a pointer points to must outlive the task. Gives a
 * handle, or NULL when memory is short (awaiting NULL gives -ENOMEM; cancel, drop and detach ignore it). */
#ifndef __cplusplus
#define crank_spawn(...) CRANK_CAPTURE_(__COUNTER__, crank_spawn_, 0, __VA_ARGS__)
/* The same, and the task runs at once, before crank_spawn_eager returns, up to its first wait or its end; no other task
 * or callback runs meanwhile. Where many are started so, the caller's next waiting call lets the others run. */
#define crank_spawn_eager(...) CRANK_CAPTURE_(__COUNTER__, crank_spawn_eager_, 0, __VA_ARGS__)
CRANK_API crank_task *crank_spawn_(int zero, crank_function_ *fn, const crank_site *site);
CRANK_API crank_task *crank_spawn_eager_(int zero, crank_function_ *fn, const crank_site *site);
#endif
/* The primitive without call capture, for other languages and for bindings. Same ownership and failure. */
CRANK_API crank_task *crank_spawn_raw(long (*fn)(void *), void *arg);

/* ---- Awaiting -------------------------------------------------------------------------------------------------- */

/* Wait for a task, a future or an awaitable, and give its result; a task's handle is given up. A negative result is
 * the task's failure, its message and trace become the caller's. The result must be an integer, a bool or void
 * (then 0): another kind is a CHECK, as is awaiting oneself, an ancestor, or a handle given up before.
 * Fails with -ECANCELED when the caller is cancelled: the task is cancelled too and has ended (a future is
 * cancelled). Where it ends with a result all the same, that is the result, and the request stays for the next wait.
 * A request made before the call comes first, as in every call that may wait: of a task that has ended by then the
 * result is nobody's. What has to be freed is asked for where a request is held off (crank_shield).
 * Fails with -ENOMEM for NULL; else with what the task failed with. */
#ifndef __cplusplus
#define crank_await(x) crank_await_(CRANK_AWAITED_(x))
#define crank_await_double(x) crank_await_double_(CRANK_AWAITED_(x))
#define crank_await_ptr(x) crank_await_ptr_(CRANK_AWAITED_(x))
/* The same, and the handle stays valid: several tasks may wait for one. A cancelled wait leaves a task alone but
 * cancels a future, as crank_await does; crank_wait for its crank_future_task leaves it alone too. */
#define crank_await_shared(x) crank_await_shared_(CRANK_AWAITED_(x))
#define CRANK_AWAITED_(x) \
    (const void *)(x), _Generic((x), crank_task *: CRANK_IS_TASK_, crank_future *: CRANK_IS_FUTURE_, \
        crank_awaitable *: CRANK_IS_AWAITABLE_)
/* One handle for what is awaited: itself, or a child task that awaits the awaitable. */
#define CRANK_TASK_OF_(x) crank_task_of_(CRANK_AWAITED_(x))
#endif
enum crank_awaited { CRANK_IS_TASK_, CRANK_IS_FUTURE_, CRANK_IS_AWAITABLE_ };
CRANK_API CRANK_BLOCKS long crank_await_(const void *x, enum crank_awaited what);
/* As crank_await, for a float or double result. On failure NaN, and crank_last_failure says why. */
CRANK_API CRANK_BLOCKS double crank_await_double_(const void *x, enum crank_awaited what);
/* As crank_await, for a pointer result. On failure NULL, errno is set. */
CRANK_API CRANK_BLOCKS void *crank_await_ptr_(const void *x, enum crank_awaited what);
CRANK_API CRANK_BLOCKS long crank_await_shared_(const void *x, enum crank_awaited what);
CRANK_API crank_task *crank_task_of_(const void *x, enum crank_awaited what);

/* Give up a handle without waiting. The task runs on and still belongs to its parent. Its failure, if any, is
 * reported. NULL is ignored; a handle given up before is a CHECK. */
CRANK_API void crank_drop(crank_task *task);
/* Give the task to the loop: it may outlive its parent; it is cancelled and awaited when app has ended. Gives up the
 * handle. NULL is ignored. */
CRANK_API void crank_detach(crank_task *task);
/* Give up a started thread job: it finishes unobserved, its result is thrown away, and nobody waits for it but the run,
 * which does not end before it. A job that has not started is cancelled. For a task that is no thread job the same as
 * crank_detach. NULL is ignored. */
CRANK_API void crank_abandon(crank_task *task);

/* ---- Cancelling ------------------------------------------------------------------------------------------------ */

/* Ask a task to stop: its current or next waiting call returns -ECANCELED. It may clean up, may wait while doing so,
 * and may refuse. One -ECANCELED answers all requests that came before the task ran on with it; a later request is a
 * new one. A thread job that has started cannot be interrupted. Never waits.
 * Fails with -ESRCH when the task has ended; NULL is ignored and gives -ESRCH.
 * A library's own functions must not return -ECANCELED for errors of their own: it means "I was asked to stop", and
 * groups, reports and CRANK_FIRST_ERROR take it for no failure. */
CRANK_API int crank_cancel(crank_task *task);
/* The same with a reason: what crank_error gives in the cancelled task. */
CRANK_API int crank_cancel_because(crank_task *task, const char *format, ...) CRANK_PRINTF(2, 3);
/* How many requests the task has had that were not taken back, up to 65,535; NULL means the running task. */
CRANK_API unsigned crank_cancelling(crank_task *task);
/* Take one request back: "I have dealt with it". Gives how many are left; NULL means the running task. As one
 * -ECANCELED may answer several, while (crank_uncancel(NULL) > 0) takes back all. With the last one taken back a
 * request that is pending is withdrawn; an -ECANCELED on its way still comes. */
CRANK_API unsigned crank_uncancel(crank_task *task);
/* Was this very task asked to stop (and not only a timeout or group inside it)? */
CRANK_API bool crank_cancelled(void);

/* ---- Waiting for time ------------------------------------------------------------------------------------------ */

/* Wait for so many seconds. Negative is zero; zero lets every ready task run once; huge and infinite clamp to about
 * 292 years. Fails with -ECANCELED; -EINVAL for NaN. */
CRANK_API CRANK_BLOCKS int crank_sleep(double seconds);
/* Wait until crank_time() is at least this. Fails as crank_sleep. */
CRANK_API CRANK_BLOCKS int crank_sleep_until(double time);
/* The loop's monotonic clock in seconds; virtual under the simulator. Works in tasks, callbacks and outside. */
CRANK_API double crank_time(void);

/* ---- Asking ---------------------------------------------------------------------------------------------------- */

/* The running task; NULL outside one. */
CRANK_API crank_task *crank_self(void);
/* Name a task (copied, cut at 63 bytes); NULL means the running one. Without a name it is "Task-N". */
CRANK_API void crank_set_name(crank_task *task, const char *name);
/* The name; valid until the task's record goes or the name is set. NULL means the running task. */
CRANK_API const char *crank_name(crank_task *task);
/* Has it ended? Whether with a result, a failure or cancelled. NULL, a task that could not be spawned, has. */
CRANK_API bool crank_done(crank_task *task);
/* Did it end with -ECANCELED, having been cancelled? NULL did not. */
CRANK_API bool crank_was_cancelled(crank_task *task);
/* The result of an ended task, without giving up the handle. Fails with -EAGAIN while it runs; else 0 and *ret_value
 * is the result, negative where the task failed: crank_error has its message then, in a task, and it is not reported
 * as a failure nobody awaited. Integer, bool and void results only: another kind is a CHECK. Of NULL it is -ENOMEM. */
CRANK_API int crank_result(crank_task *task, long *ret_value);
/* Call fn(task, arg) once, soon after the task has ended; soon, if it has ended already. In the loop, not in a task: fn
 * must not wait. Fails with -ENOMEM, also for NULL: then no call is made. */
CRANK_API int crank_on_done(crank_task *task, void (*fn)(crank_task *task, void *arg), void *arg);
/* Take back every such call of this pair that has not been made, also after the task's end. Gives how many; 0 for
 * NULL. */
CRANK_API int crank_remove_on_done(crank_task *task, void (*fn)(crank_task *task, void *arg), void *arg);
/* All tasks of this loop that have not ended, oldest first. Fills at most max handles (borrowed), gives how many
 * there are. */
CRANK_API size_t crank_tasks(crank_task **ret_tasks, size_t max);
/* A task's parent, NULL at the top. NULL means the running task. Borrowed. */
CRANK_API crank_task *crank_parent(crank_task *task);
/* Describe a task on one line: state, name, function, place it was spawned, what it waits for. Cut to size and
 * terminated; gives the length it would have. NULL means the running task. */
CRANK_API size_t crank_describe(crank_task *task, char *buf, size_t size);

/* ---- Task-locals ----------------------------------------------------------------------------------------------- */

/* A key: a static crank_local is ready for use. A task inherits its parent's values when spawned, later changes stay
 * its own. A thread job (crank_to_thread) reads those that its parent had when it was spawned. */
typedef struct crank_local {
    char unused;
} crank_local;
/* The running task's value, NULL if never set. In a thread job that of the job's task; elsewhere outside a task a
 * CHECK. */
CRANK_API void *crank_local_get(const crank_local *key);
/* Fails with -ENOMEM. Outside a task a CHECK, also in a thread job. */
CRANK_API int crank_local_set(const crank_local *key, void *value);

/* ---- Futures --------------------------------------------------------------------------------------------------- */

/* A value to be set later. It belongs to the task that made it and goes with that task at the latest; awaiting does
 * not give it up. NULL when memory is short. */
CRANK_API crank_future *crank_future_new(void);
CRANK_API crank_future *crank_future_new_(const crank_site *site);
#ifndef __cplusplus
/* In C the place is noted, for reports and descriptions. */
#define crank_future_new() CRANK_FUTURE_NEW_(__COUNTER__)
#define CRANK_FUTURE_NEW_(id) \
    __extension__({ \
        static const crank_site CRANK_CAT_(crank_s_, id) = { \
            "(future)", __FILE__, __func__, __LINE__, CRANK_KIND_SIGNED, sizeof(long), 0, 0, 0, 0 }; \
        crank_future_new_(&CRANK_CAT_(crank_s_, id)); \
    })
#endif
/* Let it go; tasks still waiting get -ECANCELED. NULL is ignored. */
CRANK_API void crank_future_free(crank_future *future);
#ifndef __cplusplus
/* Set the value: an integer, double, or pointer; its kind must be the one it is awaited with. Wakes all who wait.
 * Fails with -EALREADY when it has a value or an error, -ECANCELED when it was cancelled. */
#define crank_set_result(future, value) CRANK_SET_RESULT_(__COUNTER__, future, value)
#define CRANK_SET_RESULT_(id, future, value) \
    __extension__({ \
        __typeof__(((void)0, (value))) CRANK_CAT_(crank_v_, id) = (value); \
        _Static_assert(sizeof CRANK_CAT_(crank_v_, id) <= 8 && \
            CRANK_KIND_OF_(&CRANK_CAT_(crank_v_, id), CRANK_VALUE_CLASS_(&CRANK_CAT_(crank_v_, id))) \
                != CRANK_KIND_STRUCT, "crank_set_result takes an integer, a double or a pointer"); \
        crank_set_result_((future), &CRANK_CAT_(crank_v_, id), sizeof CRANK_CAT_(crank_v_, id), \
            CRANK_KIND_OF_(&CRANK_CAT_(crank_v_, id), CRANK_VALUE_CLASS_(&CRANK_CAT_(crank_v_, id)))); \
    })
#define CRANK_AUTO_FUTURE CRANK_CLEANUP_(crank_future_drop_)
static inline void crank_future_drop_(crank_future **future) { crank_future_free(*future); }
#endif
CRANK_API int crank_set_result_(crank_future *future, const void *value, size_t size, unsigned char kind);
/* Set a failure: error (either sign) and a message for whoever awaits it. Fails as crank_set_result. */
CRANK_API int crank_set_error(crank_future *future, int error, const char *format, ...) CRANK_PRINTF(3, 4);
/* The task-shaped handle of a future, for arrays of tasks and calls that take a task only. Borrowed. */
CRANK_API crank_task *crank_future_task(crank_future *future);

/* ---- Futures where tasks are expected -------------------------------------------------------------------------- */

#ifndef __cplusplus
static inline crank_task *crank_task_itself_(crank_task *task) { return task; }
static inline crank_task *crank_task_of_future_(crank_future *future) { return (crank_task *)(void *)future; }
#define CRANK_HANDLE_(x) _Generic((x), crank_future *: crank_task_of_future_, default: crank_task_itself_)(x)
/* In C these calls take a task, a future or NULL, as crank_await does: crank_cancel(future) is
 * crank_cancel(crank_future_task(future)). The functions of these names take a task or NULL; (crank_cancel)(task) calls
 * one of them. */
#define crank_cancel(x) (crank_cancel)(CRANK_HANDLE_(x))
#define crank_cancel_because(x, ...) (crank_cancel_because)(CRANK_HANDLE_(x), __VA_ARGS__)
#define crank_done(x) (crank_done)(CRANK_HANDLE_(x))
#define crank_was_cancelled(x) (crank_was_cancelled)(CRANK_HANDLE_(x))
#define crank_result(x, ret_value) (crank_result)(CRANK_HANDLE_(x), (ret_value))
#define crank_on_done(x, fn, arg) (crank_on_done)(CRANK_HANDLE_(x), (fn), (arg))
#define crank_remove_on_done(x, fn, arg) (crank_remove_on_done)(CRANK_HANDLE_(x), (fn), (arg))
#define crank_set_name(x, name) (crank_set_name)(CRANK_HANDLE_(x), (name))
#define crank_name(x) (crank_name)(CRANK_HANDLE_(x))
#define crank_describe(x, buf, size) (crank_describe)(CRANK_HANDLE_(x), (buf), (size))
#endif

CRANK_END_DECLS
#endif
