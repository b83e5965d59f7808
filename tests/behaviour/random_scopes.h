/* SPDX-License-Identifier: MIT */
/* random_scopes.h: what the tasks of interruption_model.c do inside scopes and generators, and at their edges. */
#ifndef RANDOM_SCOPES_H
#define RANDOM_SCOPES_H
#include "random_waits.h"

/* ---- Scopes */

/* The model reads a scope while its task is parked, whose stack may have been put away (CRANK_HIBERNATE_AFTER): none
 * lies on a stack. A task opens only so many, within each other. */
static m_scope *scope_of(const m_task *t)
{
    static m_scope scopes[M_TASKS_MAX][M_SCOPES_MAX];
    int depth = 0;
    for (const m_scope *s = t->scope; s; s = s->up)
        depth++;
    EXPECT(depth < M_SCOPES_MAX);
    return &scopes[t->number][depth];
}

/* A block, whose value is also kept for the model's edge. */
static int inside(m_task *t, int depth, int *ret_value) { return *ret_value = block(t, depth); }

static int op_within(m_task *t, int depth)
{
    m_scope *scope = scope_of(t);
    double seconds = some_seconds();
    int value = 0;
    m_open(t, scope, M_LIMIT, seconds);
    int given = crank_within(seconds, inside(t, depth, &value));
    if (!found)
        look(t, "within", given, m_within(scope, value));
    m_close(scope);
    return given;
}

static int op_shield(m_task *t, int depth)
{
    m_scope *scope = scope_of(t);
    m_open(t, scope, M_SHIELD, 0);
    int value = crank_shield(block(t, depth));
    m_close(scope);
    return value;
}

/* A function with a limit and a group, of which one lies within the other. */
typedef struct frame {
    m_task *t;
    m_scope limit, group;
    m_scope *order[2]; /* innermost first */
    crank_group *real;
    int log_at;   /* entries of the log when the group was opened */
    int at;       /* of order, whose edge crank_try has come to */
    bool trying;  /* it joins the group there */
    int expected; /* what the function returns */
} frame;
static frame *frames[M_TASKS_MAX * 4];
static int frame_count;

static void begin_join(frame *f)
{
    m_scope *group = &f->group;
    m_begin(f->t);
    m_stop_group(group);
    group->pending = group->own = false;
    group->deferred_at = 0;
    if (group->alive == 0)
        return;
    group->waiting = group->leaving = true;
    m_park(f->t, M_LEAVE, group);
}
static void end_join(frame *f)
{
    int nothing;
    m_advance();
    if (f->t->state != M_RUNNING && !m_returned(f->t, false, &nothing))
        differs(f->t, "the end of a block", 0, "that its children have not ended:", f->group.alive);
    f->group.leaving = false;
}

/* From the edge that crank_try has come to outwards, up to a group that it must join first. */
static void try_on(frame *f)
{
    for (; f->at < 2; f->at++) {
        m_scope *scope = f->order[f->at];
        if (scope->kind == M_LIMIT && m_claims(scope)) {
            f->expected = scope->error;
            return;
        }
        if (scope->kind == M_GROUP_SCOPE && scope->fired) {
            f->trying = true;
            begin_join(f);
            return;
        }
    }
    m_answer(f->t, true);
    f->expected = -ECANCELED;
}
static void try_joined(frame *f)
{
    const m_scope *group = &f->group;
    end_join(f);
    f->trying = false;
    if (group->failure) {
        int first = group->told >= 0 ? group->told : m_last_from_outside(group, f->log_at);
        m_restore(&f->group, first, f->t->told - 1);
        f->expected = group->failure;
        return;
    }
    f->at++;
    try_on(f);
}

/* Around the end of the group, which joins its children. */
static void before_group_ends(frame **at)
{
    frame *f = *at;
    if (found)
        return;
    if (f->trying)
        try_joined(f);
    if (f->order[0] == &f->limit)
        m_close(&f->limit);
    begin_join(f);
}
static void after_group_ended(frame **at)
{
    frame *f = *at;
    int i = 0;
    while (frames[i] != f)
        i++;
    frames[i] = frames[--frame_count];
    if (found)
        return;
    end_join(f);
    m_close(&f->group);
}

static void cancel_group(frame *f)
{
    if (found)
        return;
    if (talks)
        fprintf(stderr, "%5.1f a group of task %d is cancelled\n", crank_time(), f->t->number);
    m_stop_group(&f->group);
    m_fire(&f->group, -ECANCELED);
    crank_group_cancel(f->real);
}

static void spawn_children(frame *f, int depth)
{
    for (int n = (int)below(3); n >= 0; n--) {
        if (f->group.count == M_CHILDREN_MAX || m_count == M_TASKS_MAX)
            return;
        if (f->group.closing) {
            EXPECT(!crank_group_spawn(f->real, body, NULL, 0));
            return;
        }
        m_task *child = m_spawn(NULL, &f->group);
        child->handle = crank_group_spawn(f->real, body, child, depth);
    }
}

static int group_wait(frame *f)
{
    m_task *t = f->t;
    m_scope *group = &f->group;
    m_begin(t);
    group->pending = group->own = false;
    group->deferred_at = 0;
    if (m_seen(t)) {
        group->interrupted = true;
        m_stop_group(group);
    }
    if (group->alive == 0) {
        m_wake(t, m_conclude(group));
    } else {
        group->waiting = true;
        m_park(t, M_GROUP, group);
    }
    return check(t, "group_wait", crank_group_wait(f->real));
}

