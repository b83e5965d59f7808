/* SPDX-License-Identifier: MIT */
/* cancel_everywhere_serve.c: serving a listener and serving one stream, cancelled at every point.
 *
 * A server that is cancelled has ended its handlers and its connections when the call returns; the listener and the
 * stream are still the caller's to close. */
#include "../behaviour/points.h"
#include "webs.h"

static struct world {
    crank_listener *listener;
    crank_stream *here, *there; /* the client's end of the served stream, and the server's */
    crank_task *client;
    crank_event *release; /* the handler answers */
    int begun, left;      /* handlers */
    char got[1000];       /* by the client */
    ssize_t end;          /* of what it read: 0 in order */
    int looks;
} w;

static int begin(void)
{
    memset(&w, 0, sizeof w);
    w.release = crank_event_new();
    return w.release ? 0 : -ENOMEM;
}
static int begin_listener(void)
{
    crank_try(begin());
    w.listener = webs_listen();
    return 0;
}
static int begin_stream(void)
{
    crank_try(begin());
    int err = crank_socket_pair(&w.here, &w.there);
    if (err < 0)
        crank_event_free(w.release);
    return err;
}

static void leave(const int *mark) { w.left += *mark; }
static int answer(crank_http_request *request)
{
    int counted __attribute__((cleanup(leave))) = 1;
    w.begun += counted;
    crank_try(crank_event_wait(w.release));
    return crank_http_print(request, 200, NULL, "fine");
}

/* Ask once and read to the end. */
static int ask_on(crank_stream *s)
{
    size_t size = 0;
    int err = crank_printf(s, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    if (err == 0)
        err = crank_flush(s);
    w.end = err;
    while (err == 0 && (w.end = crank_read(s, w.got + size, sizeof w.got - 1 - size)) > 0)
        size += (size_t)w.end;
    return 0;
}
static int ask_listener(void)
{
    char address[64]; /* the listener may be closed meanwhile */
    snprintf(address, sizeof address, "%s", crank_listener_address(w.listener, 0));
    CRANK_AUTO_STREAM crank_stream *s = crank_connect(address);
    if (s)
        return ask_on(s);
    w.end = -errno;
    crank_error_clear();
    return 0;
}
static int ask_stream(void) { return ask_on(w.here); }
static int start_asking(void)
{
    w.client = crank_spawn(ask_listener);
    return w.client ? 0 : -ENOMEM;
}
static int start_asking_stream(void)
{
    w.client = crank_spawn(ask_stream);
    return w.client ? 0 : -ENOMEM;
}
static int stop_now(void) { return crank_listener_stop(w.listener, 0); }
static int stop_slowly(void) { return crank_listener_stop(w.listener, CRANK_FOREVER); }
static int release(void)
{
    crank_event_set(w.release);
    return 0;
}

/* Every third look; the act behind the client's when its request is being served, or it has failed. */
static bool may_act_now(void) { return w.looks++ % 3 == 2 && (!w.client || w.begun > 0 || crank_done(w.client)); }

static long do_serve(void) { return crank_http_serve(w.listener, answer); }
static long do_serve_with(void)
{
    return crank_http_serve_with(&((crank_http_options){ .connections_max = 1 }), w.listener, answer);
}
static long do_serve_stream(void) { return crank_http_serve_stream(NULL, w.there, answer); }

/* No handler is left, and what the client was sent is a whole answer or none. */
static int judge(const struct told *t)
{
    TOLD(t->result == 0 || t->result == -ECANCELED);
    TOLD_EQ(w.begun, w.left);
    if (w.listener)
        TOLD_EQ(crank_listener_connections(w.listener), 0);
    crank_try(crank_close(w.listener));
    crank_try(crank_close(w.there));
    if (w.client)
        crank_try(crank_await(w.client));
    TOLD(w.got[0] == '\0' || (strncmp(w.got, "HTTP/1.1 200", 12) == 0 && strstr(w.got, "\r\n\r\nfine")));
    if (t->row->acts[2] == release && t->result == 0)
        TOLD(w.got[0] != '\0' && w.end == 0);
    (void)crank_close(w.here); /* which the server may have reset */
    crank_event_free(w.release);
    return 0;
}

static const struct row rows[] = {
    { "crank_http_serve_", "stopped amid a request", begin_listener, do_serve, { start_asking, stop_now }, NULL, judge,
        0, may_act_now },
    { "crank_http_serve_", "stopped, and a request answered", begin_listener, do_serve_with,
        { start_asking, stop_slowly, release }, NULL, judge, 0, may_act_now },
    { "crank_http_serve_", "of one stream", begin_stream, do_serve_stream, { start_asking_stream, release }, NULL,
        judge, 0, NULL },
};

TEST_EACH_BACKEND(http_server, cancelled_at_many_points_leaves_no_handler)
{
    return try_rows(rows, CRANK_COUNT(rows), false);
}

TEST_SEEDS(http_server, cancelled_at_every_point_leaves_no_handler, 2)
{
    test_needs_long();
    return try_rows(rows, CRANK_COUNT(rows), true);
}

TEST_SIM(checkpoint, of_serving_delivers_a_pending_cancellation) { return deliver_to_rows(rows, CRANK_COUNT(rows)); }
