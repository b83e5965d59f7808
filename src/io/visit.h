/* SPDX-License-Identifier: MIT */
/* visit.h: calls on a stream that wait elsewhere. */
#ifndef CR_VISIT_H
#define CR_VISIT_H
#include "io/stream.h"

/* One call, in its frame: a copy, which is a call on two streams, or a call of a transport. */
typedef struct cr_visit {
    void *state; /* NULL while there is none */
    crank_stream *streams[2];
} cr_visit;

/* The running task is in a call on stream, and on other (NULL, or the same: on no second one),
 * until cr_visit_end. 0, or -ENOMEM with its message: then nothing was begun. */
int cr_visit_begin(cr_visit *visit, crank_stream *stream, crank_stream *other);
/* What the call gives: where its wait gave -ECANCELED because of cr_visit_eject, and of nothing
 * else, the error which that was given. */
long cr_visit_end(cr_visit *visit, long result);
/* The waits of all visits of a stream give -ECANCELED; never waits. */
void cr_visit_eject(crank_loop *loop, crank_stream *stream, int error);
#endif
