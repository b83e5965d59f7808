/* SPDX-License-Identifier: MIT */
#ifndef CRANK_THREAD_H
#define CRANK_THREAD_H
/* Threads: ordinary blocking functions on workers, and the way into a loop from other threads. */
#include "base.h"
#include "call.h"
#include "task.h"
#if defined(__GNUC__)
#pragma GCC system_header
#endif

CRANK_BEGIN_DECLS

#ifndef __cplusplus
/* Call fn(args...) on a worker thread; a task like any other, to be awaited, gathered, cancelled. Jobs start in order
 * on at most options.threads_max threads, which are made as needed and end when idle for long. One that has not started
 * when cancelled never runs and ends with -ECANCELED; one that has started cannot be interrupted: whoever waits for it
 * waits until it returns. While other jobs wait for a thread, a result may be told a millisecond late: the loop would
 * take the processor from them. fn is in no task: calls that wait, spawn or ask about tasks are a CHECK in it. It may
 * fail as others do (crank_fail, crank_try), read crank_time and the task-locals of its spawn (crank_local_get), reach
 * a loop (crank_post, crank_submit and the calls on its submission, crank_waker_wake), and run a loop of its own
 * (crank_run). NULL when memory is short, or (errno ESHUTDOWN) in a callback while app's children are being ended. When
 * no thread can be made at all the task ends with -EAGAIN. */
#define crank_to_thread(...) CRANK_CAPTURE_(__COUNTER__, crank_to_thread_, 0, __VA_ARGS__)
CRANK_API crank_task *crank_to_thread_(int zero, crank_function_ *fn, const crank_site *site);

/* From another thread: run fn(args...) as a task on loop (a child of its app). The submission must be waited for or
 * dropped. NULL when memory is short or the loop has ended (errno ENOMEM or ESHUTDOWN); a loop of crank_loop_new, which
 * has no tasks, is a CHECK. While the loop has nothing but this call to wait for, it must be told so by a crank_waker,
 * or it reports a deadlock. */
#define crank_submit(loop, ...) CRANK_CAPTURE_(__COUNTER__, crank_submit_, (loop), __VA_ARGS__)
#endif
typedef struct crank_submission crank_submission;
#ifndef __cplusplus
CRANK_API crank_submission *crank_submit_(crank_loop *loop, crank_function_ *fn, const crank_site *site);
#endif
/* Block this thread (not a task: a CHECK where a loop runs) until the task has ended, at most timeout seconds. 0 and
 * *ret_value (unless NULL) is its result, and the submission is given up: negative is its failure, crank_error has the
 * message, -ESHUTDOWN where the app ended before the task began. Fails with -ETIMEDOUT, -EINVAL for NaN, -ENOMEM for a
 * simulated job's limit: it is not given up. */
CRANK_API int crank_submission_wait(crank_submission *submission, double timeout, long *ret_value);
/* Ask the task to stop. It must still be waited for or dropped. */
CRANK_API void crank_submission_cancel(crank_submission *submission);
/* Give the submission up; the task runs on. NULL is ignored. */
CRANK_API void crank_submission_drop(crank_submission *submission);

/* From any thread: run fn(arg) in the loop soon, not in a task; it must not wait. In the order posted by one thread.
 * Fails with -ESHUTDOWN when the loop has ended, -ENOMEM. Not from signal handlers: crank_waker_wake is for them. A
 * program's loop calls all that it has accepted: when app, all tasks and all thread jobs have ended it refuses posts,
 * and then calls what it had accepted before; nothing can be spawned there any more. A loop of crank_loop_new drops
 * what it has not called when it is freed. A loop that has nothing else to wait for must be told by a crank_waker that
 * a thread will call, or it reports a deadlock. */
CRANK_API int crank_post(crank_loop *loop, void (*fn)(void *arg), void *arg);

/* Someone outside who may still wake the loop: while one is held, a loop without anything to do waits instead of
 * reporting a deadlock. crank_waker_wake is async-signal-safe and may be called from any thread; it makes the loop call
 * fn(arg) soon (several wakes may become one call). */
typedef struct crank_waker crank_waker;
/* NULL when memory is short. On the loop's own thread, or while the loop does not run (crank/loop.h). */
CRANK_API crank_waker *crank_waker_new(crank_loop *loop, void (*fn)(void *arg), void *arg);
/* From any thread or signal handler. */
CRANK_API void crank_waker_wake(crank_waker *waker);
/* Where crank_waker_new may be called, or after the run; nobody may wake it after. NULL is ignored. */
CRANK_API void crank_waker_free(crank_waker *waker);

/* Worker threads of this thread's loop, now. */
CRANK_API size_t crank_thread_count(void);

CRANK_END_DECLS
#endif
