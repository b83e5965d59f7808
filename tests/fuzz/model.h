/* SPDX-License-Identifier: MIT */
/* model.h: tasks that do to a synchronisation object what a script says, beside a model that knows what comes of it.
 *
 * A director reads the script. Actors are tasks that wait to be told: begin a call, and nothing else. The director
 * itself makes the calls that need no task, cancels actors, cancels the scope in which one makes its call, takes
 * requests back, and lets turns pass, or not, so that much happens in one. The model changes in the very moment in
 * which the object does: an actor tells it directly before its call, with no switch in between. It is the plainest
 * thing that could be right: arrays, first come first served. It says of every call whether it waits and how it ends,
 * so each return is compared, and once nothing is ready any more, who still waits is compared too: a lost wake-up
 * shows there. */
#ifndef FUZZ_MODEL_H
#define FUZZ_MODEL_H
#include "fuzz.h"

enum { ACTORS = 5 };

typedef struct actor {
    int id;
    crank_task *task;
    enum { IDLE, TOLD, CALLING } state;
    unsigned op, arg;
    bool quits;
    bool scoped;        /* it makes its call inside a group of its own */
    crank_group *scope; /* that group, while it is open */
    bool fired;         /* it was cancelled */
    unsigned requests;  /* to cancel, not taken back */
    bool asked;         /* one of them is not delivered yet */
    bool decided;       /* how the call ends is known: outcome */
    long outcome;
    /* For the models. */
    bool holds, retakes, doomed;
    int value, got;
} actor;

/* Actors in line, first come first served. */
typedef struct actor_line {
    actor *at[ACTORS];
    int count;
} actor_line;

typedef struct model {
    unsigned ops;     /* numbers of steps of its own */
    unsigned waiting; /* which of them are waiting calls: bits */
    void (*open)(unsigned variant);
    void (*close)(void);
    /* The director does a step of the model's own: acts itself, or tells the actor. */
    void (*step)(unsigned op, actor *a, unsigned arg);
    /* The actor is about to make its call: decide, or put it in line. */
    void (*begin)(actor *a);
    long (*call)(actor *a); /* the call itself */
    /* An actor in line is cancelled. Has the request been delivered? */
    bool (*cancel)(actor *a);
    void (*check)(void);        /* compare all that can be asked */
    void (*returned)(actor *a); /* what the call left in the caller's hands is right; may be NULL */
    void (*give_up)(actor *a);  /* the script is over: put back what the idle actor holds; may be NULL */
} model;
extern const model model_this;
extern actor actors[ACTORS];

/* For the models: tell an idle actor to make a call; no effect on one that is busy. */
void actor_tell(actor *a, unsigned op, unsigned arg);
/* It need not wait any more, or need not at all. */
void actor_decide(actor *a, long outcome);
void line_join(actor_line *line, actor *a);
actor *line_shift(actor_line *line);         /* NULL when it is empty */
bool line_leave(actor_line *line, actor *a); /* was it there? */

/* Run one script. For fuzz_target.run. */
void model_run(const uint8_t *data, size_t size);
#endif
