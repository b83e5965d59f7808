/* SPDX-License-Identifier: MIT */
/* calc_pi.c: the kernel: plain C that knows nothing of crank.
 *
 * Each thread has a random number generator of its own (xorshift64*, Marsaglia and Vigna), so that
 * threads neither wait for each other nor throw the same points. The state is a local while the
 * loop runs: a thread-local would be loaded and stored at each step. */
#include "calc_pi.h"

#include <stdatomic.h>
#include <stdint.h>

static uint64_t seed_of_next_thread(void)
{
    static atomic_uint_fast64_t threads;
    return (atomic_fetch_add(&threads, 1) + 1) * UINT64_C(0x9E3779B97F4A7C15);
}

double calc_pi(long n)
{
    static _Thread_local uint64_t state;
    if (state == 0)
        state = seed_of_next_thread();

    uint64_t s = state;
    long inside = 0;
    for (long i = 0; i < n; i++) {
        s ^= s >> 12;
        s ^= s << 25;
        s ^= s >> 27;
        uint64_t random = s * UINT64_C(0x2545F4914F6CDD1D);
        /* Two coordinates between -1 and 1 out of the two halves of one number. */
        double x = (double)(int32_t)(random >> 32) * 0x1p-31;
        double y = (double)(int32_t)(random & UINT32_MAX) * 0x1p-31;
        inside += x * x + y * y < 1.0;
    }
    state = s;
    return n > 0 ? 4.0 * (double)inside / (double)n : 0;
}
