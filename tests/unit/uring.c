/* SPDX-License-Identifier: MIT */
/* uring.c: what is io_uring's own: a kernel that refuses, rings that are full. What it tells to try again is in
 * uring_again.c, the contract it shares with the other backends in backend.c. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "uring.h"

#define MANY 3000

TEST(uring, says_what_the_kernel_said_when_it_is_refused)
{
    static const int errors[] = { -EPERM, -ENOSYS, -EACCES, -ENOMEM };
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        cr_sys sys = table();
        doors.setup_errors[0] = errors[i];
        EXPECT_EQ(type->open(&sys, 0, &backend), errors[i]);
        EXPECT_EQ(doors.setups, 1);
    }
}

TEST(uring, an_older_kernel_gets_the_older_flags)
{
    cr_sys sys = table();
    doors.setup_errors[0] = -EINVAL;
    open_on(&sys);
    EXPECT_EQ(doors.setups, 2);
    EXPECT(doors.setup_flags[0] & IORING_SETUP_DEFER_TASKRUN);
    EXPECT(!(doors.setup_flags[1] & IORING_SETUP_DEFER_TASKRUN));
    int ends[2];
    char buf[8];
    EXPECT_EQ(pipe(ends), 0);
    cr_op op = reading(ends[0], buf, sizeof buf);
    submit(&op);
    look(2);
    EXPECT_EQ(completions, 0);
    EXPECT_EQ(write(ends[1], "abc", 3), 3);
    await(1);
    EXPECT_EQ(op.result, 3);
    type->wake(backend);
    int64_t before = now();
    EXPECT_EQ(type->turn(backend, before + SOON), 0);
    EXPECT(now() < before + SOON);
    close(ends[0]);
    close(ends[1]);
    type->close(backend);
}

TEST(uring, a_kernel_too_old_is_refused)
{
    cr_sys sys = table();
    doors.setup_errors[0] = doors.setup_errors[1] = -EINVAL;
    EXPECT_EQ(type->open(&sys, 0, &backend), -EINVAL);
    EXPECT_EQ(doors.setups, 2);
    sys = table();
    doors.lacking = IORING_FEAT_EXT_ARG;
    int result = type->open(&sys, 0, &backend);
    EXPECT(result == -ENOSYS || result == -EPERM || result == -EINVAL);
}

TEST(uring, what_fails_while_opening_leaves_nothing_behind)
{
    cr_sys sys = table();
    open_on(&sys);
    type->close(backend);
    for (int door = 0; door < 6; door++) {
        sys = table();
        doors.allocs_left = door == 0 ? 0 : UINT32_MAX;
        doors.maps_left = door == 1 || door == 2 ? (unsigned)door - 1 : UINT32_MAX;
        doors.advise_error = door == 3 ? -EINVAL : 0;
        doors.eventfd_error = door == 4 ? -EMFILE : 0;
        doors.register_error = door == 5 ? -EPERM : 0; /* a filter of system calls that only lets rings be made */
        EXPECT_EQ(type->open(&sys, 0, &backend), door == 5 ? -EPERM : door == 4 ? -EMFILE : -ENOMEM);
    }
}

TEST(uring, a_slot_that_cannot_be_made_is_an_error_now)
{
    cr_sys sys = table();
    open_on(&sys);
    doors.allocs_left = 0;
    char buf[8];
    cr_op op = reading(0, buf, sizeof buf);
    EXPECT_EQ(type->submit(backend, &op), CR_DONE_NOW);
    EXPECT_EQ(op.result, -ENOMEM);
    op.code = (enum cr_op_code)99;
    EXPECT_EQ(type->submit(backend, &op), CR_DONE_NOW);
    EXPECT_EQ(op.result, -EINVAL);
    type->close(backend);
}

/* A signal, or the limit of a thread that had no processor until then: the loop takes what is due behind that turn. */
TEST(uring, a_wait_that_ends_early_has_what_came_before_its_end)
{
    static const int errors[] = { -EINTR, -ETIME };
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        cr_sys sys = table();
        open_on(&sys);
        int ends[2];
        char buf[8];
        EXPECT_EQ(pipe(ends), 0);
        cr_op op = reading(ends[0], buf, sizeof buf);
        submit(&op);
        look(2);
        EXPECT_EQ(write(ends[1], "abc", 3), 3);
        doors.wait_error = errors[i];
        type->turn(backend, now() + SOON);
        EXPECT_EQ(doors.wait_error, 0);
        EXPECT_EQ(completions, 1);
        close(ends[0]);
        close(ends[1]);
        type->close(backend);
    }
}

