/* SPDX-License-Identifier: MIT */
/* attached.c: RECV, SEND and POLL of attached descriptors, the same on every backend. */
#include "attached.h"

/* ---- receiving ---- */

EACH_END(attached, receives_what_is_there)
{
    act a;
    push(e, e->b, "hello");
    turn(e->loop);
    for (size_t got = 0; got < 5; got += (size_t)a.op.result) {
        EXPECT(receive(e->loop, e->a, &a, sizeof a.buf) > 0);
        EXPECT(memcmp(a.buf, &"hello"[got], (size_t)a.op.result) == 0);
    }
}

EACH_END(attached, receives_when_something_comes)
{
    act a = new_attached(e->loop, CR_OP_RECV, e->a, sizeof a.buf);
    for (int i = 0; i < 20; i++) {
        submit(&a);
        EXPECT(a.pending);
        settle(&a);
        EXPECT(a.pending);
        push(e, e->b, "x");
        await(&a);
        EXPECT_EQ(a.op.result, 1);
        EXPECT_EQ(a.completions, i + 1);
    }
}

/* What was asked for was there: the next may find more. Fewer: it waits, and not in vain. */
EACH_END(attached, receives_piece_by_piece)
{
    act a;
    for (int i = 0; i < 20; i++) {
        push(e, e->b, "abcde");
        turn(e->loop);
        for (size_t got = 0; got < 5; got += (size_t)a.op.result)
            EXPECT(receive(e->loop, e->a, &a, 2) > 0);
        a = new_attached(e->loop, CR_OP_RECV, e->a, sizeof a.buf);
        submit(&a);
        settle(&a);
        EXPECT(a.pending);
        push(e, e->b, "f");
        await(&a);
        EXPECT_EQ(a.op.result, 1);
        EXPECT_EQ(a.buf[0], 'f');
    }
}

static void submit_bare(act *a)
{
    a->op.arg = a;
    a->op.buf = NULL;
    a->pending = cr_loop_submit(a->loop, &a->op) == CR_PENDING;
}

static void take_back(act *a, enum cr_buffer_size size)
{
    EXPECT(a->op.buf != NULL);
    cr_buffers_give(&a->loop->backend->buffers, a->op.buf, size);
    a->op.buf = NULL;
}

EACH_END(attached, receives_into_a_buffer_of_the_backend)
{
    static const enum cr_buffer_size sizes[] = { CR_BUFFER_SMALL, CR_BUFFER_MIDDLE, CR_BUFFER_LARGE };
    for (size_t i = 0; i < CRANK_COUNT(sizes); i++) {
        act a = new_attached(e->loop, CR_OP_RECV, e->a, sizes[i]);
        submit_bare(&a);
        settle(&a);
        EXPECT(a.pending);
        EXPECT(a.op.buf == NULL);
        push(e, e->b, "x");
        await(&a);
        EXPECT_EQ(a.op.result, 1);
        EXPECT_EQ(*(char *)a.op.buf, 'x');
        take_back(&a, sizes[i]);
    }
}

EACH_END(attached, holds_no_buffer_where_nothing_came)
{
    act a = new_attached(e->loop, CR_OP_RECV, e->a, CR_BUFFER_SMALL);
    submit_bare(&a);
    settle(&a);
    EXPECT(a.pending);
    cr_loop_cancel(e->loop, &a.op);
    await(&a);
    EXPECT_EQ(a.op.result, -ECANCELED);
    EXPECT(a.op.buf == NULL);
    close_attached(e->loop, e->b);
    e->b.generation = 0;
    submit_bare(&a);
    await(&a);
    EXPECT_EQ(a.op.result, 0);
    EXPECT(a.op.buf == NULL);
}

/* ---- ends ---- */

EACH_END(attached, a_pending_receive_ends_with_the_peer)
{
    act a = new_attached(e->loop, CR_OP_RECV, e->a, sizeof a.buf);
    submit(&a);
    settle(&a);
    close_attached(e->loop, e->b);
    e->b.generation = 0;
    await(&a);
    EXPECT_EQ(a.op.result, 0);
    EXPECT_EQ(receive(e->loop, e->a, &a, 1), 0);
}

