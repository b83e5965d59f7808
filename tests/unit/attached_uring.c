/* SPDX-License-Identifier: MIT */
/* attached_uring.c: the requests by which io_uring watches attached descriptors: they end by themselves, fail, find no
 * room, and hold files. */
#include "attached.h"
#include "unasked.h"

static const cr_sys *const real = &cr_sys_real;
static struct {
    bool takes_nothing; /* the kernel, of what is in the ring */
    int failures;       /* so many completions of watches give the answer and end them */
    int answer;
    struct io_uring_params params;
    char *rings;
} kernel;

static int setup(void *c, unsigned entries, struct io_uring_params *params)
{
    int fd = real->uring_setup(c, entries, params);
    kernel.params = *params;
    return fd;
}

static void *map(void *c, int fd, size_t size, int64_t offset)
{
    void *memory = real->uring_map(c, fd, size, offset);
    if (offset == (int64_t)IORING_OFF_SQ_RING)
        kernel.rings = memory;
    return memory;
}

static unsigned word(unsigned offset) { return *(unsigned *)(void *)(kernel.rings + offset); }

static void change_answers(void)
{
    const struct io_cqring_offsets *at = &kernel.params.cq_off;
    struct io_uring_cqe *cqes = (void *)(kernel.rings + at->cqes);
    for (unsigned head = word(at->head); head != word(at->tail) && kernel.failures > 0; head++) {
        struct io_uring_cqe *cqe = &cqes[head & word(at->ring_mask)];
        if (cqe->user_data >= UINT64_MAX - 1 || !(cqe->user_data >> 31 & 1))
            continue;
        cqe->res = kernel.answer;
        cqe->flags &= ~(uint32_t)IORING_CQE_F_MORE;
        kernel.failures--;
    }
}

static int enter(void *c, int fd, const cr_uring_enter *asked)
{
    if (kernel.takes_nothing)
        return -EBUSY;
    int n = real->uring_enter(c, fd, asked);
    change_answers();
    return n;
}

static crank_loop *open_ring(void)
{
    static cr_sys sys;
    sys = cr_sys_real;
    sys.uring_setup = setup;
    sys.uring_map = map;
    sys.uring_enter = enter;
    sys.uring_register = register_unrestricted;
    kernel.takes_nothing = false;
    kernel.failures = 0;
    return open_loop_on(CRANK_BACKEND_URING, 0, &sys);
}

static void begin(const ends *e, act *a)
{
    *a = new_attached(e->loop, CR_OP_RECV, e->a, sizeof a->buf);
    submit(a);
}

static void expect_byte(const ends *e, act *a)
{
    EXPECT(a->pending);
    push(e, e->b, "x");
    await(a);
    EXPECT_EQ(a->op.result, 1);
}

TEST(attached_uring, a_watch_that_the_kernel_ends_by_itself_is_asked_for_again)
{
    crank_loop *loop = open_ring();
    ends e = open_ends(loop, CR_FD_TCP);
    act in, out;
    for (int i = 0; i < 3; i++) {
        begin(&e, &in);
        fill(&e, &out);
        EXPECT(in.pending && out.pending);
        end_all();
        turn(loop);
        EXPECT(in.pending && out.pending);
        push(&e, e.b, "x");
        await(&in);
        EXPECT_EQ(in.op.result, 1);
        drain(&e, &out);
        EXPECT(out.op.result > 0);
        end_all(); /* while nothing waits */
        push(&e, e.b, "y");
        turn(loop);
        EXPECT_EQ(receive(loop, e.a, &in, 1), 1);
    }
    close_ends(&e);
    crank_loop_free(loop);
}

TEST(attached_uring, a_watch_that_fails_fails_what_waits_and_may_be_tried_again)
{
    crank_loop *loop = open_ring();
    ends e = open_ends(loop, CR_FD_OTHER);
    act out, in = new_attached(loop, CR_OP_RECV, e.a, sizeof in.buf);
    kernel.answer = -ENOMEM;
    kernel.failures = 1;
    submit(&in);
    push(&e, e.b, "x");
    await(&in);
    EXPECT_EQ(in.op.result, -ENOMEM);
    EXPECT_EQ(receive(loop, e.a, &in, 1), 1);
    fill(&e, &out);
    kernel.failures = 1;
    drain(&e, &out);
    EXPECT_EQ(out.op.result, -ENOMEM);
    close_ends(&e);
    crank_loop_free(loop);
}

/* Of these the ring takes no more than its entries. */
enum { MANY = 300 };

TEST(attached_uring, watches_that_the_ring_has_no_room_for_are_asked_for_later)
{
    static ends all[MANY];
    static act acts[MANY];
    crank_loop *loop = open_ring();
    for (size_t i = 0; i < MANY; i++)
        all[i] = open_ends(loop, CR_FD_OTHER);
    turn(loop);
    kernel.takes_nothing = true;
    for (size_t i = 0; i < MANY; i++) {
        begin(&all[i], &acts[i]);
    }
    EXPECT(loop->backend->type->owes_turn(loop->backend));
    turn(loop);
    kernel.takes_nothing = false;
    for (size_t i = 0; i < MANY; i++)
        expect_byte(&all[i], &acts[i]);
    for (size_t i = 0; i < MANY; i++)
        close_ends(&all[i]);
    crank_loop_free(loop);
}

/* What the ring has not taken yet is cancelled there. */
TEST(attached_uring, one_that_is_closed_before_the_kernel_watches_it_is_closed)
{
    crank_loop *loop = open_ring();
    ends e = open_ends(loop, CR_FD_OTHER);
    act in;
    begin(&e, &in);
    cr_loop_cancel(loop, &in.op);
    kernel.takes_nothing = true;
    await(&in);
    close_attached(loop, e.a);
    e.a.generation = 0;
    kernel.takes_nothing = false;
    turn(loop);
    EXPECT_EQ(CALL(loop, recv, e.b.number, block, 1, 0), 0);
    close_ends(&e);
    crank_loop_free(loop);
}

/* The peer is told at once, without a turn, also of one that is only detached: no request holds the file. */
static void peer_sees_the_end(bool detaches)
{
    crank_loop *loop = open_ring();
    ends e = open_ends(loop, CR_FD_TCP);
    act in, out;
    begin(&e, &in);
    expect_byte(&e, &in);
    fill(&e, &out);
    drain(&e, &out);
    while (CALL(loop, recv, e.b.number, block, sizeof block, 0) > 0)
        ;
    begin(&e, &in);
    settle(&in);
    cr_loop_cancel(loop, &in.op);
    await(&in);
    if (detaches) {
        loop->backend->type->detach(loop->backend, e.a);
        EXPECT_EQ(CALL(loop, close, e.a.number), 0);
    } else {
        close_attached(loop, e.a);
    }
    e.a.generation = 0;
    EXPECT_EQ(CALL(loop, recv, e.b.number, block, 1, 0), 0);
    close_ends(&e);
    crank_loop_free(loop);
}
TEST(attached_uring, closing_one_that_is_watched_tells_the_peer_at_once) { peer_sees_the_end(false); }
TEST(attached_uring, detaching_one_that_is_watched_lets_its_file_go) { peer_sees_the_end(true); }

TEST(attached_uring, what_waits_is_watched_by_the_ring_that_replaces_the_first)
{
    crank_loop *loop = open_ring();
    ends e = open_ends(loop, CR_FD_TCP);
    act in;
    begin(&e, &in);
    settle(&in);
    EXPECT(loop->backend->type->pollable(loop->backend) >= 0);
    expect_byte(&e, &in);
    close_ends(&e);
    crank_loop_free(loop);
}
