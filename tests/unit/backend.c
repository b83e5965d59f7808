/* SPDX-License-Identifier: MIT */
/* backend.c: the contract of backend/backend.h, the same on every backend. */
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "acts.h"

static void read_waits_for_data(crank_loop *loop, int flags)
{
    int ends[2];
    open_pipe(ends, flags);
    act a = new_act(loop, CR_OP_READ, ends[0], sizeof a.buf);
    submit(&a);
    EXPECT(a.pending);
    settle(&a);
    EXPECT(a.pending);
    EXPECT_EQ(write(ends[1], "hello", 5), 5);
    await(&a);
    EXPECT_EQ(a.op.result, 5);
    EXPECT(memcmp(a.buf, "hello", 5) == 0);
    EXPECT_EQ(a.completions, 1);
    EXPECT_EQ(loop->in_flight, 0);
    close_both(ends);
}

EACH_LOOP(backend, reads_when_there_is_something) { read_waits_for_data(loop, O_NONBLOCK); }
EACH_LOOP(backend, does_not_block_on_a_blocking_descriptor) { read_waits_for_data(loop, 0); }

EACH_LOOP(backend, reads_what_is_there_already)
{
    int ends[2];
    open_pipe(ends, 0);
    EXPECT_EQ(write(ends[1], "abc", 3), 3);
    act a = new_act(loop, CR_OP_READ, ends[0], 2);
    submit(&a);
    await(&a);
    EXPECT_EQ(a.op.result, 2);
    close(ends[1]);
    act b = new_act(loop, CR_OP_READ, ends[0], sizeof b.buf);
    submit(&b);
    await(&b);
    EXPECT_EQ(b.op.result, 1);
    act end = new_act(loop, CR_OP_READ, ends[0], sizeof end.buf);
    submit(&end);
    await(&end);
    EXPECT_EQ(end.op.result, 0);
    close(ends[0]);
}

EACH_LOOP(backend, ends_a_pending_read_when_the_writer_goes)
{
    int ends[2];
    open_pipe(ends, 0);
    act a = new_act(loop, CR_OP_READ, ends[0], sizeof a.buf);
    submit(&a);
    settle(&a);
    close(ends[1]);
    await(&a);
    EXPECT_EQ(a.op.result, 0);
    close(ends[0]);
}

/* In pieces where the kernel cannot be asked to write what there is room for (under an emulator). */
static void fill(crank_loop *loop, int end, void *block, size_t size)
{
    for (size_t written = 0; written < size;) {
        act a = new_act(loop, CR_OP_WRITE, end, size - written);
        a.op.buf = block;
        submit(&a);
        await(&a);
        EXPECT(a.op.result > 0 && (a.op.result == (long)(size - written) || getenv("TEST_EMULATED")));
        written += (size_t)a.op.result;
    }
}

static void write_waits_for_room(crank_loop *loop, int flags)
{
    static char block[65536];
    int ends[2];
    open_pipe(ends, flags);
    EXPECT_EQ(fcntl(ends[1], F_SETPIPE_SZ, 65536), 65536);
    fill(loop, ends[1], block, sizeof block);
    act a = new_act(loop, CR_OP_WRITE, ends[1], 4096);
    a.op.buf = block;
    submit(&a);
    settle(&a);
    EXPECT(a.pending);
    EXPECT_EQ(read(ends[0], block, sizeof block), 65536);
    await(&a);
    EXPECT_EQ(a.op.result, 4096);
    close_both(ends);
}

EACH_LOOP(backend, writes_when_there_is_room) { write_waits_for_room(loop, O_NONBLOCK); }
EACH_LOOP(backend, does_not_block_on_a_full_blocking_pipe) { write_waits_for_room(loop, 0); }

