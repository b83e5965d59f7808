/* SPDX-License-Identifier: MIT */
/* stream_limit.c: what is true of the instant from which on a stream's waits end. */
#include "ends.h"
#include "scratch.h"

enum { KIB = 1024 };

static int read_one(crank_stream *stream)
{
    char c;
    return (int)crank_read(stream, &c, 1);
}
static int write_much(void)
{
    char *bytes = test_memory(8000 * KIB);
    return crank_write(there, bytes, 8000 * KIB);
}
static int write_little(void) { return crank_write(there, "x", 1); }

TEST_ENDS(stream_limit, ends_a_wait_at_its_instant)
{
    double at = crank_time() + 2e-3;
    crank_try(crank_stream_limit(here, at));
    EXPECT_EQ(read_one(here), -ETIMEDOUT);
    EXPECT(crank_time() >= at);
    EXPECT(strcmp(crank_backend_name(), "sim") != 0 || crank_time() < at + 1e-8);
    EXPECT_EQ(read_one(here), -ETIMEDOUT);
    return 0;
}

TEST_ENDS(stream_limit, that_has_passed_takes_no_byte_and_ends_no_call_that_need_not_wait)
{
    char buf[8];
    crank_try(say_text("abc"));
    crank_try(crank_sleep(1e-3));
    crank_try(crank_stream_limit(here, crank_time()));
    crank_try(crank_sleep(1e-3));
    EXPECT_EQ(crank_read_exactly(here, buf, 4), -ETIMEDOUT);
    EXPECT_EQ(crank_try(crank_read(here, buf, sizeof buf)), 3);
    crank_try(say_text("d"));
    crank_try(crank_stream_limit(here, CRANK_FOREVER));
    EXPECT_EQ(crank_try(crank_read(here, buf, sizeof buf)), 1);
    return 0;
}

TEST_ENDS(stream_limit, ends_a_read_with_much_room_and_takes_no_byte)
{
    static char buf[64 * KIB];
    crank_try(crank_stream_limit(here, crank_time() + 2e-3));
    EXPECT_EQ(crank_read(here, buf, sizeof buf), -ETIMEDOUT);
    crank_try(say_text("abc"));
    crank_try(crank_sleep(1e-3));
    EXPECT_EQ(crank_try(crank_read(here, buf, sizeof buf)), 3);
    EXPECT_EQ(crank_read(here, buf, sizeof buf), -ETIMEDOUT);
    crank_try(crank_stream_limit(here, CRANK_FOREVER));
    crank_try(say_text("d"));
    EXPECT_EQ(crank_try(crank_read(here, buf, sizeof buf)), 1);
    return 0;
}

/* The timer is due at 10 ms, and finds the limit moved. */
static int move_with_messages(void)
{
    crank_try(crank_stream_limit(here, crank_time() + 0.01));
    for (int i = 0; i < 5; i++) {
        crank_task *reader = crank_spawn(read_one, here);
        crank_try(crank_sleep(4e-3));
        crank_try(say_text("x"));
        EXPECT_EQ(crank_await(reader), 1);
        crank_try(crank_stream_limit(here, crank_time() + 0.5));
    }
    double at = crank_time() + 1e-3;
    crank_try(crank_stream_limit(here, at));
    EXPECT_EQ(read_one(here), -ETIMEDOUT);
    EXPECT(crank_time() >= at && crank_time() < at + 1e-8);
    return 0;
}
TEST_SIM(stream_limit, moved_with_every_message_ends_only_the_wait_that_is_too_long)
{
    return on_each_link(move_with_messages);
}

TEST_ENDS(stream_limit, ends_writers_a_reader_and_the_closing_that_wait)
{
    crank_task *tasks[] = { crank_spawn(write_much), crank_spawn(write_little), crank_spawn(read_one, there) };
    crank_try(crank_stream_limit(there, crank_time() + 1e-3));
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(crank_await(tasks[i]), -ETIMEDOUT);
    EXPECT_EQ(crank_write(there, "x", 1), -EPIPE);
    return 0;
}

TEST_ENDS(stream_limit, ends_the_closing_of_what_the_peer_does_not_read)
{
    char *bytes = test_memory(KIB);
    for (int idle = 0; idle < 10; idle++) {
        for (; crank_write_now(there, bytes, KIB) == 0; idle = 0)
            continue;
        crank_try(crank_sleep(1e-4));
    }
    crank_try(crank_stream_limit(there, crank_time() + 1e-3));
    EXPECT_EQ(crank_finish(there), -ETIMEDOUT);
    return 0;
}

TEST_ENDS(stream_limit, and_a_request_of_the_same_moment_give_the_request)
{
    crank_task *reader = crank_spawn(read_one, here);
    crank_try(crank_sleep(1e-4));
    crank_cancel(reader);
    crank_try(crank_stream_limit(here, 0));
    EXPECT_EQ(crank_await(reader), -ECANCELED);
    return 0;
}

TEST_EACH_BACKEND(stream_limit, of_a_file_is_refused)
{
    AUTO_ENDS;
    here = crank_try(crank_open(scratch_file("f", "x", 1), "r"));
    EXPECT_EQ(crank_stream_limit(here, 1), -ENOTSUP);
    crank_try(crank_finish(here));
    crank_try(crank_socket_pair(&here, &there));
    EXPECT_EQ(crank_stream_limit(here, (double)NAN), -EINVAL);
    crank_try(crank_finish(here));
    return crank_finish(there);
}
