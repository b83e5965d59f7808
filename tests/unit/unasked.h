/* SPDX-License-Identifier: MIT */
/* unasked.h: what io_uring ends without being asked, when a thread ends for one: a ring that is not restricted, so that
 * a test may have all ended that is in it. */
#ifndef UNASKED_H
#define UNASKED_H
#include <errno.h>
#include <linux/io_uring.h>
#include "base/sys.h"
#include "test.h"

static int ring_fd;
static inline int register_unrestricted(void *context, int fd, unsigned opcode, void *arg, unsigned n)
{
    ring_fd = fd;
    return opcode == IORING_REGISTER_RESTRICTIONS ? 0 : cr_sys_real.uring_register(context, fd, opcode, arg, n);
}

/* All that the kernel holds of the last ring. */
static inline void end_all(void)
{
    struct io_uring_sync_cancel_reg all = {
        .fd = -1, .flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL, .timeout = { .tv_sec = -1, .tv_nsec = -1 }
    };
    int ended = cr_sys_real.uring_register(NULL, ring_fd, IORING_REGISTER_SYNC_CANCEL, &all, 1);
    if (ended == -EINVAL)
        test_skip("this kernel cancels nothing by a call");
    EXPECT(ended > 0);
}
#endif
