/* SPDX-License-Identifier: MIT */
/* proxy: forwards connections from one address to another.
 *
 * Each direction is a task of its own. The end of one is passed on and the other goes on (half-close); a connection
 * that breaks breaks the other one too, by a reset, so that neither side takes a torn answer for a whole one. With
 * --cert clients are encrypted, and the target is not. SIGUSR1 prints what has gone through; SIGTERM or Ctrl-C ends the
 * server when its connections have, within ten seconds. */
#define _GNU_SOURCE /* getopt_long */
#include <crank.h>
#include <crank/tls.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECT_SECONDS 10.0
#define GRACE 10.0

/* One that is open. */
typedef struct connection {
    int64_t up, down; /* bytes to the target, and back, so far */
    struct connection *next, **place;
} connection;

typedef struct totals {
    uint64_t connections, refused, broken;
    int64_t up, down; /* of those that have ended */
} totals;

typedef struct proxy {
    const char *address, *target;
    const char *certificate, *key; /* for clients; NULL: they are not encrypted */
    crank_listener *listener;
    connection *first;
    totals totals;
} proxy;

/* Bytes wait for the slower side: nothing more is read until they are written. */
static int forward(crank_stream *from, crank_stream *to, int64_t *bytes)
{
    crank_try(crank_copy(from, to, -1, bytes));
    return crank_write_eof(to);
}

/* Until both directions have ended, or one has failed: then the group cancels the other. */
static int forward_both(crank_stream *client, crank_stream *target, connection *c)
{
    CRANK_GROUP(directions);

    crank_group_spawn(&directions, forward, client, target, &c->up);
    crank_group_spawn(&directions, forward, target, client, &c->down);
    return crank_group_wait(&directions);
}

static void enter(proxy *p, connection *c)
{
    c->next = p->first;
    c->place = &p->first;
    if (c->next)
        c->next->place = &c->next;
    p->first = c;
}

static void leave(proxy *p, connection *c)
{
    *c->place = c->next;
    if (c->next)
        c->next->place = c->place;
    p->totals.up += c->up;
    p->totals.down += c->down;
}

static int handle(crank_stream *client, proxy *p)
{
    p->totals.connections++;
    CRANK_AUTO_STREAM crank_stream *target = crank_within(CONNECT_SECONDS, crank_connect(p->target));
    if (!target) {
        p->totals.refused++;
        fprintf(stderr, "proxy: %s: %s\n", crank_peer_name(client), crank_error());
        crank_abort(client); /* it could not have connected */
        return 0;
    }
    connection c = { 0, 0, NULL, NULL };
    enter(p, &c);
    int err = forward_both(client, target, &c);
    leave(p, &c);
    if (err < 0) {
        p->totals.broken++;
        crank_abort(client);
        crank_abort(target);
    }
    return err;
}

static void print_totals(const proxy *p)
{
    const totals *t = &p->totals;
    int64_t up = t->up, down = t->down;
    for (const connection *c = p->first; c; c = c->next) {
        up += c->up;
        down += c->down;
    }
    printf("proxy: %" PRIu64 " connections, %zu open, %" PRIu64 " refused, %" PRIu64 " broken; %" PRId64
           " bytes up, %" PRId64 " down\n",
        t->connections, crank_listener_connections(p->listener), t->refused, t->broken, up, down);
}

static int obey_signals(proxy *p)
{
    CRANK_SIGNALS(asked, SIGUSR1, SIGTERM, SIGINT, SIGHUP);

    for (;;) {
        int number = crank_try(crank_signals_next(&asked));
        if (number != SIGUSR1)
            return crank_listener_stop(p->listener, GRACE);
        print_totals(p);
    }
}

/* Once nothing can go wrong any more. */
static void announce(const proxy *p)
{
    printf("proxy: %s -> %s   (kill -USR1 %ld shows the totals, Ctrl-C ends)\n", crank_listener_address(p->listener, 0),
        p->target, (long)getpid());
}

#ifndef WITHOUT_TLS
static int serve(proxy *p)
{
    CRANK_AUTO_TLS crank_tls *tls = NULL;
    if (p->certificate)
        tls = crank_try(crank_tls_server(p->certificate, p->key));
    announce(p);
    if (!tls)
        return crank_serve(p->listener, handle, p);
    return crank_tls_serve(tls, p->listener, handle, p);
}
#else
static int serve(proxy *p)
{
    if (p->certificate)
        return crank_fail(ENOTSUP, "--cert: crank was built without OpenSSL (libssl-dev)");
    announce(p);
    return crank_serve(p->listener, handle, p);
}
#endif

static int app(proxy *p)
{
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen(p->address));
    CRANK_GROUP(group); /* declared after what its children use */

    p->listener = listener;
    crank_group_spawn(&group, obey_signals, p);
    crank_try(serve(p));
    print_totals(p);
    return 0;
}

static int usage(FILE *to)
{
    fputs("usage: proxy [--cert FILE [--key FILE]] LISTEN TARGET\n"
          "  forwards connections: ./run proxy 127.0.0.1:8001 localhost:80\n"
          "  --cert: clients are encrypted (examples/certificates.sh makes one for localhost)\n",
        to);
    return to == stdout ? 0 : 2;
}

/* By its form: so a slip is told now, and not to the first client. Whether the host is there each connection finds out
 * for itself. */
static bool is_target(const char *text)
{
    const char *colon = strrchr(text, ':');
    return strncmp(text, "unix:", 5) == 0 || (colon && colon > text && atoi(colon + 1) > 0);
}

int main(int argc, char **argv)
{
    static const struct option options[] = { { "cert", required_argument, NULL, 'c' },
        { "key", required_argument, NULL, 'k' }, { "help", no_argument, NULL, 'h' }, { 0 } };
    proxy p = { 0 };
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'c')
            p.certificate = optarg;
        else if (option == 'k')
            p.key = optarg;
        else if (option == 'h')
            return usage(stdout);
        else
            return usage(stderr);
    }
    if (argc != optind + 2 || (p.key && !p.certificate)) {
        fputs(argc != optind + 2 ? "proxy: it takes two addresses, LISTEN and TARGET\n"
                                 : "proxy: --key wants a --cert, whose key it is\n",
            stderr);
        return usage(stderr);
    }
    p.address = argv[optind];
    p.target = argv[optind + 1];
    if (!is_target(p.target)) {
        fprintf(stderr, "proxy: TARGET is HOST:PORT, not \"%s\"\n", p.target);
        return usage(stderr);
    }
    setvbuf(stdout, NULL, _IOLBF, 0); /* a line is seen when it is printed, also in a log file */
    return crank_run(app, &p);
}
