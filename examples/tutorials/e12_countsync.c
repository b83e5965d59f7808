/* SPDX-License-Identifier: MIT */
/* E12: the same three counters with a sleep that blocks: three seconds (countsync.py).
 *
 * There is no crank in this program. sleep() stands for any call that holds the whole thread;
 * called from a task it would stop every other task as well. Since nothing here goes through a
 * loop, it takes its three seconds under the simulator too. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void count(void)
{
    puts("One");
    sleep(1);
    puts("Two");
}

int main(void)
{
    double started = seconds();

    for (int i = 0; i < 3; i++)
        count();
    printf("countsync.c exec in %0.2f seconds.\n", seconds() - started);
    return 0;
}