/* One event tells of both: a short transfer must not be taken for all that there is. */
static void end_with_data(ends *e, bool waiting, size_t size)
{
    act a = new_attached(e->loop, CR_OP_RECV, e->a, size);
    if (waiting) {
        submit(&a);
        settle(&a);
        EXPECT(a.pending);
    }
    push(e, e->b, "abc");
    EXPECT_EQ(CALL(e->loop, shutdown, e->b.number, SHUT_WR), 0);
    if (!waiting) {
        turn(e->loop);
        submit(&a);
    }
    await(&a);
    size_t got = 0;
    for (; a.op.result > 0; receive(e->loop, e->a, &a, size))
        got += (size_t)a.op.result;
    EXPECT_EQ(a.op.result, 0);
    EXPECT_EQ(got, 3);
}
EACH_END(attached, data_and_end_in_one_event_are_both_received) { end_with_data(e, true, 64); }
EACH_END(attached, data_and_end_that_are_there_are_both_received) { end_with_data(e, false, 64); }
EACH_END(attached, data_and_end_are_received_by_exact_pieces) { end_with_data(e, true, 3); }
EACH_END(attached, data_and_end_are_received_by_single_bytes) { end_with_data(e, true, 1); }

EACH_END(attached, an_end_behind_a_short_receive_is_received)
{
    act a = new_attached(e->loop, CR_OP_RECV, e->a, sizeof a.buf);
    submit(&a);
    settle(&a);
    push(e, e->b, "abc");
    await(&a);
    EXPECT(a.op.result > 0);
    for (long got = a.op.result; got < 3; got += a.op.result)
        receive(e->loop, e->a, &a, sizeof a.buf);
    a = new_attached(e->loop, CR_OP_RECV, e->a, sizeof a.buf);
    submit(&a);
    settle(&a);
    EXPECT(a.pending);
    EXPECT_EQ(CALL(e->loop, shutdown, e->b.number, SHUT_WR), 0);
    await(&a);
    EXPECT_EQ(a.op.result, 0);
}

EACH_TCP(attached, a_reset_is_received_once)
{
    struct linger none = { 1, 0 };
    cr_socket_option option = { SOL_SOCKET, SO_LINGER, &none, sizeof none };
    act a = new_attached(e->loop, CR_OP_RECV, e->a, sizeof a.buf);
    submit(&a);
    settle(&a);
    EXPECT_EQ(CALL(e->loop, set_option, e->b.number, &option), 0);
    close_attached(e->loop, e->b);
    e->b.generation = 0;
    await(&a);
    EXPECT_EQ(a.op.result, -ECONNRESET);
    EXPECT_EQ(receive(e->loop, e->a, &a, 1), 0);
    a = new_attached(e->loop, CR_OP_SEND, e->a, 1);
    submit(&a);
    await(&a);
    EXPECT_EQ(a.op.result, -EPIPE);
}

/* ---- sending ---- */

EACH_END(attached, sends_when_there_is_room_again)
{
    act a;
    for (int i = 0; i < 3; i++) {
        fill(e, &a);
        drain(e, &a);
        EXPECT(a.op.result > 0);
    }
}

EACH_END(attached, sends_and_receives_at_once)
{
    act in = new_attached(e->loop, CR_OP_RECV, e->a, sizeof in.buf);
    act out;
    submit(&in);
    fill(e, &out);
    EXPECT(in.pending && out.pending);
    push(e, e->b, "x");
    await(&in);
    EXPECT_EQ(in.op.result, 1);
    EXPECT(out.pending);
    submit(&in);
    drain(e, &out);
    EXPECT(out.op.result > 0);
    settle(&in);
    EXPECT(in.pending);
    cr_loop_cancel(e->loop, &in.op);
    await(&in);
}

EACH_END(attached, a_pending_send_ends_with_the_peer)
{
    act a;
    fill(e, &a);
    close_attached(e->loop, e->b);
    e->b.generation = 0;
    await(&a);
    EXPECT(a.op.result == -EPIPE || a.op.result == -ECONNRESET);
}

EACH_END(attached, sends_nothing_after_the_end)
{
    act a = new_attached(e->loop, CR_OP_SEND, e->a, 1);
    EXPECT_EQ(CALL(e->loop, shutdown, e->a.number, SHUT_WR), 0);
    submit(&a);
    await(&a);
    EXPECT_EQ(a.op.result, -EPIPE);
}

/* ---- cancelling ---- */

EACH_END(attached, a_cancelled_receive_takes_nothing)
{
    act a;
    for (int i = 0; i < 200; i++) {
        a = new_attached(e->loop, CR_OP_RECV, e->a, 1);
        submit(&a);
        if (i % 4 > 1)
            turn(e->loop);
        if (i % 2)
            push(e, e->b, "x");
        if (a.pending)
            cr_loop_cancel(e->loop, &a.op);
        if (i % 2 == 0)
            push(e, e->b, "x");
        await(&a);
        EXPECT(a.op.result == 1 || a.op.result == -ECANCELED);
        if (a.op.result != 1)
            EXPECT_EQ(receive(e->loop, e->a, &a, 1), 1);
    }
    a = new_attached(e->loop, CR_OP_RECV, e->a, 1);
    submit(&a);
    settle(&a);
    EXPECT(a.pending);
    cr_loop_cancel(e->loop, &a.op);
    await(&a);
}

