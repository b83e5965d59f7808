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
#include "task/record.h"

/* One size for all objects of scopes, so that opening one is taking it from a freelist. */
#define CR_SCOPE_SIZE 256

typedef struct cr_scope cr_scope;

/* What a kind of scope is and does: one static const per kind. A kind's own fields follow behind
 * its scope. */
typedef struct cr_scope_ops {
    const char *name; /* "timeout", for messages */
    bool hides;       /* what is requested outside of it is not delivered inside */
    /* crank_try leaves the scope with -ECANCELED: what this becomes at the scope's edge, -ECANCELED
     * where nothing else. NULL: always that. */
    int (*leave)(crank_loop *loop, cr_scope *scope);
    /* Another task has the scope from now on, which has come back with a generator; or none (NULL):
     * it sleeps with one. NULL: the scope need not know. */
    void (*moved)(cr_scope *scope, cr_task *task);
    /* May another task touch the stack of the task that has the scope? NULL: none may. */
    bool (*pins_stack)(const cr_scope *scope);
} cr_scope_ops;

/* fired and pending are two things: a request is delivered once, but what fired stays so until the
 * edge, which must know to what the -ECANCELED was due. */
struct cr_scope {
    cr_scope *up;
    cr_task *task; /* NULL while it sleeps with a generator */
    const cr_scope_ops *ops;
    bool fired;
    bool pending;              /* no wait has returned -ECANCELED for it yet */
    bool own;                  /* the task itself made it fire, and has not waited since */
    bool with_request;         /* the interruption that told of it told of a request too */
    bool timed;                /* the timer runs */
    bool unlimited;            /* a shield that hides a block without its time limit */
    uint16_t asked;            /* requests the task had had when it was entered */
    int error;                 /* what -ECANCELED becomes at the edge, once it has fired */
    uint64_t opened, fired_at; /* sequence numbers: which came first */
    uint64_t entered;          /* opened, or the moment at which it came back with a generator */
    /* The interruptions (sequence: one for each -ECANCELED given to the task) that told of this
     * scope, and, last, of a request while it was open; 0: none. */
    uint64_t interruption, request_interruption;
    uint64_t latest_interruption; /* of the task, while this was its innermost scope */
    uint64_t deferred_at; /* since when it is for the next wait of the task's own code only; 0 */
    const char *function; /* where it was opened, for crank_try; NULL: not a declaration */
    const void *frame;
    void **anchor; /* the user's pointer to it, NULL again at the end */
    cr_timer timer;
};

/* What reached the task from outside of a body while that was being ended: a request to the task, a
 * scope that fired. On the stack of the function that ends it. */
typedef struct cr_closing {
    bool asked, fired;
    uint64_t begun; /* a moment, where the end of a block closes it; else 0 */
} cr_closing;

/* A generator's body, as far as scopes know of it: a stretch of the task's life on another stack.
 * The first part of a crank_generator; the innermost body that runs is at fiber.generator. */
typedef struct cr_body {
    struct cr_body *up;  /* the one in which it was last asked, or made; NULL for none */
    cr_scope *below;     /* the asker's innermost scope */
    cr_closing *closing; /* it is being ended; else NULL */
    bool unlimited;      /* as CR_TASK_UNLIMITED, of blocks of the body's */
} cr_body;

/* Open a scope on the running task; the object lies in the loop's freelist of CR_SCOPE_SIZE. NULL
 * when memory is short: then the anchor is NULL too, and the task's next wait fails with
 * -ENOMEM. The anchor is how the block's end finds it, and how a use of the block's name after its
 * end is caught. */
cr_scope *cr_scope_open(const cr_scope_ops *ops, void **anchor, const char *call);
/* Close it: the innermost of the running task, a CHECK where it is not. Gives the object back. */
void cr_scope_close(cr_scope *scope);
/* Ask for its end. */
void cr_scope_fire(crank_loop *loop, cr_scope *scope, int error);
/* Forget that it fired: it can fire again. */
void cr_scope_reset(cr_scope *scope);
/* The task that opened it knows already: no wait need be interrupted for it any more. */
void cr_scope_clear_pending(cr_scope *scope);
/* May it claim an -ECANCELED at its edge: it fired, and nothing further out has been pending since
 * it was opened, or since it came back with a generator? */
bool cr_interruption_owned_by(const cr_scope *scope);
/* The edge of a group claims the -ECANCELED that told of the group: whatever lies further out and
 * was told of by the same one is pending again. */
void cr_interruption_restore_shared(cr_scope *scope);
/* The same for an edge that claims an -ECANCELED at hand: also what later ones have told of. */
void cr_interruption_restore_since(cr_scope *scope);
/* The scopes above below: the part of a chain that goes to sleep with a generator, and its return.
 */
void cr_scopes_detach(cr_task *task, cr_scope *below, cr_scope **ret_top, cr_scope **ret_bottom);
void cr_scopes_attach(crank_loop *loop, cr_task *task, cr_scope *top, cr_scope *bottom);
/* What was delivered since that moment, and a request where requested, is pending again for the
 * next wait of the task's own code: the -ECANCELED went to a cleanup at the end of a block, which
 * had no caller to give it to. */
void cr_interruption_defer(cr_task *task, uint64_t since, bool requested);
/* An edge gives -ECANCELED: it answers all that is pending, but for what the task did itself since
 * its last wait. */
void cr_interruption_answer(cr_task *task);
/* Is a request pending that no shield hides? */
bool cr_interruption_requested(const cr_task *task);

/* Set or clear CR_TASK_SCOPE_PENDING by what the chain says. */
void cr_scopes_refresh(cr_task *task);
/* A scope has fired while an -ECANCELED is on its way to the task: true where that answers it. */
bool cr_interruption_absorb(cr_scope *scope);
/* How many requests, and limits and groups that have fired, the task's next wait would answer. */
unsigned cr_interruption_pending(const cr_task *task);

/* -ECANCELED while the task is still in a block that has fired (its limit has passed, or its group
 * has failed), -ENOMEM in one that lacks its limit for want of memory, where no shield hides that;
 * else 0. */
int cr_interruption_fired(const cr_task *task);

/* What the tasks ask: see cr_pending_ops. The first three are also called from above. */
extern const cr_pending_ops cr_interruption_ops;
bool cr_interruption_deliverable(const cr_task *task);
void cr_interruption_give(cr_task *task);
void cr_interruption_run_on(cr_task *task);
/* The loop's hook: the limit of a scope has passed. */
void cr_timeout_due(crank_loop *loop, cr_timer *timer);

/* May the task's stack be put away, as far as its scopes go? */
bool cr_scopes_hibernatable(const cr_task *task);

/* The object behind an anchor that is not NULL: a CHECK naming call where it has ended. */
cr_scope *cr_scope_of(void *state, const cr_scope_ops *ops, const char *call);
#endif
