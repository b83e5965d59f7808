/* SPDX-License-Identifier: MIT */
/* oracle.h: a model of the rules R1 to R6 of docs/cancellation.md: what is pending, and how requests travel.
 *
 * The model hears of what a program does as it does it, and says exactly what each wait and each edge returns
 * (oracle_calls.h). It has neither the library's flags nor its numbers of interruptions: a task has things pending, and
 * a log of what each of its -ECANCELED has told of. */
#ifndef ORACLE_H
#define ORACLE_H
#include "test.h"

enum m_state { M_NEW, M_RUNNING, M_PARKED, M_READY, M_COMPLETING, M_ENDED };
enum m_wait {
    M_NOTHING,
    M_SLEEP,
    M_LOCK,
    M_RELOCK, /* a condition's */
    M_CONDITION,
    M_FUTURE,
    M_TASK,
    M_FIXED, /* for a task, giving -ECANCELED in any case */
    M_GATHER,
    M_GROUP,
    M_LEAVE /* for a group, at the end of its block */
};
enum m_kind { M_LIMIT, M_GROUP_SCOPE, M_SHIELD };
enum { M_SCOPES_MAX = 16, M_LOG_MAX = 512, M_CHILDREN_MAX = 32, M_TASKS_MAX = 96, M_CLOSINGS_MAX = 4 };

typedef struct m_task m_task;
typedef struct m_scope {
    enum m_kind kind;
    m_task *task;
    struct m_scope *up;
    bool fired, pending, own; /* own: the task itself did it, and has not waited since */
    int error;
    uint64_t opened, fired_at, deferred_at;
    unsigned known; /* requests */
    int told;       /* the last entry of the task's log that has it; -1: none */
    bool timed;
    int64_t deadline;
    uint64_t timer;
    /* a group's */
    m_task *children[M_CHILDREN_MAX];
    int count, alive, failure;
    bool closing, waiting, leaving, interrupted;
} m_scope;

/* One -ECANCELED. */
typedef struct m_told {
    bool request;
    m_scope *scopes[M_SCOPES_MAX];
    int count;
} m_told;

typedef struct m_line {
    m_task *waiters[M_TASKS_MAX];
    int count;
} m_line;
typedef struct m_lock {
    m_task *holder;
    m_line line;
} m_lock;
typedef struct m_condition {
    m_lock *lock;
    m_line line;
} m_condition;
typedef struct m_future {
    m_line line;
    bool ended;
    int value;
} m_future;
typedef struct m_gather {
    m_task *self;
    m_task *tasks[M_CHILDREN_MAX];
    int n, left, error;
    bool interrupted, stopped, pending; /* pending: something was when it began */
} m_gather;

struct m_task {
    int number;
    crank_task *handle;
    enum m_state state;
    enum m_wait wait;
    void *on;
    int result; /* of the call it returns from; of the task when it has ended */
    unsigned requests;
    bool requested; /* one is pending */
    unsigned own;   /* of those pending, made by itself since its last wait began */
    bool only_own;
    uint64_t deferred_at;
    bool aborting;    /* its wait for other tasks is being aborted */
    bool interrupted; /* its wait gives -ECANCELED, and it has not run on */
    m_scope *scope;
    m_told log[M_LOG_MAX];
    int told;
    struct {
        uint64_t begun;
        bool by_block;
        int first; /* of the log */
    } closings[M_CLOSINGS_MAX];
    int closing;
    int closed; /* what the close gives */
    m_task *parent;
    m_scope *group;
    m_task *children[M_CHILDREN_MAX];
    int count, alive;
    bool cancelled_children;
    m_task *joiner;
    m_gather *gather;
    int64_t deadline;
    uint64_t timer;
};

static m_task m_tasks[M_TASKS_MAX];
static int m_count;
static uint64_t m_moment, m_timers;
static int64_t m_now;

static int64_t m_nanoseconds(double seconds) { return (int64_t)(seconds * 1e9 + 0.5); }