EACH_LOOP(backend, polls_for_the_events_asked_for)
{
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    act in = new_act(loop, CR_OP_POLL, ends[0], 0);
    in.op.events = EPOLLIN;
    submit(&in);
    settle(&in);
    EXPECT(in.pending);
    act out = new_act(loop, CR_OP_POLL, ends[0], 0);
    out.op.events = EPOLLOUT;
    submit(&out);
    await(&out);
    EXPECT(out.op.result & EPOLLOUT);
    EXPECT(in.pending);
    EXPECT_EQ(write(ends[1], "x", 1), 1);
    await(&in);
    EXPECT(in.op.result & EPOLLIN);
    EXPECT(!(in.op.result & EPOLLOUT));
    close_both(ends);
}

EACH_LOOP(backend, tells_a_poll_of_a_hang_up_it_did_not_ask_for)
{
    int ends[2];
    open_pipe(ends, 0);
    act a = new_act(loop, CR_OP_POLL, ends[0], 0);
    a.op.events = EPOLLPRI;
    submit(&a);
    settle(&a);
    EXPECT(a.pending);
    close(ends[1]);
    await(&a);
    EXPECT(a.op.result & EPOLLHUP);
    close(ends[0]);
}

EACH_LOOP(backend, cancels_with_one_final_completion)
{
    int ends[2];
    open_pipe(ends, 0);
    act a = new_act(loop, CR_OP_READ, ends[0], sizeof a.buf);
    submit(&a);
    EXPECT(a.pending);
    cr_loop_cancel(loop, &a.op);
    cr_loop_cancel(loop, &a.op);
    EXPECT_EQ(a.completions, 0);
    await(&a);
    EXPECT_EQ(a.op.result, -ECANCELED);
    for (int i = 0; i < 3; i++)
        cr_turn(loop, false, 0);
    EXPECT_EQ(a.completions, 1);
    EXPECT_EQ(loop->in_flight, 0);
    close_both(ends);
}

/* A WRITE that waits for room: before its turn nothing was written; where room came in the same turn it has written all
 * of it or none; behind it there is nothing to cancel. */
EACH_LOOP(backend, writes_all_or_nothing_when_a_cancel_and_room_meet)
{
    static char block[65536];
    int ends[2];
    open_pipe(ends, O_NONBLOCK);
    EXPECT_EQ(fcntl(ends[1], F_SETPIPE_SZ, 65536), 65536);
    fill(loop, ends[1], block, sizeof block);
    for (int i = 0; i < 100; i++) {
        ssize_t room = i % 4 ? 4096 : 0;
        act a = new_act(loop, CR_OP_WRITE, ends[1], 4096);
        a.op.buf = block;
        submit(&a);
        EXPECT(a.pending);
        if (i % 2)
            cr_turn(loop, false, 0);
        if (room)
            EXPECT_EQ(read(ends[0], block, 4096), room);
        if (i % 4 == 3)
            cr_turn(loop, false, 0);
        if (a.pending)
            cr_loop_cancel(loop, &a.op);
        await(&a);
        EXPECT(a.op.result == -ECANCELED || (room && a.op.result == room));
        EXPECT_EQ(a.completions, 1);
        if (room && a.op.result < 0)
            fill(loop, ends[1], block, 4096);
        EXPECT_EQ(write(ends[1], block, 1), -1);
    }
    EXPECT_EQ(loop->in_flight, 0);
    close_both(ends);
}

/* Whoever sleeps on the loop's descriptor learns of it there or from crank_loop_next. */
static void cancel_between_turns(crank_loop *loop)
{
    int ends[2];
    struct pollfd turns = { .fd = crank_loop_fd(loop), .events = POLLIN };
    EXPECT(turns.fd >= 0);
    open_pipe(ends, 0);
    act a = new_act(loop, CR_OP_READ, ends[0], 1);
    submit(&a);
    settle(&a);
    EXPECT(a.pending);
    EXPECT(crank_loop_next(loop) > 0 && poll(&turns, 1, 0) == 0);
    cr_loop_cancel(loop, &a.op);
    EXPECT(crank_loop_next(loop) <= 0 || poll(&turns, 1, 1000) == 1);
    crank_loop_run_once(loop, 0);
    EXPECT(!a.pending && crank_loop_next(loop) > 0);
    close_both(ends);
}
TEST(backend, a_cancel_between_turns_shows_on_epoll) { with_loop(CRANK_BACKEND_EPOLL, cancel_between_turns); }
TEST(backend, a_cancel_between_turns_shows_on_uring) { with_loop(CRANK_BACKEND_URING, cancel_between_turns); }

