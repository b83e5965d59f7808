/* SPDX-License-Identifier: MIT */
/* all_streams.h: what holds of any two streams that are connected, whatever they stand on: one list of checks, run over
 * each kind. */
#ifndef ALL_STREAMS_H
#define ALL_STREAMS_H
#include "links.h"

enum { MUCH = 300000 }; /* more than a pipe and what stands behind it hold */

/* Where a writer fails, the reader must not wait for more; unless another task has ended the stream. */
static int or_abort(crank_stream *s, int err)
{
    if (err < 0 && err != -ECONNABORTED)
        crank_abort(s);
    return err;
}
static int write_all_and_end(crank_stream *s)
{
    int err = 0;
    for (size_t at = 0; err == 0 && at < MUCH; at += MUCH / 2) {
        char *bytes = bytes_from(at, MUCH / 2);
        err = crank_write(s, bytes, MUCH / 2);
        free(bytes);
    }
    return or_abort(s, err < 0 ? err : crank_write_eof(s));
}
static long read_all_of(crank_stream *s) { return read_rest(s, 0); }
static long read_byte_of(crank_stream *s)
{
    char byte;
    return crank_read(s, &byte, 1);
}
static unsigned writes; /* of all that write until they are ended */
static int write_until_ended(crank_stream *s)
{
    int err = 0;
    char *bytes = bytes_from(0, MUCH / 10);
    for (int i = 0; err == 0 && i < 1000; i++, writes++)
        err = crank_write(s, bytes, MUCH / 10);
    free(bytes);
    return or_abort(s, err);
}
/* Until nothing between the ends takes any more. */
static int wait_for_a_stall(void)
{
    for (unsigned before = writes - 1, still = 0; still < 4; before = writes) {
        crank_try(nets_settle());
        still = writes == before ? still + 1 : 0;
    }
    return 0;
}

/* ---- From a to b ---- */

static int bytes_come_in_order_and_then_the_end(ends *l)
{
    crank_task *writer = crank_spawn(write_all_and_end, l->a);
    EXPECT_EQ(read_rest(l->b, 0), MUCH);
    crank_try(crank_await(writer));
    EXPECT_EQ(read_byte_of(l->b), 0);
    EXPECT(crank_at_end(l->b));
    crank_try(crank_write_eof(l->a)); /* twice is once */
    EXPECT_EQ(crank_write(l->a, "x", 1), -EPIPE);
    crank_try(close_end(&l->a));
    return close_end(&l->b);
}

static int a_close_sends_the_rest(ends *l)
{
    char line[10] = "";
    crank_try(crank_printf(l->a, "rest\n"));
    crank_try(close_end(&l->a));
    EXPECT_EQ(crank_try(crank_read_line(l->b, line, sizeof line)), 5);
    EXPECT_STR(line, "rest\n");
    EXPECT_EQ(crank_try(read_byte_of(l->b)), 0);
    return 0;
}

static int a_cancelled_read_takes_nothing(ends *l)
{
    char two[3] = "";
    crank_task *reader = crank_spawn(read_byte_of, l->b);
    crank_try(nets_settle());
    EXPECT(!crank_done(reader));
    crank_cancel(reader);
    EXPECT_EQ(crank_await(reader), -ECANCELED);
    crank_try(crank_write(l->a, "ab", 2));
    crank_try(crank_flush(l->a));
    crank_try(crank_read_exactly(l->b, two, 2));
    EXPECT_STR(two, "ab");
    return 0;
}

static int a_peer_that_goes_ends_a_writer(ends *l)
{
    crank_task *writer = crank_spawn(write_until_ended, l->a);
    crank_try(wait_for_a_stall());
    EXPECT(!crank_done(writer));
    (void)close_end(&l->b);
    long err = crank_await(writer);
    EXPECT(err == -EPIPE || err == -ECONNRESET);
    return 0;
}

