/* SPDX-License-Identifier: MIT */
/* world.c: clock, chance, choices and hash of a simulated run.
 *
 * Whatever the contracts of backend and network leave open is one call of choose: with seed 0 the
 * plain order, else a number from the seed, or from a list. Every choice and jump goes into the
 * hash, which is thereby equal for equal runs. Only the loop's thread lets time pass. It chooses
 * and notes, and so does a worker for as long as it is the one thread that runs
 * (thread/sim_pool.c). */
#include "world/world.h"

#define HASH_PRIME UINT64_C(0x100000001b3)
#define SHARE_STEPS 1000000
/* 2026-01-01T00:00:00Z, in seconds since 1970. */
#define FIRST_DATE INT64_C(1767225600)

void cr_world_follow(cr_world *world, const char *choices, bool continued, int to)
{
    world->listed = true;
    world->list.sys = world->real;
    cr_choices_begin(&world->list, choices, continued, to);
}

/* FNV-1a, a word at a time. */
void cr_world_note(cr_world *world, uint64_t word)
{
    world->hash = (world->hash ^ word) * HASH_PRIME;
}

/* A list made by another program may name a possibility that there is not. */
size_t cr_world_choose(cr_world *world, size_t n)
{
    size_t chosen = 0;
    if (world->listed && cr_choices_take(&world->list, &chosen))
        chosen = chosen < n ? chosen : n - 1;
    else if (world->seeded)
        chosen = cr_prng_below(&world->chance, n);
    if (world->listed)
        cr_choices_tell(&world->list, chosen, n);
    cr_world_note(world, n);
    cr_world_note(world, chosen);
    return chosen;
}

/* A certain fault is no choice, nor is an impossible one. */
bool cr_world_strikes(cr_world *world, double share)
{
    size_t struck = 0;
    if (share <= 0 || share >= 1)
        return share >= 1;
    if (world->listed && cr_choices_take(&world->list, &struck))
        struck = struck > 0;
    else if (!world->listed || world->seeded)
        struck = (double)cr_prng_below(&world->chance, SHARE_STEPS) < share * SHARE_STEPS;
    if (world->listed)
        cr_choices_tell(&world->list, struck, 2);
    cr_world_note(world, struck);
    return struck;
}

int64_t cr_world_wall_now(void *context)
{
    return FIRST_DATE * CR_SECOND + (cr_world_now(context) - CR_WORLD_FIRST);
}

void cr_world_pass(cr_world *world, int64_t instant)
{
    cr_world_note(world, (uint64_t)instant);
    atomic_store_explicit(&world->now, instant, memory_order_relaxed);
}
