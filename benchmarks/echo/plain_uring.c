/* SPDX-License-Identifier: MIT */
/* plain_uring.c: the echo server that crank on io_uring is measured against: C, the kernel's interface, no
 * library.
 *
 * One request accepts all connections and one a connection receives all its messages, into buffers that the
 * kernel takes from a ring of them; each echo is a request sent from the buffer it came in, which then goes
 * back. One system call submits all and waits. `plain_uring probe` ends with 0 where the kernel can do that. */
#include <errno.h>
#include <linux/io_uring.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "plain.h"

enum { ENTRIES = 4096, COMPLETIONS = 32768, BUFFERS = 16384, BUFFER_SIZE = 2048 };
enum operation { ACCEPT, RECEIVE, SEND };

static struct {
    int fd;
    unsigned *sq_tail, *cq_head, *cq_tail;
    unsigned sq_mask, cq_mask, queued;
    struct io_uring_sqe *entries;
    struct io_uring_cqe *completions;
    struct io_uring_buf_ring *free; /* the buffers that the kernel may fill */
    char *memory;
} ring;

static void *map(size_t size, int fd, off_t offset)
{
    int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED | MAP_POPULATE;
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, offset);
    return at == MAP_FAILED ? NULL : at;
}

static void give_back(unsigned buffer)
{
    struct io_uring_buf *slot = &ring.free->bufs[ring.free->tail & (BUFFERS - 1)];
    slot->addr = (uintptr_t)(ring.memory + (size_t)buffer * BUFFER_SIZE);
    slot->len = BUFFER_SIZE;
    slot->bid = (uint16_t)buffer;
    __atomic_store_n(&ring.free->tail, (uint16_t)(ring.free->tail + 1), __ATOMIC_RELEASE);
}

static bool open_buffers(void)
{
    ring.memory = map((size_t)BUFFERS * BUFFER_SIZE, -1, 0);
    ring.free = map(BUFFERS * sizeof(struct io_uring_buf), -1, 0);
    if (!ring.memory || !ring.free)
        return false;
    struct io_uring_buf_reg reg = { .ring_addr = (uintptr_t)ring.free, .ring_entries = BUFFERS };
    if (syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_PBUF_RING, &reg, 1) < 0)
        return false;
    for (unsigned i = 0; i < BUFFERS; i++)
        give_back(i);
    return true;
}

static bool open_ring(void)
{
    struct io_uring_params p = {
        .flags =
            IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL,
        .cq_entries = COMPLETIONS,
    };
    ring.fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &p);
    if (ring.fd < 0)
        return false;
    size_t sq_size = p.sq_off.array + p.sq_entries * sizeof(unsigned);
    size_t cq_size = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
    char *rings = map(sq_size > cq_size ? sq_size : cq_size, ring.fd, IORING_OFF_SQ_RING);
    ring.entries = map(p.sq_entries * sizeof(struct io_uring_sqe), ring.fd, IORING_OFF_SQES);
    if (!rings || !ring.entries)
        return false;
    ring.sq_tail = (unsigned *)(rings + p.sq_off.tail);
    ring.sq_mask = p.sq_entries - 1;
    ring.cq_head = (unsigned *)(rings + p.cq_off.head);
    ring.cq_tail = (unsigned *)(rings + p.cq_off.tail);
    ring.cq_mask = p.cq_entries - 1;
    ring.completions = (struct io_uring_cqe *)(rings + p.cq_off.cqes);
    unsigned *order = (unsigned *)(rings + p.sq_off.array);
    for (unsigned i = 0; i < p.sq_entries; i++)
        order[i] = i;
    return open_buffers();
}

/* Submit what is queued and wait for so many completions. */
static void enter(unsigned wait)
{
    long done = syscall(SYS_io_uring_enter, ring.fd, ring.queued, wait, wait ? IORING_ENTER_GETEVENTS : 0, NULL, 0);
    if (done >= 0)
        ring.queued -= (unsigned)done;
    else if (errno != EINTR && errno != EBUSY && errno != EAGAIN) {
        perror("io_uring_enter");
        exit(1);
    }
}

/* What a completion has to know: the operation, its descriptor, its buffer. */
static uint64_t label(enum operation what, int fd, unsigned buffer)
{
    return (uint64_t)what << 56 | (uint64_t)buffer << 32 | (uint32_t)fd;
}

/* The next free entry; nothing reads the queue but enter. */
static struct io_uring_sqe *entry(uint8_t opcode, int fd, uint64_t label)
{
    while (ring.queued > ring.sq_mask)
        enter(0);
    struct io_uring_sqe *e = &ring.entries[*ring.sq_tail & ring.sq_mask];
    memset(e, 0, sizeof *e);
    e->opcode = opcode;
    e->fd = fd;
    e->user_data = label;
    ring.queued++;
    __atomic_store_n(ring.sq_tail, *ring.sq_tail + 1, __ATOMIC_RELEASE);
    return e;
}

static void accept_on(int listener)
{
    entry(IORING_OP_ACCEPT, listener, label(ACCEPT, listener, 0))->ioprio = IORING_ACCEPT_MULTISHOT;
}

static void receive_on(int fd)
{
    struct io_uring_sqe *e = entry(IORING_OP_RECV, fd, label(RECEIVE, fd, 0));
    e->ioprio = IORING_RECV_MULTISHOT;
    e->flags = IOSQE_BUFFER_SELECT;
}

static void received(const struct io_uring_cqe *c, int fd)
{
    unsigned buffer = c->flags >> IORING_CQE_BUFFER_SHIFT;
    if (c->res <= 0 && c->res != -ENOBUFS) {
        if (c->flags & IORING_CQE_F_BUFFER)
            give_back(buffer);
        close(fd);
        return;
    }
    if (c->res > 0) {
        struct io_uring_sqe *e = entry(IORING_OP_SEND, fd, label(SEND, fd, buffer));
        e->addr = (uintptr_t)(ring.memory + (size_t)buffer * BUFFER_SIZE);
        e->len = (unsigned)c->res;
        e->msg_flags = MSG_NOSIGNAL;
    }
    if (!(c->flags & IORING_CQE_F_MORE))
        receive_on(fd);
}

static void completed(const struct io_uring_cqe *c)
{
    int fd = (int)(uint32_t)c->user_data;
    switch ((enum operation)(c->user_data >> 56)) {
    case ACCEPT:
        if (c->res >= 0)
            receive_on(c->res);
        if (!(c->flags & IORING_CQE_F_MORE))
            accept_on(fd);
        return;
    case RECEIVE: received(c, fd); return;
    case SEND: give_back((unsigned)(c->user_data >> 32) & 0xffffff); return;
    }
}

int main(int argc, char **argv)
{
    if (!open_ring()) {
        perror("io_uring");
        return 1;
    }
    if (argc > 1 && !strcmp(argv[1], "probe"))
        return 0;
    int listener = listen_and_tell(0);
    if (listener < 0)
        return 1;
    accept_on(listener);
    for (;;) {
        enter(1);
        unsigned head = *ring.cq_head, tail = __atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE);
        for (; head != tail; head++)
            completed(&ring.completions[head & ring.cq_mask]);
        __atomic_store_n(ring.cq_head, head, __ATOMIC_RELEASE);
    }
}