EACH_LOOP(backend, loses_no_byte_when_a_cancel_and_data_meet)
{
    int ends[2];
    char byte;
    open_pipe(ends, O_NONBLOCK);
    for (int i = 0; i < 200; i++) {
        act a = new_act(loop, CR_OP_READ, ends[0], 1);
        submit(&a);
        if (i % 2)
            cr_turn(loop, false, 0);
        EXPECT_EQ(write(ends[1], "x", 1), 1);
        if (a.pending)
            cr_loop_cancel(loop, &a.op);
        await(&a);
        EXPECT(a.op.result == 1 || a.op.result == -ECANCELED);
        EXPECT_EQ(read(ends[0], &byte, 1), a.op.result == 1 ? -1 : 1);
    }
    close_both(ends);
}

EACH_LOOP(backend, cancels_one_of_two_readers_of_a_descriptor)
{
    int ends[2];
    open_pipe(ends, 0);
    act a = new_act(loop, CR_OP_READ, ends[0], 1);
    act b = new_act(loop, CR_OP_READ, ends[0], 1);
    submit(&a);
    submit(&b);
    EXPECT(a.pending && b.pending);
    cr_loop_cancel(loop, &a.op);
    await(&a);
    EXPECT_EQ(a.op.result, -ECANCELED);
    settle(&b);
    EXPECT(b.pending);
    EXPECT_EQ(write(ends[1], "x", 1), 1);
    await(&b);
    EXPECT_EQ(b.op.result, 1);
    close_both(ends);
}

EACH_LOOP(backend, serves_two_readers_of_a_descriptor_one_byte_each)
{
    int ends[2];
    open_pipe(ends, 0);
    act a = new_act(loop, CR_OP_READ, ends[0], 1);
    act b = new_act(loop, CR_OP_READ, ends[0], 1);
    submit(&a);
    submit(&b);
    EXPECT_EQ(write(ends[1], "x", 1), 1);
    while (a.pending && b.pending)
        cr_turn(loop, true, CR_NEVER);
    EXPECT(a.pending != b.pending);
    EXPECT_EQ(write(ends[1], "y", 1), 1);
    await(&a);
    await(&b);
    EXPECT_EQ(a.op.result + b.op.result, 2);
    close_both(ends);
}

EACH_LOOP(backend, lets_a_completion_cancel_another_of_the_same_turn)
{
    int first[2];
    int second[2];
    open_pipe(first, 0);
    open_pipe(second, 0);
    act a = new_act(loop, CR_OP_READ, first[0], 1);
    act b = new_act(loop, CR_OP_READ, second[0], 1);
    a.other = &b;
    b.other = &a;
    a.cancels = b.cancels = true;
    submit(&a);
    submit(&b);
    EXPECT_EQ(write(first[1], "x", 1), 1);
    EXPECT_EQ(write(second[1], "y", 1), 1);
    await(&a);
    await(&b);
    EXPECT(a.op.result == 1 || b.op.result == 1);
    EXPECT(a.op.result == 1 || a.op.result == -ECANCELED);
    EXPECT(b.op.result == 1 || b.op.result == -ECANCELED);
    EXPECT_EQ(a.completions + b.completions, 2);
    close_both(first);
    close_both(second);
}

