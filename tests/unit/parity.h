/* SPDX-License-Identifier: MIT */
/* parity.h: steps of sockets, compared: what each call gives on the simulated network, whatever the seed, the machine's
 * own network gives too. No step says what that is: the run without a seed comes first, and is what the others are
 * compared with. */
#ifndef PARITY_H
#define PARITY_H
#include "nets.h"

/* ---- Two runs, compared ---- */

enum { STEPS_MAX = 100 };
static struct {
    long long values[STEPS_MAX]; /* of the run without a seed */
    size_t at;
    bool known;
} steps;

static uint64_t walk; /* 0: a scene */

static inline bool differs(long long value) { return steps.known && value != steps.values[steps.at]; }

static inline void keep(const net *n, const char *file, int line, const char *text, long long value)
{
    EXPECT(steps.at < STEPS_MAX);
    if (differs(value))
        test_fail(file, line, "step %zu of walk %d: %s gives %lld %s, and %lld without a seed", steps.at, (int)walk,
            text, value, n->world ? "under a seed" : "on the machine's network", steps.values[steps.at]);
    steps.values[steps.at++] = value;
}

/* Let arrive what is due now, and no time pass. */
static inline void arrive(net *n)
{
    while (n->world && cr_net_next(n->world) <= cr_world_now(n->world))
        cr_net_deliver(n->world);
}

/* On the machine's network a call is made again where it has come too early. */
#define STEP_WHILE(early, call) \
    do { \
        arrive(n); \
        long long step_ = (call); \
        for (int tries_ = 0; !n->world && differs(step_) && (early) && tries_ < 900; step_ = (call)) \
            wait_a_little(n, &tries_); \
        keep(n, __FILE__, __LINE__, #call, step_); \
    } while (0)
#define STEP(call) STEP_WHILE(step_ == -EAGAIN, call)
/* For what can be asked any number of times. */
#define SEE(call) STEP_WHILE(true, call)

/* ---- What a step asks ---- */

/* The machine's bytes may come one transfer after the other: then all are waited for. */
static inline ssize_t take(net *n, int fd, size_t size)
{
    long long wanted = n->world ? 0 : steps.values[steps.at];
    ssize_t there = 0;
    for (int tries = 0; there < wanted && tries < 900; wait_a_little(n, &tries)) {
        there = CALL(n, recv, fd, n->buf, size, MSG_PEEK);
        if (there < 0 && there != -EAGAIN)
            break;
    }
    return CALL(n, recv, fd, n->buf, size, 0);
}
static inline ssize_t put(net *n, int fd, const char *text) { return CALL(n, send, fd, text, strlen(text), 0); }

/* Its error, or whether the peer has this port. */
static inline int has_peer(net *n, int fd, unsigned port)
{
    address peer = { .v4 = { .sin_port = 0 } };
    unsigned size = sizeof peer;
    int err = CALL(n, peer_name, fd, &peer.any, &size);
    return err < 0 ? err : ntohs(peer.v4.sin_port) == port;
}

static inline int open_udp(net *n, bool bound)
{
    address any = loopback(AF_INET, 0);
    int fd = CALL(n, socket, AF_INET, SOCK_DGRAM, 0);
    EXPECT(fd >= 0);
    if (bound)
        EXPECT_EQ(CALL(n, bind, fd, &any.any, sizeof any.v4), 0);
    return fd;
}
#endif
