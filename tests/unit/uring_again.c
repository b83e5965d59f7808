/* SPDX-License-Identifier: MIT */
/* uring_again.c: what io_uring tells to try again, or interrupts, is tried again. */
#include <sys/eventfd.h>
#include <unistd.h>
#include "uring.h"

static uint64_t values[1];

/* Some kernels say so of terminals. The first answer is the read's, which has taken one of two. */
TEST(uring, one_that_is_told_to_try_again_is_tried_again_when_its_descriptor_is_ready)
{
    cr_sys sys = table();
    open_on(&sys);
    int event = eventfd(1, EFD_CLOEXEC | EFD_SEMAPHORE);
    cr_op op = reading(event, values, 8);
    doors.answer = -EAGAIN;
    doors.answers = 1;
    submit(&op);
    look(5);
    EXPECT_EQ(doors.answers, 0);
    EXPECT_EQ(completions, 0);
    uint64_t one = 1;
    EXPECT_EQ(write(event, &one, 8), 8);
    await(1);
    EXPECT_EQ(op.result, 8);
    EXPECT_EQ(values[0], 1);
    close(event);
    type->close(backend);
}

TEST(uring, one_that_is_interrupted_is_tried_again)
{
    cr_sys sys = table();
    open_on(&sys);
    int event = eventfd(2, EFD_CLOEXEC | EFD_SEMAPHORE);
    cr_op op = reading(event, values, 8);
    doors.answer = -EINTR;
    doors.answers = 1;
    submit(&op);
    await(1);
    EXPECT_EQ(doors.answers, 0);
    EXPECT_EQ(op.result, 8);
    close(event);
    type->close(backend);
}

TEST(uring, one_that_waits_to_be_tried_again_can_be_cancelled)
{
    cr_sys sys = table();
    open_on(&sys);
    int event = eventfd(1, EFD_CLOEXEC | EFD_SEMAPHORE);
    cr_op op = reading(event, values, 8);
    doors.answer = -EAGAIN;
    doors.answers = 1;
    submit(&op);
    look(5);
    type->cancel(backend, &op);
    await(1);
    EXPECT_EQ(op.result, -ECANCELED);
    close(event);
    type->close(backend);
}

TEST(uring, one_that_is_told_to_try_again_after_its_cancel_is_not)
{
    cr_sys sys = table();
    open_on(&sys);
    int event = eventfd(2, EFD_CLOEXEC | EFD_SEMAPHORE);
    cr_op op = reading(event, values, 8);
    doors.answer = -EAGAIN;
    doors.answers = 1;
    submit(&op);
    doors.enter_error = -EBUSY; /* the result and the cancel come together */
    look(1);
    doors.enter_error = 0;
    type->cancel(backend, &op);
    await(1);
    EXPECT_EQ(op.result, -ECANCELED);
    close(event);
    type->close(backend);
}
