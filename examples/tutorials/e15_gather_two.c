/* SPDX-License-Identifier: MIT */
/* E15: tasks of 3 and of 10 seconds take 10 together; the results keep their order.
 *
 * gather gives the handles up, as await does. To ask "done?" afterwards the program first waits
 * with crank_wait, which keeps them, and then gathers what is already there. Under the simulator
 * the clock on the wall begins where the tutorial's did. */
#define _POSIX_C_SOURCE 200809L
#include <crank.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int *coro(int *seq, size_t n)
{
    int longest = 0;
    for (size_t i = 0; i < n; i++)
        longest = seq[i] > longest ? seq[i] : longest;
    crank_try_null(crank_sleep(longest));

    for (size_t i = 0; i < n / 2; i++) {
        int last = seq[n - 1 - i];
        seq[n - 1 - i] = seq[i];
        seq[i] = last;
    }
    return seq;
}

static void print_clock(const char *label, double elapsed)
{
    bool simulated = strcmp(crank_backend_name(), "sim") == 0;
    struct tm tm = { .tm_year = 124, .tm_mday = 1, .tm_hour = 16, .tm_min = 20, .tm_sec = 11 };
    time_t now = time(NULL);

    if (simulated)
        tm.tm_sec += (int)elapsed;
    else
        localtime_r(&now, &tm);
    printf("%s %02d:%02d:%02d\n", label, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static int app(void)
{
    int first[] = { 3, 2, 1 }, second[] = { 10, 5, 0 };
    crank_task *tasks[] = { crank_spawn(coro, first, 3), crank_spawn(coro, second, 3) };
    double started = crank_time();
    int *a[2];

    print_clock("Start:", 0);
    crank_try(crank_wait(tasks, 2, CRANK_ALL_COMPLETED, CRANK_FOREVER));
    print_clock("End:", crank_time() - started);
    printf("Both done: %s\n", crank_done(tasks[0]) && crank_done(tasks[1]) ? "True" : "False");

    crank_try(crank_gather_n(tasks, 2, a));
    printf("[[%d, %d, %d], [%d, %d, %d]]\n", a[0][0], a[0][1], a[0][2], a[1][0], a[1][1], a[1][2]);
    return 0;
}

int main(void) { return crank_run(app); }
