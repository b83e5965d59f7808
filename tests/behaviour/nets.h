/* SPDX-License-Identifier: MIT */
/* nets.h: what tests of connections share: clients, and an OS table whose accept fails as asked. */
#ifndef NETS_H
#define NETS_H
#include "base/sys.h"
#include "loop/loop.h"
#include "net/connection.h"
#include "test.h"

/* A connection to the listener's first socket. */
static inline crank_stream *nets_connect(const crank_listener *l)
{
    crank_stream *s = crank_connect(crank_listener_address(l, 0));
    if (!s)
        test_fail(__FILE__, __LINE__, "cannot connect: %s", crank_error());
    return s;
}

/* One line of the peer's, without its newline; "" at the end. */
static inline const char *nets_line(crank_stream *s)
{
    static char line[256];
    ssize_t n = crank_read_line(s, line, sizeof line);
    if (n < 0)
        test_fail(__FILE__, __LINE__, "cannot read a line: %s", crank_error());
    if (n > 0 && line[n - 1] == '\n')
        line[n - 1] = '\0';
    return line;
}

static inline void nets_expect_end(crank_stream *s)
{
    char byte;
    ssize_t n = crank_read(s, &byte, 1);
    if (n != 0)
        test_fail(__FILE__, __LINE__, "a read at the end gives %zd: %s", n, n < 0 ? crank_error() : "");
}

/* End a connection by a reset. */
static inline int nets_reset(crank_stream *s)
{
    cr_socketlike_abort(&cr_connection_of(s)->socket);
    return crank_close(s);
}

/* Let every task that can run do so, and what is on its way arrive. */
static inline int nets_settle(void) { return crank_sleep(0.005); }

/* How often the text has the part. */
static inline size_t nets_count(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, part)); at++)
        n++;
    return n;
}

/* ---- A server ---- */

static inline int nets_echo(crank_stream *peer)
{
    char line[100];
    for (;;) {
        ssize_t n = crank_try(crank_read_line(peer, line, sizeof line));
        if (n == 0)
            return 0;
        crank_try(crank_write(peer, line, (size_t)n));
    }
}
static inline int nets_serve_echo(crank_listener *l) { return crank_serve(l, nets_echo); }
static inline int nets_expect_echo(crank_stream *s)
{
    crank_try(crank_printf(s, "hello\n"));
    return strcmp(nets_line(s), "hello") == 0 ? 0 : -EPROTO;
}

/* ---- An accept that fails ---- */

static struct {
    cr_sys sys;
    int (*accept)(void *context, int fd, struct sockaddr *address, unsigned *size);
    int error;        /* the errno of the calls that fail */
    unsigned failing; /* so many more calls fail */
    unsigned asked;   /* how many have failed */
} nets_faults;

static inline int nets_accept(void *context, int fd, struct sockaddr *address, unsigned *size)
{
    if (nets_faults.failing == 0)
        return nets_faults.accept(context, fd, address, size);
    nets_faults.failing--;
    nets_faults.asked++;
    return -nets_faults.error;
}

/* The running loop's next accepts fail. */
static inline void nets_fail_accepts(int error, unsigned count)
{
    crank_loop *loop = cr_loop_here;
    if (loop->sys != &nets_faults.sys) {
        nets_faults.sys = *loop->sys;
        nets_faults.accept = nets_faults.sys.accept;
        nets_faults.sys.accept = nets_accept;
        loop->sys = &nets_faults.sys;
    }
    nets_faults.error = error;
    nets_faults.failing = count;
    nets_faults.asked = 0;
}
#endif
