/* SPDX-License-Identifier: MIT */
/* serve.c: servers.
 *
 * crank_serve accepts, counts, lingers and stops; here is what a web server adds: the options'
 * defaults, and a task that hears of the listener's stopping and closes the idle connections, for
 * these have no handler that would end. */
#include <string.h>

#include <crank/error.h>
#include <crank/scope.h>
#include <crank/task.h>

#include "http/connection.h"
#include "http/forwarded.h"
#include "http/memory.h"
#include "http/message.h"
#include "http/secure.h"

static const double head_seconds = 10, idle_seconds = 75, rate_default = 100;
static const int64_t body_default = (int64_t)1 << 30;

static bool is_number(double value) { return value == value; }

static int choose(cr_http_server *server, const crank_http_options *options)
{
    crank_http_options *o = &server->options;
    if (options)
        *o = *options;
    if (!is_number(o->head) || !is_number(o->idle) || !is_number(o->rate) || o->head < 0 ||
        o->idle < 0)
        return crank_fail(EINVAL, "crank_http_serve: head, idle or rate is negative or no number");
    if (o->proxies && !cr_http_forwarded_is_list(o->proxies))
        return crank_fail(EINVAL,
            "crank_http_serve: proxies \"%.100s\" is no list of addresses and networks, as "
            "\"127.0.0.1 10.0.0.0/8\"",
            o->proxies);
    o->head = o->head > 0 ? o->head : head_seconds;
    o->idle = o->idle > 0 ? o->idle : idle_seconds;
    if (o->rate == 0)
        o->rate = rate_default;
    if (o->body_max == 0)
        o->body_max = body_default;
    if (o->head_max == 0 || o->head_max > CR_HTTP_HEAD_MAX)
        o->head_max = CR_HTTP_HEAD_MAX;
    return 0;
}

/* On all of its sockets, so that no other machine can ask. */
static bool is_loopback(const crank_listener *listener)
{
    size_t i = 0;
    for (const char *address; (address = crank_listener_address(listener, i)); i++)
        if (strncmp(address, "127.", 4) != 0 && strncmp(address, "[::1]:", 6) != 0)
            return false;
    return i > 0;
}

/* To a client that speaks plain HTTP where TLS is spoken. */
static const char plain_answer[] = "HTTP/1.1 400 Bad Request\r\n"
                                   "Connection: close\r\n"
                                   "Content-Type: text/plain\r\n"
                                   "X-Content-Type-Options: nosniff\r\n"
                                   "Content-Length: 51\r\n\r\n"
                                   "This port speaks TLS: https:// is its URL's scheme\n";

/* The handshake; where the first byte is a letter, as of "GET", an answer in its stead. 1: the
 * connection is encrypted; 0: it is over. A failed handshake is the client's matter, and counted;
 * but -EINVAL is the program's, whose tls is no server's, and is reported. So is -ENOTSUP: there is
 * no TLS in this build. */
static int encrypt(cr_http_server *server, crank_stream **peer)
{
    const char *bytes;
    ssize_t n = crank_within(server->options.head, crank_peek(*peer, 1, &bytes));
    if (n > 0 && *bytes >= 'A' && *bytes <= 'Z')
        n = crank_write(*peer, plain_answer, sizeof plain_answer - 1);
    else if (n > 0 && (n = cr_http_secure_accept(server->options.tls, peer)) == 0)
        return 1;
    if (n == -ECANCELED || n == -EINVAL || n == -ENOTSUP)
        return (int)n;
    crank_error_clear();
    return 0;
}

static int connection(crank_stream *peer, cr_http_server *server)
{
    int encrypted = server->options.tls ? encrypt(server, &peer) : 1;
    return encrypted == 1 ? cr_http_connection_serve(server, peer) : encrypted;
}

static int watch_stop(crank_listener *listener, cr_http_server *server)
{
    int err = crank_listener_wait_stop(listener);
    if (err == 0)
        cr_http_connection_stop_all(server);
    return err;
}

static int serve_listener(cr_http_server *server, crank_listener *listener)
{
    const crank_serve_options options = { .connections_max = server->options.connections_max };
    CRANK_GROUP(watching);
    server->is_loopback = is_loopback(listener);
    if (!crank_group_spawn(&watching, watch_stop, listener, server))
        return crank_fail(ENOMEM, "crank_http_serve: out of memory");
    return crank_serve_with(&options, listener, connection, server);
}

static int serve(cr_http_server *server, const crank_http_serve_what_ *what)
{
    int err = choose(server, what->options);
    if (err == 0)
        err = what->listener ? serve_listener(server, what->listener)
                             : cr_http_connection_serve(server, what->stream);
    cr_http_message_drain(server);
    return err;
}

/* The captured call lies in the loop's spare record: it is kept before anything else runs. */
int crank_http_serve_(crank_http_serve_what_ what, crank_function_ *handler, const crank_site *site)
{
    crank_kept_call *call = crank_kept_call_new_(handler, site);
    cr_http_server *server = call ? cr_http_alloc_zero(sizeof *server) : NULL;
    int err;
    if (!server) {
        err = crank_fail(ENOMEM, "crank_http_serve: out of memory");
    } else if (!what.listener && !what.stream) {
        err = crank_fail(EINVAL, "crank_http_serve: there is no listener and no stream");
    } else {
        server->call = call;
        server->site = *site;
        err = serve(server, &what);
    }
    crank_release(server);
    crank_kept_call_free_(call);
    return err;
}
