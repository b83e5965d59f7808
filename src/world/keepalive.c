/* SPDX-License-Identifier: MIT */
/* keepalive.c: connections whose peer is asked whether it is there (SO_KEEPALIVE).
 *
 * Owns the instant at which a side that only waits learns that its peer cannot be reached, or is no
 * more. No probe is on its way here: while the way is free each is answered, and nothing comes of
 * it. So something is planned only where a probe will fail: when a way is cut or a peer is gone
 * without a word; and it is dropped when the way is healed. A program that waits for what is never
 * sent stays a deadlock, and the clock does not stop for probes.
 *
 * As tcp_keepalive_timer: the first probe comes when nothing was heard for so long, and then so
 * many in a row are not answered. What was sent and is unanswered goes before (net.c). */
#include "world/keepalive.h"

#include "world/hosts.h"

/* The last probe of the row has failed: tcp_keepalive_timer ends the connection with ETIMEDOUT.
 * Both ends or a reset may have ended it meanwhile. */
static void gives_up(cr_world *world, cr_arrival *arrival)
{
    cr_wire_break(world, arrival->sender, ETIMEDOUT);
}
static const cr_arrival_type silence = { .kind = 12, .here = true, .arrive = gives_up };

/* A host that knows of no such connection answers so. */
static void is_refused(cr_world *world, cr_arrival *arrival)
{
    cr_wire_break(world, arrival->sender, ECONNRESET);
}
static const cr_arrival_type refusal = { .kind = 13, .here = true, .arrive = is_refused };

bool cr_keepalive_has(const cr_arrival *timeout)
{
    return timeout->type == &silence || timeout->type == &refusal;
}

/* The next that comes after now: those before were answered, and each was a word of the peer's. */
static int64_t next_probe(const cr_endpoint *s, int64_t now)
{
    int seconds = s->options[CR_OPTION_KEEP_IDLE];
    int64_t idle = (seconds > 0 ? seconds : 1) * CR_SECOND;
    return s->heard_at + ((now - s->heard_at) / idle + 1) * idle;
}

/* A reset that is on its way tells it sooner. */
static bool is_gone(const cr_endpoint *s)
{
    return s->peer->state == CR_ENDPOINT_ENDED && !s->peer->reset.type;
}

/* Planned anew at each look, for what has changed decides which of the two it is, or neither. A
 * timeout that is not of this file goes before, and is left alone. */
static void look_at(cr_world *world, cr_endpoint *s)
{
    bool mine = cr_keepalive_has(&s->timeout);
    if (s->state != CR_ENDPOINT_OPEN || s->closed || cr_endpoint_is_local(s) || !s->peer ||
        !s->options[CR_OPTION_KEEPALIVE] || (s->timeout.type && !mine))
        return;
    bool cut = cr_host_is_cut(world, s->host, s->peer_host) ||
               cr_host_is_cut(world, s->peer_host, s->host);
    if (cut && s->timeout.type == &silence)
        return; /* some probes may have failed already */
    cr_arrival_drop(&world->net.arrivals, &s->timeout);
    int64_t at = next_probe(s, cr_world_now(world));
    int64_t row = s->options[CR_OPTION_KEEP_EVERY] * CR_SECOND * s->options[CR_OPTION_KEEP_PROBES];
    if (cut)
        cr_arrival_plan(&world->net.arrivals, &s->timeout, at + row, &silence);
    else if (is_gone(s))
        cr_arrival_plan(&world->net.arrivals, &s->timeout, at, &refusal);
}

void cr_keepalive_look(cr_world *world)
{
    cr_endpoint *s;
    size_t at = 0;
    while ((s = cr_endpoint_next(world, &at)))
        look_at(world, s);
}
