/* SPDX-License-Identifier: MIT */
/* transfers.c: bytes from one end of a connection to the other, each run through its schedules: what is written leaves
 * by itself, whole and in order, and is read the same in whatever pieces it comes. */
#include "../behaviour/links.h"

enum { SMALL = 700, LARGE = 70000 };

/* A body with two ends over TCP, which are closed behind it, however it ends. */
#define EXPLORED_LINK(subject, sentence, count) \
    static int subject##_##sentence(ends *l); \
    TEST_EXPLORED(subject, sentence, count) { return with_ends(true, subject##_##sentence); } \
    static int subject##_##sentence(ends *l)

/* ---- Reading up to something ---- */

static int say_pieces(crank_stream **end, const char *const *pieces)
{
    for (; *pieces; pieces++) {
        crank_try(crank_write(*end, *pieces, strlen(*pieces)));
        crank_try(crank_flush(*end));
    }
    return crank_finish(*end);
}
/* However the bytes come, alone or with others and with the end. */
EXPLORED_LINK(read_until, gives_the_same_however_the_bytes_come, 400)
{
    static const char *const pieces[] = { "abcdefgh\r", "\n\r", "\nab\nrest", NULL };
    static const char *const separators[] = { "a long separator", "\n" };
    char small[6], buf[20];
    crank_task *writer = crank_spawn(say_pieces, &l->a, pieces);
    EXPECT_EQ(crank_read_until(l->b, "\r\n\r\n", small, sizeof small), -EMSGSIZE);
    EXPECT_EQ(crank_read_until(l->b, "\r\n\r\n", buf, sizeof buf), 12);
    EXPECT_STR(buf, "abcdefgh\r\n\r\n");
    EXPECT_EQ(crank_read_until_any(l->b, separators, 2, small, 4), 3);
    EXPECT_STR(small, "ab\n");
    EXPECT_EQ(crank_read_until(l->b, "\n", buf, sizeof buf), -ENODATA);
    EXPECT_EQ(crank_read_exactly(l->b, buf, 5), -ENODATA);
    EXPECT_EQ(crank_read_exactly(l->b, buf, 4), 4);
    EXPECT_EQ(memcmp(buf, "rest", 4), 0);
    EXPECT_EQ(crank_read(l->b, buf, sizeof buf), 0);
    EXPECT(crank_at_end(l->b));
    return error_of(writer);
}

/* ---- What is written leaves by itself ---- */

static int hear_and_wake(crank_stream *s, crank_event *event, crank_queue *queue, crank_lock *lock, bool *slept)
{
    char line[20];
    EXPECT_EQ(crank_read_line(s, line, sizeof line), 6);
    crank_event_set(event);
    EXPECT_EQ(crank_read_line(s, line, sizeof line), 6);
    crank_try(crank_lock_acquire(lock));
    crank_try(crank_put(queue, 1));
    EXPECT_EQ(crank_read_line(s, line, sizeof line), 6);
    crank_lock_release(lock);
    EXPECT_EQ(crank_read_line(s, line, sizeof line), 6);
    EXPECT(!*slept);
    return 0;
}
/* No wait of the writer's but the last ends without the peer, which has heard what was written before it. */
EXPLORED_LINK(written, is_heard_while_the_writer_waits_for_something_else, 400)
{
    CRANK_EVENT(event);
    CRANK_QUEUE(queue, int, 1);
    CRANK_LOCK(lock);
    int one;
    bool slept = false;
    CRANK_GROUP(peer);
    crank_group_spawn(&peer, hear_and_wake, l->b, event, queue, lock, &slept);
    crank_try(crank_printf(l->a, "event\n"));
    crank_try(crank_event_wait(event));
    crank_try(crank_printf(l->a, "queue\n"));
    crank_try(crank_get(queue, &one));
    crank_try(crank_printf(l->a, "locks\n"));
    crank_try(crank_lock_acquire(lock));
    crank_lock_release(lock);
    crank_try(crank_printf(l->a, "sleep\n"));
    crank_try(crank_sleep(1));
    slept = true;
    return crank_group_wait(&peer);
}

/* ---- Several writers, both directions, a write cut short ---- */

static int write_letters(crank_stream *s, char letter, size_t size)
{
    char *bytes = malloc(size);
    memset(bytes, letter, size);
    int err = crank_write(s, bytes, size);
    free(bytes);
    if (err < 0)
        crank_abort(s); /* the reader waits for more */
    return err;
}
EXPLORED_LINK(writers, of_one_stream_mix_nothing_and_all_go_on, 200)
{
    enum { WRITERS = 4 };
    static const size_t sizes[WRITERS] = { SMALL, 40000, LARGE, 30000 };
    crank_task *writers[WRITERS];
    char buf[30000];
    for (int i = 0; i < WRITERS; i++)
        writers[i] = crank_spawn(write_letters, l->a, (char)('a' + i), sizes[i]);
    size_t came[WRITERS] = { 0 }, all = 0;
    for (int last = -1; all < SMALL + 40000 + LARGE + 30000;) {
        long n = crank_try(crank_read(l->b, buf, sizeof buf));
        EXPECT(n > 0);
        all += (size_t)n;
        for (long i = 0; i < n; last = buf[i++] - 'a') {
            EXPECT(buf[i] >= 'a' && buf[i] < 'a' + WRITERS);
            EXPECT(buf[i] - 'a' == last || came[buf[i] - 'a'] == 0);
            came[buf[i] - 'a']++;
        }
    }
    for (int i = 0; i < WRITERS; i++) {
        EXPECT_EQ(crank_await(writers[i]), 0);
        EXPECT_EQ(came[i], sizes[i]);
    }
    return 0;
}

static int write_and_end(crank_stream *s, size_t size)
{
    char *bytes = bytes_from(0, size);
    int err = crank_write(s, bytes, size);
    free(bytes);
    crank_try(err);
    return crank_write_eof(s);
}
EXPLORED_LINK(both_ends, write_more_than_the_limit_with_a_reader_beside, 100)
{
    enum { MUCH = 300000 };
    crank_task *writers[] = { crank_spawn(write_and_end, l->a, (size_t)MUCH),
        crank_spawn(write_and_end, l->b, (size_t)MUCH) };
    crank_task *readers[] = { crank_spawn(read_rest, l->a, (uint64_t)0), crank_spawn(read_rest, l->b, (uint64_t)0) };
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(crank_await(writers[i]), 0);
        EXPECT_EQ(crank_await(readers[i]), MUCH);
    }
    return 0;
}

/* What comes is the beginning of what was written. Where some of it was sent nothing follows but a reset; else the
 * stream is as if the write had never been. */
EXPLORED_LINK(large_write, that_is_cancelled_has_taken_nothing_or_breaks_the_stream, 200)
{
    enum { MUCH = 300000 };
    crank_task *reader = crank_spawn(read_rest, l->b, (uint64_t)0);
    crank_task *writer = crank_spawn(write_and_end, l->a, (size_t)MUCH);
    for (int i = 0; i < 4; i++)
        crank_try(crank_sleep(0));
    crank_cancel(writer);
    EXPECT_EQ(crank_await(writer), -ECANCELED);
    bool broken = inside(l->a)->sent > 0;
    EXPECT_EQ(crank_write_eof(l->a), broken ? -EPIPE : 0);
    EXPECT_EQ(close_end(&l->a), 0);
    EXPECT_EQ(crank_await(reader), broken ? -ECONNRESET : 0);
    return 0;
}
