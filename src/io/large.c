/* SPDX-License-Identifier: MIT */
/* large.c: a write of more bytes than a stream that sends by itself may have unsent.
 *
 * It goes from the caller's memory straight to the kernel, so that memory never grows by what a
 * peer does not read. The caller has the turn of writing meanwhile, and what was written before has
 * gone. Owns the rest of one such write: which bytes of its pieces are still to be sent. */
#include "io/socketlike.h"

#include <string.h>

#include "task/error.h"

/* What one large write still has to send: its pieces from the caller's memory, small ones gathered
 * before, for each run of bytes is a call of the kernel. */
typedef struct rest {
    const struct iovec *pieces;
    int n, at;     /* how many, and the first that is not sent or gathered in whole */
    size_t offset; /* so much of that one is */
    cr_buffer gathered;
} rest;

static size_t left_of_piece(const rest *r) { return r->pieces[r->at].iov_len - r->offset; }

static const char *piece_at(const rest *r)
{
    return (const char *)r->pieces[r->at].iov_base + r->offset;
}

static void pass(rest *r, size_t size)
{
    r->offset += size;
    while (r->at < r->n && left_of_piece(r) == 0) {
        r->at++;
        r->offset = 0;
    }
}

static void gather(rest *r)
{
    cr_buffer *to = &r->gathered;
    while (r->at < r->n && to->end < to->room) {
        size_t size = left_of_piece(r);
        if (size > to->room - to->end)
            size = to->room - to->end;
        memcpy(to->bytes + to->end, piece_at(r), size);
        to->end += size;
        pass(r, size);
    }
}

/* The next run of bytes: how many, 0 where all are sent. Where memory is short nothing is
 * gathered. */
static size_t next_run(cr_socketlike *s, rest *r, const char **ret_bytes)
{
    cr_buffer *gathered = &r->gathered;
    if (cr_buffer_held(gathered) == 0 && r->at + 1 < r->n && left_of_piece(r) < CR_BUFFER_MIDDLE &&
        cr_socketlike_reserve(s, gathered, CR_BUFFER_LARGE) == 0)
        gather(r);
    bool small = cr_buffer_held(gathered) > 0;
    if (!small && r->at == r->n)
        return 0;
    *ret_bytes = small ? cr_buffer_first(gathered) : piece_at(r);
    return small ? cr_buffer_held(gathered) : left_of_piece(r);
}

static void sent_some(cr_socketlike *s, rest *r, size_t size)
{
    cr_sending_note(s, size);
    if (cr_buffer_held(&r->gathered) == 0) {
        pass(r, size);
        return;
    }
    r->gathered.start += size;
    if (cr_buffer_held(&r->gathered) == 0)
        cr_buffer_clear(&r->gathered);
}

/* How many bytes were sent; *ret_err says why not more. */
static size_t send_all(const cr_caller *w, cr_socketlike *s, rest *r, int *ret_err)
{
    const char *bytes;
    size_t done = 0, size;
    long n = 0;
    while (n >= 0 && (size = next_run(s, r, &bytes)) > 0) {
        n = cr_sending_direct(w, s, CR_OP_SEND, bytes, size);
        if (n > 0) {
            done += (size_t)n;
            sent_some(s, r, (size_t)n);
        }
    }
    *ret_err = n < 0 ? (int)n : 0;
    return done;
}

/* Half a write cannot be taken back: nothing more is sent after one. True: it is said how much of
 * it was sent, which only this call knows. */
static bool end_large(cr_socketlike *s, size_t done, const rest *r, int err)
{
    size_t size = 0;
    bool early = err == -ECANCELED || (err == -ETIMEDOUT && s->expired);
    if (done > 0 || !early) {
        s->stream.lost = true;
        cr_sending_break(s, early ? -EPIPE : err);
        s->stream.told = s->send_error;
    }
    for (int i = 0; i < r->n; i++)
        size += r->pieces[i].iov_len;
    if (!early || done == 0)
        return false;
    (void)cr_error_set(err, "%s after %zu of %zu bytes were sent to %s",
        err == -ECANCELED ? "cancelled" : "its limit of time passed", done, size,
        cr_stream_name(&s->stream));
    return true;
}

int cr_large_write(const cr_caller *w, crank_stream *stream, const struct iovec *pieces, int n)
{
    cr_socketlike *s = cr_container_of(stream, cr_socketlike, stream);
    rest r = { .pieces = pieces, .n = n };
    size_t done = 0;
    int err = cr_sending_take_turn(w, s);
    if (err < 0)
        return cr_stream_failed(stream, "write", err);
    pass(&r, 0);
    err = cr_sending_wait(w, s, s->sent + cr_sending_unsent(s));
    if (err == 0)
        done = send_all(w, s, &r, &err);
    cr_socketlike_release(s, &r.gathered);
    bool said = err < 0 && !s->send_error && !s->ended && end_large(s, done, &r, err);
    cr_sending_give_turn(s);
    if (s->eof_asked)
        cr_sending_start(s);
    return err < 0 && !said ? cr_stream_failed(stream, "write", err) : err;
}
