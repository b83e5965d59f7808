/* SPDX-License-Identifier: MIT */
/* stream.c: entering a call on a stream, and ending the stream.
 *
 * Owns what all calls begin with (is the caller a task, is the stream open for this, is another
 * task in a call that this one would disturb?) and the two ways to close: crank_close gives an
 * error, the end of a CRANK_AUTO_STREAM's block reports one. */
#include "io/stream.h"

#include <stdio.h>

#include "base/check.h"
#include "base/text.h"
#include "scope/scope.h"
#include "task/describe.h"
#include "task/error.h"
#include "task/report.h"

const char *cr_stream_name(const crank_stream *stream)
{
    if (stream->name)
        return stream->name;
    return stream->type->describe((crank_stream *)(uintptr_t)stream);
}

/* Every call's failures read alike: what could not be done, to what, and why. A cancellation has
 * no sentence, for it is no failure of the stream's. */
int cr_stream_failed(const crank_stream *stream, const char *verb, int err)
{
    if (err == -ECANCELED)
        return err;
    return cr_error_set(
        err, "cannot %s %s: %s", verb, cr_stream_name(stream), cr_failure_error_words(err));
}

/* Two readers would each take part of the other's line: refused, for no order would be right. */
void cr_stream_check_alone(const crank_stream *stream, const cr_task *other, const char *call)
{
    CR_CHECK(!other, "%s: task '%s' is still %s %s; one task may read%s a stream at a time%s", call,
        cr_describe_name(other), other == stream->reader ? "reading" : "writing",
        cr_stream_name(stream), stream->type->duplex ? "" : " and one may write",
        stream->type->duplex ? "" : ", and one in all where a file is open for both");
}

int cr_stream_refuse(const crank_stream *stream, bool reads, const char *call)
{
    if (stream->aborted)
        return cr_error_set(-ECONNABORTED, "%s: %s was aborted", call, cr_stream_name(stream));
    return cr_error_set(-EBADF, "%s: %s is not open for %s", call, cr_stream_name(stream),
        reads ? "reading" : "writing");
}

void cr_stream_left(crank_stream *stream)
{
    if (stream->type->left)
        stream->type->left(stream);
    else
        stream->calls--;
}

/* The caller's budget is spent. Meanwhile it is in its call: another may close the stream. */
static int make_room(const cr_caller *w, crank_stream *stream, bool reads)
{
    cr_task **in_call = reads ? &stream->reader : &stream->writer;
    bool alone = reads || !stream->type->duplex;
    if (alone)
        *in_call = w->self;
    stream->calls++;
    cr_checkpoint_yield(w);
    if (alone)
        *in_call = NULL;
    cr_stream_left(stream);
    return cr_checkpoint_again(w);
}

/* Whether the stream is open for this comes last: misuse is found also where it is not. */
int cr_stream_begin_slow(cr_caller *w, crank_stream *stream, bool reads, const char *call)
{
    CR_CHECK(stream, "%s: the stream is NULL; crank_open gives that when it fails", call);
    int err = cr_checkpoint_no_yield(w, call);
    if (err < 0)
        return err;
    bool duplex = stream->type->duplex;
    bool both = !duplex && stream->readable && stream->writable;
    if (CR_UNLIKELY(stream->reader != NULL) && (reads || both))
        cr_stream_check_alone(stream, stream->reader, call);
    if (CR_UNLIKELY(stream->writer != NULL) && !duplex && (!reads || both))
        cr_stream_check_alone(stream, stream->writer, call);
    if (CR_UNLIKELY(w->loop->runner.budget == 0)) {
        err = make_room(w, stream, reads);
        if (err < 0)
            return err;
    }
    cr_checkpoint_costs(w, CR_BUDGET_STREAM);
    if (CR_LIKELY(reads ? stream->readable : stream->writable))
        return 0;
    return cr_stream_refuse(stream, reads, call);
}

