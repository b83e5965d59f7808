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

/* The command that connects there. */
static void name_for_nc(const char *at, char *buf, size_t size)
{
    const char *port = strrchr(at, ':');
    bool bracketed = *at == '[';

    if (strncmp(at, "unix:", 5) == 0)
        snprintf(buf, size, "nc -U %s", at + 5);
    else
        snprintf(buf, size, "nc %.*s %s", (int)(port - at) - 2 * bracketed, at + bracketed, port + 1);
}

static int app(const char *address, limits most)
{
    crank_serve_options options = { .connections_max = (size_t)most.connections };
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen(address));
    char command[200];
    CRANK_GROUP(group); /* declared after what its children use */

    name_for_nc(crank_listener_address(listener, 0), command, sizeof command);
    printf("echo: try it with: %s   (Ctrl-C or SIGTERM ends it, %ld connections, idle %g s)\n", command,
        most.connections, most.idle);
    crank_group_spawn(&group, stop_when_asked, listener);
    crank_try(crank_serve_with(&options, listener, handle, most.idle));
    puts("echo: all have left");
    return 0;
}

static int usage(FILE *to)
{
    fputs("usage: echo [ADDRESS [CONNECTIONS [IDLE_SECONDS]]]\n"
          "  sends back what it is sent, at 127.0.0.1:7000, to at most 1000 connections at once,\n"
          "  each idle for at most 60 s\n",
        to);
    return to == stdout ? 0 : 2;
}

static int refuse(const char *what, const char *text)
{
    fprintf(stderr, "echo: %s, not \"%s\"\n", what, text);
    return usage(stderr);
}

int main(int argc, char **argv)
{
    const char *address = argc > 1 ? argv[1] : "127.0.0.1:7000";
    limits most = { 1000, 60 };
    char *connections_end = "", *idle_end = "";

    if (argc > 2)
        most.connections = strtol(argv[2], &connections_end, 10);
    if (argc > 3)
        most.idle = strtod(argv[3], &idle_end);
    if (argc == 2 && !strcmp(address, "--help"))
        return usage(stdout);
    if (*address == '-')
        return refuse("ADDRESS is HOST:PORT", address);
    if (most.connections < 1 || *connections_end)
        return refuse("CONNECTIONS is a number from 1", argv[2]);
    if (!(most.idle > 0) || *idle_end)
        return refuse("IDLE_SECONDS is a number above 0", argv[3]);
    if (argc > 4)
        return refuse("three arguments are the most", argv[4]);
    setvbuf(stdout, NULL, _IOLBF, 0); /* a line is seen when it is printed, also in a log file */
    return crank_run(app, address, most);
}
