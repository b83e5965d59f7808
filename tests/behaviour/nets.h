/* SPDX-License-Identifier: MIT */
/* nets.h: what tests of connections share: clients, an OS table whose accept fails as asked, and a backend that refuses
 * operations. */
#ifndef NETS_H
#define NETS_H
#include <stdlib.h>
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

/* Two connected streams over TCP. 0, or why there are none. */
static inline int nets_pair(crank_stream **ret_a, crank_stream **ret_b)
{
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("127.0.0.1:0"));
    *ret_a = crank_try(crank_connect(crank_listener_address(listener, 0)));
    *ret_b = crank_accept(listener);
    if (*ret_b)
        return 0;
    int err = -errno;
    (void)crank_finish(*ret_a);
    return err;
}

/* The port of the listener's i-th socket: of "127.0.0.1:41234" or "[::1]:41234". */
static inline unsigned nets_port(const crank_listener *listener, size_t i)
{
    const char *address = crank_listener_address(listener, i), *colon = address ? strrchr(address, ':') : NULL;
    if (!colon)
        test_fail(__FILE__, __LINE__, "the listener cannot tell its address %zu", i);
    return (unsigned)strtoul(colon + 1, NULL, 10);
}

/* An address, in one of eight places that are used in turn. */
static inline const char *nets_at_port(const char *host, unsigned port)
{
    static char text[8][80];
    static unsigned next;
    char *buf = text[next++ % 8];
    snprintf(buf, sizeof *text, "%s:%u", host, port);
    return buf;
}

/* How long a test waits for its peer, which may have failed for want of memory. */
static inline double nets_patience(void) { return strcmp(crank_backend_name(), "sim") == 0 ? 3600 : 8; }

/* One line of the peer's, without its newline; "" at the end. */
static inline const char *nets_line(crank_stream *s)
{
    static char line[256];
    ssize_t n = crank_within(nets_patience(), crank_read_line(s, line, sizeof line));
    if (n < 0)
        test_fail(__FILE__, __LINE__, "cannot read a line: %s", crank_error());
    if (n > 0 && line[n - 1] == '\n')
        line[n - 1] = '\0';
    return line;
}

static inline void nets_expect_end(crank_stream *s)
{
    char byte;
    ssize_t n = crank_within(nets_patience(), crank_read(s, &byte, 1));
    if (n != 0)
        test_fail(__FILE__, __LINE__, "a read at the end gives %zd: %s", n, n < 0 ? crank_error() : "");
}

/* End a connection by a reset; its stream is to be closed. */
static inline void nets_abort(crank_stream *s) { cr_socketlike_abort(&cr_connection_of(s)->socket); }
static inline int nets_reset(crank_stream *s)
{
    nets_abort(s);
    return crank_close(s);
}

/* NETS_STREAMS(all): streams of a test, closed at the end of its block. Declare it before a group whose tasks use
 * them. */
enum { NETS_STREAMS_MAX = 300 };
typedef struct nets_streams {
    crank_stream *at[NETS_STREAMS_MAX];
} nets_streams;
static inline int nets_close_all(nets_streams *all)
{
    int err = 0;
    for (size_t i = 0; i < NETS_STREAMS_MAX; i++) {
        int ends = crank_finish(all->at[i]);
        err = err < 0 ? err : ends;
    }
    return err;
}
static inline void nets_drop_all(nets_streams *all) { (void)nets_close_all(all); }
#define NETS_STREAMS(all) CRANK_CLEANUP_(nets_drop_all) nets_streams all = { { NULL } }

/* NETS_TASK server = crank_spawn(...): a task that ends with the block it is declared in, and whose failure does not
 * end the block, as that of a group's child does. nets_await(server) gives its result. */
static inline long nets_await_(crank_task **variable)
{
    crank_task *task = *variable;
    *variable = NULL;
    return crank_await(task);
}
#define nets_await(variable) nets_await_(&(variable))
static inline void nets_end_task(crank_task **variable)
{
    crank_cancel(*variable);
    (void)nets_await_(variable);
}
#define NETS_TASK CRANK_CLEANUP_(nets_end_task) crank_task *

/* Let every task that can run do so, and what is on its way arrive. */
static inline int nets_settle(void) { return crank_sleep(0.005); }

/* Wait until so many of the listener's connections are served. A second is enough, but where memory stays short. */
static inline int nets_await_connections(const crank_listener *l, size_t count)
{
    for (int i = 0; crank_listener_connections(l) != count; i++) {
        if (i == 10000)
            return -ETIMEDOUT;
        crank_try(crank_sleep(i < 1000 ? 0 : 0.001));
    }
    return 0;
}

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

/* ---- A backend that refuses ---- */

static struct {
    cr_backend_type type;
    const cr_backend_type *real;
    enum cr_op_code code; /* which operations fail */
    int error;
    unsigned failing; /* so many more of them do */
} nets_refusals;

static inline enum cr_submitted nets_submit(cr_backend *backend, cr_op *op)
{
    if (op->code != nets_refusals.code || nets_refusals.failing == 0)
        return nets_refusals.real->submit(backend, op);
    nets_refusals.failing--;
    op->result = -nets_refusals.error;
    return CR_DONE_NOW;
}

/* The running loop's next operations of this kind fail. */
static inline void nets_refuse(enum cr_op_code code, int error, unsigned count)
{
    cr_backend *backend = cr_loop_here->backend;
    if (backend->type != &nets_refusals.type) {
        nets_refusals.real = backend->type;
        nets_refusals.type = *backend->type;
        nets_refusals.type.submit = nets_submit;
        backend->type = &nets_refusals.type;
    }
    nets_refusals.code = code;
    nets_refusals.error = error;
    nets_refusals.failing = count;
}
#endif
