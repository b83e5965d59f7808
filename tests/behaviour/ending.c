/* SPDX-License-Identifier: MIT */
/* ending.c: the three ways in which a stream over a socket ends: the end of writing, abort, and close. */
#include "links.h"

/* ---- The end of writing ---- */

EACH_LINK(write_eof, comes_behind_the_data_and_reading_goes_on)
{
    crank_try(crank_printf(l->a, "question"));
    crank_try(crank_write_eof(l->a));
    char buf[20] = "";
    EXPECT_EQ(crank_read_exactly(l->b, buf, 8), 8);
    EXPECT_EQ(crank_read(l->b, buf, sizeof buf), 0);
    crank_try(crank_printf(l->b, "answer"));
    EXPECT_EQ(crank_read_exactly(l->a, buf, 6), 6);
    crank_try(close_end(&l->b));
    EXPECT_EQ(crank_read(l->a, buf, sizeof buf), 0);
    return 0;
}

EACH_LINK(write_eof, twice_is_once)
{
    crank_try(crank_write_eof(l->a));
    crank_try(crank_write_eof(l->a));
    EXPECT_EQ(read_rest(l->b, 0), 0);
    return crank_write_eof(l->a);
}

EACH_LINK(write_eof, is_followed_by_no_write)
{
    crank_try(crank_write_eof(l->a));
    EXPECT_EQ(crank_write(l->a, "x", 1), -EPIPE);
    EXPECT_EQ(crank_printf(l->a, "x"), -EPIPE);
    EXPECT_EQ(crank_flush(l->a), 0);
    EXPECT_EQ(read_rest(l->b, 0), 0);
    return 0;
}

EACH_LINK(write_eof, of_both_at_once_leaves_both_readable)
{
    crank_try(crank_printf(l->a, "%c", byte_at(0)));
    crank_try(crank_write_eof(l->a));
    crank_try(crank_printf(l->b, "%c", byte_at(0)));
    crank_try(crank_write_eof(l->b));
    EXPECT_EQ(read_rest(l->a, 0), 1);
    EXPECT_EQ(read_rest(l->b, 0), 1);
    crank_try(close_end(&l->a));
    return close_end(&l->b);
}

static int write_piece(crank_stream *s, uint64_t position, size_t size)
{
    char *bytes = bytes_from(position, size);
    int err = crank_write(s, bytes, size);
    free(bytes);
    return err;
}
static long read_all(crank_stream *s) { return read_rest(s, 0); }

EACH_LINK(write_eof, waits_for_the_writers_before_it_and_ends_those_behind)
{
    long total = fill_up(l->a, 9000);
    crank_task *before = crank_spawn(write_piece, l->a, (uint64_t)total, (size_t)100000);
    crank_try(settle());
    crank_task *end = crank_spawn(crank_write_eof, l->a);
    crank_try(settle());
    crank_task *behind = crank_spawn(write_piece, l->a, (uint64_t)0, (size_t)1000);
    crank_try(settle());
    EXPECT(!crank_done(before) && !crank_done(end) && !crank_done(behind));
    EXPECT_EQ(read_all(l->b), total + 100000);
    crank_try(crank_await(before));
    crank_try(crank_await(end));
    EXPECT_EQ(crank_await(behind), -EPIPE);
    return 0;
}

EACH_LINK(write_eof, of_a_stalled_peer_does_not_wait_for_it)
{
    long total = fill_up(l->a, 9000);
    crank_try(crank_write_eof(l->a));
    EXPECT(unsent(l->a) > 0);
    EXPECT_EQ(read_all(l->b), total);
    return 0;
}

/* A reader that waits for more need not, where it fails. */
static int write_or_break(crank_stream *s, size_t size)
{
    int err = write_piece(s, 0, size);
    if (err < 0)
        crank_abort(s);
    return err;
}
EACH_LINK(peer, that_ended_writing_still_reads)
{
    crank_try(crank_write_eof(l->b));
    EXPECT_EQ(read_all(l->a), 0);
    crank_task *writer = crank_spawn(write_or_break, l->a, (size_t)300000);
    char *bytes = test_memory(300000);
    EXPECT_EQ(crank_read_exactly(l->b, bytes, 300000), 300000);
    expect_bytes(bytes, 0, 300000);
    return error_of(writer);
}

