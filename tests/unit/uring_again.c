/* SPDX-License-Identifier: MIT */
/* uring_again.c: what io_uring tells to try again, or interrupts, is tried again. */
#include <sys/eventfd.h>
#include <unistd.h>
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
