/* SPDX-License-Identifier: MIT */
/* sample.h: where a loop's thread is, asked from another thread. */
#ifndef CR_SAMPLE_H
#define CR_SAMPLE_H
#include "inspect/walk.h"
#include "loop/loop.h"

enum cr_stance {
    CR_STANCE_UNKNOWN, /* no procfs, or it does not say */
    CR_STANCE_RUNS,    /* on a processor, or waiting for one */
    CR_STANCE_WAITS,   /* in a system call, or for a page of memory */
};

/* Which of the three; *ret_call is the number of the system call it waits in, -1 where it is in
 * none. pc and sp of the copy are set where it waits, and nothing else of it. */
enum cr_stance cr_sample_stance(const crank_loop *loop, long *ret_call, cr_stack_copy *ret_copy);
/* What the thread has had until now, nanoseconds: processor time; and time in which it wanted a
 * processor and had none, which is asked through procfs and costs ten times as much. */
int64_t cr_sample_computed(const crank_loop *loop);
int64_t cr_sample_delayed(const crank_loop *loop);
/* A thread that waits, with pc and sp set: copy its stack from outside. */
void cr_sample_waiting(const crank_loop *loop, cr_stack_copy *copy);
/* A thread that runs: have it copy its own, in the handler of one signal that no system call
 * notices, while the loop stands at beat. False: it did not within the time for it, or had gone on.
 * One caller at a time. */
bool cr_sample_running(const crank_loop *loop, const cr_beat *beat, cr_stack_copy *ret_copy);

/* How far the loop has come, read from another thread. */
cr_beat cr_sample_beat_of(const crank_loop *loop);
static inline bool cr_sample_beat_same(const cr_beat *a, const cr_beat *b)
{
    return a->switches == b->switches && a->steps == b->steps && a->polled_at == b->polled_at;
}
#endif
