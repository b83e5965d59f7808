/* SPDX-License-Identifier: MIT */
/* cancel_everywhere_websocket.c: each waiting call of WebSockets, cancelled at every point.
 *
 * A read that is cancelled has lost nothing, a write has written a whole message or none, and a connection that was not
 * made is none of the server's. */
#include "../behaviour/points.h"
#include "sockets.h"

static crank_listener *listener;
static crank_task *server;
static crank_websocket *client;
static char url[100];
static int echoed; /* messages that the server was sent */

static int echo(crank_http_request *request)
{
    CRANK_AUTO_WEBSOCKET crank_websocket *w = crank_try(crank_websocket_accept(request));
    crank_websocket_message said;
    while (crank_try(crank_websocket_read(w, &said)) > 0) {
        echoed++;
        crank_try(crank_websocket_write(w, said.kind, said.bytes, said.size));
    }
    return 0;
}
static int serve(void) { return crank_http_serve(listener, echo); }

static int begin(void)
{
    echoed = 0;
    listener = webs_listen();
    snprintf(url, sizeof url, "ws://%s/", crank_listener_address(listener, 0));
    server = crank_spawn(serve);
    return server ? 0 : -ENOMEM;
}
static int begin_connected(void)
{
    crank_try(begin());
    client = crank_websocket_connect(url);
    return client ? 0 : -errno;
}
static int begin_told(void)
{
    crank_try(begin_connected());
    return crank_websocket_write_now(client, CRANK_TEXT, "hello", 5);
}

/* What is written now has to wait for room. */
static int begin_full(void)
{
    static char bytes[150 * 1000];
    crank_try(begin_connected());
    return crank_websocket_write_now(client, CRANK_BINARY, bytes, sizeof bytes);
}

static long do_connect(void)
{
    client = crank_websocket_connect(url);
    return client ? 1 : -errno;
}
static long do_connect_with(void)
{
    client = crank_websocket_connect_with(NULL, url);
    return client ? 1 : -errno;
}
static long do_read(void)
{
    crank_websocket_message said;
    int got = crank_websocket_read(client, &said);
    if (got == 1)
        EXPECT_STR(said.bytes, "hello");
    return got;
}
static long do_write(void)
{
    int err = crank_websocket_write(client, CRANK_TEXT, "hello", 5);
    return err < 0 ? err : 1;
}
static long do_print(void)
{
    int err = crank_websocket_print(client, "%s", "hello");
    return err < 0 ? err : 1;
}
static long do_close(void)
{
    crank_websocket *w = client;
    client = NULL;
    int err = crank_websocket_close(w, 1000, NULL);
    return err < 0 ? err : 1;
}

static int end(void)
{
    if (client)
        EXPECT_EQ(crank_websocket_close(client, 1000, NULL), 0); /* the server has understood all */
    client = NULL;
    crank_try(crank_listener_stop(listener, 10));
    crank_try(crank_await(server));
    return crank_listener_close(listener);
}
static int judge(const struct told *t)
{
    TOLD(t->result == 1 || t->result == -ECANCELED);
    return end();
}
/* The message comes in the next read where this one has not got it. */
static int judge_read(const struct told *t)
{
    TOLD(t->result == 1 || t->result == -ECANCELED);
    if (t->result != 1)
        TOLD_EQ(do_read(), 1);
    return end();
}
static int judge_write(const struct told *t)
{
    TOLD(t->result == 1 || t->result == -ECANCELED);
    int written = t->result == 1;
    crank_websocket_message said;
    TOLD_EQ(crank_websocket_read(client, &said), 1);
    TOLD_EQ(said.size, 150 * 1000);
    crank_try(do_write());
    for (int i = 0; i <= written; i++)
        TOLD_EQ(do_read(), 1);
    TOLD_EQ(echoed, 2 + written);
    return end();
}

static const struct row rows[] = {
    { "crank_websocket_connect", "to a server", begin, do_connect, { 0 }, NULL, judge, 0, NULL },
    { "crank_websocket_connect_with", "to a server", begin, do_connect_with, { 0 }, NULL, judge, 0, NULL },
    { "crank_websocket_read", "of an answer", begin_told, do_read, { 0 }, NULL, judge_read, 0, NULL },
    { "crank_websocket_write", "that waits for room", begin_full, do_write, { 0 }, NULL, judge_write, 0, NULL },
    { "crank_websocket_print", "that waits for room", begin_full, do_print, { 0 }, NULL, judge_write, 0, NULL },
    { "crank_websocket_close", "which the server answers", begin_connected, do_close, { 0 }, NULL, judge, 0, NULL },
};

TEST_EACH_BACKEND(websocket, cancelled_at_many_points_loses_no_message)
{
    return try_rows(rows, CRANK_COUNT(rows), false);
}

TEST_SEEDS(websocket, cancelled_at_every_point_loses_no_message, 2)
{
    test_needs_long();
    return try_rows(rows, CRANK_COUNT(rows), true);
}
