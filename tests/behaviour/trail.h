/* SPDX-License-Identifier: MIT */
/* trail.h: what several behaviour tests need: a record of who did what in which order, turns for others, and chance.
 *
 * A test says() words as things happen and compares the whole with one string. */
#ifndef TRAIL_H
#define TRAIL_H
#include "test.h"

static char trail[1024];

__attribute__((unused)) CRANK_PRINTF(1, 2) static void say(const char *format, ...)
{
    size_t used = strlen(trail);
    va_list args;
    if (used && used < sizeof trail - 1) {
        trail[used++] = ' ';
        trail[used] = '\0';
    }
    va_start(args, format);
    vsnprintf(trail + used, sizeof trail - used, format, args);
    va_end(args);
}

/* Compare what was said and begin anew. */
#define EXPECT_TRAIL(expected) \
    do { \
        EXPECT_STR(trail, expected); \
        trail[0] = '\0'; \
    } while (0)

/* Says name when it is so late. Sleeps whose order is compared are counted from one moment, and end when even a loaded
 * machine has begun them all. */
__attribute__((unused)) static int say_at(double time, const char *name)
{
    crank_try(crank_sleep_until(time));
    say("%s", name);
    return 0;
}
#define SOON (crank_time() + 0.06)

/* Let every ready task run, and whoever they wake. */
__attribute__((unused)) static int settle(void)
{
    for (int i = 0; i < 4; i++)
        crank_try(crank_sleep(0));
    return 0;
}

/* One of n, from a state that a seed began. */
__attribute__((unused)) static unsigned chance(uint64_t *state, unsigned n)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t mixed = (*state ^ *state >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return (unsigned)((mixed >> 32) % n);
}
#endif