EACH_LOOP(backend, lets_a_completion_submit)
{
    int ends[2];
    open_pipe(ends, 0);
    act a = new_act(loop, CR_OP_READ, ends[0], 1);
    act b = new_act(loop, CR_OP_READ, ends[0], 1);
    a.other = &b;
    submit(&a);
    EXPECT_EQ(write(ends[1], "x", 1), 1);
    await(&a);
    EXPECT(b.pending);
    EXPECT_EQ(write(ends[1], "y", 1), 1);
    await(&b);
    EXPECT_EQ(b.op.result, 1);
    EXPECT_EQ(b.buf[0], 'y');
    EXPECT_EQ(loop->in_flight, 0);
    close_both(ends);
}

EACH_LOOP(backend, refuses_a_descriptor_that_is_not_open)
{
    static const enum cr_op_code codes[] = { CR_OP_READ, CR_OP_WRITE, CR_OP_POLL };
    for (size_t i = 0; i < CRANK_COUNT(codes); i++)
        for (int fd = -1; fd < 5000; fd += 5000) {
            act a = new_act(loop, codes[i], fd, 1);
            a.op.events = EPOLLIN;
            submit(&a);
            await(&a);
            EXPECT_EQ(a.op.result, -EBADF);
        }
    EXPECT_EQ(loop->in_flight, 0);
}

EACH_LOOP(backend, reads_and_writes_files_at_an_offset)
{
    int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    EXPECT(fd >= 0);
    act a = new_act(loop, CR_OP_WRITE, fd, 6);
    memcpy(a.buf, "abcdef", 6);
    a.op.offset = 10;
    submit(&a);
    await(&a);
    EXPECT_EQ(a.op.result, 6);
    act b = new_act(loop, CR_OP_READ, fd, 4);
    b.op.offset = 12;
    submit(&b);
    await(&b);
    EXPECT_EQ(b.op.result, 4);
    EXPECT(memcmp(b.buf, "cdef", 4) == 0);
    act c = new_act(loop, CR_OP_READ, fd, 64);
    submit(&c);
    await(&c);
    EXPECT_EQ(c.op.result, 16);
    act d = new_act(loop, CR_OP_READ, fd, 64);
    d.op.offset = 1000;
    submit(&d);
    await(&d);
    EXPECT_EQ(d.op.result, 0);
    act e = new_act(loop, CR_OP_POLL, fd, 0);
    e.op.events = EPOLLIN;
    submit(&e);
    await(&e);
    EXPECT(e.op.result & EPOLLIN);
    close(fd);
}

EACH_LOOP(backend, carries_many_operations_at_once)
{
    enum { many = 200 };
    static int ends[many][2];
    static act acts[many];
    for (int i = 0; i < many; i++) {
        open_pipe(ends[i], 0);
        acts[i] = new_act(loop, CR_OP_READ, ends[i][0], 8);
        submit(&acts[i]);
        EXPECT(acts[i].pending);
    }
    EXPECT_EQ(loop->in_flight, many);
    for (int i = 0; i < many; i += 2)
        EXPECT_EQ(write(ends[i][1], &i, sizeof i), (ssize_t)sizeof i);
    for (int i = 1; i < many; i += 2)
        cr_loop_cancel(loop, &acts[i].op);
    for (int i = 0; i < many; i++) {
        int got;
        await(&acts[i]);
        EXPECT_EQ(acts[i].op.result, i % 2 ? -ECANCELED : (long)sizeof i);
        memcpy(&got, acts[i].buf, sizeof got);
        EXPECT(i % 2 || got == i);
        close_both(ends[i]);
    }
    EXPECT_EQ(loop->in_flight, 0);
}

EACH_LOOP(backend, turns_wait_until_the_deadline_and_not_less)
{
    for (int i = 0; i < 20; i++) {
        int64_t deadline = cr_now(loop) + 50000 * i;
        loop->backend->type->turn(loop->backend, deadline);
        EXPECT(cr_now(loop) >= deadline);
    }
    EXPECT_EQ(loop->backend->type->turn(loop->backend, INT64_MIN), 0);
}

