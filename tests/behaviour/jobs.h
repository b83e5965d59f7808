/* SPDX-License-Identifier: MIT */
/* jobs.h: jobs for tests about worker threads, and runs with a pool of a given size.
 *
 * Where a test needs a small pool it makes its own run, once on each backend. No job waits for
 * time: it waits for a gate that the test opens; under the simulator, where jobs run when the
 * loop would wait, gates are open by then. */
#ifndef TEST_JOBS_H
#define TEST_JOBS_H
#include <stdatomic.h>
#include <unistd.h>

#include "test.h"

#define UNUSED __attribute__((unused))

static const crank_backend backends[] = { CRANK_BACKEND_SIM, CRANK_BACKEND_EPOLL, CRANK_BACKEND_URING };

/* Run app on every backend from the first-th on, with at most so many threads (0: as many as
 * usual); each run must give 0. */
static void run_from(size_t first, unsigned threads_max, int (*app)(void))
{
    for (size_t i = first; i < CRANK_COUNT(backends); i++) {
        crank_options options = { .backend = backends[i], .threads_max = threads_max };
        EXPECT_EQ(crank_run_with(&options, app), 0);
    }
}
static UNUSED void run_on_each(unsigned threads_max, int (*app)(void)) { run_from(0, threads_max, app); }
static UNUSED void run_for_real(unsigned threads_max, int (*app)(void)) { run_from(1, threads_max, app); }

static atomic_bool gate;
static atomic_int ran;
static UNUSED int trail[64];
static atomic_int trail_length;

static UNUSED int wait_at_gate(void)
{
    while (!atomic_load(&gate))
        usleep(50);
    return 7;
}
static UNUSED int note(int number)
{
    trail[atomic_fetch_add(&trail_length, 1)] = number;
    return number;
}
static UNUSED int count_run(void) { return atomic_fetch_add(&ran, 1); }
static UNUSED void reset(void)
{
    atomic_store(&gate, false);
    atomic_store(&ran, 0);
    atomic_store(&trail_length, 0);
}

static UNUSED int give_int(int x) { return x; }
static UNUSED int fail_there(int number) { return crank_fail(EIO, "disk %d is gone", number); }
static UNUSED void open_gate(void *arg)
{
    (void)arg;
    atomic_store(&gate, true);
}

static char reported[512];
static UNUSED void keep_report(const crank_report *report, void *arg)
{
    (void)arg;
    snprintf(reported, sizeof reported, "%s", report->text);
}
#endif
