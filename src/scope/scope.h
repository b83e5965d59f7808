/* SPDX-License-Identifier: MIT */
/* scope.h: lifetimes that nest on one task.
 *
 * A scope is a stretch of a task's life that can be asked to end: a timeout, a group; or one that
 * hides requests from outside: a shield. The scopes of a task form a chain, innermost first, at
 * fiber.scope. A scope fires once; that is a request, delivered by one wait inside it. What the
 * request becomes at the scope's edge is error. */
#ifndef CR_SCOPE_H
#define CR_SCOPE_H
#include <crank/scope.h>
#include "task/tasks.h"

/* The type decides what the rest of the object is: a group's own fields follow behind its scope. */
enum cr_scope_type { CR_TIMEOUT, CR_GROUP, CR_SHIELD };

typedef struct cr_scope cr_scope;
/* fired and undelivered are two things: a request is delivered once, but what fired stays so
 * until the edge, which must know whose the -ECANCELED was. */
struct cr_scope {
    cr_scope *up;
    cr_task *task;       /* NULL while it sleeps with a generator */
    uint8_t type;        /* enum cr_scope_type */
    bool fired;
    bool undelivered;    /* no wait has returned -ECANCELED for it yet */
    bool timed;          /* the timer runs */
    uint8_t asked;       /* requests the task had had when it was entered */
    int error;           /* what -ECANCELED becomes at the edge, once it has fired */
    uint64_t opened, fired_at, delivered_at; /* moments: which came first */
    uint64_t entered; /* opened, or the moment at which it came back with a generator */
    const char *function; /* where it was opened, for crank_try; NULL: not a declaration */
    const void *frame;
    void **anchor;       /* the user's pointer to it, NULL again at the end */
    cr_timer timer;
};

/* Open a scope on the running task; the object lies in the loop's pool of CR_SCOPE_SIZE. NULL
 * when memory is short: then the anchor is NULL too, and the task's next wait fails with
 * -ENOMEM. The anchor is how the block's end finds it, and how anybody who uses the block's name
 * after its end is caught. */
cr_scope *cr_scope_open(enum cr_scope_type type, void **anchor, const char *call);
/* Close it: the innermost of the running task, a CHECK where it is not. Gives the object back. */
void cr_scope_close(cr_scope *scope);
/* What an -ECANCELED that a timeout has caused becomes, with its message. */
int cr_timeout_failed(const cr_scope *scope);
/* Ask for its end. */
void cr_scope_fire(crank_loop *loop, cr_scope *scope, int error);
/* Forget that it fired: it can fire again. */
void cr_scope_reset(cr_scope *scope);
/* Its opener knows already: no wait need be interrupted for it any more. */
void cr_scope_quiet(cr_scope *scope);
/* Is an -ECANCELED at its edge its own doing: it fired, and nobody outside has asked since it was
 * opened, or since it came back with a generator? */
bool cr_scope_caused(const cr_scope *scope);
/* The scopes above below: the part of a chain that goes to sleep with a generator, and its return.
 */
void cr_scopes_detach(cr_task *task, cr_scope *below, cr_scope **ret_top, cr_scope **ret_bottom);
void cr_scopes_attach(crank_loop *loop, cr_task *task, cr_scope *top, cr_scope *bottom);
/* What scopes have delivered since that moment, and the task's own request where asked, is to be
 * delivered again: whoever was told could not tell. */
void cr_scopes_undeliver(cr_task *task, uint64_t since, bool asked);

/* How many requests, and limits and groups that have fired, the task's next wait would answer. */
unsigned cr_scopes_pending(const cr_task *task);

/* The task layer's hooks. */
bool cr_scopes_deliverable(const cr_task *task);
void cr_scopes_delivered(cr_task *task);
void cr_scopes_uncancelled(cr_task *task);
int cr_scopes_leave(crank_loop *loop, cr_task *task, const char *function, const void *frame);
void cr_scope_timer_due(crank_loop *loop, cr_timer *timer);

/* group.c: has the group children alive? They may hold addresses in the opener's stack. */
bool cr_group_busy(const cr_scope *scope);
/* group.c: its opener is another task from now on, or nobody while it sleeps with a generator. */
void cr_group_belongs(cr_scope *scope, cr_task *task);
/* generator.c: a wait is told now of all scopes that delivered at this moment, and of a request to
 * the task where asked. */
void cr_generators_told(const cr_task *task, uint64_t now, bool asked);
/* The task layer's hook: may the task's stack be put away, as far as its scopes go? */
bool cr_scopes_may_nap(const cr_task *task);

/* run.c: crank_run_raw on another OS table (NULL: the real one), for tests. */
long cr_run_raw_on(const cr_sys *sys, const crank_options *options, long (*fn)(void *), void *arg);

/* group.c: an opener leaves the block with the group's own -ECANCELED: join the children, and make
 * their failure its own. */
int cr_group_leave(crank_loop *loop, cr_scope *scope);
/* unclosed.c: before the first generator is made. */
void cr_generators_open(crank_loop *loop);
/* Everybody has ended: is there a generator left open? Then a detached task is made
 * that closes them, and true given. */
bool cr_generators_end(crank_loop *loop);
/* Free what is left of them, without running anything. */
void cr_generators_free(crank_loop *loop);
/* The object behind an anchor that is not NULL: a CHECK naming call where it has ended. */
cr_scope *cr_scope_of(void *state, enum cr_scope_type type, const char *call);
#endif
