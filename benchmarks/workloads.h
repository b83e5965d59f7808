/* SPDX-License-Identifier: MIT */
/* workloads.h: what one process of crank_bench can do. Each function is the app of a run: it does
 * the work of its name with the public calls a user would write, prints its results, and returns 0
 * or what failed. */
#ifndef BENCH_WORKLOADS_H
#define BENCH_WORKLOADS_H
#include <crank.h>
#include "measure.h"

#define WHO "crank"

/* How often the operation is done: as usual, or as the command line says. */
size_t times(size_t usual);
/* A task function that does nothing. */
int nothing(void);
/* Sleep so long. */
int sleeper(double seconds);
/* n handles' room; never NULL. */
crank_task **task_array(size_t n);

int bench_ctxswitch(void);
int bench_spawn_seq(void);
int bench_spawn_gather(void);
int bench_spawn_eager(void);
int bench_cancel(void);
int bench_capture(void);
int bench_spawn_large(void);

int bench_sleepers(void);
int bench_sleepers_1m(void);
int bench_native_mem(void);
int bench_native_mem_thread(void);
int bench_idle_mem(void);

int bench_generator(void);
int bench_pingpong(void);
int bench_prodcons(void);
int bench_lock(void);
int bench_locknoyield(void);

int bench_thread_seq(void);
int bench_thread_gather(void);
int bench_pi(int jobs);

int run_growth(void); /* outside a run; an exit status */
#endif