/* ---- Close ---- */

EACH_LINK(close, sends_the_rest)
{
    long total = fill_up(l->a, 9000);
    EXPECT(unsent(l->a) > 0);
    crank_task *reader = crank_spawn(read_all, l->b);
    crank_try(close_end(&l->a));
    EXPECT_EQ(crank_await(reader), total);
    return 0;
}

static int write_and_close(crank_stream **end)
{
    crank_try(crank_printf(*end, "%c%c%c", byte_at(0), byte_at(1), byte_at(2)));
    return close_end(end);
}
EACH_LINK(close, at_once_after_a_write_sends_it)
{
    crank_try(crank_await(crank_spawn(write_and_close, &l->a)));
    EXPECT_EQ(read_all(l->b), 3);
    return 0;
}

static int cancelled_then_close(crank_stream **end)
{
    EXPECT_EQ(crank_cancel(crank_self()), 0);
    return close_end(end);
}
EACH_LINK(close, with_a_request_pending_and_a_stalled_peer_gives_up_at_once)
{
    EXPECT(fill_up(l->a, 9000) > 0);
    double since = crank_time();
    EXPECT_EQ(crank_await(crank_spawn(cancelled_then_close, &l->a)), -ECANCELED);
    if (strcmp(crank_backend_name(), "sim") == 0)
        EXPECT_NEAR(crank_time() - since, 0, 0);
    return 0;
}
static int close_cancelled(ends *l)
{
    crank_try(crank_printf(l->a, "%c%c%c", byte_at(0), byte_at(1), byte_at(2)));
    EXPECT_EQ(crank_await(crank_spawn(cancelled_then_close, &l->a)), -ECANCELED);
    EXPECT_EQ(read_all(l->b), 3);
    return 0;
}
TEST_EACH_BACKEND(close, when_cancelled_sends_what_a_pair_has_room_for) { return with_ends(false, close_cancelled); }
TEST_EACH_BACKEND(close, when_cancelled_sends_what_tcp_has_room_for) { return with_ends(true, close_cancelled); }

/* The request was answered by the sleep, and still counts. */
static int sleep_then_close(crank_stream **end)
{
    EXPECT_EQ(crank_sleep(CRANK_FOREVER), -ECANCELED);
    return close_end(end);
}
EACH_LINK(close, of_a_task_that_was_cancelled_gives_up_a_stalled_peer)
{
    EXPECT(fill_up(l->a, 9000) > 0);
    crank_task *closer = crank_spawn(sleep_then_close, &l->a);
    crank_try(settle());
    crank_cancel(closer);
    EXPECT_EQ(crank_await(closer), -ECANCELED);
    return 0;
}
static int close_dropping(ends *l)
{
    EXPECT(fill_up(l->a, 9000) > 0);
    EXPECT_EQ(crank_within(0.01, close_end(&l->a)), -ETIMEDOUT);
    EXPECT_EQ(read_all(l->b), -ECONNRESET);
    return 0;
}
TEST_EACH_BACKEND(close, that_drops_bytes_resets_a_tcp_peer) { return with_ends(true, close_dropping); }

static int close_it(crank_stream **end) { return close_end(end); }
EACH_LINK(close, of_a_stalled_peer_ends_by_a_request)
{
    EXPECT(fill_up(l->a, 9000) > 0);
    crank_task *closer = crank_spawn(close_it, &l->a);
    crank_try(settle());
    EXPECT(!crank_done(closer));
    crank_cancel(closer);
    EXPECT_EQ(crank_await(closer), -ECANCELED);
    return 0;
}
EACH_LINK(close, of_a_stalled_peer_ends_by_a_limit)
{
    EXPECT(fill_up(l->a, 9000) > 0);
    EXPECT_EQ(crank_within(0.01, close_end(&l->a)), -ETIMEDOUT);
    return 0;
}

