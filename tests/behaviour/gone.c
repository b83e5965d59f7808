/* SPDX-License-Identifier: MIT */
/* gone.c: what is true of crank_stream_on_gone. */
#include "ends.h"

/* Computes, as it were, and reads nothing. */
static int compute(void) { return crank_sleep(10); }

/* A task that is to be cancelled when the peer of here has gone. */
static crank_task *begin(void)
{
    crank_task *task = crank_spawn(compute);
    if (crank_stream_on_gone(here, task) < 0)
        test_fail(__FILE__, __LINE__, "%s", crank_error());
    return task;
}

static int expect_gone(crank_task *task)
{
    double before = crank_time();
    EXPECT_EQ(crank_await(task), -ECANCELED);
    EXPECT(crank_time() - before < 5);
    return 0;
}

static int expect_there(crank_task *task)
{
    crank_try(nets_settle());
    EXPECT(!crank_done(task));
    EXPECT_EQ(crank_cancelling(task), 0);
    EXPECT_EQ(crank_cancel(task), 0);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    return 0;
}

TEST_ENDS(on_gone, cancels_the_task_when_the_peer_closes)
{
    crank_task *task = begin();
    crank_try(nets_settle());
    crank_try(crank_finish(there));
    return expect_gone(task);
}

TEST_ENDS(on_gone, cancels_the_task_when_the_peer_ends_its_half)
{
    crank_task *task = begin();
    crank_try(nets_settle());
    crank_try(crank_write_eof(there));
    return expect_gone(task);
}

TEST_ENDS(on_gone, cancels_the_task_when_the_peer_resets)
{
    crank_task *task = begin();
    crank_try(nets_settle());
    crank_abort(there);
    return expect_gone(task);
}

TEST_ENDS(on_gone, cancels_at_once_where_the_peer_has_gone_already)
{
    crank_try(crank_finish(there));
    crank_try(nets_settle());
    return expect_gone(begin());
}

/* What a transport has below cannot be told from its end. */
TEST_ENDS(on_gone, waits_until_what_the_peer_has_sent_before_its_end_was_read)
{
    if (link_now == LINK_VEIL)
        return 0;
    crank_try(say_text("last\nwords\n"));
    crank_try(crank_write_eof(there));
    crank_try(nets_settle());
    crank_task *task = begin();
    crank_try(nets_settle());
    EXPECT_EQ(crank_cancelling(task), 0);
    EXPECT_STR(nets_line(here), "last");
    crank_try(nets_settle());
    EXPECT_EQ(crank_cancelling(task), 0);
    EXPECT_STR(nets_line(here), "words");
    return expect_gone(task);
}

static int read_last_bytes(size_t room)
{
    static char buf[64 * 1024];
    if (link_now == LINK_VEIL)
        return 0;
    crank_task *task = begin();
    crank_try(say_text("request"));
    crank_try(crank_write_eof(there));
    crank_try(nets_settle());
    EXPECT_EQ(crank_cancelling(task), 0);
    EXPECT_EQ(crank_try(crank_read(here, buf, room)), 7);
    return expect_gone(task);
}
TEST_ENDS(on_gone, looks_again_when_the_last_bytes_are_read) { return read_last_bytes(20); }
TEST_ENDS(on_gone, looks_again_when_the_last_bytes_are_read_with_much_room) { return read_last_bytes(64 * 1024); }

TEST_ENDS(on_gone, taken_back_cancels_nothing)
{
    crank_task *task = begin();
    crank_try(nets_settle());
    crank_try(crank_stream_on_gone(here, NULL));
    crank_try(crank_finish(there));
    return expect_there(task);
}

TEST_ENDS(on_gone, leaves_reading_and_writing_as_they_are)
{
    crank_task *task = begin();
    for (int i = 0; i < 3; i++) {
        crank_try(say_text("to\n"));
        EXPECT_STR(nets_line(here), "to");
        crank_try(crank_printf(here, "fro\n"));
        EXPECT_STR(nets_line(there), "fro");
    }
    crank_try(crank_stream_on_gone(here, task));
    return expect_there(task);
}

TEST_ENDS(on_gone, of_a_task_that_has_ended_does_nothing)
{
    crank_task *task = begin();
    EXPECT_EQ(crank_cancel(task), 0);
    EXPECT_EQ(crank_await(task), -ECANCELED);
    crank_try(crank_finish(there));
    return nets_settle();
}

/* The poll is pending, and its completion comes after the stream's end. */
TEST_ENDS(on_gone, ends_with_the_stream)
{
    crank_task *task = begin();
    crank_try(nets_settle());
    crank_try(crank_finish(here));
    return expect_there(task);
}

TEST_ENDS(on_reset, cancels_the_task_when_the_peer_resets)
{
    crank_task *task = crank_spawn(compute);
    crank_try(crank_stream_on_reset(here, task));
    crank_try(nets_settle());
    EXPECT(!crank_stream_gone(here));
    crank_abort(there);
    crank_try(expect_gone(task));
    EXPECT(crank_stream_gone(here));
    return 0;
}

TEST_ENDS(on_reset, lets_the_peer_end_its_half_and_on_gone_takes_its_place)
{
    crank_task *task = crank_spawn(compute);
    crank_try(crank_stream_on_gone(here, task));
    crank_try(nets_settle());
    crank_try(crank_stream_on_reset(here, task));
    crank_try(crank_write_eof(there));
    crank_try(nets_settle());
    EXPECT_EQ(crank_cancelling(task), 0);
    EXPECT(!crank_stream_gone(here));
    crank_try(crank_stream_on_gone(here, task));
    return expect_gone(task);
}

/* The task is named before that end, or behind it. */
static int reset_behind_end(bool named_before)
{
    crank_task *task = crank_spawn(compute);
    if (named_before)
        crank_try(crank_stream_on_reset(here, task));
    crank_try(nets_settle());
    crank_try(crank_write_eof(there));
    crank_try(nets_settle());
    if (!named_before)
        crank_try(crank_stream_on_reset(here, task));
    crank_try(nets_settle());
    EXPECT_EQ(crank_cancelling(task), 0);
    crank_abort(there);
    return expect_gone(task);
}
TEST_ENDS(on_reset, cancels_the_task_when_the_peer_resets_behind_the_end_of_its_half) { return reset_behind_end(true); }
TEST_ENDS(on_reset, named_behind_the_end_of_a_half_cancels_the_task_when_the_peer_resets)
{
    return reset_behind_end(false);
}

TEST_EACH_BACKEND(on_gone, refuses_what_is_no_socket_and_what_has_ended)
{
    crank_try(crank_pipe(&here, &there));
    EXPECT_EQ(crank_stream_on_gone(here, crank_self()), -ENOTSUP);
    EXPECT_CONTAINS(crank_error(), "no socket");
    (void)crank_close(here);
    (void)crank_close(there);
    crank_try(crank_socket_pair(&here, &there));
    crank_abort(here);
    EXPECT_EQ(crank_stream_on_gone(here, crank_self()), -ECONNABORTED);
    (void)crank_close(here);
    return crank_close(there);
}