static int an_abort_ends_a_reader(ends *l)
{
    crank_task *reader = crank_spawn(read_byte_of, l->b);
    crank_try(nets_settle());
    crank_abort(l->b);
    EXPECT_EQ(crank_await(reader), -ECONNABORTED);
    EXPECT_EQ(read_byte_of(l->b), -ECONNABORTED);
    EXPECT_EQ(close_end(&l->b), 0);
    return 0;
}

static int an_abort_ends_all_writers(ends *l)
{
    crank_task *writers[] = { crank_spawn(write_until_ended, l->a), crank_spawn(write_until_ended, l->a) };
    crank_try(wait_for_a_stall());
    crank_abort(l->a);
    for (int i = 0; i < 2; i++)
        EXPECT_EQ(crank_await(writers[i]), -ECONNABORTED);
    EXPECT_EQ(crank_write(l->a, "x", 1), -ECONNABORTED);
    EXPECT_EQ(close_end(&l->a), 0);
    return 0;
}

static int a_close_ends_the_calls_of_others(ends *l)
{
    crank_task *reader = crank_spawn(read_byte_of, l->b), *writer = crank_spawn(write_until_ended, l->a);
    EXPECT_EQ(crank_try(crank_await(reader)), 1);
    crank_try(wait_for_a_stall());
    EXPECT(!crank_done(writer));
    EXPECT_EQ(crank_within(0.01, close_end(&l->a)), -ETIMEDOUT); /* the peer reads no more */
    EXPECT_EQ(crank_await(writer), -ECONNABORTED);
    return 0;
}

/* ---- Both ways ---- */

static int both_ways_carry_much_at_once(ends *l)
{
    crank_task *writers[] = { crank_spawn(write_all_and_end, l->a), crank_spawn(write_all_and_end, l->b) };
    crank_task *readers[] = { crank_spawn(read_all_of, l->a), crank_spawn(read_all_of, l->b) };
    for (int i = 0; i < 2; i++) {
        crank_try(crank_await(writers[i]));
        EXPECT_EQ(crank_try(crank_await(readers[i])), MUCH);
    }
    return 0;
}

static int reading_goes_on_behind_the_end_of_writing(ends *l)
{
    crank_try(crank_write_eof(l->a));
    EXPECT_EQ(crank_try(read_byte_of(l->b)), 0);
    crank_try(crank_printf(l->b, "!"));
    crank_try(crank_flush(l->b));
    EXPECT_EQ(crank_try(read_byte_of(l->a)), 1);
    crank_try(crank_write_eof(l->b));
    EXPECT_EQ(crank_try(read_byte_of(l->a)), 0);
    return 0;
}

static int (*const from_a_to_b[])(ends *l) = { bytes_come_in_order_and_then_the_end, a_close_sends_the_rest,
    a_cancelled_read_takes_nothing, a_peer_that_goes_ends_a_writer, an_abort_ends_a_reader, an_abort_ends_all_writers,
    a_close_ends_the_calls_of_others };
static int (*const both_ways[])(ends *l) = { both_ways_carry_much_at_once, reading_goes_on_behind_the_end_of_writing };

typedef int open_streams(crank_stream **ret_a, crank_stream **ret_b);

/* a is written and b is read. */
__attribute__((unused)) static int check_one_way(open_streams *open)
{
    for (size_t i = 0; i < CRANK_COUNT(from_a_to_b); i++)
        crank_try(with_ends_of(open, from_a_to_b[i]));
    return 0;
}

static open_streams *forwards;
static int backwards(crank_stream **ret_a, crank_stream **ret_b) { return forwards(ret_b, ret_a); }
__attribute__((unused)) static int check_two_ways(open_streams *open)
{
    forwards = open;
    crank_try(check_one_way(open));
    crank_try(check_one_way(backwards));
    for (size_t i = 0; i < CRANK_COUNT(both_ways); i++)
        crank_try(with_ends_of(open, both_ways[i]));
    return 0;
}
#endif
