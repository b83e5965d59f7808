/* SPDX-License-Identifier: MIT */
/* attached.h: two sockets that are connected and attached to a loop's backend, a pair or over TCP. */
#ifndef ATTACHED_H
#define ATTACHED_H
#include <errno.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "acts.h"

typedef struct ends {
    crank_loop *loop;
    enum cr_fd_kind kind;
    cr_fd a;
    cr_fd b;
} ends;

#define CALL(loop, entry, ...) ((loop)->sys->entry((loop)->sys->context, __VA_ARGS__))

static inline cr_fd attach(crank_loop *loop, int fd, enum cr_fd_kind kind)
{
    cr_fd attached;
    EXPECT_EQ(loop->backend->type->attach(loop->backend, fd, kind, &attached), 0);
    EXPECT_EQ(attached.number, fd);
    EXPECT(attached.generation != 0);
    return attached;
}

static inline void close_attached(crank_loop *loop, cr_fd fd) { loop->backend->type->close_fd(loop->backend, fd); }

static inline void await_ready(crank_loop *loop, int fd, uint32_t events)
{
    act a = new_act(loop, CR_OP_POLL, fd, 0);
    a.op.events = events;
    submit(&a);
    await(&a);
    EXPECT(a.op.result > 0 && ((uint32_t)a.op.result & events));
}

static inline void connect_both(crank_loop *loop, int fds[2])
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    unsigned size = sizeof at;
    int listener = CALL(loop, socket, AF_INET, SOCK_STREAM, 0);
    EXPECT(listener >= 0);
    EXPECT_EQ(CALL(loop, bind, listener, (struct sockaddr *)&at, sizeof at), 0);
    EXPECT_EQ(CALL(loop, listen, listener, 1), 0);
    EXPECT_EQ(CALL(loop, own_name, listener, (struct sockaddr *)&at, &size), 0);
    fds[0] = CALL(loop, socket, AF_INET, SOCK_STREAM, 0);
    EXPECT(fds[0] >= 0);
    EXPECT_EQ(CALL(loop, connect, fds[0], (struct sockaddr *)&at, sizeof at), -EINPROGRESS);
    await_ready(loop, fds[0], EPOLLOUT);
    /* Connected, or refused: then the listener would be waited on for ever. */
    EXPECT_EQ(CALL(loop, connect, fds[0], (struct sockaddr *)&at, sizeof at), 0);
    await_ready(loop, listener, EPOLLIN);
    fds[1] = CALL(loop, accept, listener, NULL, NULL);
    EXPECT(fds[1] >= 0);
    EXPECT_EQ(CALL(loop, close, listener), 0);
}

static inline ends open_ends(crank_loop *loop, enum cr_fd_kind kind)
{
    int fds[2];
    if (kind == CR_FD_TCP)
        connect_both(loop, fds);
    else
        EXPECT_EQ(CALL(loop, socket_pair, AF_UNIX, SOCK_STREAM, fds), 0);
    return (ends){ .loop = loop, .kind = kind, .a = attach(loop, fds[0], kind), .b = attach(loop, fds[1], kind) };
}

static inline void close_ends(const ends *e)
{
    if (e->a.generation)
        close_attached(e->loop, e->a);
    if (e->b.generation)
        close_attached(e->loop, e->b);
}

static inline act new_attached(crank_loop *loop, enum cr_op_code code, cr_fd fd, size_t size)
{
    act a = new_act(loop, code, fd.number, size);
    a.op.generation = fd.generation;
    return a;
}

static inline void turn(crank_loop *loop)
{
    for (int i = 0; i < 3; i++)
        cr_turn(loop, false, 0);
}

/* From outside the backend, past what it remembers. */
static inline void push(const ends *e, cr_fd fd, const char *text)
{
    EXPECT_EQ(CALL(e->loop, send, fd.number, text, strlen(text), 0), strlen(text));
}

static inline long receive(crank_loop *loop, cr_fd fd, act *a, size_t size)
{
    *a = new_attached(loop, CR_OP_RECV, fd, size);
    submit(a);
    await(a);
    return a->op.result;
}

static char block[256 * 1024];

/* SENDs, until one has to wait: that. */
static inline void fill(const ends *e, act *a)
{
    for (int i = 0; i < 1000; i++) {
        *a = new_attached(e->loop, CR_OP_SEND, e->a, sizeof block);
        a->op.buf = block;
        submit(a);
        settle(a);
        if (a->pending)
            return;
        EXPECT(a->op.result > 0);
    }
    EXPECT(false);
}

static inline void drain(const ends *e, const act *until)
{
    for (int i = 0; until->pending; i++) {
        EXPECT(i < 100000);
        ssize_t n = CALL(e->loop, recv, e->b.number, block, sizeof block, 0);
        EXPECT(n > 0 || n == -EAGAIN);
        cr_turn(e->loop, false, 0);
    }
}

static inline void run_ends(crank_backend backend, uint64_t seed, enum cr_fd_kind kind, void (*body)(ends *e))
{
    crank_loop *loop = open_loop(backend, seed);
    ends e = open_ends(loop, kind);
    body(&e);
    EXPECT_EQ(loop->in_flight, 0);
    close_ends(&e);
    crank_loop_free(loop);
}

static inline void run_seeds(enum cr_fd_kind kind, void (*body)(ends *e))
{
    for (uint64_t seed = 0; seed < 30; seed++)
        run_ends(CRANK_BACKEND_SIM, seed, kind, body);
}

#define EACH_END_(subject, sentence, kind, suffix) \
    TEST(subject, sentence##_##suffix##_on_sim) { run_seeds(kind, subject##_##sentence); } \
    TEST(subject, sentence##_##suffix##_on_epoll) { run_ends(CRANK_BACKEND_EPOLL, 0, kind, subject##_##sentence); } \
    TEST(subject, sentence##_##suffix##_on_uring) { run_ends(CRANK_BACKEND_URING, 0, kind, subject##_##sentence); }
#define EACH_TCP(subject, sentence) \
    static void subject##_##sentence(ends *e); \
    EACH_END_(subject, sentence, CR_FD_TCP, over_tcp) \
    static void subject##_##sentence(ends *e)
#define EACH_END(subject, sentence) \
    static void subject##_##sentence(ends *e); \
    EACH_END_(subject, sentence, CR_FD_TCP, over_tcp) \
    EACH_END_(subject, sentence, CR_FD_OTHER, in_a_pair) \
    static void subject##_##sentence(ends *e)
#endif
