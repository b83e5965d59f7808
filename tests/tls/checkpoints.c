/* SPDX-License-Identifier: MIT */
/* checkpoints.c: the waiting calls of crank-tls are checkpoints: they deliver a request that is pending, and cancelled
 * at any point they leave nothing, and what they were to change as it was. */
#include <crank/http.h>
#include "../behaviour/points.h"
#include "certs.h"

static crank_tls *server, *client;
static crank_stream *here, *there;
static crank_listener *listener;
static crank_task *other;
static int greeted, left; /* handlers */
static const char *certificate, *key;

static int have_files(void)
{
    certificate = certificate ? certificate : certs_file(certs_localhost.certificate);
    key = key ? key : certs_file(certs_localhost.key);
    return 0;
}
/* Kept from one telling to the next: making them takes longer than a handshake. */
static int have_both(void)
{
    crank_try(have_files());
    server = server ? server : certs_server(&certs_localhost);
    client = client ? client : certs_client();
    return 0;
}
static void free_both(void)
{
    crank_tls_free(server);
    crank_tls_free(client);
    server = client = NULL;
}
static int accept(crank_tls *tls, crank_stream **stream)
{
    int err = crank_tls_start(tls, stream, NULL);
    crank_error_clear();
    return err == -ECANCELED ? err : 0;
}
static int have_peer(void)
{
    crank_try(have_both());
    int err = crank_socket_pair(&here, &there);
    if (err < 0) {
        free_both();
        return err;
    }
    other = crank_spawn(accept, server, &there);
    return 0;
}
static int greet(crank_stream *peer) { return crank_printf(peer, "hello\n"); }
static int serve(crank_tls *tls) { return crank_tls_serve(tls, listener, greet); }
static int have_server(void)
{
    crank_try(have_both());
    listener = crank_listen("127.0.0.1:0");
    if (!listener) {
        int err = -errno;
        free_both();
        return err;
    }
    other = crank_spawn(serve, server);
    return 0;
}

/* A listener that is served by none yet, and a client that comes later: it reads to the end. */
static int have_listener(void)
{
    greeted = left = 0;
    crank_try(have_both());
    listener = crank_listen("127.0.0.1:0");
    if (listener)
        return 0;
    int err = -errno;
    free_both();
    return err;
}
static void leave(const int *mark) { left += *mark; }
static int echo(crank_stream *peer)
{
    int counted __attribute__((cleanup(leave))) = 1;
    char bytes[10];
    greeted += counted;
    ssize_t n = crank_read(peer, bytes, sizeof bytes);
    return n > 0 ? crank_write(peer, bytes, (size_t)n) : (int)n;
}
static int talk(void)
{
    char bytes[10], address[64]; /* the listener may be closed meanwhile */
    snprintf(address, sizeof address, "%s", crank_listener_address(listener, 0));
    CRANK_AUTO_STREAM crank_stream *s = crank_tls_connect(client, address);
    int err = s ? crank_write(s, "hello", 5) : 0;
    while (s && err == 0 && crank_read(s, bytes, sizeof bytes) > 0)
        ;
    crank_error_clear();
    return 0;
}
static int start_talking(void)
{
    other = crank_spawn(talk);
    return other ? 0 : -ENOMEM;
}
/* The same of a web server. */
static int answer(crank_http_request *request)
{
    int counted __attribute__((cleanup(leave))) = 1;
    greeted += counted;
    return crank_http_print(request, 200, NULL, "fine");
}
static int ask_web(void)
{
    char url[80];
    snprintf(url, sizeof url, "https://localhost%s/", strrchr(crank_listener_address(listener, 0), ':'));
    CRANK_AUTO_HTTP_CLIENT crank_http_client *own = crank_http_client_new(0, 0); /* keeps no connection beyond */
    const crank_http_call call = { .client = own, .tls = client };
    CRANK_AUTO_HTTP crank_http_response *r = crank_http_fetch(&call, url);
    EXPECT(!r || strcmp(r->body, "fine") == 0);
    crank_error_clear();
    return 0;
}
static int start_asking(void)
{
    other = crank_spawn(ask_web);
    return other ? 0 : -ENOMEM;
}
static int stop_now(void) { return crank_listener_stop(listener, 0); }
static int stop_slowly(void) { return crank_listener_stop(listener, CRANK_FOREVER); }