/* What the function does between opening its scopes and leaving them; what it is left with. */
static int in_frame(frame *f, int depth)
{
    spawn_children(f, depth - 1);
    int err = block(f->t, depth - 1);
    if (chance(15))
        cancel_group(f);
    if (chance(15))
        err = block(f->t, depth - 1);
    return chance(40) ? group_wait(f) : err;
}
static bool leaves_by_try(frame *f, int err)
{
    bool tries = chance(60);
    f->expected = err;
    if (tries && err == -ECANCELED && !found)
        try_on(f);
    return tries;
}
static void open_group(frame *f, crank_group *real)
{
    frames[frame_count++] = f;
    f->real = real;
    f->log_at = f->t->told;
}

static int limit_around_group(frame *f, double seconds, int depth)
{
    f->order[0] = &f->group, f->order[1] = &f->limit;
    m_open(f->t, &f->limit, M_LIMIT, seconds);
    CRANK_TIMEOUT(limit, seconds);
    __attribute__((cleanup(after_group_ended))) frame *after = f;
    m_open(f->t, &f->group, M_GROUP_SCOPE, 0);
    CRANK_GROUP(group);
    __attribute__((cleanup(before_group_ends))) frame *before = f;
    (void)after, (void)before;
    open_group(f, &group);
    int err = in_frame(f, depth);
    if (leaves_by_try(f, err))
        crank_try(err);
    return err;
}

static int group_around_limit(frame *f, double seconds, int depth)
{
    f->order[0] = &f->limit, f->order[1] = &f->group;
    __attribute__((cleanup(after_group_ended))) frame *after = f;
    m_open(f->t, &f->group, M_GROUP_SCOPE, 0);
    CRANK_GROUP(group);
    __attribute__((cleanup(before_group_ends))) frame *before = f;
    (void)after, (void)before;
    open_group(f, &group);
    m_open(f->t, &f->limit, M_LIMIT, seconds);
    CRANK_TIMEOUT(limit, seconds);
    int err = in_frame(f, depth);
    if (leaves_by_try(f, err))
        crank_try(err);
    return err;
}

static int op_frame(m_task *t, int depth)
{
    static frame pool[M_TASKS_MAX * 16];
    static uint64_t of;
    static int used;
    if (of != program)
        used = 0;
    of = program;
    if (used == (int)CRANK_COUNT(pool))
        return 0;
    frame *f = &pool[used++];
    *f = (frame){ .t = t };
    double seconds = chance(40) ? CRANK_FOREVER : some_seconds();
    bool limit_outside = chance(50);
    int err = limit_outside ? limit_around_group(f, seconds, depth) : group_around_limit(f, seconds, depth);
    if (found)
        return err;
    if (limit_outside)
        m_close(&f->limit);
    look(t, "function with a group", err, f->expected);
    return err;
}

/* ---- Generators that are closed */

typedef struct closing {
    m_task *t;
    bool by_block;
} closing;

/* What its cleanup leaves to whoever closes it. */
static void end_closing(m_task *t, bool by_block, int value)
{
    int first = t->closings[--t->closing].first;
    bool request = false, scope = false;
    for (int i = first; i < t->told; i++) {
        request |= t->log[i].request;
        scope |= t->log[i].count > 0;
    }
    request &= t->requests > 0;
    t->closed = value == -ECANCELED && !request && !scope ? 0 : value;
    if (!by_block) {
        if (t->closed == -ECANCELED)
            m_answer(t, true);
        return;
    }
    if (t->closed >= 0 || !(request || scope))
        return;
    uint64_t now = ++m_moment;
    for (m_scope *s = t->scope; s; s = s->up) {
        if (s->fired && s->told >= first) {
            s->pending = true;
            s->deferred_at = now;
        }
    }
    if (request) {
        t->requested = true;
        t->deferred_at = now;
    }
}

static int yielding(const closing *c)
{
    m_task *t = c->t;
    EXPECT_EQ(crank_yield(1), -ECANCELED);
    if (found)
        return -ECANCELED;
    t->closings[t->closing].begun = ++m_moment;
    t->closings[t->closing].by_block = c->by_block;
    t->closings[t->closing++].first = t->told;
    for (uint32_t n = below(3); n > 0; n--)
        (void)op_sleep(t, some_seconds());
    int value = chance(70) ? -ECANCELED : chance(50) ? 0 : -EIO;
    if (!found)
        end_closing(t, c->by_block, value);
    return value;
}

static int op_close(m_task *t)
{
    closing c = { t, false };
    int value;
    crank_generator *g = crank_generate(yielding, &c);
    EXPECT_EQ(crank_next(g, &value), 1);
    (void)op_sleep(t, some_seconds());
    int err = crank_generator_close(g);
    if (!found)
        look(t, "close", err, t->closed);
    return err;
}

static int op_block_of_generators(m_task *t)
{
    closing c = { t, true };
    int value;
    CRANK_AUTO_GENERATOR crank_generator *a = crank_generate(yielding, &c);
    CRANK_AUTO_GENERATOR crank_generator *b = crank_generate(yielding, &c);
    CRANK_AUTO_GENERATOR crank_generator *d = crank_generate(yielding, &c);
    EXPECT_EQ(crank_next(a, &value), 1);
    EXPECT_EQ(crank_next(b, &value), 1);
    EXPECT_EQ(crank_next(d, &value), 1);
    return op_sleep(t, some_seconds());
}
#endif
