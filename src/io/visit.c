/* SPDX-License-Identifier: MIT */
/* visit.c: calls on a stream that wait elsewhere.
 *
 * A task in crank_copy waits in one stream while it is in a call on the other; a transport's read
 * waits in whatever the transport's author has written there. Closing or aborting the stream must
 * end such a call, whose wait the stream does not know. So the call runs in a scope, as under a
 * time limit: ending it fires the scope, which interrupts the wait that the task is in, however
 * deep, with the shields and requests to cancel that it may have besides.
 *
 * Owns the scope and each stream's list of its visits, both in the loop's memory: the stack of a
 * task that waits may hibernate. Invariant: while a visit lasts its streams' calls count it, so
 * that neither stream is freed. */
#include "io/visit.h"

#include "scope/scope.h"

struct cr_stream_visit {
    cr_scope scope;
    crank_stream *streams[2]; /* the second NULL where there is one alone */
    cr_stream_visit *next[2];
};
_Static_assert(sizeof(cr_stream_visit) <= CR_SCOPE_SIZE, "it lies where scopes lie");

static const cr_scope_ops visit_ops = { .name = "call on a stream" };

/* The link of stream's list behind this one. */
static cr_stream_visit **link_of(cr_stream_visit *at, const crank_stream *stream)
{
    return &at->next[at->streams[0] != stream];
}

static void enter(cr_stream_visit *at, crank_stream *stream)
{
    *link_of(at, stream) = stream->visits;
    stream->visits = at;
    stream->calls++;
}

static void leave(cr_stream_visit *at, crank_stream *stream)
{
    cr_stream_visit **place = &stream->visits;
    while (*place != at)
        place = link_of(*place, stream);
    *place = *link_of(at, stream);
    cr_stream_left(stream);
}

int cr_visit_begin(cr_visit *visit, crank_stream *stream, crank_stream *other)
{
    *visit = (cr_visit){ .streams = { stream, other == stream ? NULL : other } };
    cr_stream_visit *at =
        (cr_stream_visit *)(void *)cr_scope_open(&visit_ops, &visit->state, "a call on a stream");
    if (!at)
        return cr_checkpoint_without_scope(cr_loop_here);
    for (int i = 0; i < 2; i++) {
        at->streams[i] = visit->streams[i];
        if (at->streams[i])
            enter(at, at->streams[i]);
    }
    return 0;
}

long cr_visit_end(cr_visit *visit, long result)
{
    cr_stream_visit *at = visit->state;
    if (result == -ECANCELED && cr_interruption_owned_by(&at->scope))
        result = at->scope.error;
    else if (result == -ECANCELED)
        cr_interruption_answer(at->scope.task);
    for (int i = 0; i < 2; i++)
        if (visit->streams[i])
            leave(at, visit->streams[i]);
    cr_scope_close(&at->scope);
    return result;
}

/* Firing may wake a task, and changes no list. */
void cr_visit_eject(crank_loop *loop, crank_stream *stream, int error)
{
    for (cr_stream_visit *at = stream->visits; at; at = *link_of(at, stream))
        cr_scope_fire(loop, &at->scope, error);
}
