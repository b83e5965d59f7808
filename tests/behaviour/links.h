/* SPDX-License-Identifier: MIT */
/* links.h: two connected streams, for tests of what streams over sockets promise: each over a pair, over TCP, and over
 * both in the simulator under seeds, where transfers are cut and arrivals change places. */
#ifndef TEST_LINKS_H
#define TEST_LINKS_H
#include "io/socketlike.h"
#include "nets.h"
#include "trail.h"

typedef struct ends {
    crank_stream *a, *b; /* NULL: the test has closed it */
} ends;

/* Where the body fails, its children must not wait for what it would have done. */
__attribute__((unused)) static int run_body(int (*body)(ends *l), ends *l)
{
    int err = body(l);
    if (err < 0 && l->a)
        crank_abort(l->a);
    if (err < 0 && l->b)
        crank_abort(l->b);
    return err;
}

/* Run a test's body, in a task of its own, whose children end with it, and close the streams that it has left open. */
__attribute__((unused)) static int with_ends_of(
    int (*open)(crank_stream **ret_a, crank_stream **ret_b), int (*body)(ends *l))
{
    ends l = { 0 };
    int err = open(&l.a, &l.b);
    if (err == 0)
        err = (int)crank_await(crank_spawn(run_body, body, &l));
    (void)crank_close(l.a);
    (void)crank_close(l.b);
    return err;
}
__attribute__((unused)) static int with_ends(bool tcp, int (*body)(ends *l))
{
    return with_ends_of(tcp ? nets_pair : crank_socket_pair, body);
}

#define EACH_LINK(subject, sentence) \
    static int subject##_##sentence(ends *l); \
    TEST_EACH_BACKEND(subject, sentence##_over_a_pair) { return with_ends(false, subject##_##sentence); } \
    TEST_EACH_BACKEND(subject, sentence##_over_tcp) { return with_ends(true, subject##_##sentence); } \
    TEST_SEEDS(subject, sentence##_under_seeds, 40) { return with_ends(seed & 1, subject##_##sentence); } \
    static int subject##_##sentence(ends *l)

__attribute__((unused)) static cr_socketlike *inside(crank_stream *s) { return cr_socketlike_of(s); }
__attribute__((unused)) static size_t unsent(crank_stream *s) { return cr_sending_unsent(inside(s)); }
/* All that was written and taken. */
__attribute__((unused)) static uint64_t taken_of(crank_stream *s) { return inside(s)->sent + unsent(s); }

/* In a task of its own. */
__attribute__((unused)) static int close_end(crank_stream **end) { return crank_finish(*end); }

/* A task's error, or 0. */
__attribute__((unused)) static int error_of(crank_task *task)
{
    long result = crank_await(task);
    return result < 0 ? (int)result : 0;
}

/* What stands at a position of the bytes that a test sends: no two pieces of some length are equal. */
static char byte_at(uint64_t position)
{
    position *= UINT64_C(0x9e3779b97f4a7c15);
    return (char)(position >> 40);
}
__attribute__((unused)) static char *bytes_from(uint64_t position, size_t size)
{
    char *bytes = malloc(size ? size : 1);
    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_at(position + i);
    return bytes;
}
static void expect_bytes(const char *bytes, uint64_t position, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != byte_at(position + i))
            test_fail(__FILE__, __LINE__, "byte %llu is another", (unsigned long long)(position + i));
}

/* Read to the end, comparing: how many bytes came, or a negative errno. Then the peer need not wait for a reader. */
__attribute__((unused)) static long read_rest(crank_stream *s, uint64_t position)
{
    char buf[5000];
    uint64_t from = position;
    for (;;) {
        long n = crank_read(s, buf, sizeof buf);
        if (n < 0) {
            crank_abort(s);
            return n;
        }
        if (n == 0)
            return (long)(position - from);
        expect_bytes(buf, position, (size_t)n);
        position += (uint64_t)n;
    }
}

/* Let time pass until it holds: others run, what was sent arrives. A deadlock ends the test. */
#define UNTIL(condition) \
    do { \
        for (double until_ = crank_time() + 8; !(condition);) { \
            EXPECT(crank_time() < until_); \
            crank_try(crank_sleep(0.0002)); \
        } \
    } while (0)

/* Write until there is no room for a piece, from position 0: how much was taken. A limit ends the write that waits. */
__attribute__((unused)) static long fill_up(crank_stream *s, size_t piece)
{
    for (;;) {
        uint64_t before = taken_of(s);
        char *bytes = bytes_from(before, piece);
        int err = crank_within(0.02, crank_write(s, bytes, piece));
        free(bytes);
        if (err == -ETIMEDOUT) {
            EXPECT_EQ(taken_of(s), before); /* cancelled: it has taken nothing */
            if (unsent(s) + piece > CR_BUFFER_LARGE)
                return (long)before;
        } else if (err < 0)
            return err;
    }
}
#endif
