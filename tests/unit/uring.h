/* SPDX-License-Identifier: MIT */
/* uring.h: io_uring's backend on a table whose calls can be made to refuse, or to answer something else. */
#ifndef URING_H
#define URING_H
#include "base/check.h"
#include "backend/backend.h"
#include "test.h"
#include <errno.h>
#include <linux/io_uring.h>

#define SOON INT64_C(2000000000)
static const cr_backend_type *const type = &cr_backend_uring;
static cr_backend *backend;
static int completions;

/* The real table with doors that can be shut. */
static struct {
    int setup_errors[3]; /* of the first calls, 0: none */
    unsigned setups;
    unsigned setup_flags[3];
    unsigned lacking; /* features to hide */
    unsigned maps_left;
    unsigned allocs_left;
    int enter_error; /* of every call while set */
    int wait_error;  /* of the next call that would wait */
    int register_error;
    int advise_error;
    int eventfd_error;
    unsigned enters;
    int answers; /* so many completions of operations give the answer instead of what they gave */
    int answer;
    struct io_cqring_offsets completions_at;
    char *rings;
} doors;

static inline int setup(void *context, unsigned entries, struct io_uring_params *params)
{
    unsigned call = doors.setups++;
    EXPECT(call < 3);
    doors.setup_flags[call] = params->flags;
    if (doors.setup_errors[call])
        return doors.setup_errors[call];
    int fd = cr_sys_real.uring_setup(context, entries, params);
    params->features &= ~doors.lacking;
    doors.completions_at = params->cq_off;
    return fd;
}

static inline void *map(void *context, int fd, size_t size, int64_t offset)
{
    if (doors.maps_left == 0)
        return NULL;
    doors.maps_left--;
    char *memory = cr_sys_real.uring_map(context, fd, size, offset);
    if (offset == (int64_t)IORING_OFF_SQ_RING)
        doors.rings = memory;
    return memory;
}

/* What lies in the completion ring and was not looked at yet. */
static inline void change_answers(void)
{
    unsigned head = *(unsigned *)(void *)(doors.rings + doors.completions_at.head);
    unsigned tail = *(unsigned *)(void *)(doors.rings + doors.completions_at.tail);
    unsigned mask = *(unsigned *)(void *)(doors.rings + doors.completions_at.ring_mask);
    struct io_uring_cqe *cqes = (void *)(doors.rings + doors.completions_at.cqes);
    for (; head != tail && doors.answers > 0; head++) {
        struct io_uring_cqe *cqe = &cqes[head & mask];
        if (cqe->user_data < UINT64_MAX - 1 && cqe->res >= 0) {
            cqe->res = doors.answer;
            doors.answers--;
        }
    }
}

static inline int enter(void *context, int fd, const cr_uring_enter *asked)
{
    doors.enters++;
    if (doors.enter_error)
        return doors.enter_error;
    if (doors.wait_error && asked->wait > 0) {
        int error = doors.wait_error;
        doors.wait_error = 0;
        return error;
    }
    int result = cr_sys_real.uring_enter(context, fd, asked);
    if (doors.answers > 0)
        change_answers();
    return result;
}

static inline int register_(void *context, int fd, unsigned opcode, void *arg, unsigned n)
{
    return doors.register_error ? doors.register_error : cr_sys_real.uring_register(context, fd, opcode, arg, n);
}

static inline int advise(void *context, void *memory, size_t size, int advice)
{
    return doors.advise_error ? doors.advise_error : cr_sys_real.advise(context, memory, size, advice);
}

static inline int eventfd_(void *context, unsigned value, int flags)
{
    return doors.eventfd_error ? doors.eventfd_error : cr_sys_real.eventfd(context, value, flags);
}

static inline void *alloc_zero(void *context, size_t size)
{
    return doors.allocs_left && doors.allocs_left-- ? cr_sys_real.alloc_zero(context, size) : NULL;
}

static inline void *resize(void *context, void *memory, size_t size)
{
    return doors.allocs_left && doors.allocs_left-- ? cr_sys_real.resize(context, memory, size) : NULL;
}

static inline cr_sys table(void)
{
    memset(&doors, 0, sizeof doors);
    doors.maps_left = doors.allocs_left = UINT32_MAX;
    cr_sys sys = cr_sys_real;
    sys.uring_setup = setup;
    sys.uring_map = map;
    sys.uring_enter = enter;
    sys.uring_register = register_;
    sys.advise = advise;
    sys.eventfd = eventfd_;
    sys.alloc_zero = alloc_zero;
    sys.resize = resize;
    return sys;
}

static inline int64_t now(void) { return cr_sys_real.now(NULL); }

static inline void open_on(const cr_sys *sys)
{
    completions = 0;
    int result = type->open(sys, 0, &backend);
    if (result == -ENOSYS || result == -EPERM || result == -EINVAL)
        test_skip("io_uring is not to be had here");
    EXPECT_EQ(result, 0);
}

static inline void completed(cr_op *op, void *arg)
{
    (void)op;
    (void)arg;
    completions++;
}

static inline cr_op reading(int fd, void *buf, size_t size)
{
    return (cr_op){ .code = CR_OP_READ, .fd = fd, .buf = buf, .size = size, .offset = -1, .completed = completed };
}

static inline void submit(cr_op *op) { EXPECT_EQ(type->submit(backend, op), CR_PENDING); }

static inline void await(int count)
{
    int64_t limit = now() + 5 * SOON;
    while (completions < count) {
        EXPECT(now() < limit);
        type->turn(backend, now() + SOON);
    }
}

static inline void look(int times)
{
    while (times-- > 0)
        type->turn(backend, 0);
}
#endif