static void *wake(void *arg)
{
    cr_backend *backend = arg;
    backend->type->wake(backend);
    return NULL;
}

EACH_LOOP(backend, wakes_once_from_another_thread)
{
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        EXPECT_EQ(pthread_create(&thread, NULL, wake, loop->backend), 0);
        EXPECT_EQ(loop->backend->type->turn(loop->backend, CR_NEVER), 0);
        EXPECT_EQ(pthread_join(thread, NULL), 0);
        int64_t deadline = cr_now(loop) + 100000;
        loop->backend->type->turn(loop->backend, deadline);
        EXPECT(cr_now(loop) >= deadline);
    }
}

static uint32_t asked_for;
static int note_events(void *context, int epfd, int how, int fd, struct epoll_event *event)
{
    asked_for = event ? event->events & (EPOLLIN | EPOLLOUT) : 0;
    return cr_sys_real.epoll_ctl(context, epfd, how, fd, event);
}
TEST(epoll, asks_for_nothing_that_was_cancelled)
{
    cr_sys sys = cr_sys_real;
    sys.epoll_ctl = note_events;
    crank_loop *loop = open_with(&(crank_options){ .backend = CRANK_BACKEND_EPOLL }, &sys);
    int ends[2];
    char full[4096] = { 0 };
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    while (write(ends[0], full, sizeof full) > 0)
        continue;
    act reader = new_act(loop, CR_OP_READ, ends[0], 1);
    act writer = new_act(loop, CR_OP_POLL, ends[0], 0);
    writer.op.events = EPOLLOUT;
    submit(&reader);
    EXPECT(reader.pending);
    EXPECT_EQ(asked_for, EPOLLIN);
    cr_loop_cancel(loop, &reader.op);
    await(&reader);
    submit(&writer);
    EXPECT(writer.pending);
    EXPECT_EQ(asked_for, EPOLLOUT);
    cr_loop_cancel(loop, &writer.op);
    await(&writer);
    close_both(ends);
    crank_loop_free(loop);
}

static int interrupt_wait(void *context, int fd, struct epoll_event *events, int most, int64_t span)
{
    return span != 0 ? -EINTR : cr_sys_real.epoll_wait(context, fd, events, most, span);
}
TEST(epoll, a_wait_that_a_signal_ends_has_what_came_before)
{
    cr_sys sys = cr_sys_real;
    sys.epoll_wait = interrupt_wait;
    crank_loop *loop = open_with(&(crank_options){ .backend = CRANK_BACKEND_EPOLL }, &sys);
    int ends[2];
    open_pipe(ends, 0);
    act a = new_act(loop, CR_OP_READ, ends[0], sizeof a.buf);
    submit(&a);
    EXPECT(a.pending);
    EXPECT_EQ(write(ends[1], "hello", 5), 5);
    loop->in_flight -= (size_t)loop->backend->type->turn(loop->backend, CR_NEVER);
    EXPECT(!a.pending);
    close_both(ends);
    crank_loop_free(loop);
}

static int refused; /* EPOLL_CTL_: the kind of control that fails */
static int refuse_control(void *context, int epfd, int how, int fd, struct epoll_event *event)
{
    if (how == refused)
        return -ENOMEM;
    return cr_sys_real.epoll_ctl(context, epfd, how, fd, event);
}

TEST(epoll, one_that_cannot_be_armed_leaves_those_before_it_waiting)
{
    cr_sys sys = cr_sys_real;
    sys.epoll_ctl = refuse_control;
    crank_loop *loop = open_with(&(crank_options){ .backend = CRANK_BACKEND_EPOLL }, &sys);
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    act in = new_act(loop, CR_OP_POLL, ends[0], 0);
    in.op.events = EPOLLIN;
    submit(&in);
    act out = new_act(loop, CR_OP_POLL, ends[0], 0);
    out.op.events = EPOLLOUT;
    refused = EPOLL_CTL_MOD;
    submit(&out);
    EXPECT(in.pending && !out.pending);
    EXPECT_EQ(out.op.result, -ENOMEM);
    EXPECT_EQ(write(ends[1], "x", 1), 1);
    await(&in);
    EXPECT_EQ(in.op.result, EPOLLIN);
    close_both(ends);
    crank_loop_free(loop);
}

