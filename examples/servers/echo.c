/* SPDX-License-Identifier: MIT */
/* echo: a server that sends back what it is sent.
 *
 * What a server for strangers needs beside its work: a limit of connections (more wait in line), a limit of time for
 * those that say nothing, and an end that lets connected clients finish. */
#define _POSIX_C_SOURCE 200809L /* strsignal */
#include <crank.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GRACE 5.0 /* seconds that connected clients have when the server is asked to end */

typedef struct limits {
    long connections;
    double idle; /* seconds */
} limits;

static int echo(crank_stream *peer, double idle)
{
    char bytes[4096];

    for (;;) {
        ssize_t n = crank_try(crank_within(idle, crank_read(peer, bytes, sizeof bytes)));
        if (n == 0)
            return 0; /* the client has ended; the server closes peer */
        crank_try(crank_within(idle, crank_write(peer, bytes, (size_t)n)));
    }
}

/* One connection, from its first line in the terminal to its last. */
static int handle(crank_stream *peer, double idle)
{
    printf("%s connected\n", crank_peer_name(peer));
    int err = echo(peer, idle);
    printf("%s %s\n", crank_peer_name(peer),
        err == 0            ? "left"
        : err == -ETIMEDOUT ? "was idle for too long"
        : err == -ECANCELED ? "was not finished in time"
                            : crank_errno_name(err));
    return err;
}

/* Accepting ends with the first signal, at once; crank_serve returns when the last handler has. */
static int stop_when_asked(crank_listener *listener)
{
    CRANK_SIGNALS(asked, SIGTERM, SIGHUP, SIGINT);

    int number = crank_try(crank_signals_next(&asked));
    printf("%s: no new connections, %.0f s for the %zu there are\n", strsignal(number), GRACE,
        crank_listener_connections(listener));
    return crank_listener_stop(listener, GRACE);
}

static int app(const char *address, limits most)
{
    crank_serve_options options = { .connections_max = (size_t)most.connections };
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen(address));
    const char *at = crank_listener_address(listener, 0);
    const char *port = strrchr(at, ':') + 1;
    CRANK_GROUP(group); /* declared after what its children use */

    printf("echo: try it with: nc %.*s %s   (Ctrl-C or SIGTERM ends it, %ld connections, idle %g s)\n",
        (int)(port - 1 - at), at, port, most.connections, most.idle);
    crank_group_spawn(&group, stop_when_asked, listener);
    crank_try(crank_serve_with(&options, listener, handle, most.idle));
    puts("echo: all have left");
    return 0;
}

int main(int argc, char **argv)
{
    const char *address = argc > 1 ? argv[1] : "127.0.0.1:7000";
    limits most = { argc > 2 ? strtol(argv[2], NULL, 10) : 1000, argc > 3 ? strtod(argv[3], NULL) : 60 };

    bool helps = argc == 2 && !strcmp(address, "--help");
    if (argc > 4 || *address == '-' || most.connections < 1 || !(most.idle > 0)) {
        fputs("usage: echo [ADDRESS [CONNECTIONS [IDLE_SECONDS]]]\n"
              "  127.0.0.1:7000, at most 1000 connections at once, each idle for at most 60 s\n",
            helps ? stdout : stderr);
        return helps ? 0 : 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0); /* a line is seen when it is printed, also in a log file */
    return crank_run(app, address, most);
}
