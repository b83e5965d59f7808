/* SPDX-License-Identifier: MIT */
/* loops.h: tests of the layer loop/ for which no task is needed, one for each backend. */
#ifndef LOOPS_H
#define LOOPS_H
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#include "loop/loop.h"
#include "test.h"

/* sys: NULL for the real one. */
static inline crank_loop *open_with(const crank_options *options, const cr_sys *sys)
{
    const char *why = NULL;
    crank_loop *loop = NULL;
    EXPECT_EQ(cr_loop_open(options, sys, &loop, &why), 0);
    return loop;
}

static inline crank_loop *open_loop_on(crank_backend backend, uint64_t seed, const cr_sys *sys)
{
    crank_loop *loop = open_with(&(crank_options){ .backend = backend, .seed = seed }, sys);
    if (backend == CRANK_BACKEND_URING && loop->backend->type != &cr_backend_uring) {
        cr_loop_close(loop);
        test_skip("io_uring is not allowed here");
    }
    return loop;
}

static inline crank_loop *open_loop(crank_backend backend, uint64_t seed) { return open_loop_on(backend, seed, NULL); }

static inline void with_loop(crank_backend backend, void (*body)(crank_loop *loop))
{
    crank_loop *loop = open_loop(backend, 0);
    body(loop);
    crank_loop_free(loop);
}

/* The body gets a loop that does not run. */
#define EACH_LOOP(subject, sentence) \
    static void subject##_##sentence(crank_loop *loop); \
    TEST(subject, sentence##_on_sim) { with_loop(CRANK_BACKEND_SIM, subject##_##sentence); } \
    TEST(subject, sentence##_on_epoll) { with_loop(CRANK_BACKEND_EPOLL, subject##_##sentence); } \
    TEST(subject, sentence##_on_uring) { with_loop(CRANK_BACKEND_URING, subject##_##sentence); } \
    static void subject##_##sentence(crank_loop *loop)

/* What happened, letter by letter. */
typedef struct journal {
    char text[256];
    size_t length;
} journal;
static inline void note(journal *j, char letter)
{
    EXPECT(j->length + 1 < sizeof j->text);
    j->text[j->length++] = letter;
    j->text[j->length] = '\0';
}
#endif
