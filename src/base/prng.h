/* SPDX-License-Identifier: MIT */
/* prng.h: chance that a seed decides.
 *
 * splitmix64 (Steele, Lea, Flood 2014): one word of state, every seed is a good one, the same
 * numbers on every machine. For schedules and simulations, not for secrets. */
#ifndef CR_PRNG_H
#define CR_PRNG_H
#include "base/base.h"

typedef struct cr_prng {
    uint64_t state;
} cr_prng;

static inline uint64_t cr_prng_next(cr_prng *prng)
{
    uint64_t z = prng->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
/* One of 0..n-1, n > 0: the high half of a product, whose bias is below n / 2^64. */
static inline size_t cr_prng_below(cr_prng *prng, size_t n)
{
    __extension__ typedef unsigned __int128 wide;
    return (size_t)(((wide)cr_prng_next(prng) * n) >> 64);
}
#endif
