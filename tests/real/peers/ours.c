/* SPDX-License-Identifier: MIT */
/* ours.c: the server of tests/http/smuggling.c on a real port, for peers.py: each request is answered with its method,
 * path and body. Prints its port and serves until it is killed. */
#include <crank.h>
#include <crank/http.h>
#include <stdio.h>
#include <string.h>

static int echo(crank_http_request *request)
{
    char *body;
    crank_try(crank_http_read_body(request, 1000, &body));
    return crank_http_print(
        request, 200, "text/plain", "%s %s%s%s", request->method, request->path, *body ? " " : "", body);
}

/* The host of the table's rows is no name of this machine's. */
static int app(void)
{
    const crank_http_options options = { .hosts = "a b" };
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("127.0.0.1:0"));
    puts(strrchr(crank_listener_address(listener, 0), ':') + 1);
    fflush(stdout);
    return crank_http_serve_with(&options, listener, echo);
}

int main(void) { return crank_run(app); }
