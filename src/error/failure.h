/* SPDX-License-Identifier: MIT */
/* failure.h: a failure: a number, a message, the places it passed through, and the failures of
 * which it is made. */
#ifndef CR_FAILURE_H
#define CR_FAILURE_H
#include <crank/error.h>
#include "loop/loop.h"

typedef struct cr_failure cr_failure;

/* Each failure lies in memory of this table. */
static inline const cr_sys *cr_failure_sys(void)
{
    return cr_loop_here ? cr_loop_here->sys : &cr_sys_real;
}
cr_failure *cr_failure_new(int error, const char *task_name);
void cr_failure_of_future(cr_failure *failure); /* it is a future's, not a task's */
void cr_failure_free(cr_failure *failure);      /* takes NULL; frees its children */
void cr_failure_message(cr_failure *failure, const char *format, ...) CRANK_PRINTF(2, 3);
void cr_failure_message_list(cr_failure *failure, const char *format, va_list args)
    CRANK_PRINTF(2, 0);
void cr_failure_spawned(cr_failure *failure, const crank_site *site);
size_t cr_failure_format(const cr_failure *failure, char *buf, size_t size);
const char *cr_failure_text(const cr_failure *failure);
const crank_failure *cr_failure_public(const cr_failure *failure);
/* A new one, or a copy with what fits of its children, in memory of sys; NULL where that is
 * short. */
cr_failure *cr_failure_new_in(const cr_sys *sys, int error, const char *task_name);
cr_failure *cr_failure_copy_in(const cr_failure *failure, const cr_sys *sys);
/* It has passed through this place. */
void cr_failure_note(cr_failure *failure, crank_trace_entry entry);
int cr_failure_error(const cr_failure *failure);
/* When it was made, in an order that its maker keeps; 0: that is not known. */
void cr_failure_set_moment(cr_failure *failure, uint64_t moment);
uint64_t cr_failure_moment(const cr_failure *failure);
/* The errno of a failed result: one whose negative no int holds counts as the last there is. */
static inline int cr_errno_of(long error) { return error < -INT32_MAX ? INT32_MAX : (int)-error; }
const char *cr_failure_error_words(long error);
/* Make child part of parent's failures (freed with it). 0, or -ENOMEM (then child is the caller's).
 */
int cr_failure_add_child(cr_failure *parent, cr_failure *child);

/* ---- of this thread, for code outside tasks */

/* The slot it hangs in. write: the caller will put a failure there, which is freed when the thread
 * ends. */
cr_failure **cr_failure_thread(bool write);
/* Take this thread's own failure off (worker threads), to be given to a task. */
cr_failure *cr_failure_take_thread(void);
/* The same failure in memory that outlives the loop; NULL stays NULL. */
cr_failure *cr_failure_outlive(cr_failure *failure);
void cr_failure_set_thread(cr_failure *failure);
#endif
