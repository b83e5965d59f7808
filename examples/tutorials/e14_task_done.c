/* SPDX-License-Identifier: MIT */
/* E14: a task that sleeps max(seq) seconds and reverses seq; afterwards it is done.
 *
 * crank_await gives the handle up, and a handle that was given up must not be asked anything.
 * crank_await_shared keeps it, until crank_drop. */
#include <crank.h>
#include <stdio.h>

#define TYPE_NAME(x) _Generic((x), crank_task * : "crank_task *", crank_future * : "crank_future *")

static int coro(int *seq, size_t n)
{
    int longest = 0;
    for (size_t i = 0; i < n; i++)
        longest = seq[i] > longest ? seq[i] : longest;
    crank_try(crank_sleep(longest));

    for (size_t i = 0; i < n / 2; i++) {
        int last = seq[n - 1 - i];
        seq[n - 1 - i] = seq[i];
        seq[i] = last;
    }
    return 0;
}

static int app(void)
{
    double started = crank_time();
    int seq[] = { 3, 2, 1 }; /* outlives the task, which we await here */
    crank_task *t = crank_spawn(coro, seq, CRANK_COUNT(seq));

    crank_try(crank_await_shared(t));
    printf("t: type %s\n", TYPE_NAME(t));
    printf("t done: %s\n", crank_done(t) ? "True" : "False");
    crank_drop(t);
    printf("[%d, %d, %d] (%.2f seconds)\n", seq[0], seq[1], seq[2], crank_time() - started);
    return 0;
}

int main(void) { return crank_run(app); }
