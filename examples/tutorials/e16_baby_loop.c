/* SPDX-License-Identifier: MIT */
/* E16: our own baby event loop: a list of generators, each gets a turn until it has ended.
 *
 * usage: e16_baby_loop [fixed] [max1 max2 max3]    (as in the tutorial: 5 7 3)
 *
 * The tutorial takes an ended generator out of the list while it walks along it, so that the one
 * behind it moves up and loses its turn. With 5 7 3 that makes no difference; with 1 3 3 it does.
 * "fixed" is the loop as it should be: after a removal the same place is looked at again. */
#include <crank.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int mygen(int id_number, int maxnum)
{
    char text[32];

    for (int i = 0; i < maxnum; i++) {
        snprintf(text, sizeof text, "%d: %d", id_number, i);
        crank_try(crank_yield((const char *)text)); /* text lives as long as we sleep here */
    }
    return 0;
}

static int baby_loop(crank_generator **generators, size_t count, bool fixed)
{
    while (count > 0) {
        for (size_t i = 0; i < count; i++) {
            const char *value;
            if (crank_try(crank_next(generators[i], &value)) == 1) {
                puts(value);
                continue;
            }
            crank_try(crank_close(generators[i])); /* StopIteration: take it out of the list */
            memmove(&generators[i], &generators[i + 1], (--count - i) * sizeof *generators);
            if (fixed)
                i--;
        }
    }
    puts("Done!");
    return 0;
}

static int app(bool fixed, const int *max)
{
    crank_generator *generators[3];

    for (int i = 0; i < 3; i++)
        generators[i] = crank_generate(mygen, i + 1, max[i]);
    return baby_loop(generators, 3, fixed);
}

int main(int argc, char **argv)
{
    bool fixed = argc > 1 && strcmp(argv[1], "fixed") == 0;
    int max[3] = { 5, 7, 3 };

    for (int i = 0; i < 3 && i + 1 + fixed < argc; i++)
        max[i] = atoi(argv[i + 1 + fixed]);
    return crank_run(app, fixed, max);
}
