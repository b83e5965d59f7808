/* SPDX-License-Identifier: MIT */
/* queue.c: first in first out, last in first out and by priority, bounded or not, with join and shutdown.
 *
 * The model keeps the elements in the order in which they will leave. An element is a number whose rank decides in a
 * priority queue and whose serial number tells equals apart; in half of the scripts a pattern of 24 bytes follows from
 * it, which must arrive whole. */
#include "model.h"

enum { PUT, GET, JOIN, PUT_NOWAIT, PUT_MANY, GET_NOWAIT, DONE, SHUTDOWN, OPS, HELD_MAX = 4096, RANK = 1000000 };
enum order { FIFO, LIFO, PRIORITY };

typedef struct element {
    int value;
    int pattern[5];
} element;

static crank_queue *queue;
static enum order order;
static size_t size, max;
static bool shut;
static int held[HELD_MAX], count, serial;
static int unfinished;
static actor_line putters, getters, joiners;

static bool smaller(const void *a, const void *b) { return *(const int *)a / RANK < *(const int *)b / RANK; }

static void open_queue(unsigned variant)
{
    order = (enum order)(variant % 3);
    size = variant / 3 % 2 ? sizeof(element) : sizeof(int);
    max = variant / 6 % 4;
    shut = false;
    count = serial = unfinished = 0;
    putters.count = getters.count = joiners.count = 0;
    queue = order == FIFO   ? crank_queue_new(size, CRANK_KIND_NONE, max)
            : order == LIFO ? crank_queue_new_lifo(size, CRANK_KIND_NONE, max)
                            : crank_queue_new_priority(size, CRANK_KIND_NONE, max, smaller);
    FUZZ_EXPECT(queue);
}
static void close_queue(void)
{
    FUZZ_EXPECT(putters.count == 0 && getters.count == 0 && joiners.count == 0);
    crank_queue_free(queue);
}

/* ---- The model */

/* To its place: behind those that leave before it. */
static void keep(int value)
{
    int at = order == LIFO ? 0 : count;
    while (order == PRIORITY && at > 0 && value / RANK < held[at - 1] / RANK)
        at--;
    FUZZ_EXPECT(count < HELD_MAX);
    memmove(&held[at + 1], &held[at], (size_t)(count - at) * sizeof held[0]);
    held[at] = value;
    count++;
}
static int model_put(int value)
{
    if (shut)
        return -EPIPE;
    actor *getter = line_shift(&getters);
    if (getter) {
        getter->got = value;
        actor_decide(getter, 0);
    } else if (max && (size_t)count >= max) {
        return -EAGAIN;
    } else {
        keep(value);
    }
    unfinished++;
    return 0;
}
static int model_get(int *ret_value)
{
    if (count == 0)
        return shut ? -EPIPE : -EAGAIN;
    *ret_value = held[0];
    memmove(&held[0], &held[1], (size_t)--count * sizeof held[0]);
    actor *putter = line_shift(&putters);
    if (putter) {
        keep(putter->value);
        unfinished++;
        actor_decide(putter, 0);
    }
    return 0;
}
static void model_finished(int n)
{
    unfinished -= n;
    if (unfinished == 0)
        for (actor *first; (first = line_shift(&joiners));)
            actor_decide(first, 0);
}
static void model_shutdown(bool now)
{
    shut = true;
    if (now) {
        int dropped = count < unfinished ? count : unfinished;
        count = 0;
        model_finished(dropped);
    }
    for (actor *first; (first = line_shift(&getters));)
        actor_decide(first, -EPIPE);
    for (actor *first; (first = line_shift(&putters));)
        actor_decide(first, -EPIPE);
}

/* ---- The real one */

static element make(int value)
{
    element e = { .value = value };
    for (int i = 0; i < 5; i++)
        e.pattern[i] = value ^ (i + 1) * 0x01010101;
    return e;
}
static void compare(const element *e, int value)
{
    element expected = make(value);
    FUZZ_EQUAL(e->value, value);
    FUZZ_EQUAL(memcmp(e, &expected, size), 0);
}
static int next_value(unsigned arg) { return (int)(arg % 4) * RANK + serial++; }

static void put_nowait(unsigned arg)
{
    int value = next_value(arg);
    element e = make(value);
    FUZZ_EQUAL(crank_queue_put_nowait_(queue, &e, size, CRANK_KIND_STRUCT), model_put(value));
}
static void step(unsigned op, actor *a, unsigned arg)
{
    int value = -1;
    element e;
    switch (op) {
    case PUT_NOWAIT: put_nowait(arg); return;
    case PUT_MANY: /* so many that its memory must grow */
        for (unsigned i = 0; i < 16 && count < HELD_MAX / 2; i++)
            put_nowait(arg + i);
        return;
    case GET_NOWAIT:
        e = make(-1);
        FUZZ_EQUAL(crank_queue_get_nowait_(queue, &e, size, CRANK_KIND_STRUCT), model_get(&value));
        compare(&e, value);
        return;
    case DONE:
        if (unfinished == 0) /* a CHECK */
            return;
        crank_queue_done(queue);
        model_finished(1);
        return;
    case SHUTDOWN:
        if (arg % 4) /* it would be the end of most scripts */
            return;
        crank_queue_shutdown(queue, arg / 4 % 2);
        model_shutdown(arg / 4 % 2);
        return;
    default:
        if (a->state == IDLE)
            a->value = next_value(arg);
        actor_tell(a, op, arg);
    }
}
static void begin(actor *a)
{
    int err;
    a->got = -1;
    if (a->op == JOIN) {
        if (unfinished == 0)
            actor_decide(a, 0);
        else
            line_join(&joiners, a);
        return;
    }
    err = a->op == PUT ? model_put(a->value) : model_get(&a->got);
    if (err == -EAGAIN)
        line_join(a->op == PUT ? &putters : &getters, a);
    else
        actor_decide(a, err);
}
static long call(actor *a)
{
    element e = make(a->op == PUT ? a->value : -1);
    if (a->op == JOIN)
        return crank_queue_join(queue);
    if (a->op == PUT)
        return crank_queue_put_(queue, &e, size, CRANK_KIND_STRUCT);
    int err = crank_queue_get_(queue, &e, size, CRANK_KIND_STRUCT);
    compare(&e, err == 0 ? a->got : -1);
    return err;
}
static bool cancel(actor *a)
{
    FUZZ_EXPECT(line_leave(a->op == PUT ? &putters : a->op == GET ? &getters : &joiners, a));
    actor_decide(a, -ECANCELED);
    return true;
}
static void check(void)
{
    FUZZ_EQUAL(crank_queue_count(queue), count);
    FUZZ_EQUAL(crank_queue_full(queue), max > 0 && (size_t)count >= max);
}

const model model_this = {
    .ops = OPS,
    .waiting = 1u << PUT | 1u << GET | 1u << JOIN,
    .open = open_queue,
    .close = close_queue,
    .step = step,
    .begin = begin,
    .call = call,
    .cancel = cancel,
    .check = check,
};
const fuzz_target fuzz_this = { .name = "queue", .length = 160, .in_task = true, .run = model_run };