TEST(uring, a_look_that_finds_nothing_costs_no_call)
{
    cr_sys sys = table();
    open_on(&sys);
    look(2);
    unsigned before = doors.enters;
    look(1000);
    EXPECT_EQ(doors.enters, before);
    int ends[2];
    char buf[8];
    EXPECT_EQ(pipe(ends), 0);
    cr_op op = reading(ends[0], buf, sizeof buf);
    submit(&op);
    look(100);
    EXPECT_EQ(doors.enters, before + 1);
    EXPECT_EQ(write(ends[1], "x", 1), 1);
    look(1);
    EXPECT_EQ(completions, 1);
    close(ends[0]);
    close(ends[1]);
    type->close(backend);
}

TEST(uring, a_turn_is_one_call)
{
    cr_sys sys = table();
    open_on(&sys);
    look(2);
    int event = eventfd(0, EFD_CLOEXEC);
    uint64_t value = 1;
    cr_op op = { .code = CR_OP_WRITE, .fd = event, .buf = &value, .size = 8, .offset = -1, .completed = completed };
    unsigned before = doors.enters;
    submit(&op);
    EXPECT_EQ(type->turn(backend, now() + SOON), 1);
    EXPECT_EQ(doors.enters, before + 1);
    close(event);
    type->close(backend);
}

static cr_op ops[MANY];
static uint64_t values[MANY];

/* Far more than the rings have room for, on one descriptor. */
static int submit_many(void)
{
    int event = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
    EXPECT(event >= 0);
    for (int i = 0; i < MANY; i++) {
        ops[i] = reading(event, &values[i], 8);
        submit(&ops[i]);
    }
    return event;
}

TEST(uring, more_operations_than_the_rings_hold_are_all_completed)
{
    open_on(&cr_sys_real);
    int event = submit_many();
    look(3);
    EXPECT_EQ(completions, 0);
    uint64_t all = MANY;
    EXPECT_EQ(write(event, &all, sizeof all), 8);
    await(MANY);
    for (int i = 0; i < MANY; i++)
        EXPECT(ops[i].result == 8 && values[i] == 1);
    close(event);
    type->close(backend);
}

TEST(uring, more_cancels_than_the_rings_hold_are_all_done)
{
    open_on(&cr_sys_real);
    int event = submit_many();
    for (int i = 0; i < MANY; i++)
        type->cancel(backend, &ops[i]);
    await(MANY);
    for (int i = 0; i < MANY; i++)
        EXPECT_EQ(ops[i].result, -ECANCELED);
    close(event);
    type->close(backend);
}

TEST(uring, operations_wait_while_the_kernel_takes_none)
{
    cr_sys sys = table();
    open_on(&sys);
    doors.enter_error = -EAGAIN;
    int event = submit_many();
    look(3);
    type->turn(backend, now() + SOON); /* does not sleep on what it could not submit */
    EXPECT_EQ(completions, 0);
    for (int i = 0; i < MANY; i += 2)
        type->cancel(backend, &ops[i]);
    look(2);
    doors.enter_error = 0;
    await(MANY / 2);
    for (int i = 0; i < MANY; i++)
        EXPECT_EQ(ops[i].result, i % 2 ? 0 : -ECANCELED);
    for (int i = 1; i < MANY; i += 2)
        type->cancel(backend, &ops[i]);
    await(MANY);
    close(event);
    type->close(backend);
}

TEST(uring, interrupted_waits_are_only_short_ones)
{
    cr_sys sys = table();
    open_on(&sys);
    look(2);
    doors.enter_error = -EINTR;
    EXPECT_EQ(type->turn(backend, CR_NEVER), 0);
    doors.enter_error = 0;
    EXPECT_EQ(type->turn(backend, now() + 1000000), 0);
    type->close(backend);
}

TEST(uring, a_ring_that_is_enabled_late_loses_nothing)
{
    cr_sys sys = table();
    open_on(&sys);
    int event = eventfd(1, EFD_CLOEXEC);
    cr_op op = reading(event, values, 8);
    doors.register_error = -ENOMEM;
    EXPECT(type->pollable(backend) < 0);
    submit(&op);
    look(3);
    EXPECT_EQ(completions, 0);
    doors.register_error = 0;
    await(1);
    EXPECT_EQ(op.result, 8);
    close(event);
    type->close(backend);
}

