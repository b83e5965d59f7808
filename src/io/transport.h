/* SPDX-License-Identifier: MIT */
/* transport.h: a stream over functions of the user's. */
#ifndef CR_TRANSPORT_H
#define CR_TRANSPORT_H
#include "io/visit.h"
#include "task/error.h"

typedef struct cr_transport {
    crank_stream stream;
    const crank_transport *calls;
    void *self; /* the user's; NULL once close was called */
    crank_loop *loop;
    cr_settle settle; /* puts at the end of the pass */
    size_t high;      /* from so many unsent bytes on writers wait */
    size_t refused;   /* what crank_write_now had no room for last; 0 */
    cr_task *closer;  /* waits until no call is left; NULL */
    char *label;      /* "tls over 10.0.0.1:443", made on demand; NULL */
    int ended;        /* -ECONNABORTED once it is aborted or being closed: all calls' error */
    int send_error;   /* why nothing more can be written; 0 */
    bool aborted;
    bool read_ended; /* the end, or an error, was given to a reader */
    bool eof_given;  /* the user's write_eof has succeeded */
} cr_transport;

/* A stream of this type is always part of one. */
static inline cr_transport *cr_transport_of(crank_stream *stream)
{
    return cr_container_of(stream, cr_transport, stream);
}
/* Has the user's call left a message for its failure, where before was at hand? It is better than
 * any that is made here. */
static inline bool cr_transport_explains(const cr_failure *before, long err)
{
    const cr_failure *now = cr_error_here();
    return now && now != before && cr_failure_error(now) == err;
}
static inline int cr_transport_failed(
    const cr_transport *t, const char *verb, int err, bool explained)
{
    return explained ? err : cr_stream_failed(&t->stream, verb, err);
}
/* Of a call that the stream's end may have cut short. */
static inline int cr_transport_ended_or(const cr_transport *t, int err)
{
    return t->ended && err < 0 ? t->ended : err;
}

/* ---- putting.c ---- */

void cr_putting_init(cr_transport *t);
/* What is written is put; never waits. */
void cr_putting_all(cr_transport *t);
/* Nothing more is put: what is buffered is lost. */
void cr_putting_break(cr_transport *t, int error);
/* Why a call that writes fails now: 0 where it does not. */
int cr_putting_refuses(cr_transport *t);
/* The calls of cr_stream_type. */
int cr_putting_make_room(const cr_caller *w, crank_stream *stream, size_t size);
int cr_putting_write_large(
    const cr_caller *w, crank_stream *stream, const struct iovec *pieces, int n);
int cr_putting_room_now(crank_stream *stream, size_t size);
int cr_putting_wait_room(const cr_caller *w, crank_stream *stream);
void cr_putting_start(crank_stream *stream);
int cr_putting_progress(const cr_caller *w, crank_stream *stream, size_t most);
size_t cr_putting_unsent(const crank_stream *stream);
void cr_putting_set_high(crank_stream *stream, size_t high);
void cr_putting_put(crank_stream *stream, size_t size);
int cr_putting_flush(const cr_caller *w, crank_stream *stream);
#endif
