/* SPDX-License-Identifier: MIT */
/* uring_again.c: what io_uring tells to try again, interrupts, or ends by itself, is asked for again. */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "unasked.h"
#include "uring.h"

static cr_sys sys;
static int event;
static cr_op op;
static uint64_t value;

/* A read of a semaphore is under way, whose first answer is another than the kernel's. */
static void begin(unsigned count, int answer)
{
    sys = table();
    open_on(&sys);
    event = eventfd(count, EFD_CLOEXEC | EFD_SEMAPHORE);
    op = reading(event, &value, 8);
    doors.answer = answer;
    doors.answers = 1;
    submit(&op);
}

static void end(void)
{
    close(event);
    type->close(backend);
}

/* Some kernels say so of terminals. The first answer is the read's, which has taken one of two. */
TEST(uring, one_that_is_told_to_try_again_is_tried_again_when_its_descriptor_is_ready)
{
    begin(1, -EAGAIN);
    look(5);
    EXPECT_EQ(doors.answers, 0);
    EXPECT_EQ(completions, 0);
    uint64_t one = 1;
    EXPECT_EQ(write(event, &one, 8), 8);
    await(1);
    EXPECT_EQ(op.result, 8);
    EXPECT_EQ(value, 1);
    end();
}

TEST(uring, one_that_is_interrupted_is_tried_again)
{
    begin(2, -EINTR);
    await(1);
    EXPECT_EQ(doors.answers, 0);
    EXPECT_EQ(op.result, 8);
    end();
}

TEST(uring, one_that_waits_to_be_tried_again_can_be_cancelled)
{
    begin(1, -EAGAIN);
    look(5);
    type->cancel(backend, &op);
    await(1);
    EXPECT_EQ(op.result, -ECANCELED);
    end();
}

TEST(uring, one_that_is_told_to_try_again_after_its_cancel_is_not)
{
    begin(2, -EAGAIN);
    doors.enter_error = -EBUSY; /* the result and the cancel come together */
    look(1);
    doors.enter_error = 0;
    type->cancel(backend, &op);
    await(1);
    EXPECT_EQ(op.result, -ECANCELED);
    end();
}

/* ---- The poll behind wake, which the kernel may end at any time ---- */

static void open_unrestricted(void)
{
    sys = table();
    sys.uring_register = register_unrestricted;
    open_on(&sys);
}

/* As it does when the thread ends that has submitted it. */
TEST(uring, what_the_kernel_ends_without_being_asked_is_asked_for_again)
{
    open_unrestricted();
    event = eventfd(0, EFD_CLOEXEC);
    cr_op ops[3] = { [0] = reading(event, &value, 8) };
    for (int i = 1; i < 3; i++)
        ops[i] = (cr_op){ .code = CR_OP_POLL, .fd = event, .events = i == 1 ? EPOLLIN : 0, .completed = completed };
    for (int i = 0; i < 3; i++)
        submit(&ops[i]);
    for (int i = 0; i < 3; i++) {
        look(5);
        EXPECT_EQ(completions, 0);
        end_all();
    }
    uint64_t one = 1;
    look(5);
    EXPECT_EQ(write(event, &one, 8), 8);
    await(2);
    EXPECT_EQ(ops[0].result, 8);
    EXPECT_EQ(ops[1].result, EPOLLIN);
    type->cancel(backend, &ops[2]);
    await(3);
    EXPECT_EQ(ops[2].result, -ECANCELED);
    end();
}

TEST(uring, a_wake_is_heard_where_the_kernel_has_ended_the_poll_for_it)
{
    open_unrestricted();
    for (int i = 0; i < 3; i++) {
        look(5);
        end_all();
        look(5);
        int64_t began = now();
        type->wake(backend);
        type->turn(backend, began + SOON);
        EXPECT(now() - began < SOON);
    }
    type->close(backend);
}
