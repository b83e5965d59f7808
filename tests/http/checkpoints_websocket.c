/* SPDX-License-Identifier: MIT */
/* checkpoints_websocket.c: the waiting calls of WebSockets are checkpoints, as those in checkpoints_client.c: they
 * deliver a request that is pending, and let others run. A call on a socket that cannot go on does so too. */
#include "sockets.h"

typedef struct room {
    char url[100];
    crank_http_request *request; /* of a handler that waits for the test to accept */
    crank_event *came;           /* request is set */
    crank_websocket *socket;
} room;

static int take_one(crank_http_request *request, room *r)
{
    if (crank_http_is(request, "GET", "/echo"))
        return socket_echo(request);
    r->request = request;
    crank_event_set(r->came);
    return crank_sleep(1000);
}
static int serve(crank_listener *l, room *r) { return webs_served(l, crank_http_serve(l, take_one, r)); }

/* Each leaves the socket as it was. */
static long do_accept(room *r) { return crank_websocket_accept(r->request) ? 0 : -errno; }
static long do_accept_with(room *r) { return crank_websocket_accept_with(NULL, r->request) ? 0 : -errno; }
static long connected(crank_websocket *socket)
{
    long result = socket ? 0 : -errno;
    (void)crank_shield(crank_websocket_close(socket, 1000, NULL));
    return result;
}
static long do_connect(room *r) { return connected(crank_websocket_connect(r->url)); }
static long do_connect_with(room *r) { return connected(crank_websocket_connect_with(NULL, r->url)); }
static long do_write(room *r) { return crank_websocket_write(r->socket, CRANK_TEXT, "x", 1); }
static long do_print(room *r) { return crank_websocket_print(r->socket, "%d", 1); }
static long do_read(room *r)
{
    crank_websocket_message said;
    int err = crank_websocket_write_now(r->socket, CRANK_TEXT, "x", 1);
    int got = crank_websocket_read(r->socket, &said);
    return got < 0 ? got : err;
}
/* Its socket is closed by its peer. */
static long do_drain(room *r) { return crank_websocket_drain(r->socket); }
static long do_close(room *r)
{
    crank_websocket *socket = crank_shield(crank_websocket_connect(r->url));
    return crank_websocket_close(socket, 1000, NULL);
}

static const struct row {
    const char *prototype;
    long (*call)(room *r);
    int refused; /* what the call gives where nothing is cancelled; 0 */
} rows[] = {
    { "crank_websocket_connect", do_connect, 0 },
    { "crank_websocket_connect_with", do_connect_with, 0 },
    { "crank_websocket_write", do_write, 0 },
    { "crank_websocket_print", do_print, 0 },
    { "crank_websocket_read", do_read, 0 },
    { "crank_websocket_close", do_close, 0 },
    { "crank_websocket_accept", do_accept, -EPROTO },
    { "crank_websocket_accept_with", do_accept_with, -EALREADY },
    { "crank_websocket_drain", do_drain, -ECONNABORTED },
};

static int count_turns(unsigned *turns)
{
    for (;;) {
        crank_try(crank_sleep(0));
        ++*turns;
    }
}

static int try_row(const struct row *row, room *r)
{
    unsigned turns = 0;
    crank_cancel(crank_self());
    long result = row->call(r);
    if (result != -ECANCELED)
        test_fail(__FILE__, __LINE__, "%s gave %ld with a request pending", row->prototype, result);
    EXPECT_EQ(crank_sleep(0), 0);
    EXPECT_EQ(crank_uncancel(NULL), 0);
    result = row->call(r);
    if (result != row->refused)
        test_fail(__FILE__, __LINE__, "%s gave %ld: %s", row->prototype, result, crank_error());
    if (row->refused)
        return 0;
    CRANK_GROUP(beside);
    crank_group_spawn(&beside, count_turns, &turns);
    for (int i = 0; i < 1000 && turns == 0; i++)
        EXPECT_EQ(row->call(r), 0);
    EXPECT(turns > 0);
    return 0;
}

TEST_EACH_BACKEND(checkpoint, of_a_websocket_delivers_a_pending_cancellation_and_lets_others_run)
{
    CRANK_EVENT(came);
    room r = { .came = came };
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    snprintf(r.url, sizeof r.url, "ws://%s/echo", crank_listener_address(l, 0));
    AUTO_SERVER crank_task *server = crank_spawn(serve, l, &r);
    CRANK_AUTO_STREAM crank_stream *s = webs_connect(l);
    webs_send(s, "POST /wait HTTP/1.1\r\nHost: localhost\r\n\r\n");
    crank_try(crank_within(10, crank_event_wait(r.came)));
    r.socket = crank_websocket_connect(r.url);
    EXPECT(r.socket);
    for (size_t i = 0; i < CRANK_COUNT(rows); i++) {
        if (rows[i].call == do_drain)
            crank_websocket_abort(r.socket, 1000, NULL);
        crank_try(try_row(&rows[i], &r));
    }
    EXPECT_EQ(crank_websocket_close(r.socket, 1000, NULL), -ECONNABORTED);
    return webs_stop(l, &server, 0);
}