EACH_END(attached, a_cancel_has_one_completion)
{
    act in = new_attached(e->loop, CR_OP_RECV, e->a, 1);
    act out;
    submit(&in);
    fill(e, &out);
    EXPECT(in.pending && out.pending);
    cr_loop_cancel(e->loop, &out.op);
    cr_loop_cancel(e->loop, &in.op);
    cr_loop_cancel(e->loop, &in.op);
    EXPECT(in.pending && out.pending);
    await(&in);
    await(&out);
    turn(e->loop);
    EXPECT_EQ(in.op.result, -ECANCELED);
    EXPECT_EQ(out.op.result, -ECANCELED);
    EXPECT_EQ(in.completions, 1);
    EXPECT_EQ(out.completions, 1);
}

/* Room, or an event, may come before the turn that cancels, in it, or not at all. */
EACH_END(attached, a_cancelled_send_and_a_cancelled_poll_complete_once_whatever_meets_them)
{
    for (int i = 0; i < 12; i++) {
        act out, in = new_attached(e->loop, CR_OP_POLL, e->a, 0);
        fill(e, &out);
        in.op.events = EPOLLIN;
        submit(&in);
        EXPECT(in.pending && out.pending);
        if (i % 2)
            turn(e->loop);
        if (i % 3) {
            push(e, e->b, "x");
            for (ssize_t n = 1; n > 0;)
                n = CALL(e->loop, recv, e->b.number, block, sizeof block, 0);
        }
        if (i % 3 == 2)
            cr_turn(e->loop, false, 0);
        if (in.pending)
            cr_loop_cancel(e->loop, &in.op);
        if (out.pending)
            cr_loop_cancel(e->loop, &out.op);
        await(&in);
        await(&out);
        turn(e->loop);
        EXPECT(in.completions == 1 && out.completions == 1);
        EXPECT(in.op.result == -ECANCELED || (i % 3 && (in.op.result & EPOLLIN)));
        EXPECT(out.op.result == -ECANCELED || (i % 3 && out.op.result > 0));
        for (act a; i % 3;) {
            EXPECT_EQ(receive(e->loop, e->a, &a, 1), 1);
            break;
        }
    }
}

EACH_END(attached, a_completion_cancels_the_other_direction)
{
    act in = new_attached(e->loop, CR_OP_RECV, e->a, 1);
    act out;
    fill(e, &out);
    in.other = &out;
    in.cancels = true;
    submit(&in);
    push(e, e->b, "x");
    await(&in);
    await(&out);
    EXPECT_EQ(in.op.result, 1);
    EXPECT_EQ(out.op.result, -ECANCELED);
    EXPECT_EQ(out.completions, 1);
}

/* The second is submitted by the completion of the first, in the same turn as its data came. */
EACH_END(attached, a_completion_submits)
{
    act first = new_attached(e->loop, CR_OP_RECV, e->a, 1);
    act second = new_attached(e->loop, CR_OP_RECV, e->a, 1);
    first.other = &second;
    submit(&first);
    push(e, e->b, "xy");
    await(&first);
    await(&second);
    EXPECT_EQ(first.op.result, 1);
    EXPECT_EQ(second.op.result, 1);
    EXPECT_EQ(second.buf[0], 'y');
}

/* ---- polling ---- */

EACH_END(attached, polls_for_what_becomes_ready)
{
    act in = new_attached(e->loop, CR_OP_POLL, e->a, 0);
    in.op.events = EPOLLIN;
    submit(&in);
    settle(&in);
    EXPECT(in.pending);
    push(e, e->b, "x");
    await(&in);
    EXPECT(in.op.result > 0 && (in.op.result & EPOLLIN));
    EXPECT_EQ(receive(e->loop, e->a, &in, 1), 1);
}

