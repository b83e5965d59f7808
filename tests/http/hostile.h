/* SPDX-License-Identifier: MIT */
/* hostile.h: clients that mean ill beside one that means well.
 *
 * A row is what such a client does on a connection. Some of them do it at once, for so many seconds of the simulator's
 * clock, from a host of theirs; the good client asks meanwhile, from another, and must be answered within 10 ms. The
 * heap must not grow by more than the row allows for each of them: that is what the server holds for it, and besides
 * what the client itself and the simulated wire do, which is 64 KiB each way and side at most. */
#ifndef HOSTILE_H
#define HOSTILE_H
#include <crank/sim.h>
#include "webs.h"

/* What becomes of the connection. */
enum hostile_end {
    HOSTILE_ENDS,  /* the server ends it within that time */
    HOSTILE_STAYS, /* it is borne */
    HOSTILE_AGAIN, /* it ends, and the client comes again */
};

typedef struct hostile {
    const char *name;
    int (*play)(crank_stream *s);
    enum hostile_end end;
    double seconds;
    size_t kilobytes; /* of the heap, for each client */
} hostile;

enum { HOSTILE_CLIENTS = 3, HOSTILE_ASKS = 50 };

typedef struct hostile_scene {
    const hostile *row;
    crank_listener *listener;
    char address[32];
    crank_stream *(*open)(crank_stream *plain); /* of the good client: what it speaks over; NULL: that */
    double until;
    size_t heap, peak;
    int plays;
} hostile_scene;

static inline void hostile_sample(hostile_scene *h)
{
    size_t now = test_heap_bytes();
    h->peak = now > h->peak ? now : h->peak;
}

static inline crank_stream *hostile_connect(const hostile_scene *h)
{
    crank_stream *s = crank_connect(h->address);
    if (!s && errno != ECANCELED)
        test_fail(__FILE__, __LINE__, "%s: cannot connect: %s", h->row->name, crank_error());
    return s;
}

/* Its calls fail as the server ends the connection, which is no fault of the test's. */
static inline int hostile_play(hostile_scene *h)
{
    crank_try(crank_sleep(0.05)); /* the other one has been answered once */
    do {
        crank_stream *s = hostile_connect(h);
        if (!s)
            return -ECANCELED;
        h->plays++;
        int err = h->row->play(s);
        hostile_sample(h);
        crank_abort(s);
        (void)crank_close(s);
        crank_error_clear();
        if (err == -ECANCELED)
            return err;
        crank_try(crank_sleep(0.01));
    } while (h->row->end == HOSTILE_AGAIN);
    return 0;
}

static inline void hostile_ask(hostile_scene *h, crank_stream *s)
{
    double begun = crank_time();
    const webs_answer *a = webs_get(s, "/");
    if (a->status != 200 || crank_time() - begun > 0.01)
        test_fail(__FILE__, __LINE__, "%s: another client is answered %d after %g s", h->row->name, a->status,
            crank_time() - begun);
    hostile_sample(h);
}
static inline int hostile_beside(hostile_scene *h)
{
    crank_stream *s = hostile_connect(h);
    if (h->open)
        s = h->open(s);
    hostile_ask(h, s);
    h->peak = h->heap = test_heap_bytes();
    while (crank_time() < h->until) {
        crank_try(crank_sleep(h->row->seconds / HOSTILE_ASKS));
        hostile_ask(h, s);
    }
    if (h->row->end == HOSTILE_ENDS && crank_listener_connections(h->listener) > 1)
        test_fail(__FILE__, __LINE__, "%s: after %g s the server has %zu connections of them", h->row->name,
            h->row->seconds, crank_listener_connections(h->listener) - 1);
    return crank_close(s);
}

/* On a listener of all addresses, which a task serves. */
static inline int hostile_try(const hostile *row, crank_listener *listener, crank_stream *(*open)(crank_stream *plain))
{
    hostile_scene h = { .row = row, .listener = listener, .open = open, .until = crank_time() + row->seconds };
    crank_task *clients[HOSTILE_CLIENTS];
    const crank_sim_link far = { .latency = 0.001, .bandwidth = 2e6 };
    snprintf(h.address, sizeof h.address, "sim%s", strrchr(crank_listener_address(listener, 0), ':'));
    crank_try(crank_sim_set_link(NULL, NULL, &far));
    crank_task *good = crank_sim_host("ada", hostile_beside, &h);
    for (int i = 0; i < HOSTILE_CLIENTS; i++)
        clients[i] = crank_sim_host("mallory", hostile_play, &h);
    EXPECT_EQ(crank_await(good), 0);
    for (int i = 0; i < HOSTILE_CLIENTS; i++) {
        crank_cancel(clients[i]);
        (void)crank_await(clients[i]);
    }
    size_t grown = (h.peak - h.heap) / 1024 / HOSTILE_CLIENTS;
    if (grown > row->kilobytes)
        test_fail(__FILE__, __LINE__, "%s: costs %zu KiB, more than %zu", row->name, grown, row->kilobytes);
    EXPECT(h.plays >= HOSTILE_CLIENTS + (row->end == HOSTILE_AGAIN));
    return 0;
}
#endif
