/* SPDX-License-Identifier: MIT */
/* pace.c: peers that are slow.
 *
 * A limit between two bytes lets a trickle hold a task for ever, and a limit of the whole ends long
 * uploads: so it is a rate that is limited. What counts is time spent in waits for this peer, not
 * time in which the handler computes; 30 seconds are free, and bytes that came faster earn no more.
 * Owns the limit of the connection's stream while a request is served; between requests it is
 * connection.c's.
 *
 * A limit ends all waits on the stream, so the call that has set one here moves it away again
 * before it returns. It is moved, not taken away, for the stream would give up its timer then and
 * need another for the next request.
 *
 * The stream of crank_http_begin is sent by the loop: no call of this file waits for its peer. Its
 * time counts while bytes of it are unsent, and is looked at by a timer (stream.c). */
#include "http/pace.h"

#include <crank/error.h>
#include <crank/task.h>

/* Seconds that are free of the rate, and those of a limit that is none. */
static const double grace = 30, far = 1e8;

enum { PIECE = 32 * 1024, ROOM = 64 * 1024 };

void cr_http_pace_limit(cr_http_connection *connection, double seconds)
{
    (void)crank_stream_limit(connection->stream, crank_time() + seconds);
}

void cr_http_pace_rest(cr_http_connection *connection) { cr_http_pace_limit(connection, far); }

int cr_http_pace_check(cr_http_connection *connection)
{
    int err = crank_write(connection->stream, "", 0);
    return err == -ECANCELED ? err : 0;
}

/* Seconds for which the peer may still keep us waiting. */
static double left_of(const cr_http_connection *c, const cr_http_pace *pace)
{
    return c->server->options.rate < 0 ? far : grace - pace->used;
}

static void spend(const cr_http_connection *c, cr_http_pace *pace, double begun, size_t bytes)
{
    pace->used += crank_time() - begun - (double)bytes / c->server->options.rate;
    if (pace->used < 0)
        pace->used = 0;
}

static int too_slow(cr_http_connection *c, const char *what)
{
    return crank_fail(
        ETIMEDOUT, "%s %s less than %g bytes per second", c->peer, what, c->server->options.rate);
}

/* ---- Writing ---- */

/* What has left meanwhile counts, also where there is no room yet. */
static int await_room(cr_http_connection *c, cr_http_pace *pace)
{
    double left = left_of(c, pace);
    if (left <= 0)
        return too_slow(c, "reads");
    double begun = crank_time();
    size_t unsent = crank_unsent(c->stream);
    cr_http_pace_limit(c, left < CR_HTTP_PACE_SLICE ? left : CR_HTTP_PACE_SLICE);
    int err = crank_wait_room(c->stream);
    cr_http_pace_rest(c);
    size_t now = crank_unsent(c->stream);
    spend(c, pace, begun, unsent > now ? unsent - now : 0);
    return err == -ETIMEDOUT && left > CR_HTTP_PACE_SLICE ? 0 : err;
}

static int write_piece(cr_http_connection *c, cr_http_pace *pace, const char *bytes, size_t size)
{
    int err;
    while ((err = crank_write_now(c->stream, bytes, size)) == -EAGAIN) {
        err = await_room(c, pace);
        if (err < 0)
            return err;
    }
    return err;
}

static int write_slowly(
    cr_http_connection *c, cr_http_pace *pace, const struct iovec *pieces, int n)
{
    for (int i = 0; i < n; i++) {
        const char *bytes = pieces[i].iov_base;
        size_t left = pieces[i].iov_len;
        while (left > 0) {
            size_t size = left < PIECE ? left : PIECE;
            int err = write_piece(c, pace, bytes, size);
            if (err < 0)
                return err;
            bytes += size;
            left -= size;
        }
    }
    return 0;
}

/* Until that instant the copy waits for room and goes on by itself; a limit that ends it loses none
 * of the bytes. */
static int copy_for(cr_http_connection *c, cr_http_pace *pace, crank_stream *file, int64_t size,
    int64_t *ret_copied)
{
    double left = left_of(c, pace), begun = crank_time();
    if (left <= 0)
        return too_slow(c, "reads");
    cr_http_pace_limit(c, left < CR_HTTP_PACE_SLICE ? left : CR_HTTP_PACE_SLICE);
    int err = crank_copy(file, c->stream, size, ret_copied);
    cr_http_pace_rest(c);
    spend(c, pace, begun, (size_t)*ret_copied);
    return err == -ETIMEDOUT && left > CR_HTTP_PACE_SLICE ? -EAGAIN : err;
}

int cr_http_pace_copy(
    cr_http_message *message, crank_stream *file, int64_t size, int64_t *ret_copied)
{
    int err = -EAGAIN;
    *ret_copied = 0;
    while (err == -EAGAIN && *ret_copied < size) {
        int64_t n = 0;
        err = copy_for(message->connection, &message->leaving, file, size - *ret_copied, &n);
        *ret_copied += n;
    }
    return err == -EAGAIN ? 0 : err;
}

/* Most answers find room, and wait for nothing. */
int cr_http_pace_write(
    cr_http_connection *connection, cr_http_pace *pace, const struct iovec *pieces, int n)
{
    size_t size = crank_unsent(connection->stream);
    for (int i = 0; i < n; i++)
        size += pieces[i].iov_len;
    if (size < ROOM)
        return crank_write_vector(connection->stream, pieces, n);
    return write_slowly(connection, pace, pieces, n);
}

/* ---- What the loop writes ---- */

void cr_http_pace_begin(cr_http_message *message)
{
    cr_http_pacing *p = &message->pacing;
    p->at = crank_time();
    p->unsent = crank_unsent(message->connection->stream);
    p->put = 0;
}

bool cr_http_pace_holds(cr_http_message *message)
{
    const cr_http_pacing *p = &message->pacing;
    size_t before = p->unsent + (size_t)p->put;
    size_t unsent = crank_unsent(message->connection->stream);
    spend(message->connection, &message->leaving, p->at, before > unsent ? before - unsent : 0);
    cr_http_pace_begin(message);
    return left_of(message->connection, &message->leaving) > 0;
}

/* ---- Reading ---- */

ssize_t cr_http_pace_read(
    cr_http_connection *connection, cr_http_message *message, void *buf, size_t size)
{
    cr_http_pace *pace = &message->coming;
    double left = left_of(connection, pace), begun = crank_time();
    if (left <= 0) {
        message->body.error = -ETIMEDOUT;
        return too_slow(connection, "sends");
    }
    cr_http_pace_limit(connection, left);
    ssize_t n = cr_http_body_read(&message->body, connection->stream, buf, size);
    cr_http_pace_rest(connection);
    spend(connection, pace, begun, n > 0 ? (size_t)n : 0);
    return n;
}
