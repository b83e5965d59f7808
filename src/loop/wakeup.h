/* SPDX-License-Identifier: MIT */
/* wakeup.h: posts from other threads and from signal handlers.
 *
 * Owns the list of what was posted and not yet delivered, and the knowledge of whether the loop
 * sleeps: a post to a loop that sleeps wakes its backend, once per sleep. Posting is lock-free and
 * async-signal-safe. */
#ifndef CR_WAKEUP_H
#define CR_WAKEUP_H
#include "backend/backend.h"

typedef struct cr_wakeup cr_wakeup;

/* A post: lies in its sender's memory until delivered. */
typedef struct cr_post cr_post;
struct cr_post {
    cr_post *next;
    void (*deliver)(cr_post *post); /* in the loop's thread; may free the post */
};

/* The loop counts as asleep until it first delivers. 0 or -ENOMEM. */
int cr_wakeup_new(const cr_sys *sys, cr_backend *backend, cr_wakeup **ret_wakeup);
/* Waits for the last poster to have left. Posts not delivered are dropped. Takes NULL. */
void cr_wakeup_free(cr_wakeup *wakeup);
/* In the child of a fork: posters were threads of the parent. What was posted stays. */
void cr_wakeup_inherit(cr_wakeup *wakeup);
/* From any thread or signal handler. False: closed, and post is the caller's still. */
bool cr_wakeup_post(cr_wakeup *wakeup, cr_post *post);
/* Deliver what was posted until now, in the order posted; the loop is awake after it. */
void cr_wakeup_deliver(cr_wakeup *wakeup);
/* Refuse what is posted from now on, and deliver what was posted before. */
void cr_wakeup_close(cr_wakeup *wakeup);
/* The loop's last step before it waits: false where something has been posted meanwhile, then it
 * must not. */
bool cr_wakeup_sleep(cr_wakeup *wakeup);
/* Look for a post for so long without sleeping, not beyond deadline. True: there is one. */
bool cr_wakeup_spin(cr_wakeup *wakeup, int64_t span, int64_t deadline);
bool cr_wakeup_empty(const cr_wakeup *wakeup);
/* From any thread: does the loop sleep, or is a poster just about to wake it? */
bool cr_wakeup_asleep(const cr_wakeup *wakeup);
#endif