/* A call that makes one: freed again. */
static long freed(crank_tls *made)
{
    int err = made ? 0 : -errno;
    crank_tls_free(made);
    return err;
}
static long do_server(void) { return freed(crank_tls_server(certificate, key)); }
static long do_client(void) { return freed(crank_tls_client(NULL)); }
static long do_with(void) { return freed(crank_tls_with(&(crank_tls_options){ .insecure = true })); }
static long do_add(void) { return crank_tls_add(server, certificate, key); }
static long do_reload(void) { return crank_tls_reload(server); }
static long do_start(void) { return crank_tls_start(client, &here, "localhost"); }
static long do_connect(void)
{
    here = crank_tls_connect(client, crank_listener_address(listener, 0));
    return here ? 0 : -errno;
}

/* Every third look; the act behind the client's when its handler runs, or it has failed. */
static bool may_act_now(void)
{
    static int looks;
    return looks++ % 3 == 2 && (!other || greeted > 0 || crank_done(other));
}

static long do_serve(void) { return crank_tls_serve(server, listener, echo); }
static long do_serve_web(void)
{
    return crank_http_serve_with(&((crank_http_options){ .tls = server }), listener, answer);
}

/* No handler is left, and the listener is the caller's to close. */
static int judge_serve(const struct told *t)
{
    TOLD(t->result == 0 || t->result == -ECANCELED);
    TOLD_EQ(greeted, left);
    TOLD_EQ(crank_listener_connections(listener), 0);
    crank_try(crank_close(listener));
    if (other)
        crank_try(crank_await(other));
    crank_error_clear();
    listener = NULL;
    other = NULL;
    return 0;
}

static int judge(const struct told *t)
{
    TOLD(t->result == 0 || t->result == -ECANCELED);
    TOLD_EQ(here != NULL, t->result == 0 && (t->row->call == do_start || t->row->call == do_connect));
    (void)crank_close(here);
    if (listener)
        crank_try(crank_listener_stop(listener, 0));
    if (other)
        (void)crank_await(other);
    (void)crank_close(there);
    (void)crank_close(listener);
    if (t->row->call == do_add)
        free_both();
    crank_error_clear();
    here = there = NULL;
    listener = NULL;
    other = NULL;
    return 0;
}

static const struct row rows[] = {
    { "crank_tls_server", "of two files", have_files, do_server, { 0 }, NULL, judge, 0, NULL },
    { "crank_tls_client", "of the system's", have_files, do_client, { 0 }, NULL, judge, 0, NULL },
    { "crank_tls_with", "of no file", have_files, do_with, { 0 }, NULL, judge, 0, NULL },
    { "crank_tls_add", "one more", have_both, do_add, { 0 }, NULL, judge, 0, NULL },
    { "crank_tls_reload", "all", have_both, do_reload, { 0 }, NULL, judge, 0, NULL },
    { "crank_tls_start", "as a client", have_peer, do_start, { 0 }, NULL, judge, 0, NULL },
    { "crank_tls_connect", "to a server", have_server, do_connect, { 0 }, NULL, judge, 0, NULL },
    { "crank_tls_serve_", "stopped amid a handshake", have_listener, do_serve, { start_talking, stop_now }, NULL,
        judge_serve, 0, NULL },
    { "crank_tls_serve_", "stopped, with a client that ends", have_listener, do_serve, { start_talking, stop_slowly },
        NULL, judge_serve, 0, may_act_now },
    { "crank_http_serve_", "with TLS, stopped amid a handshake", have_listener, do_serve_web,
        { start_asking, stop_now }, NULL, judge_serve, 0, NULL },
    { "crank_http_serve_", "with TLS, stopped, with a request that ends", have_listener, do_serve_web,
        { start_asking, stop_slowly }, NULL, judge_serve, 0, may_act_now },
};

TEST_EACH_BACKEND(tls, cancelled_at_many_points_leaves_nothing)
{
    crank_try(try_rows(rows, CRANK_COUNT(rows), false));
    free_both();
    return 0;
}

TEST_SIM(checkpoint, of_tls_delivers_a_pending_cancellation)
{
    crank_try(deliver_to_rows(rows, CRANK_COUNT(rows)));
    free_both();
    return 0;
}
