/* SPDX-License-Identifier: MIT */
/* crank_server.c: crank's servers, as a user would write them: a task for each connection.
 *
 * crank_server echo            reads a line and writes it back
 * crank_server echo_hibernate  the same; the stacks of connections that have been idle for a while are given back
 * crank_server echo_printf     the same with crank_printf, whose formatting must not cost each connection a page of stack
 * crank_server http            answers requests of HTTP
 * crank_server sink            reads all there is
 * crank_server source          writes until the peer has gone */
#include <crank.h>
#include <crank/http.h>
#include <stdio.h>
#include <string.h>

static char block[65536];

static int echo(crank_stream *peer)
{
    char line[100];
    for (;;) {
        ssize_t n = crank_try(crank_read_line(peer, line, sizeof line));
        if (n == 0)
            return 0;
        crank_try(crank_write(peer, line, (size_t)n));
    }
}

static int echo_printf(crank_stream *peer)
{
    char line[100];
    for (;;) {
        ssize_t n = crank_try(crank_read_line(peer, line, sizeof line));
        if (n == 0)
            return 0;
        crank_try(crank_printf(peer, "%s", line));
    }
}

static int sink(crank_stream *peer)
{
    for (;;)
        if (crank_try(crank_read(peer, block, sizeof block)) == 0)
            return 0;
}

static int source(crank_stream *peer)
{
    for (;;)
        crank_try(crank_write(peer, block, sizeof block));
}

static int hello(crank_http_request *request)
{
    if (crank_http_is(request, "GET", "/hello"))
        return crank_http_print(request, 200, "text/plain", "Hello, world!\n");
    return 0;
}

static int app(const char *name)
{
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("127.0.0.1:0"));
    puts(strrchr(crank_listener_address(listener, 0), ':') + 1);
    fflush(stdout);
    if (!strcmp(name, "sink"))
        return crank_serve(listener, sink);
    if (!strcmp(name, "http"))
        return crank_http_serve(listener, hello);
    if (!strcmp(name, "echo_printf"))
        return crank_serve(listener, echo_printf);
    if (!strcmp(name, "source"))
        return crank_serve(listener, source);
    return crank_serve(listener, echo);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "echo";
    crank_options options = { .stack_size = 48 * 1024 };
    if (!strcmp(name, "echo_hibernate"))
        options.hibernate_after = 0.1;
    long result = crank_run_with(&options, app, name);
    if (result < 0)
        fprintf(stderr, "crank_server: %s\n", strerror((int)-result));
    return result == 0 ? 0 : 1;
}