static void m_request(m_task *t);

/* ---- What is pending, and seen */

static bool m_is_deferred(const m_task *t, uint64_t since)
{
    for (int i = 0; since && i < t->closing; i++)
        if (t->closings[i].by_block && t->closings[i].begun > since)
            return true;
    return false;
}
static bool m_shielded(const m_task *t)
{
    const m_scope *s = t->scope;
    while (s && s->kind != M_SHIELD)
        s = s->up;
    return s;
}
static bool m_request_seen(const m_task *t)
{
    return t->requested && !m_shielded(t) && !m_is_deferred(t, t->deferred_at);
}
static bool m_scope_seen(const m_task *t, const m_scope *s) { return s->pending && !m_is_deferred(t, s->deferred_at); }
static bool m_seen(const m_task *t)
{
    for (const m_scope *s = t->scope; s && s->kind != M_SHIELD; s = s->up)
        if (m_scope_seen(t, s))
            return true;
    return m_request_seen(t);
}

static void m_tell(m_task *t, m_scope *s)
{
    m_told *told = &t->log[t->told - 1];
    s->pending = s->own = false;
    s->deferred_at = 0;
    s->told = t->told - 1;
    told->scopes[told->count++] = s;
}

/* An -ECANCELED: it answers all that is seen; an edge's not what the task did itself since its last wait. */
static void m_answer(m_task *t, bool edge)
{
    if (t->told == M_LOG_MAX)
        test_fail(__FILE__, __LINE__, "the model's log is full");
    t->log[t->told++] = (m_told){ 0 };
    for (m_scope *s = t->scope; s && s->kind != M_SHIELD; s = s->up)
        if (m_scope_seen(t, s) && !(edge && s->own))
            m_tell(t, s);
    if (!m_request_seen(t) || (edge && t->own && t->only_own))
        return;
    t->log[t->told - 1].request = true;
    t->requested = edge && t->own;
    t->only_own = t->requested;
    t->own = t->requested ? t->own : 0;
    t->deferred_at = 0;
}

/* ---- Waking */

static void m_wake(m_task *t, int result)
{
    t->state = M_READY;
    t->wait = M_NOTHING;
    t->result = result;
    t->aborting = false;
}
static void m_wake_cancelled(m_task *t)
{
    m_answer(t, false);
    m_wake(t, -ECANCELED);
    t->interrupted = true;
}
static void m_park(m_task *t, enum m_wait wait, void *on)
{
    t->state = M_PARKED;
    t->wait = wait;
    t->on = on;
}
static void m_join_line(m_line *line, m_task *t) { line->waiters[line->count++] = t; }
static void m_leave_line(m_line *line, const m_task *t)
{
    int at = 0;
    while (line->waiters[at] != t)
        at++;
    line->count--;
    memmove(&line->waiters[at], &line->waiters[at + 1], (size_t)(line->count - at) * sizeof line->waiters[0]);
}
static m_task *m_pop(m_line *line)
{
    m_task *t = line->count ? line->waiters[0] : NULL;
    if (t)
        m_leave_line(line, t);
    return t;
}

static void m_release(m_lock *lock)
{
    m_task *next = lock->holder = m_pop(&lock->line);
    if (next)
        m_wake(next, next->interrupted ? -ECANCELED : 0);
}
static void m_notify(m_condition *condition)
{
    m_task *first = m_pop(&condition->line);
    if (!first)
        return;
    m_park(first, M_RELOCK, condition);
    m_join_line(&condition->lock->line, first);
}
static void m_future_end(m_future *f, int value)
{
    if (f->ended)
        return;
    f->ended = true;
    f->value = value;
    for (m_task *t; (t = m_pop(&f->line));) {
        if (value == -ECANCELED)
            m_wake_cancelled(t);
        else
            m_wake(t, value);
    }
}

/* ---- Aborting waits */

