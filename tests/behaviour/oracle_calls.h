/* SPDX-License-Identifier: MIT */
/* oracle_calls.h: the rest of the model: time, the edges of scopes, tasks and their ends, what a call has returned. */
#ifndef ORACLE_CALLS_H
#define ORACLE_CALLS_H
#include "oracle.h"

/* ---- Time */

/* All timers that are due, in the order of their deadlines and ages. */
static void m_advance(void)
{
    m_now = m_nanoseconds(crank_time());
    for (;;) {
        m_task *sleeper = NULL;
        m_scope *limit = NULL;
        int64_t deadline = m_now;
        uint64_t age = UINT64_MAX;
        for (int i = 0; i < m_count; i++) {
            m_task *t = &m_tasks[i];
            bool sleeps = t->state == M_PARKED && t->wait == M_SLEEP;
            if (sleeps && (t->deadline < deadline || (t->deadline == deadline && t->timer < age))) {
                deadline = t->deadline, age = t->timer;
                sleeper = t, limit = NULL;
            }
            for (m_scope *s = t->scope; s; s = s->up) {
                if (s->timed && (s->deadline < deadline || (s->deadline == deadline && s->timer < age))) {
                    deadline = s->deadline, age = s->timer;
                    limit = s, sleeper = NULL;
                }
            }
        }
        if (!sleeper && !limit)
            return;
        if (sleeper)
            m_wake(sleeper, 0);
        if (limit) {
            limit->timed = false;
            m_fire(limit, -ETIMEDOUT);
        }
    }
}

/* ---- Scopes and their edges */

static void m_open(m_task *t, m_scope *s, enum m_kind kind, double seconds)
{
    *s = (m_scope){ .kind = kind, .task = t, .up = t->scope, .known = t->requests - t->requested, .told = -1 };
    s->opened = ++m_moment;
    for (m_scope *outer = s->up; outer; outer = outer->up)
        if (outer->pending)
            outer->fired_at = ++m_moment;
    t->scope = s;
    if (kind != M_LIMIT || isinf(seconds))
        return;
    s->deadline = m_now + m_nanoseconds(seconds);
    s->timer = ++m_timers;
    s->timed = seconds > 0;
    if (!s->timed)
        m_fire(s, -ETIMEDOUT);
}
static void m_close(m_scope *s) { s->task->scope = s->up; }

/* R4: some wait has told of it, and nothing further out has become pending since it was opened. */
static bool m_claims(const m_scope *s)
{
    if (!s->fired || s->told < 0)
        return false;
    for (const m_scope *outer = s->up; outer; outer = outer->up) {
        if (outer->kind == M_SHIELD)
            return true;
        if (outer->fired && !outer->own && outer->fired_at > s->opened)
            return false;
    }
    return s->task->requests - s->task->own <= s->known;
}

static int m_within(m_scope *s, int value)
{
    if (value != -ECANCELED)
        return value;
    if (m_claims(s))
        return s->error;
    m_answer(s->task, true);
    return value;
}

/* R3: of what lies outside of s, all that these entries of the log tell of is pending again. */
static void m_restore(m_scope *s, int first, int last)
{
    m_task *t = s->task;
    m_scope *outer = s->up;
    bool request = false;
    if (first < 0)
        return;
    for (; outer && outer->kind != M_SHIELD; outer = outer->up)
        if (outer->fired && outer->told >= first && outer->told <= last)
            outer->pending = true;
    for (int i = first; i <= last; i++)
        request |= t->log[i].request;
    if (request && !outer && t->requests > 0)
        t->requested = true;
}

/* A group of which the task was not told claims the last -ECANCELED inside that came from further out. */
static int m_last_from_outside(const m_scope *s, int opened_at)
{
    for (int i = s->task->told - 1; i >= opened_at; i--) {
        const m_told *told = &s->task->log[i];
        if (told->request)
            return i;
        for (const m_scope *outer = s->up; outer && outer->kind != M_SHIELD; outer = outer->up)
            if (outer->told == i)
                return i;
    }
    return -1;
}

/* ---- Tasks */