TEST(epoll, one_whose_number_was_given_away_is_told_when_the_new_file_cannot_be_armed)
{
    cr_sys sys = cr_sys_real;
    sys.epoll_ctl = refuse_control;
    crank_loop *loop = open_with(&(crank_options){ .backend = CRANK_BACKEND_EPOLL }, &sys);
    int old[2];
    int new[2];
    open_pipe(old, 0);
    act first = new_act(loop, CR_OP_POLL, old[0], 0);
    first.op.events = EPOLLIN;
    submit(&first);
    EXPECT(first.pending);
    open_pipe(new, 0);
    EXPECT_EQ(dup3(new[0], old[0], O_CLOEXEC), old[0]);
    act second = new_act(loop, CR_OP_POLL, old[0], 0);
    second.op.events = EPOLLPRI;
    refused = EPOLL_CTL_ADD;
    submit(&second);
    EXPECT_EQ(second.op.result, -ENOMEM);
    EXPECT(first.pending);
    cr_turn(loop, false, 0);
    EXPECT(!first.pending);
    EXPECT_EQ(first.op.result, -ENOMEM);
    close_both(old);
    close_both(new);
    crank_loop_free(loop);
}

TEST(epoll, places_of_completed_operations_are_used_again)
{
    crank_loop *loop = open_loop(CRANK_BACKEND_EPOLL, 0);
    int ends[2];
    open_pipe(ends, 0);
    for (int i = 0; i < 200; i++) {
        act a = new_act(loop, CR_OP_READ, ends[0], 1);
        submit(&a);
        EXPECT(a.pending);
        EXPECT_EQ(a.op.slot, 1);
        EXPECT_EQ(write(ends[1], "x", 1), 1);
        await(&a);
    }
    close_both(ends);
    crank_loop_free(loop);
}

/* Another number keeps the file open, and epoll's registration with it: the event still comes, but the number cannot
 * be armed again, and all who wait at it are told. When it is the same file again it can be waited for again. */
TEST(epoll, all_who_wait_at_a_number_that_was_closed_are_told)
{
    crank_loop *loop = open_loop(CRANK_BACKEND_EPOLL, 0);
    int ends[2];
    char full[4096] = { 0 };
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    while (write(ends[0], full, sizeof full) > 0)
        continue;
    act reader = new_act(loop, CR_OP_READ, ends[0], sizeof reader.buf);
    act writer = new_act(loop, CR_OP_POLL, ends[0], 0);
    act other = new_act(loop, CR_OP_POLL, ends[0], 0);
    writer.op.events = other.op.events = EPOLLOUT;
    submit(&reader);
    submit(&writer);
    submit(&other);
    EXPECT(reader.pending && writer.pending && other.pending);
    int kept = fcntl(ends[0], F_DUPFD_CLOEXEC, 100);
    EXPECT(kept >= 100);
    close(ends[0]);
    EXPECT_EQ(write(ends[1], "x", 1), 1);
    await(&reader);
    await(&writer);
    await(&other);
    EXPECT_EQ(reader.op.result, -EBADF);
    EXPECT_EQ(writer.op.result, -EBADF);
    EXPECT_EQ(other.op.result, -EBADF);
    EXPECT_EQ(dup3(kept, ends[0], O_CLOEXEC), ends[0]);
    submit(&reader);
    await(&reader);
    EXPECT_EQ(reader.op.result, 1);
    submit(&reader);
    EXPECT(reader.pending);
    EXPECT_EQ(write(ends[1], "y", 1), 1);
    await(&reader);
    EXPECT_EQ(reader.op.result, 1);
    close(kept);
    close_both(ends);
    crank_loop_free(loop);
}
