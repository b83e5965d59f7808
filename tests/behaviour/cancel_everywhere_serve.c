/* SPDX-License-Identifier: MIT */
/* cancel_everywhere_serve.c: each waiting call of a server, cancelled at every point.
 *
 * A cancelled accept leaves the connection to the next; a cancelled server leaves no handler and no connection. */
#include "nets.h"
#include "points.h"

static struct world {
    crank_listener *listener;
    crank_stream *client, *peer;
} w;

static int listen_here(void)
{
    memset(&w, 0, sizeof w);
    w.listener = crank_listen("127.0.0.1:0");
    return w.listener ? 0 : -errno;
}
static int clear_all(void)
{
    crank_try(crank_close(w.peer));
    (void)crank_close(w.client); /* which its server may have reset */
    return crank_listener_close(w.listener);
}
static int connect_one(void)
{
    w.client = crank_connect(crank_listener_address(w.listener, 0));
    return w.client ? 0 : -errno;
}
static int stop_now(void) { return crank_listener_stop(w.listener, 0); }
static int stop_slowly(void) { return crank_listener_stop(w.listener, CRANK_FOREVER); }
static int close_client(void)
{
    crank_stream *client = w.client;
    w.client = NULL;
    return crank_close(client);
}

static long do_accept(void)
{
    w.peer = crank_accept(w.listener);
    return w.peer ? 0 : -errno;
}
static int judge_accept(const struct told *t)
{
    TOLD(t->result == 0 || t->result == -ECANCELED);
    TOLD_EQ(t->result == 0, w.peer != NULL);
    if (!w.client)
        crank_try(connect_one());
    if (!w.peer)
        w.peer = crank_try(crank_accept(w.listener));
    TOLD(strcmp(crank_own_name(w.client), crank_peer_name(w.peer)) == 0);
    return clear_all();
}

static long do_wait_stop(void) { return crank_listener_wait_stop(w.listener); }
static int judge_wait_stop(const struct told *t)
{
    TOLD(t->result == 0 || t->result == -ECANCELED);
    crank_try(stop_now());
    TOLD_EQ(crank_listener_wait_stop(w.listener), 0);
    return clear_all();
}

static long do_serve(void) { return crank_serve(w.listener, nets_echo); }
static int judge_serve(const struct told *t)
{
    TOLD(t->result == 0 || t->result == -ECANCELED);
    TOLD_EQ(crank_listener_connections(w.listener), 0);
    return clear_all();
}

static const struct row rows[] = {
    { "crank_accept", "of a connection that comes", listen_here, do_accept, { connect_one }, NULL, judge_accept, 0,
        NULL },
    { "crank_listener_wait_stop", "until it is stopped", listen_here, do_wait_stop, { stop_now }, NULL, judge_wait_stop,
        0, NULL },
    { "crank_serve_", "stopped with an idle client", listen_here, do_serve, { connect_one, stop_now }, NULL,
        judge_serve, 0, NULL },
    { "crank_serve_", "stopped, and ended by its client", listen_here, do_serve,
        { connect_one, stop_slowly, close_client }, NULL, judge_serve, 0, NULL },
};

TEST_EACH_BACKEND(cancel, at_many_points_of_serving_loses_no_connection)
{
    return try_rows(rows, CRANK_COUNT(rows), false);
}

TEST_SEEDS(cancel, at_every_point_of_serving_loses_no_connection, 10)
{
    test_needs_long();
    return try_rows(rows, CRANK_COUNT(rows), true);
}
