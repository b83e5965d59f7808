/* SPDX-License-Identifier: MIT */
/* attached_uring.c: RECVs that wait for the kernel's own buffers: more of them than there are buffers, and memory that
 * is short where one is to be replaced. */
#include "backend/provided.h"
#include "attached.h"

enum { MANY = CR_PROVIDED_MAX + 72 };
static ends all[MANY];
static act acts[MANY];
static long allocs_left = -1; /* negative: any number */

static void *alloc(void *c, size_t size)
{
    if (allocs_left == 0)
        return NULL;
    allocs_left -= allocs_left > 0;
    return cr_sys_real.alloc(c, size);
}

/* What fails of giving the kernel buffers. */
enum { NOTHING, MAPPING, ADVISING, REGISTERING };
static int failing;
static int registered;

static void *map(void *c, size_t size) { return failing == MAPPING ? NULL : cr_sys_real.map(c, size); }
static int advise(void *c, void *memory, size_t size, int advice)
{
    return failing == ADVISING && size == 4096 ? -ENOMEM : cr_sys_real.advise(c, memory, size, advice);
}
static int register_(void *c, int fd, unsigned opcode, void *arg, unsigned n)
{
    registered += opcode == IORING_REGISTER_PBUF_RING;
    if (failing == REGISTERING && opcode == IORING_REGISTER_PBUF_RING)
        return -EINVAL;
    return cr_sys_real.uring_register(c, fd, opcode, arg, n);
}

static crank_loop *open_limited(void)
{
    static cr_sys sys;
    sys = cr_sys_real;
    sys.alloc = alloc;
    sys.map = map;
    sys.advise = advise;
    sys.uring_register = register_;
    return open_with(&(crank_options){ .backend = CRANK_BACKEND_URING }, &sys);
}

static void begin(crank_loop *loop, size_t i)
{
    acts[i] = new_attached(loop, CR_OP_RECV, all[i].a, CR_BUFFER_SMALL);
    acts[i].op.arg = &acts[i];
    acts[i].pending = cr_loop_submit(loop, &acts[i].op) == CR_PENDING;
    EXPECT(acts[i].pending);
}

/* Each has what was sent to it, and nothing else. */
static void expect_own_byte(crank_loop *loop, size_t i)
{
    await(&acts[i]);
    EXPECT_EQ(acts[i].op.result, 1);
    EXPECT_EQ(*(unsigned char *)acts[i].op.buf, i % 251);
    cr_buffers_give(&loop->backend->buffers, acts[i].op.buf, CR_BUFFER_SMALL);
}

static void pass_to_all(crank_loop *loop, size_t n)
{
    for (size_t i = 0; i < n; i++)
        begin(loop, i);
    cr_turn(loop, false, 0); /* all are with the kernel */
    for (size_t i = 0; i < n; i++) {
        const char byte[] = { (char)(i % 251), '\0' };
        EXPECT_EQ(CALL(loop, send, all[i].b.number, byte, 1, 0), 1);
    }
    for (size_t i = 0; i < n; i++)
        expect_own_byte(loop, i);
}

static crank_loop *open_all(size_t n)
{
    crank_loop *loop = open_limited();
    if (loop->backend->type != &cr_backend_uring) {
        cr_loop_close(loop);
        test_skip("io_uring is not to be had here");
    }
    for (size_t i = 0; i < n; i++)
        all[i] = open_ends(loop, CR_FD_OTHER);
    return loop;
}

static void close_all(crank_loop *loop, size_t n)
{
    for (size_t i = 0; i < n; i++)
        close_ends(&all[i]);
    crank_loop_free(loop);
}

TEST(attached_uring, more_receives_at_once_than_the_kernel_has_buffers_are_all_served)
{
    crank_loop *loop = open_all(MANY);
    pass_to_all(loop, MANY);
    pass_to_all(loop, MANY);
    close_all(loop, MANY);
}

/* So many are received as there are buffers, none of which can be replaced; then by another way. */
TEST(attached_uring, without_memory_for_another_buffer_a_receive_has_its_own)
{
    crank_loop *loop = open_all(2);
    pass_to_all(loop, 2);
    for (int round = 0; round < CR_PROVIDED_MAX; round++) {
        begin(loop, 0);
        cr_turn(loop, false, 0);
        EXPECT_EQ(CALL(loop, send, all[0].b.number, "", 1, 0), 1);
        allocs_left = 0;
        await(&acts[0]);
        allocs_left = -1;
        EXPECT_EQ(acts[0].op.result, 1);
        cr_free(loop->sys, acts[0].op.buf); /* the pool has it not: nothing can be taken from there */
    }
    pass_to_all(loop, 2);
    pass_to_all(loop, 2);
    close_all(loop, 2);
}

TEST(attached_uring, without_buffers_of_the_kernels_receives_have_their_own)
{
    for (int what = MAPPING; what <= REGISTERING; what++) {
        registered = 0;
        failing = NOTHING;
        crank_loop *loop = open_all(2);
        failing = what;
        pass_to_all(loop, 2);
        pass_to_all(loop, 2);
        EXPECT_EQ(registered, what == REGISTERING); /* once: it is not asked again */
        close_all(loop, 2);
    }
}
