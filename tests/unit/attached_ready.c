/* SPDX-License-Identifier: MIT */
/* attached_ready.c: what the backends that remember readiness promise of attached descriptors beyond the contract:
 * calls that are not made, and events of what was closed meanwhile. */
#include "attached.h"

#define EACH_READY(sentence) \
    static void sentence(crank_backend backend); \
    TEST(attached_ready, sentence##_on_epoll) { sentence(CRANK_BACKEND_EPOLL); } \
    TEST(attached_ready, sentence##_on_uring) { sentence(CRANK_BACKEND_URING); } \
    static void sentence(crank_backend backend)

static const cr_sys *const real = &cr_sys_real;
static struct {
    long allocs, recvs, empty_recvs, sends, controls;
} made;

static void *count_alloc(void *c, size_t size) { return made.allocs++, real->alloc(c, size); }
static void *count_alloc_zero(void *c, size_t size) { return made.allocs++, real->alloc_zero(c, size); }
static void *count_resize(void *c, void *m, size_t size) { return made.allocs++, real->resize(c, m, size); }
static ssize_t count_recv(void *c, int fd, void *buf, size_t size, int flags)
{
    ssize_t n = real->recv(c, fd, buf, size, flags);
    made.recvs++;
    made.empty_recvs += n == -EAGAIN;
    return n;
}
static ssize_t count_send(void *c, int fd, const void *buf, size_t size, int flags)
{
    made.sends++;
    return real->send(c, fd, buf, size, flags);
}
static int count_control(void *c, int set, int how, int fd, struct epoll_event *event)
{
    made.controls++;
    return real->epoll_ctl(c, set, how, fd, event);
}
/* Each request of io_uring's but the waits. */
static int count_enter(void *c, int ring, const cr_uring_enter *asked)
{
    made.controls += asked->submit;
    return real->uring_enter(c, ring, asked);
}

static crank_loop *open_counted(crank_backend backend)
{
    static cr_sys sys;
    sys = cr_sys_real;
    sys.alloc = count_alloc;
    sys.alloc_zero = count_alloc_zero;
    sys.resize = count_resize;
    sys.recv = count_recv;
    sys.send = count_send;
    sys.epoll_ctl = count_control;
    sys.uring_enter = count_enter;
    return open_loop_on(backend, 0, &sys);
}

/* One message: received into a buffer of the backend's, which goes back. */
static void pass(crank_loop *loop, cr_fd from, cr_fd to)
{
    act in = new_attached(loop, CR_OP_RECV, to, CR_BUFFER_SMALL);
    act out = new_attached(loop, CR_OP_SEND, from, 64);
    in.op.arg = &in;
    in.pending = cr_loop_submit(loop, &in.op) == CR_PENDING;
    EXPECT(in.pending);
    submit(&out);
    EXPECT(!out.pending && out.op.result == 64);
    await(&in);
    EXPECT_EQ(in.op.result, 64);
    cr_buffers_give(&loop->backend->buffers, in.op.buf, CR_BUFFER_SMALL);
}

static void echo(crank_backend backend, int messages)
{
    crank_loop *loop = open_counted(backend);
    ends e = open_ends(loop, CR_FD_TCP);
    for (int i = -2; i < messages; i++) {
        if (i == 0)
            memset(&made, 0, sizeof made);
        pass(loop, e.a, e.b);
        pass(loop, e.b, e.a);
    }
    EXPECT_EQ(made.allocs, 0);
    EXPECT_EQ(made.controls, 0);
    EXPECT_EQ(made.sends, 2 * messages);
    EXPECT_EQ(made.recvs, 2 * messages);
    EXPECT_EQ(made.empty_recvs, 0);
    close_ends(&e);
    crank_loop_free(loop);
}
EACH_READY(an_echo_over_tcp_is_a_recv_and_a_send_and_no_memory) { echo(backend, 2000); }
EACH_READY(a_hundred_thousand_echoes_take_no_memory)
{
    test_needs_long();
    echo(backend, 100000);
}

/* ---- more events than are looked at in a turn, one of them of a descriptor that an earlier completion has closed */

enum { MANY = 200 };
static ends all[MANY];
static act acts[MANY];
static int victim, last_other = -1;
static bool reopens;
static act reborn;

static void close_victim(cr_op *op, void *arg)
{
    crank_loop *loop = all[0].loop;
    int fds[2];
    completed(op, arg);
    if (victim < 0 || arg == &acts[victim])
        return;
    int number = all[victim].a.number;
    close_attached(loop, all[victim].a);
    all[victim].a.generation = 0;
    if (reopens) {
        EXPECT_EQ(CALL(loop, socket_pair, AF_UNIX, SOCK_STREAM, fds), 0);
        EXPECT_EQ(fds[0], number);
        all[victim].a = attach(loop, number, CR_FD_OTHER);
        last_other = fds[1];
        reborn = new_attached(loop, CR_OP_RECV, all[victim].a, 1);
        submit(&reborn);
        EXPECT(reborn.pending);
    }
    victim = -1;
}

static void batch(crank_backend backend, enum cr_fd_kind kind, int closed, bool again)
{
    crank_loop *loop = open_loop(backend, 0);
    victim = closed;
    reopens = again;
    for (int i = 0; i < MANY; i++) {
        all[i] = open_ends(loop, kind);
        acts[i] = new_attached(loop, CR_OP_RECV, all[i].a, 1);
        acts[i].op.completed = close_victim;
        submit(&acts[i]);
        EXPECT(acts[i].pending);
    }
    victim = -1; /* the cancel's completion closes nothing */
    cr_loop_cancel(loop, &acts[closed].op);
    await(&acts[closed]);
    victim = closed;
    for (int i = 0; i < MANY; i++)
        push(&all[i], all[i].b, "x");
    for (int turns = 0; loop->in_flight > (again && victim < 0); turns++) {
        EXPECT(turns < 20);
        loop->in_flight -= (size_t)loop->backend->type->turn(loop->backend, INT64_MIN);
    }
    for (int i = 0; i < MANY; i++)
        EXPECT_EQ(acts[i].op.result, i == closed ? -ECANCELED : 1);
    if (again) {
        settle(&reborn);
        EXPECT(reborn.pending);
        EXPECT_EQ(CALL(loop, send, last_other, "y", 1, 0), 1);
        await(&reborn);
        EXPECT_EQ(reborn.buf[0], 'y');
        EXPECT_EQ(CALL(loop, close, last_other), 0);
    }
    for (int i = 0; i < MANY; i++)
        close_ends(&all[i]);
    crank_loop_free(loop);
}
EACH_READY(an_event_of_what_was_closed_in_its_turn_is_none) { batch(backend, CR_FD_OTHER, MANY / 2, false); }
EACH_READY(nor_is_it_one_of_what_has_its_number_now) { batch(backend, CR_FD_OTHER, MANY / 2, true); }
EACH_READY(nor_where_it_came_last) { batch(backend, CR_FD_TCP, MANY - 1, false); }

/* ---- kinds, ends and urgent data ---- */

/* What has ended is read to its end though it was drained; a reset behind a short transfer is told. */
EACH_READY(a_reset_behind_a_short_receive_is_told)
{
    struct linger none = { 1, 0 };
    cr_socket_option option = { SOL_SOCKET, SO_LINGER, &none, sizeof none };
    crank_loop *loop = open_loop(backend, 0);
    ends e = open_ends(loop, CR_FD_TCP);
    act a = new_attached(loop, CR_OP_RECV, e.a, sizeof a.buf);
    submit(&a);
    push(&e, e.b, "abc");
    EXPECT_EQ(CALL(loop, set_option, e.b.number, &option), 0);
    close_attached(loop, e.b);
    await(&a);
    EXPECT_EQ(a.op.result, 3);
    EXPECT_EQ(receive(loop, e.a, &a, sizeof a.buf), -ECONNRESET);
    EXPECT_EQ(receive(loop, e.a, &a, sizeof a.buf), 0);
    close_attached(loop, e.a);
    crank_loop_free(loop);
}

/* recv stops in front of the urgent byte's place: short, with more behind it. */
EACH_READY(bytes_behind_an_urgent_one_are_received)
{
    crank_loop *loop = open_loop(backend, 0);
    ends e = open_ends(loop, CR_FD_TCP);
    act a = new_attached(loop, CR_OP_RECV, e.a, sizeof a.buf);
    submit(&a);
    push(&e, e.b, "abc");
    EXPECT_EQ(CALL(loop, send, e.b.number, "!", 1, MSG_OOB), 1);
    push(&e, e.b, "def");
    await(&a);
    long got = a.op.result;
    EXPECT(got > 0);
    while (got < 6) {
        EXPECT(receive(loop, e.a, &a, sizeof a.buf) > 0);
        got += a.op.result;
    }
    EXPECT_EQ(got, 6);
    close_ends(&e);
    crank_loop_free(loop);
}

/* A descriptor that epoll refuses: the operation says so, and the descriptor can be closed. */
static bool refuses;
static int refuse_control(void *c, int set, int how, int fd, struct epoll_event *event)
{
    return refuses ? -ENOMEM : real->epoll_ctl(c, set, how, fd, event);
}
TEST(attached_ready, one_that_epoll_refuses_says_so_and_may_try_again)
{
    cr_sys sys = cr_sys_real;
    sys.epoll_ctl = refuse_control;
    crank_loop *loop = open_with(&(crank_options){ .backend = CRANK_BACKEND_EPOLL }, &sys);
    ends e = open_ends(loop, CR_FD_OTHER);
    static const enum cr_op_code codes[] = { CR_OP_RECV, CR_OP_POLL };
    for (size_t i = 0; i < CRANK_COUNT(codes); i++) {
        act a = new_attached(loop, codes[i], e.a, 1);
        a.op.events = EPOLLIN;
        refuses = true;
        submit(&a);
        EXPECT(!a.pending);
        EXPECT_EQ(a.op.result, -ENOMEM);
        refuses = false;
    }
    act a = new_attached(loop, CR_OP_RECV, e.a, 1);
    submit(&a);
    push(&e, e.b, "x");
    await(&a);
    EXPECT_EQ(a.op.result, 1);
    close_ends(&e);
    crank_loop_free(loop);
}