TEST(uring, waits_on_descriptors_that_would_not)
{
    open_on(&cr_sys_real);
    int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int ends[2];
    char buf[8];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    cr_op of_event = reading(event, values, 8);
    cr_op of_pipe = reading(ends[0], buf, sizeof buf);
    submit(&of_event);
    submit(&of_pipe);
    look(5);
    EXPECT_EQ(completions, 0);
    uint64_t one = 1;
    EXPECT_EQ(write(event, &one, 8), 8);
    await(1);
    EXPECT_EQ(of_event.result, 8);
    submit(&of_event);
    look(5);
    type->cancel(backend, &of_event);
    type->cancel(backend, &of_event);
    await(2);
    EXPECT_EQ(of_event.result, -ECANCELED);
    EXPECT_EQ(write(ends[1], "ab", 2), 2);
    await(3);
    EXPECT_EQ(of_pipe.result, 2);
    close(event);
    close(ends[0]);
    close(ends[1]);
    type->close(backend);
}

static cr_op chained;
static int chain_left;

static void next_in_chain(cr_op *op, void *arg)
{
    (void)arg;
    completions++;
    if (chain_left-- > 0)
        EXPECT_EQ(type->submit(backend, op), CR_PENDING);
}

TEST(uring, a_completion_may_submit_and_is_delivered_in_a_later_turn)
{
    open_on(&cr_sys_real);
    int event = eventfd(100, EFD_CLOEXEC | EFD_SEMAPHORE);
    chained = reading(event, values, 8);
    chained.completed = next_in_chain;
    chain_left = 50;
    submit(&chained);
    long turns = 0;
    for (; completions < 51; turns++)
        EXPECT(type->turn(backend, now() + SOON) <= 1);
    EXPECT(turns >= 51);
    close(event);
    type->close(backend);
}

TEST(uring, its_descriptor_is_readable_when_a_turn_has_something_to_do)
{
    open_on(&cr_sys_real);
    struct pollfd ring = { type->pollable(backend), POLLIN, 0 };
    EXPECT(ring.fd >= 0);
    EXPECT_EQ(poll(&ring, 1, 0), 0);
    int event = eventfd(0, EFD_CLOEXEC);
    cr_op op = reading(event, values, 8);
    submit(&op);
    EXPECT_EQ(poll(&ring, 1, 0), 0);
    uint64_t one = 1;
    EXPECT_EQ(write(event, &one, 8), 8);
    EXPECT_EQ(poll(&ring, 1, 1000), 1);
    EXPECT_EQ(type->turn(backend, 0), 1);
    EXPECT_EQ(poll(&ring, 1, 0), 0);
    type->wake(backend);
    EXPECT_EQ(poll(&ring, 1, 1000), 1);
    EXPECT_EQ(type->turn(backend, 0), 0);
    submit(&op);
    type->cancel(backend, &op);
    EXPECT_EQ(poll(&ring, 1, 1000), 1);
    await(2);
    close(event);
    type->close(backend);
}

static void *turn_elsewhere(void *arg)
{
    (void)arg;
    look(1);
    return NULL;
}

static void *open_elsewhere(void *arg)
{
    (void)arg;
    open_on(&cr_sys_real);
    return NULL;
}

TEST(uring, is_opened_by_one_thread_and_used_by_another)
{
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, NULL, open_elsewhere, NULL), 0);
    pthread_join(thread, NULL);
    int event = eventfd(1, EFD_CLOEXEC);
    cr_op op = reading(event, values, 8);
    submit(&op);
    await(1);
    EXPECT_EQ(op.result, 8);
    close(event);
    type->close(backend);
}

TEST_CHECKS_OUTSIDE(uring, used_by_two_threads_is_refused, "another thread")
{
    cr_sys sys = table();
    open_on(&sys);
    look(2);
    CR_CHECK((doors.setup_flags[0] & IORING_SETUP_SINGLE_ISSUER) && doors.setups == 1, "another thread is well here");
    pthread_t thread;
    type->wake(backend);
    EXPECT_EQ(pthread_create(&thread, NULL, turn_elsewhere, NULL), 0);
    pthread_join(thread, NULL);
    type->close(backend);
}

TEST_CHECKS_OUTSIDE(uring, closed_with_an_operation_in_flight_is_refused, "live")
{
    cr_sys sys = table();
    open_on(&sys);
    int event = eventfd(0, EFD_CLOEXEC);
    cr_op op = reading(event, values, 8);
    submit(&op);
    type->close(backend);
}