static int close_both(ends *l)
{
    EXPECT(fill_up(l->a, 9000) > 0);
    EXPECT(fill_up(l->b, 9000) > 0);
    crank_task *other = crank_spawn(close_it, &l->b);
    crank_try(crank_stream_limit(l->a, crank_time() + 0.01));
    EXPECT_EQ(close_end(&l->a), -ETIMEDOUT);
    EXPECT_EQ(crank_await(other), -ECONNRESET);
    return 0;
}
TEST_EACH_BACKEND(close, of_two_ends_that_wait_for_each_other_ends_by_the_limit_of_one)
{
    return with_ends(true, close_both);
}

EACH_LINK(close, gives_what_sending_failed_with)
{
    EXPECT(fill_up(l->a, 9000) > 0);
    crank_try(close_end(&l->b));
    int err = close_end(&l->a);
    EXPECT(err == -EPIPE || err == -ECONNRESET);
    EXPECT_CONTAINS(crank_error(), "cannot write");
    return 0;
}

static long peer_reads(crank_stream *s)
{
    long n = read_rest(s, 0);
    EXPECT(n >= 0);
    return n;
}
EACH_LINK(close, while_the_peer_reads_ends_it)
{
    crank_task *reader = crank_spawn(peer_reads, l->b);
    crank_try(settle());
    crank_try(close_end(&l->a));
    EXPECT_EQ(crank_await(reader), 0);
    return 0;
}

/* ---- While other tasks are in calls ---- */

static long read_some(crank_stream *s)
{
    char byte;
    return crank_read(s, &byte, 1);
}
static long read_a_line(crank_stream *s)
{
    char line[100];
    return crank_read_line(s, line, sizeof line);
}
/* Of what others write meanwhile it knows nothing: first it has something of its own in line. */
static int flush_more(crank_stream *s)
{
    crank_try(write_piece(s, 0, 1));
    return crank_flush(s);
}
static int flush(crank_stream *s) { return crank_flush(s); }
enum { CALLS = 6 };
/* A reader, a writer whose own memory is being sent or that waits for room, and the writers behind it. */
static void start_calls(crank_stream *s, uint64_t from, size_t first, crank_task *ret_calls[CALLS])
{
    ret_calls[0] = crank_spawn(read_some, s);
    ret_calls[1] = crank_spawn(write_piece, s, from, first);
    ret_calls[2] = crank_spawn(write_piece, s, (uint64_t)0, (size_t)60000);
    ret_calls[3] = crank_spawn(write_piece, s, (uint64_t)0, (size_t)200000);
    ret_calls[4] = crank_spawn(crank_write_eof, s);
    ret_calls[5] = crank_spawn(flush_more, s);
}
static int expect_aborted(crank_task *calls[CALLS])
{
    for (int i = 0; i < CALLS; i++)
        EXPECT_EQ(crank_await(calls[i]), -ECONNABORTED);
    return 0;
}

EACH_LINK(close, ends_the_calls_of_other_tasks_and_sends_what_was_taken)
{
    crank_task *calls[CALLS];
    long total = fill_up(l->a, 9000);
    start_calls(l->a, (uint64_t)total, 60000, calls);
    crank_try(settle());
    crank_task *reader = crank_spawn(read_all, l->b);
    crank_try(close_end(&l->a));
    for (int i = 0; i < CALLS; i++)
        EXPECT(crank_done(calls[i]));
    crank_try(expect_aborted(calls));
    EXPECT_EQ(crank_await(reader), total);
    return 0;
}
EACH_LINK(close, ends_a_large_write_midway)
{
    crank_task *calls[CALLS];
    start_calls(l->a, 0, 8000000, calls);
    UNTIL(inside(l->a)->sending && inside(l->a)->sending->direct);
    uint64_t sent = inside(l->a)->sent;
    crank_try(close_end(&l->a));
    crank_try(expect_aborted(calls));
    EXPECT_EQ(read_all(l->b), sent);
    return 0;
}
EACH_LINK(close, with_a_request_pending_ends_the_calls_of_other_tasks)
{
    crank_task *calls[CALLS];
    long total = fill_up(l->a, 9000);
    start_calls(l->a, (uint64_t)total, 60000, calls);
    crank_try(settle());
    EXPECT_EQ(crank_await(crank_spawn(cancelled_then_close, &l->a)), -ECANCELED);
    return expect_aborted(calls);
}
EACH_LINK(close, ends_a_call_that_is_cancelled_at_the_same_moment)
{
    crank_task *calls[CALLS];
    long total = fill_up(l->a, 9000);
    start_calls(l->a, (uint64_t)total, 60000, calls);
    crank_try(settle());
    for (int i = 0; i < CALLS; i++)
        crank_cancel(calls[i]);
    crank_task *reader = crank_spawn(read_all, l->b);
    crank_try(close_end(&l->a));
    for (int i = 0; i < CALLS; i++) {
        long err = crank_await(calls[i]);
        EXPECT(err == -ECONNABORTED || err == -ECANCELED);
    }
    EXPECT_EQ(crank_await(reader), total);
    return 0;
}
EACH_LINK(close, ends_a_flush)
{
    long total = fill_up(l->a, 9000);
    crank_task *flushing = crank_spawn(flush, l->a);
    crank_try(settle());
    crank_task *reader = crank_spawn(read_all, l->b);
    crank_try(close_end(&l->a));
    EXPECT_EQ(crank_await(flushing), -ECONNABORTED);
    EXPECT_EQ(crank_await(reader), total);
    return 0;
}

