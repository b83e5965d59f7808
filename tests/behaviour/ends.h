/* SPDX-License-Identifier: MIT */
/* ends.h: tests of streams over connections. Each is run over a pair of sockets, over TCP, and over transports of our
 * own on a pair of sockets: the two ends are here and there. */
#ifndef ENDS_H
#define ENDS_H
#include "nets.h"
#include "veil.h"

enum link { LINK_PAIR, LINK_TCP, LINK_VEIL, LINKS };
static crank_stream *here, *there;
static enum link link_now;

/* body runs in a task of its own, whose children end with it. What it has not closed, by crank_finish, is closed behind
 * it; the failures of that are body's to have seen. */
static int on_each_link(int (*body)(void))
{
    for (link_now = 0; link_now < LINKS; link_now++) {
        crank_try(link_now == LINK_TCP ? nets_pair(&here, &there) : crank_socket_pair(&here, &there));
        int err = link_now == LINK_VEIL ? veil_over(&here) : 0;
        if (err == 0 && link_now == LINK_VEIL)
            err = veil_over(&there);
        if (err == 0)
            err = (int)crank_await(crank_spawn(body));
        (void)crank_finish(here);
        (void)crank_finish(there);
        crank_try(err);
    }
    return 0;
}

/* In a test that opens here and there by itself: what it has not closed, by crank_finish, is closed with the block. */
__attribute__((unused)) static void close_ends(const int *block)
{
    (void)block;
    (void)crank_finish(here);
    (void)crank_finish(there);
}
#define AUTO_ENDS CRANK_CLEANUP_(close_ends) __attribute__((unused)) const int auto_ends_ = 0

#define TEST_ENDS(subject, sentence) \
    static int ends_##subject##_##sentence(void); \
    TEST_EACH_BACKEND(subject, sentence) { return on_each_link(ends_##subject##_##sentence); } \
    static int ends_##subject##_##sentence(void)

/* From there, with the kernel when it returns. */
static inline int say(const char *text, size_t size)
{
    crank_try(crank_write(there, text, size));
    return crank_flush(there);
}
static inline int say_text(const char *text) { return say(text, strlen(text)); }
/* And nothing comes behind it. */
static inline int say_last(const char *text)
{
    crank_try(say_text(text));
    return crank_finish(there);
}
/* From there, once here is being waited on: all but the last in pieces of their own. */
static inline int say_pieces(const char *text, size_t size, size_t piece)
{
    int err = 0;
    for (size_t at = 0; at < size && err == 0; at += piece) {
        err = crank_sleep(1e-5);
        if (err == 0)
            err = say(text + at, size - at < piece ? size - at : piece);
    }
    if (err < 0)
        crank_abort(there); /* the reader waits for more */
    return err;
}
#endif
