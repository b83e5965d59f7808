/* SPDX-License-Identifier: MIT */
/* ours.c: the server of tests/http/smuggling.c on a real port, for peers.py and fronts.py: each request is answered
 * with its method, path and body.
 *
 * ours [LOG]: prints its port and serves until it is killed. A line of LOG is a request that the handler was given. */
#include <crank.h>
#include <crank/http.h>
#include <stdio.h>
#include <string.h>

static int echo(crank_http_request *request, FILE *log)
{
    char *body;
    if (log)
        fprintf(log, "%s %s\n", request->method, request->target);
    crank_try(crank_http_read_body(request, 1000, &body));
    return crank_http_print(
        request, 200, "text/plain", "%s %s%s%s", request->method, request->path, *body ? " " : "", body);
}

/* The hosts of the table's rows are no names of this machine's. */
static int app(FILE *log)
{
    const crank_http_options options = { .hosts = "a b" };
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("127.0.0.1:0"));
    puts(strrchr(crank_listener_address(listener, 0), ':') + 1);
    fflush(stdout);
    return crank_http_serve_with(&options, listener, echo, log);
}

int main(int argc, char **argv)
{
    FILE *log = argc > 1 ? fopen(argv[1], "w") : NULL;
    if (argc > 1 && !log)
        return 2;
    if (log)
        setvbuf(log, NULL, _IOLBF, BUFSIZ);
    return crank_run(app, log);
}