/* A waiting call begins: what comes from now on is new. */
static void m_begin(m_task *t)
{
    t->interrupted = false;
    t->own = 0;
    for (m_scope *s = t->scope; s; s = s->up)
        s->own = false;
}
/* The same for the calls that look for what is pending first: true where they give -ECANCELED at once. */
static bool m_refused(m_task *t)
{
    m_begin(t);
    if (!m_seen(t))
        return false;
    m_answer(t, false);
    m_wake(t, -ECANCELED);
    return true;
}

static m_task *m_spawn(m_task *parent, m_scope *group)
{
    if (m_count == M_TASKS_MAX || (group ? group->count : parent ? parent->count : 0) == M_CHILDREN_MAX)
        return NULL;
    m_task *t = &m_tasks[m_count];
    memset(t, 0, offsetof(m_task, log));
    memset((char *)t + offsetof(m_task, told), 0, sizeof *t - offsetof(m_task, told));
    t->number = m_count++;
    t->parent = parent;
    t->group = group;
    if (group) {
        group->children[group->count++] = t;
        group->alive++;
    } else if (parent) {
        parent->children[parent->count++] = t;
        parent->alive++;
    }
    return t;
}

static int m_conclude(m_scope *group)
{
    m_task *t = group->task;
    int result = group->failure;
    m_restore(group, group->told, group->told);
    group->fired = group->pending = group->own = false;
    group->told = -1;
    if (result == 0 && group->interrupted && m_seen(t)) {
        m_answer(t, false);
        t->interrupted = t->state != M_RUNNING;
        result = -ECANCELED;
    }
    group->failure = 0;
    group->closing = group->interrupted = false;
    return result;
}

static void m_child_ended(m_scope *group, const m_task *child)
{
    group->alive--;
    if (child->result < 0 && child->result != -ECANCELED && !group->failure) {
        group->failure = child->result;
        m_stop_group(group);
        m_fire(group, child->result);
    }
    if (group->alive > 0 || !group->waiting)
        return;
    group->waiting = false;
    m_wake(group->task, group->leaving ? 0 : m_conclude(group));
}

static void m_gather_ended(m_gather *g, const m_task *t)
{
    g->left--;
    bool better = g->interrupted && g->error == -ECANCELED && t->result != -ECANCELED;
    if (t->result < 0 && (!g->error || better)) {
        g->error = t->result;
        if (!g->stopped)
            m_stop_gather(g);
    }
    if (g->left == 0 && g->self->state == M_PARKED)
        m_wake(g->self, 0);
}

static void m_joined(m_task *waiter, const m_task *t)
{
    if (waiter->wait == M_FIXED)
        m_wake(waiter, -ECANCELED);
    else if (t->result == -ECANCELED)
        m_wake_cancelled(waiter);
    else
        m_wake(waiter, t->result);
}

/* NOLINTNEXTLINE(misc-no-recursion): up a chain of parents. */
static void m_ended(m_task *t)
{
    t->state = M_ENDED;
    if (t->group) {
        m_child_ended(t->group, t);
        return;
    }
    m_task *parent = t->parent;
    bool last = parent && --parent->alive == 0 && parent->state == M_COMPLETING;
    if (t->gather)
        m_gather_ended(t->gather, t);
    else if (t->joiner)
        m_joined(t->joiner, t);
    if (last)
        m_ended(parent);
}

/* Its function is about to return. */
static void m_return(m_task *t, int value)
{
    t->result = value;
    t->interrupted = false;
    if (t->alive == 0) {
        m_ended(t);
        return;
    }
    t->state = M_COMPLETING;
    if (value < 0 || t->requests > 0)
        m_cancel_children(t);
}

/* What its gather gives is decided when it runs on. */
static int m_outcome(m_task *t)
{
    const m_gather *g = t->on;
    if (g->error && g->error != -ECANCELED)
        return g->error;
    if (g->error == 0 && !(g->interrupted && g->pending && m_seen(t)))
        return 0;
    m_answer(t, false);
    return -ECANCELED;
}

/* The call has returned: what the model says that it gave. False: by the model the task waits still. */
static bool m_returned(m_task *t, bool gathers, int *ret_expected)
{
    m_advance();
    if (t->state != M_READY)
        return false;
    t->state = M_RUNNING;
    *ret_expected = gathers ? m_outcome(t) : t->result;
    return true;
}
#endif
