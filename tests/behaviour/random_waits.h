/* SPDX-License-Identifier: MIT */
/* random_waits.h: what the tasks of interruption_model.c do: chance, requests and plain waits, each told to the model
 * before it is done and compared with the model's word after. */
#ifndef RANDOM_WAITS_H
#define RANDOM_WAITS_H
#include "oracle_calls.h"

enum { LOCKS = 2, FUTURES = 2 };
enum fault { NO_FAULT, A_REQUEST_DROPPED, A_REQUEST_TWICE, A_CHILD_TWICE };

static uint64_t chance_state;
static uint64_t program; /* its seed */
static bool talks;       /* print each call */
static enum fault planted;
static bool faulty, found; /* the fault was made; the model has found it, and says no more */
static uint64_t calls;

static crank_lock *locks[LOCKS];
static m_lock m_locks[LOCKS];
static crank_condition *conditions[LOCKS];
static m_condition m_conditions[LOCKS];
static crank_future *futures[FUTURES];
static m_future m_futures[FUTURES];
static m_task *chaos; /* app */

static uint32_t below(uint32_t n)
{
    chance_state ^= chance_state << 13;
    chance_state ^= chance_state >> 7;
    chance_state ^= chance_state << 17;
    return (uint32_t)(chance_state >> 33) % n;
}
static bool chance(uint32_t percent) { return below(100) < percent; }
static double some_seconds(void) { return (double)below(4); }

static void differs(const m_task *t, const char *call, int actual, const char *what, int expected)
{
    if (found)
        return;
    if (planted != NO_FAULT && faulty) {
        found = true;
        return;
    }
    test_fail(__FILE__, __LINE__, "program %llu: %s of task %d gives %d at %.1f s; the model says %s %d",
        (unsigned long long)program, call, t->number, actual, crank_time(), what, expected);
}

static void look(const m_task *t, const char *call, int actual, int expected)
{
    calls++;
    if (talks)
        fprintf(stderr, "%5.1f task %d: %s gives %d\n", crank_time(), t->number, call, actual);
    if (actual != expected)
        differs(t, call, actual, "it gives", expected);
}

/* Compare what a call has given. */
static int check_as(m_task *t, const char *call, int actual, bool gathers)
{
    int expected = 0;
    if (found)
        return actual;
    if (!m_returned(t, gathers, &expected))
        differs(t, call, actual, "that it waits still, for reason", (int)t->wait);
    look(t, call, actual, expected);
    return actual;
}
static int check(m_task *t, const char *call, int actual) { return check_as(t, call, actual, false); }

/* ---- Requests */

/* One request, of which the model hears once. */
static void cancel(m_task *t)
{
    if (talks)
        fprintf(stderr, "%5.1f task %d is cancelled\n", crank_time(), t->number);
    bool drop = planted == A_REQUEST_DROPPED && !faulty && t->state != M_COMPLETING;
    m_request(t);
    if (!drop)
        (void)crank_cancel(t->handle);
    faulty |= drop;
}

/* A task that sleeps again after it was cancelled, by whoever it was, or by its group, hears of that a second time. */
static void plant_second(void)
{
    bool by_group = planted == A_CHILD_TWICE;
    if (faulty || (planted != A_REQUEST_TWICE && !by_group))
        return;
    for (int i = 0; i < m_count && !faulty; i++) {
        const m_task *t = &m_tasks[i];
        bool cancelled = by_group ? t->group && t->group->closing : t->requests > 0;
        if (cancelled && t->state == M_PARKED && t->wait == M_SLEEP && t->deadline > m_now && !t->aborting)
            faulty = crank_cancel(t->handle) == 0;
    }
}

static m_task *some_task(void)
{
    m_task *t = &m_tasks[below((uint32_t)m_count)];
    return t == chaos || t->state == M_ENDED ? NULL : t;
}

static void cancel_some(void)
{
    m_task *t = some_task();
    if (t && !found)
        cancel(t);
}

static void uncancel(m_task *t)
{
    if (found)
        return;
    t->requests -= t->requests > 0;
    if (t->own)
        t->own = t->requests ? t->own - 1 : 0;
    t->requested &= t->requests > 0;
    for (m_scope *s = t->scope; s; s = s->up)
        if (s->known > t->requests - t->requested)
            s->known = t->requests - t->requested;
    look(t, "uncancel", (int)crank_uncancel(NULL), (int)t->requests);
}

/* ---- Plain waits */

static int op_sleep(m_task *t, double seconds)
{
    if (!m_refused(t)) {
        if (seconds > 0) {
            t->deadline = m_now + m_nanoseconds(seconds);
            t->timer = ++m_timers;
            m_park(t, M_SLEEP, NULL);
        } else {
            m_wake(t, 0);
        }
    }
    return check(t, "sleep", crank_sleep(seconds));
}