EACH_END(attached, polls_beside_a_receive)
{
    act poll_of = new_attached(e->loop, CR_OP_POLL, e->a, 0);
    act in = new_attached(e->loop, CR_OP_RECV, e->a, 1);
    poll_of.op.events = EPOLLIN;
    submit(&in);
    submit(&poll_of);
    settle(&in);
    EXPECT(in.pending && poll_of.pending);
    push(e, e->b, "x");
    await(&in);
    EXPECT_EQ(in.op.result, 1);
    if (poll_of.pending)
        cr_loop_cancel(e->loop, &poll_of.op);
    await(&poll_of);
    EXPECT(poll_of.op.result > 0 || poll_of.op.result == -ECANCELED);
    EXPECT_EQ(poll_of.completions, 1);
}

EACH_END(attached, polls_for_room)
{
    act a, out = new_attached(e->loop, CR_OP_POLL, e->a, 0);
    fill(e, &a);
    cr_loop_cancel(e->loop, &a.op);
    await(&a);
    out.op.events = EPOLLOUT;
    submit(&out);
    settle(&out);
    EXPECT(out.pending);
    drain(e, &out);
    EXPECT(out.op.result > 0 && (out.op.result & EPOLLOUT));
}

EACH_END(attached, a_poll_is_told_of_the_end)
{
    act in = new_attached(e->loop, CR_OP_POLL, e->a, 0);
    in.op.events = EPOLLIN;
    submit(&in);
    settle(&in);
    close_attached(e->loop, e->b);
    e->b.generation = 0;
    await(&in);
    EXPECT(in.op.result > 0);
    EXPECT_EQ(receive(e->loop, e->a, &in, 1), 0);
}

EACH_END(attached, a_cancelled_poll_ends)
{
    act in = new_attached(e->loop, CR_OP_POLL, e->a, 0);
    in.op.events = EPOLLIN;
    submit(&in);
    EXPECT(in.pending);
    cr_loop_cancel(e->loop, &in.op);
    cr_loop_cancel(e->loop, &in.op);
    EXPECT_EQ(in.completions, 0);
    await(&in);
    EXPECT_EQ(in.op.result, -ECANCELED);
    turn(e->loop);
    EXPECT_EQ(in.completions, 1);
}

/* ---- closing ---- */

EACH_END(attached, what_is_closed_is_a_bad_descriptor_also_where_its_number_is_used_again)
{
    static const enum cr_op_code codes[] = { CR_OP_RECV, CR_OP_SEND, CR_OP_POLL };
    cr_fd stale = e->a;
    int other[2], peer = -1;
    close_attached(e->loop, e->a);
    for (int again = 0; again < 2; again++) {
        for (size_t i = 0; i < CRANK_COUNT(codes); i++) {
            act a = new_attached(e->loop, codes[i], stale, 1);
            a.op.events = EPOLLIN;
            submit(&a);
            EXPECT(!a.pending);
            EXPECT_EQ(a.op.result, -EBADF);
        }
        if (again)
            break;
        EXPECT_EQ(CALL(e->loop, socket_pair, AF_UNIX, SOCK_STREAM, other), 0);
        EXPECT(other[0] == stale.number || other[1] == stale.number);
        peer = other[0] == stale.number ? other[1] : other[0];
        e->a = attach(e->loop, stale.number, CR_FD_OTHER);
        EXPECT(e->a.generation != stale.generation);
    }
    act a = new_attached(e->loop, CR_OP_RECV, e->a, 1);
    submit(&a);
    settle(&a);
    EXPECT(a.pending);
    EXPECT_EQ(CALL(e->loop, send, peer, "x", 1, 0), 1);
    await(&a);
    EXPECT_EQ(a.op.result, 1);
    EXPECT_EQ(CALL(e->loop, close, peer), 0);
}

/* A descriptor that was polled by its number is known to the kernel already. */
EACH_END(attached, one_that_was_polled_before_is_attached)
{
    int fds[2];
    EXPECT_EQ(CALL(e->loop, socket_pair, AF_UNIX, SOCK_STREAM, fds), 0);
    EXPECT_EQ(CALL(e->loop, send, fds[1], "x", 1, 0), 1);
    await_ready(e->loop, fds[0], EPOLLIN);
    EXPECT_EQ(CALL(e->loop, recv, fds[0], block, 1, 0), 1);
    cr_fd fd = attach(e->loop, fds[0], CR_FD_OTHER);
    act a = new_attached(e->loop, CR_OP_RECV, fd, 1);
    submit(&a);
    settle(&a);
    EXPECT(a.pending);
    EXPECT_EQ(CALL(e->loop, send, fds[1], "y", 1, 0), 1);
    await(&a);
    EXPECT_EQ(a.op.result, 1);
    EXPECT_EQ(a.buf[0], 'y');
    close_attached(e->loop, fd);
    EXPECT_EQ(CALL(e->loop, close, fds[1]), 0);
}