/* A task whose budget is spent lets the others run in its next call: there, too, it is in the call. */
static long call_with_budget_spent(crank_stream *s, int which)
{
    char buf[20];
    cr_loop_here->runner.budget = 1;
    switch (which) {
    case 0: return crank_read(s, buf, sizeof buf);
    case 1: return crank_read_exactly(s, buf, 5);
    case 2: return crank_read_line(s, buf, sizeof buf);
    case 3: return crank_write(s, "x", 1);
    case 4: return crank_printf(s, "x");
    default: return crank_flush(s);
    }
}
TEST_EACH_BACKEND(close, of_a_stream_in_whose_calls_others_make_room_leaves_them_out)
{
    for (int which = 0; which < 6; which++) {
        ends pair = { 0 };
        crank_try(crank_socket_pair(&pair.a, &pair.b));
        CRANK_AUTO_STREAM crank_stream *b = pair.b;
        int err = crank_printf(b, "line\n");
        err = err < 0 ? err : crank_flush(b);
        if (err < 0 && crank_close(pair.a) == 0)
            return err;
        crank_task *caller = crank_spawn(call_with_budget_spent, pair.a, which);
        crank_try(crank_sleep(0));
        crank_try(crank_close(pair.a));
        long result = crank_await(caller);
        EXPECT(result == -ECONNABORTED || result == (which < 3 ? 5 : 0));
    }
    return 0;
}

EACH_LINK(close, in_the_turn_of_data_ends_the_reader_all_the_same)
{
    crank_task *reader = crank_spawn(read_a_line, l->a);
    crank_try(settle());
    crank_try(crank_write(l->b, "line\n", 5));
    crank_try(crank_flush(l->b));
    crank_try(close_end(&l->a));
    long n = crank_await(reader);
    EXPECT(n == -ECONNABORTED || n == 5);
    return 0;
}

static int close_same(crank_stream *s) { return crank_close(s); }
TEST_CHECKS(close, of_a_stream_that_another_task_closes_is_refused, "is still closing")
{
    ends l = { 0 };
    crank_try(crank_socket_pair(&l.a, &l.b));
    EXPECT(fill_up(l.a, 9000) > 0);
    crank_task *first = crank_spawn(close_same, l.a);
    crank_try(settle());
    EXPECT(!crank_done(first));
    return crank_close(l.a);
}