static void m_stop_group(m_scope *group)
{
    if (group->closing)
        return;
    group->closing = true;
    for (int i = 0; i < group->count; i++)
        m_request(group->children[i]);
}
static void m_stop_gather(m_gather *g)
{
    g->stopped = true;
    for (int i = 0; i < g->n; i++)
        m_request(g->tasks[i]);
}

/* The condition's wait gives -ECANCELED, with the lock. */
static void m_abort_condition(m_task *t)
{
    m_condition *condition = t->on;
    if (t->wait == M_RELOCK) {
        m_answer(t, false);
        t->interrupted = true;
        m_notify(condition);
        return;
    }
    m_leave_line(&condition->line, t);
    if (!condition->lock->holder) {
        condition->lock->holder = t;
        m_wake_cancelled(t);
        return;
    }
    m_park(t, M_RELOCK, condition);
    m_join_line(&condition->lock->line, t);
    m_answer(t, false);
    t->interrupted = true;
}

/* Something has become pending. */
static void m_abort(m_task *t)
{
    if (t->state != M_PARKED || !m_seen(t))
        return;
    switch (t->wait) {
    case M_SLEEP: m_wake_cancelled(t); return;
    case M_LOCK:
        m_leave_line(&((m_lock *)t->on)->line, t);
        m_wake_cancelled(t);
        return;
    case M_CONDITION:
    case M_RELOCK: m_abort_condition(t); return;
    case M_FUTURE:
        m_leave_line(&((m_future *)t->on)->line, t);
        m_future_end(t->on, -ECANCELED);
        m_wake_cancelled(t);
        return;
    case M_TASK:
        t->aborting = true;
        m_request(t->on);
        return;
    case M_GATHER: {
        m_gather *g = t->on;
        t->aborting = g->interrupted = true;
        if (!g->stopped || m_request_seen(t))
            m_stop_gather(g);
        return;
    }
    case M_GROUP:
    case M_LEAVE: {
        m_scope *group = t->on;
        group->pending = group->own = false;
        group->deferred_at = 0;
        if (m_seen(t)) {
            group->interrupted = true;
            m_stop_group(group);
        }
        return;
    }
    default: return;
    }
}

/* A further request, to a task whose await or gather gives way already. */
static void m_pass_on(const m_task *t)
{
    if (t->state != M_PARKED || m_shielded(t))
        return;
    if (t->wait == M_TASK || t->wait == M_FIXED)
        m_request(t->on);
    if (t->wait == M_GATHER)
        m_stop_gather(t->on);
}

/* R5: the children of a task that ends, once. */
static void m_cancel_children(m_task *t)
{
    if (t->cancelled_children)
        return;
    t->cancelled_children = true;
    for (int i = 0; i < t->count; i++)
        m_request(t->children[i]);
}

/* NOLINTNEXTLINE(misc-no-recursion): as the requests travel. */
static void m_request(m_task *t)
{
    if (t->state == M_ENDED)
        return;
    t->requests++;
    if (t->state == M_COMPLETING) {
        m_cancel_children(t);
        return;
    }
    if (t->state == M_RUNNING) {
        if (t->own == 0)
            t->only_own = !t->requested;
        t->own++;
    }
    if (t->state != M_RUNNING && t->interrupted && !m_shielded(t)) {
        t->log[t->told - 1].request = true;
    } else {
        t->requested = true;
        t->deferred_at = 0;
    }
    if (t->aborting || t->interrupted)
        m_pass_on(t);
    else
        m_abort(t);
}

static void m_fire(m_scope *s, int error)
{
    m_task *t = s->task;
    if (s->fired)
        return;
    s->fired = s->pending = true;
    s->error = error;
    s->fired_at = ++m_moment;
    s->own = t->state == M_RUNNING;
    const m_scope *between = t->scope;
    while (between != s && between->kind != M_SHIELD)
        between = between->up;
    if (!s->own && t->interrupted && between == s)
        m_tell(t, s);
    else if (!t->aborting)
        m_abort(t);
}
#endif
