/* SPDX-License-Identifier: MIT */
/* acts.h: operations of a backend in tests, which note what becomes of them. */
#ifndef ACTS_H
#define ACTS_H
#include "loops.h"

typedef struct act {
    cr_op op;
    char buf[64];
    crank_loop *loop;
    journal *log;
    char letter;
    bool pending;
    int completions;
    struct act *other; /* cancelled or submitted by the completion */
    bool cancels;
} act;

static inline void submit(act *a);

static inline void completed(cr_op *op, void *arg)
{
    act *a = arg;
    EXPECT(op == &a->op && a->pending);
    a->pending = false;
    a->completions++;
    if (a->log)
        note(a->log, a->letter);
    if (a->other && !a->cancels)
        submit(a->other);
    else if (a->other && a->other->pending)
        cr_loop_cancel(a->loop, &a->other->op);
}

static inline act new_act(crank_loop *loop, enum cr_op_code code, int fd, size_t size)
{
    act a = { .loop = loop, .op = { .code = code, .fd = fd, .size = size, .offset = -1, .completed = completed } };
    return a;
}

static inline void submit(act *a)
{
    a->op.arg = a;
    if (!a->op.buf)
        a->op.buf = a->buf;
    a->pending = cr_loop_submit(a->loop, &a->op) == CR_PENDING;
}

/* Until it has completed, or has been left pending by ten looks. */
static inline void settle(act *a)
{
    for (int i = 0; i < 10 && a->pending; i++)
        cr_turn(a->loop, false, 0);
}

static inline void await(act *a)
{
    while (a->pending)
        cr_turn(a->loop, true, CR_NEVER);
}

static inline void open_pipe(int ends[2], int flags) { EXPECT_EQ(pipe2(ends, O_CLOEXEC | flags), 0); }

static inline void close_both(const int ends[2])
{
    close(ends[0]);
    close(ends[1]);
}
#endif