/* As a server closes its peer behind the handler: tasks of the handler's may still be closing it. */
static int close_kept(crank_stream *s, bool *closing)
{
    *closing = true;
    return crank_close(s);
}
EACH_LINK(close, of_the_owner_ends_that_of_another_task)
{
    bool closing = false;
    cr_socketlike *s = inside(l->a);
    EXPECT(fill_up(l->a, 9000) > 0);
    s->kept = true;
    crank_task *first = crank_spawn(close_kept, l->a, &closing);
    UNTIL(closing);
    EXPECT(!crank_done(first));
    cr_stream_end(l->a, false);
    s->kept = false;
    s->stream.type->free(s->loop, l->a);
    l->a = NULL;
    EXPECT_EQ(crank_await(first), -ECONNABORTED);
    return 0;
}
static int close_with_budget_spent(crank_stream *s, bool *closing)
{
    cr_loop_here->runner.budget = 1;
    *closing = true;
    return crank_close(s);
}
EACH_LINK(close, of_the_owner_waits_for_one_that_makes_room)
{
    bool closing = false;
    cr_socketlike *s = inside(l->a);
    s->kept = true;
    crank_task *first = crank_spawn(close_with_budget_spent, l->a, &closing);
    UNTIL(closing);
    cr_stream_end(l->a, false);
    s->kept = false;
    s->stream.type->free(s->loop, l->a);
    l->a = NULL;
    return error_of(first);
}

/* ---- Abort ---- */

EACH_LINK(abort, ends_the_calls_of_other_tasks)
{
    crank_task *calls[CALLS];
    long total = fill_up(l->a, 9000);
    start_calls(l->a, (uint64_t)total, 60000, calls);
    crank_try(settle());
    crank_abort(l->a);
    return expect_aborted(calls);
}
EACH_LINK(abort, ends_a_large_write_midway)
{
    crank_task *calls[CALLS];
    start_calls(l->a, 0, 8000000, calls);
    UNTIL(inside(l->a)->sending && inside(l->a)->sending->direct);
    crank_abort(l->a);
    return expect_aborted(calls);
}
EACH_LINK(abort, lets_every_later_call_fail)
{
    char byte;
    crank_try(crank_write(l->a, "lost", 4));
    crank_abort(l->a);
    crank_abort(l->a);
    EXPECT_EQ(crank_write(l->a, "x", 1), -ECONNABORTED);
    EXPECT_EQ(crank_printf(l->a, "x"), -ECONNABORTED);
    EXPECT_EQ(crank_flush(l->a), -ECONNABORTED);
    EXPECT_EQ(crank_read(l->a, &byte, 1), -ECONNABORTED);
    EXPECT_EQ(crank_write_eof(l->a), -ECONNABORTED);
    EXPECT_EQ(close_end(&l->a), 0);
    return 0;
}
static int abort_it(crank_stream *s)
{
    crank_abort(s);
    return 0;
}
EACH_LINK(abort, between_the_turn_of_the_end_and_its_task_lets_the_end_fail)
{
    long total = fill_up(l->a, 9000);
    crank_task *writer = crank_spawn(write_piece, l->a, (uint64_t)total, (size_t)60000);
    crank_try(settle());
    crank_task *end = crank_spawn(crank_write_eof, l->a);
    crank_try(settle());
    crank_cancel(writer); /* it runs next, then abort_it, then end */
    crank_task *aborter = crank_spawn(abort_it, l->a);
    EXPECT_EQ(crank_await(end), -ECONNABORTED);
    EXPECT_EQ(crank_await(writer), -ECANCELED);
    return error_of(aborter);
}
EACH_LINK(abort, in_the_turn_of_data_ends_the_reader_all_the_same)
{
    crank_task *reader = crank_spawn(read_a_line, l->a);
    crank_try(settle());
    crank_try(crank_write(l->b, "line\n", 5));
    crank_try(crank_flush(l->b));
    crank_abort(l->a);
    long n = crank_await(reader);
    EXPECT(n == -ECONNABORTED || n == 5);
    return 0;
}
EACH_LINK(abort, with_a_call_in_it_can_be_followed_by_close)
{
    crank_task *calls[CALLS];
    start_calls(l->a, 0, 8000000, calls);
    UNTIL(inside(l->a)->sending && inside(l->a)->sending->direct);
    crank_abort(l->a);
    EXPECT_EQ(close_end(&l->a), 0);
    return expect_aborted(calls);
}

