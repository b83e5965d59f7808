/* SPDX-License-Identifier: MIT */
/* limit.c: an instant from which on the waits of a stream end.
 *
 * A server moves the limit of each connection with every message. So the timer is not moved where
 * the limit comes later than it: when it is due it is started again for what is left. Owns the
 * timer, which a stream without a limit does not have. Invariant: while a limit lies ahead the
 * timer is started, for that instant or an earlier one; when it has passed, expired says so.
 *
 * A limit ends waits, not calls: what need not wait goes on after it. One with patience moves on
 * by itself as long as bytes are sent: only a stall ends waits then, after one to two times as
 * long. */
#include "io/socketlike.h"

#include "base/check.h"
#include "task/error.h"

struct cr_limit {
    cr_timer timer;
    cr_socketlike *s;
    int64_t at;
    int64_t patience; /* 0: it stays where it is */
};

/* One that is not has no kind. */
static bool is_started(const cr_limit *limit) { return limit->timer.age_kind != 0; }

static void stop(cr_limit *limit)
{
    if (is_started(limit))
        cr_timer_stop(limit->s->loop, &limit->timer);
    limit->timer.age_kind = 0;
}

/* Where memory is short the limit is as good as passed: a peer must not hold a task without end. */
static void start(cr_limit *limit)
{
    crank_loop *loop = limit->s->loop;
    if (cr_timer_start(loop, &limit->timer, CR_TIMER_STREAM, limit->at) < 0) {
        limit->timer.age_kind = 0;
        cr_socketlike_expire(limit->s);
    }
}

void cr_limit_due(crank_loop *loop, cr_timer *timer)
{
    cr_limit *limit = cr_container_of(timer, cr_limit, timer);
    limit->timer.age_kind = 0;
    if (limit->patience > 0 && limit->s->moves)
        limit->at = cr_now(loop) + limit->patience;
    limit->s->moves = false;
    if (limit->at > cr_now(loop))
        start(limit);
    else
        cr_socketlike_expire(limit->s);
}

void cr_limit_free(cr_socketlike *s)
{
    if (!s->limit)
        return;
    stop(s->limit);
    cr_free(s->loop->sys, s->limit);
    s->limit = NULL;
}

static int set(cr_socketlike *s, int64_t at, int64_t patience)
{
    if (!s->limit)
        s->limit = cr_alloc_zero(s->loop->sys, sizeof *s->limit);
    cr_limit *limit = s->limit;
    if (!limit)
        return cr_stream_failed(&s->stream, "set a limit for", -ENOMEM);
    limit->s = s;
    limit->at = at;
    limit->patience = patience;
    s->moves = false;
    s->expired = false;
    if (is_started(limit) && limit->timer.deadline <= at)
        return 0;
    stop(limit);
    start(limit);
    return 0;
}

void cr_limit_stall(cr_socketlike *s, double seconds)
{
    int64_t at = cr_loop_instant(crank_time() + seconds);
    if (at != CR_NEVER && set(s, at, at - cr_now(s->loop)) < 0)
        cr_socketlike_expire(s);
}

void cr_limit_end(cr_socketlike *s)
{
    cr_limit_free(s);
    s->expired = false;
}

int crank_stream_limit(crank_stream *stream, double at)
{
    CR_CHECK(stream, "crank_stream_limit: the stream is NULL");
    (void)cr_checked_loop("crank_stream_limit");
    cr_socketlike *s = cr_socketlike_of(cr_stream_bottom(stream));
    int64_t instant = cr_loop_instant(at);
    if (instant < 0)
        return cr_error_set(-EINVAL, "crank_stream_limit: %g is no instant", at);
    if (!s)
        return cr_error_set(-ENOTSUP,
            "crank_stream_limit: %s is no socket or pipe, which a peer could delay",
            cr_stream_name(stream));
    if (instant != CR_NEVER)
        return set(s, instant, 0);
    cr_limit_end(s);
    return 0;
}