static int acquire(m_task *t, int i)
{
    if (!m_refused(t)) {
        if (m_locks[i].holder) {
            m_join_line(&m_locks[i].line, t);
            m_park(t, M_LOCK, &m_locks[i]);
        } else {
            m_locks[i].holder = t;
            m_wake(t, 0);
        }
    }
    return check(t, "acquire", crank_lock_acquire(locks[i]));
}
static void release(int i)
{
    if (!found)
        m_release(&m_locks[i]);
    crank_lock_release(locks[i]);
}

static int op_lock(m_task *t)
{
    int i = (int)below(LOCKS), err = acquire(t, i);
    if (err < 0)
        return err;
    err = op_sleep(t, some_seconds());
    release(i);
    return err;
}

static int op_condition(m_task *t)
{
    int i = (int)below(LOCKS), err = acquire(t, i);
    if (err < 0)
        return err;
    if (!m_refused(t)) {
        m_release(&m_locks[i]);
        m_join_line(&m_conditions[i].line, t);
        m_park(t, M_CONDITION, &m_conditions[i]);
    }
    err = check(t, "condition_wait", crank_condition_wait(conditions[i]));
    release(i);
    return err;
}

static int op_notify(m_task *t)
{
    int i = (int)below(LOCKS), err = acquire(t, i);
    if (err < 0)
        return err;
    size_t n = chance(50) ? 1 : 9;
    for (size_t k = 0; k < n && !found; k++)
        m_notify(&m_conditions[i]);
    crank_condition_notify(conditions[i], n);
    release(i);
    return 0;
}

static int op_future(m_task *t)
{
    int i = (int)below(FUTURES);
    m_future *f = &m_futures[i];
    if (m_refused(t)) {
        m_future_end(f, -ECANCELED);
    } else if (f->ended) {
        m_wake(t, f->value);
    } else {
        m_join_line(&f->line, t);
        m_park(t, M_FUTURE, f);
    }
    return check(t, "await future", (int)crank_await(futures[i]));
}

/* Set it, fail it, or cancel it; one that has ended is replaced. */
static void end_future(int i)
{
    if (m_futures[i].ended) {
        crank_future_free(futures[i]);
        futures[i] = crank_future_new();
        m_futures[i] = (m_future){ 0 };
        return;
    }
    uint32_t how = below(4);
    if (!found)
        m_future_end(&m_futures[i], how == 0 ? -ECANCELED : how == 1 ? -EPROTO : 7);
    if (how == 0)
        (void)crank_cancel(crank_future_task(futures[i]));
    else if (how == 1)
        (void)crank_set_error(futures[i], EPROTO, "no");
    else
        (void)crank_set_result(futures[i], 7);
}

/* ---- Waiting for tasks */

static int body(m_task *t, int depth);
static int block(m_task *t, int depth);

static m_task *spawn(m_task *parent, int depth)
{
    m_task *t = m_spawn(parent, NULL);
    if (t)
        t->handle = crank_spawn(body, t, depth);
    return t;
}

static int op_await(m_task *t, int depth)
{
    m_task *child = spawn(t, depth);
    if (!child)
        return 0;
    if (chance(30))
        (void)op_sleep(t, some_seconds());
    if (chance(20) && child->state != M_ENDED && !found)
        cancel(child);
    if (m_refused(t)) {
        if (child->state != M_ENDED) {
            child->joiner = t;
            m_park(t, M_FIXED, child);
            t->interrupted = true;
            m_request(child);
        }
    } else if (child->state == M_ENDED) {
        m_wake(t, child->result);
    } else {
        child->joiner = t;
        m_park(t, M_TASK, child);
    }
    return check(t, "await", (int)crank_await(child->handle));
}

static int op_gather(m_task *t, int depth)
{
    static m_gather gathers[M_TASKS_MAX];
    m_gather *g = &gathers[t->number];
    crank_task *handles[3];
    *g = (m_gather){ .self = t, .n = 2 + (int)below(2) };
    if (m_count + g->n > M_TASKS_MAX || t->count + g->n > M_CHILDREN_MAX)
        return 0;
    for (int i = 0; i < g->n; i++) {
        g->tasks[i] = spawn(t, depth);
        handles[i] = g->tasks[i]->handle;
    }
    if (chance(30))
        (void)op_sleep(t, some_seconds());
    for (int i = 0; i < g->n; i++) {
        m_task *task = g->tasks[i];
        task->gather = g;
        g->left += task->state != M_ENDED;
        if (task->state == M_ENDED && task->result < 0 && !g->error)
            g->error = task->result;
    }
    m_begin(t);
    g->pending = g->interrupted = m_seen(t);
    if (g->error || g->pending)
        m_stop_gather(g);
    m_park(t, M_GATHER, g);
    if (g->left == 0)
        m_wake(t, 0);
    return check_as(t, "gather", crank_gather_n(handles, (size_t)g->n, (int *)NULL), true);
}
#endif
