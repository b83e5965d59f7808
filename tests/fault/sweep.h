/* SPDX-License-Identifier: MIT */
/* sweep.h: a scenario is run again and again, with another of its fallible calls failing each time. */
#ifndef SWEEP_H
#define SWEEP_H
#include "faults.h"
#include "run/run.h"

static inline void no_report(const crank_report *report, void *arg)
{
    (void)report;
    (void)arg;
}

typedef long scenario(void *arg);

/* Run the scenario with its k-th call failing, for every k, in runs of these options. Its argument is NULL in a run in
 * which none fails. */
static inline void sweep_with(scenario *fn, crank_options options, bool from_then)
{
    long k = 0;
    options.on_report = no_report;
    options.grace = 0.01;
    for (bool reached = true; reached; k++) {
        faults f;
        faults_init(&f, k + 1, from_then);
        long result = cr_run_raw_on(&f.sys, &options, fn, &f);
        reached = f.failed > 0;
        if (result > 0 || result < -4095)
            test_fail(__FILE__, __LINE__, "call %ld failing gives %ld, which is no defined error", k + 1, result);
        if (!reached && result != 0)
            test_fail(__FILE__, __LINE__, "without a fault the scenario gives %ld: %s", result, crank_error());
        crank_error_clear();
        EXPECT_EQ(crank_run_raw(&options, fn, NULL), 0);
        crank_error_clear();
    }
    EXPECT(k > 3);
}

static inline void sweep(scenario *fn, crank_backend backend, bool from_then)
{
    sweep_with(fn, (crank_options){ .backend = backend }, from_then);
}

#define SWEEP(name, scenario) \
    TEST(name, survives_each_failing_call_on_sim) { sweep(scenario, CRANK_BACKEND_SIM, false); } \
    TEST(name, survives_all_calls_failing_from_each_on_sim) { sweep(scenario, CRANK_BACKEND_SIM, true); } \
    TEST(name, survives_each_failing_call_on_epoll) { sweep(scenario, CRANK_BACKEND_EPOLL, false); } \
    TEST(name, survives_all_calls_failing_from_each_on_epoll) { sweep(scenario, CRANK_BACKEND_EPOLL, true); }
#endif
