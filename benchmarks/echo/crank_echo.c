/* SPDX-License-Identifier: MIT */
/* crank_echo.c: crank's echo server, as a user would write it: a task for each connection, which reads a line and
 * writes it back.
 *
 * `crank_echo echo_hibernate` gives back the stacks of connections that have been idle for a while. */
#include <crank.h>
#include <stdio.h>
#include <string.h>

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

static int app(void)
{
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("127.0.0.1:0"));
    puts(strrchr(crank_listener_address(listener, 0), ':') + 1);
    fflush(stdout);
    return crank_serve(listener, echo);
}

int main(int argc, char **argv)
{
    crank_options options = { .stack_size = 48 * 1024 };
    if (argc > 1 && !strcmp(argv[1], "echo_hibernate"))
        options.hibernate_after = 0.1;
    long result = crank_run_with(&options, app);
    if (result < 0)
        fprintf(stderr, "crank_echo: %s\n", strerror((int)-result));
    return result == 0 ? 0 : 1;
}