/* ---- Writers in turn ---- */

static size_t describe_turn(const cr_task *task, char *buf, size_t size)
{
    const crank_stream *stream = cr_container_of(task->wait_object, crank_stream, turn);
    return cr_text_format(buf, size, "%s", cr_stream_name(stream));
}

static cr_task *writer_before(const cr_task *task)
{
    return cr_container_of(task->wait_object, crank_stream, turn)->writer;
}

static const cr_wait_ops turn_wait = {
    .what = "waits for another task to write to",
    .hibernatable = true,
    .blocked_by = writer_before,
    .describe = describe_turn,
};

CR_HOT int cr_stream_tell(crank_stream *stream, int error)
{
    if (error && stream->told != error)
        return stream->told = error;
    return error ? -EPIPE : 0;
}

/* writer is set for the first in line by the one before. */
int cr_stream_take_turn(const cr_caller *w, crank_stream *stream)
{
    if (!stream->writer) {
        stream->writer = w->self;
        return 0;
    }
    stream->calls++;
    int err = cr_waitq_park(w, &stream->turn, &turn_wait);
    cr_stream_left(stream);
    return err;
}

void cr_stream_give_turn(crank_loop *loop, crank_stream *stream)
{
    stream->writer = cr_waitq_pop(&stream->turn);
    if (stream->writer)
        cr_wake(loop, stream->writer, 0);
}

void cr_stream_eject_turn(crank_loop *loop, crank_stream *stream, int error)
{
    cr_waitq_wake_all(loop, &stream->turn, error);
}

/* ---- Closing ---- */

bool cr_stream_abandoned(const cr_caller *w, const crank_stream *stream)
{
    return cr_interruption_pending(w->self) > stream->asked;
}

/* Two closes at a time are refused: the first would free the stream beneath the second. owner: the
 * caller is a server, which waits where its handler is closing the peer. */
static void enter_close(const cr_caller *w, crank_stream *stream, bool owner)
{
    CR_CHECK(!stream->above, "crank_close: %s carries %s: close that one", cr_stream_name(stream),
        cr_stream_name(stream->above));
    if (CR_UNLIKELY(stream->closer != NULL)) {
        bool waited = owner && stream->type->await_close && stream->type->await_close(w, stream);
        CR_CHECK(waited, "crank_close: task '%s' is still closing %s; close a stream once",
            cr_describe_name(stream->closer), cr_stream_name(stream));
    }
    stream->closer = w->self;
}

static void leave_close(const cr_caller *w, crank_stream *stream)
{
    stream->closer = NULL;
    stream->type->free(w->loop, stream);
}

static int finish(const cr_caller *w, crank_stream *stream)
{
    stream->closing = true;
    stream->asked = cr_interruption_pending(w->self);
    return stream->type->finish(w, stream);
}

/* A request that came before the call is answered by it, unless it has a failure to tell of: then
 * it stays for the next wait. So it does where the limit around the call is missing. */
int crank_stream_close(crank_stream *stream)
{
    if (!stream)
        return 0;
    cr_caller w = { cr_checked_loop("crank_close"), cr_checked_self("crank_close") };
    if (stream->borrowed)
        return cr_checkpoint(&w, "crank_close");
    enter_close(&w, stream, false);
    int missing = cr_checkpoint_no_cancel(&w);
    bool asked = cr_checkpoint_pending(&w);
    int err = finish(&w, stream);
    leave_close(&w, stream);
    if (missing < 0 && (err == 0 || err == -ECANCELED))
        return missing;
    if (err == -ECANCELED || (err == 0 && asked))
        return cr_checkpoint_again(&w) < 0 ? -ECANCELED : err;
    return err;
}

/* A failure that a call has given before is no news, nor is one that has lost nothing; a request to
 * cancel while a pipe is full, or a peer does not read, is a request for the loss. */