static int expect_reset(crank_stream *s)
{
    char byte;
    EXPECT_EQ(crank_read(s, &byte, 1), -ECONNRESET);
    EXPECT_EQ(crank_read(s, &byte, 1), 0); /* told once */
    return 0;
}
static int reset_a_reader(ends *l)
{
    crank_task *peer = crank_spawn(expect_reset, l->b);
    crank_try(settle());
    crank_abort(l->a);
    return error_of(peer);
}
TEST_EACH_BACKEND(abort, resets_a_tcp_peer) { return with_ends(true, reset_a_reader); }
static int reset_before_the_read(ends *l)
{
    crank_task *peer = crank_spawn(expect_reset, l->b);
    crank_abort(l->a);
    return error_of(peer);
}
TEST_EACH_BACKEND(abort, resets_a_tcp_peer_that_does_not_read_yet) { return with_ends(true, reset_before_the_read); }

static int reset_behind_the_end(ends *l)
{
    crank_try(crank_write_eof(l->a));
    EXPECT_EQ(read_all(l->b), 0);
    crank_abort(l->a);
    int err = 0;
    for (int i = 0; i < 1000 && err == 0; i++) {
        err = crank_write(l->b, "x", 1);
        if (err == 0)
            crank_try(crank_sleep(0.0002));
    }
    EXPECT(err == -EPIPE || err == -ECONNRESET);
    return 0;
}
TEST_EACH_BACKEND(abort, resets_a_tcp_peer_that_has_seen_the_end) { return with_ends(true, reset_behind_the_end); }

EACH_LINK(reader, of_a_peer_that_aborts_has_an_error_or_the_end)
{
    crank_try(crank_printf(l->a, "%c", byte_at(0)));
    crank_try(crank_flush(l->a));
    crank_task *reader = crank_spawn(read_all, l->b);
    crank_try(settle());
    crank_abort(l->a);
    long n = crank_await(reader);
    EXPECT(n == 0 || n == 1 || n == -ECONNRESET);
    return 0;
}

/* ---- At the end of a block ---- */

static int leave_unsent(crank_stream *given, bool tell)
{
    CRANK_AUTO_STREAM crank_stream *s = given;
    crank_try(write_piece(s, taken_of(s), CR_BUFFER_LARGE - unsent(s)));
    if (tell)
        EXPECT(crank_flush(s) < 0);
    return 0;
}
static int reports;
static void on_report(const crank_report *report, void *arg)
{
    (void)arg;
    if (report->kind == CRANK_REPORT_BLOCKED)
        return; /* where a thread stands still */
    EXPECT_EQ(report->kind, CRANK_REPORT_UNAWAITED);
    EXPECT_CONTAINS(report->text, "lost some of what it wrote");
    reports++;
}
static long lose(void *arg)
{
    bool tell = arg;
    ends l = { 0 };
    crank_try(nets_pair(&l.a, &l.b));
    EXPECT(fill_up(l.a, 9000) > 0);
    crank_task *leaver = crank_spawn(leave_unsent, l.a, tell);
    crank_try(settle());
    EXPECT(!crank_done(leaver));
    (void)crank_close(l.b);
    return error_of(leaver);
}
static void run_losing(crank_backend backend, bool tell)
{
    crank_options options = { .backend = backend, .on_report = on_report };
    EXPECT_EQ(crank_run_raw(&options, lose, tell ? &reports : NULL), 0);
    EXPECT_EQ(reports, !tell);
}
TEST(auto_stream, reports_what_a_peer_that_is_gone_has_lost_on_sim) { run_losing(CRANK_BACKEND_SIM, false); }
TEST(auto_stream, reports_what_a_peer_that_is_gone_has_lost_on_epoll) { run_losing(CRANK_BACKEND_EPOLL, false); }
TEST(auto_stream, reports_what_a_peer_that_is_gone_has_lost_on_uring) { run_losing(CRANK_BACKEND_URING, false); }
TEST(auto_stream, reports_no_loss_that_a_call_has_told_on_sim) { run_losing(CRANK_BACKEND_SIM, true); }
TEST(auto_stream, reports_no_loss_that_a_call_has_told_on_epoll) { run_losing(CRANK_BACKEND_EPOLL, true); }
TEST(auto_stream, reports_no_loss_that_a_call_has_told_on_uring) { run_losing(CRANK_BACKEND_URING, true); }
