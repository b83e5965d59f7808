/* SPDX-License-Identifier: MIT */
#ifndef CRANK_LOOP_H
#define CRANK_LOOP_H
/* The callback layer: what a binding, an embedder or another event loop sits on. Programs want crank.h instead.
 * All calls are for the loop's own thread but where said; callbacks run in the loop, not in a task, and must not wait
 * (a CHECK). A loop that is NULL is a CHECK too, but for crank_loop_free. Other threads call into it by crank_post,
 * signal handlers by a crank_waker (crank/thread.h), which also keeps crank_loop_run from ending for want of anything
 * to do. Included by itself: crank.h does not include it.
 * A child of fork may use, run and free the loops of crank_loop_new that it finds: with the first call on it, other
 * than crank_post, a loop becomes the child's, with the same readers, writers and calls, and the parent's goes on
 * untouched. crank_loop_fd then gives another one. A callback that forks must not return in the child (a CHECK). */
#include "base.h"
#include "run.h"
#if defined(__GNUC__)
#pragma GCC system_header
#endif

CRANK_BEGIN_DECLS

/* Something the loop will call, once. No handle need be given up: one that is out of date is recognised. */
typedef struct crank_handle crank_handle;
typedef void crank_callback(void *arg);

/* Make a loop without running it, for embedding; NULL and errno on failure (as crank_run_with). crank_loop_run and its
 * kin make it this thread's loop while they run; between them any thread may use, run or free it, one at a time. */
CRANK_API crank_loop *crank_loop_new(const crank_options *options);
/* A CHECK while it runs. Callbacks not yet called are dropped. NULL is ignored. */
CRANK_API void crank_loop_free(crank_loop *loop);
/* Run until crank_loop_stop, or until there is nothing left that could ever call anything. 0, or a negative errno. */
CRANK_API int crank_loop_run(crank_loop *loop);
/* One turn: what is due and ready now. With wait, wait for something first, at most so many seconds. Gives how many
 * callbacks it ran, those of crank_post and of wakers among them. Fails with -EINVAL for NaN. */
CRANK_API long crank_loop_run_once(crank_loop *loop, double wait);
/* Make crank_loop_run return after its turn: the one that runs now, else the next one, or the next crank_loop_run_once,
 * which does not wait then and looks at descriptors once. The call that returns clears this, and another one runs on as
 * ever. A CHECK for the loop of a program (crank_run), which ends when app returns. */
CRANK_API void crank_loop_stop(crank_loop *loop);
/* Is the loop run now, by crank_loop_run, crank_loop_run_once, or crank_run where it is a program's? True from the
 * beginning of the call to its return, also after crank_loop_stop, as asyncio's is_running; false between two calls of
 * crank_loop_run_once. From any thread, while the loop is not freed. */
CRANK_API bool crank_loop_running(const crank_loop *loop);
/* The loop's clock, seconds. Callable anywhere. */
CRANK_API double crank_loop_time(crank_loop *loop);
/* A descriptor that is readable when the loop has something to do besides its timers, for another loop's poll. Combine
 * it with crank_loop_next. Fails with -ENOTSUP under the simulator; -ENOMEM, -EMFILE; -EBUSY for a crank_run's loop on
 * io_uring that waits for a descriptor already. */
CRANK_API int crank_loop_fd(crank_loop *loop);
/* Seconds until the next timer: 0 when something is ready or the kernel has yet to be told something, CRANK_FOREVER
 * when there is none. */
CRANK_API double crank_loop_next(crank_loop *loop);

/* Call fn(arg) in the next turn, in the order asked for: what a callback asks for is not called in its own turn. In a
 * program callbacks and tasks become ready in one order, and it is called behind those that are. NULL when memory is
 * short (each of these). */
CRANK_API crank_handle *crank_call_soon(crank_loop *loop, crank_callback *fn, void *arg);
/* Call it after so many seconds: negative is zero, NaN gives NULL and EINVAL. */
CRANK_API crank_handle *crank_call_later(crank_loop *loop, double seconds, crank_callback *fn, void *arg);
/* Call it when the loop's clock is at least this. */
CRANK_API crank_handle *crank_call_at(crank_loop *loop, double time, crank_callback *fn, void *arg);
/* Do not call it. 0 when the call was taken back. Fails with -ESRCH when it has been made or is being made, was taken
 * back before, or its loop has gone, and for NULL. */
CRANK_API int crank_handle_cancel(crank_handle *handle);

/* Call fn(arg) whenever fd is readable (or has ended), until removed; replaces an earlier one. Fails with -EPERM for a
 * regular file, -EBADF, -ENOMEM. Under the simulator descriptors are real ones. */
CRANK_API int crank_add_reader(crank_loop *loop, int fd, crank_callback *fn, void *arg);
/* The same whenever fd can be written. */
CRANK_API int crank_add_writer(crank_loop *loop, int fd, crank_callback *fn, void *arg);
/* 1 when there was one, 0 when not. Remove before the descriptor is closed: when this returns the loop holds the file
 * no more, so that closing it ends a connection and frees an address at once. */
CRANK_API int crank_remove_reader(crank_loop *loop, int fd);
/* The same for a writer. */
CRANK_API int crank_remove_writer(crank_loop *loop, int fd);

CRANK_END_DECLS
#endif