static void report_loss(const cr_caller *w, const crank_stream *stream, int err)
{
    char text[768];
    bool lost = stream->written || stream->lost || cr_buffer_held(&stream->out) > 0;
    if (err == 0 || err == -ECANCELED || err == stream->told || !lost)
        return;
    snprintf(text, sizeof text,
        "task '%s' lost some of what it wrote to %.400s, closed at the end of a block: %s [%s]\n"
        "  crank_flush or crank_finish before the end of the block gives the error\n",
        cr_describe_name(w->self), cr_stream_name(stream), cr_failure_error_words(err),
        crank_errno_name(err));
    cr_report(w->loop, CRANK_REPORT_UNAWAITED, err, w->self, text);
}

/* As finish, for the end of a block. Code of the user's that runs in it may be given a request, or
 * a limit, that came before: neither is its to answer. */
static int finish_block(const cr_caller *w, crank_stream *stream)
{
    uint64_t since = cr_task_state_of(w->loop)->sequence;
    bool asked = w->self->fiber.flags & CR_TASK_CANCEL_PENDING;
    int err = finish(w, stream);
    asked = asked && !(w->self->fiber.flags & CR_TASK_CANCEL_PENDING);
    if (stream->type->delivers)
        cr_interruption_defer(w->self, since, asked);
    return err;
}

/* The end of a block returns no error: a failure is reported, and a request to cancel stays for the
 * next wait. */
void cr_stream_end(crank_stream *stream, bool reports)
{
    cr_caller w = { cr_checked_loop("crank_close"), cr_checked_self("crank_close") };
    cr_block_end kept = cr_checkpoint_block_end(&w);
    enter_close(&w, stream, !reports);
    (void)cr_checkpoint_no_cancel(&w);
    int err = finish_block(&w, stream);
    if (reports)
        report_loss(&w, stream, err);
    leave_close(&w, stream);
    cr_checkpoint_block_left(&w, &kept);
}

/* A server's peer on which its handler has put a stream, and left it open. What that one's close
 * does to the peer is ignored: the server lingers. Neither is its failure reported, as the peer's
 * own is not: clients of a server go away as they like. */
void cr_stream_end_above(crank_stream *stream)
{
    if (CR_LIKELY(!stream->above))
        return;
    bool borrowed = stream->borrowed;
    stream->borrowed = true;
    cr_stream_end(stream->above, false);
    stream->borrowed = borrowed;
}

void crank_stream_end_(crank_stream *stream)
{
    if (!stream->borrowed)
        cr_stream_end(stream, true);
}

static int watch(crank_stream *stream, crank_task *task, bool resets, const char *call)
{
    CR_CHECK(stream, "%s: the stream is NULL", call);
    (void)cr_checked_loop(call);
    if (task)
        (void)cr_task_of(task, call);
    crank_stream *bottom = cr_stream_bottom(stream);
    int err = -ENOTSUP;
    if (bottom->type->on_gone)
        err = bottom->type->on_gone(bottom, (uint64_t)(uintptr_t)task, resets);
    if (err == -ENOTSUP)
        return cr_error_set(err, "%s: %s is no socket", call, cr_stream_name(stream));
    return err < 0 ? cr_stream_failed(stream, "watch", err) : 0;
}

int crank_stream_on_gone(crank_stream *stream, crank_task *task)
{
    return watch(stream, task, false, "crank_stream_on_gone");
}

int crank_stream_on_reset(crank_stream *stream, crank_task *task)
{
    return watch(stream, task, true, "crank_stream_on_reset");
}

bool crank_stream_gone(const crank_stream *stream)
{
    CR_CHECK(stream, "crank_stream_gone: the stream is NULL");
    while (stream->below)
        stream = stream->below;
    return stream->type->gone && stream->type->gone(stream);
}

void crank_abort(crank_stream *stream)
{
    CR_CHECK(stream, "crank_abort: the stream is NULL");
    (void)cr_checked_loop("crank_abort");
    stream->type->abort(stream);
}
