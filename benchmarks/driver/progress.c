/* SPDX-License-Identifier: MIT */
/* progress.c: how far ./bench is, on stderr: a line that moves on a terminal, a line a minute elsewhere.
 *
 * Owns the expectation: how many runs are to come, and how long one takes, as it took last time. That is kept in a
 * file beside the peers' builds; where a run is not known yet it is guessed. Between two pictures of the line
 * nothing is done: whoever waits for a program asks how long it may. */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include "driver.h"

static struct {
    const outcome *outcome;
    char path[1024];
    double *cost; /* seconds of a run; 0: not known */
    int *left;    /* runs to come */
    double began, shown, interval;
    bool terminal, drawn;
    char at[128];
} p;

static double wall(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static size_t cell(size_t work, size_t who) { return work * p.outcome->contender_count + who; }

static void load(void)
{
    char work[48], who[48];
    double seconds;
    FILE *file = fopen(p.path, "r");
    while (file && fscanf(file, "%47s %47s %lf", work, who, &seconds) == 3)
        for (size_t w = 0; w < workload_count; w++)
            for (size_t c = 0; c < p.outcome->contender_count; c++)
                if (!strcmp(work, workloads[w].name) && !strcmp(who, p.outcome->contenders[c].name))
                    p.cost[cell(w, c)] = seconds;
    if (file)
        fclose(file);
}

void progress_open(const outcome *o, const char *folder)
{
    const char *told = getenv("BENCH_PROGRESS_SECONDS");
    size_t cells = workload_count * o->contender_count;
    p.outcome = o;
    p.terminal = isatty(STDERR_FILENO);
    p.interval = told ? atof(told) : p.terminal ? 1 : 60;
    p.began = p.shown = wall();
    p.cost = calloc(cells, sizeof *p.cost);
    p.left = calloc(cells, sizeof *p.left);
    if (!p.cost || !p.left) {
        perror("bench");
        exit(1);
    }
    snprintf(p.path, sizeof p.path, "%s/seconds", folder);
    load();
}

void progress_save(void)
{
    FILE *file = fopen(p.path, "w");
    for (size_t w = 0; file && w < workload_count; w++)
        for (size_t c = 0; c < p.outcome->contender_count; c++)
            if (p.cost[cell(w, c)] > 0)
                fprintf(file, "%s %s %.3f\n", workloads[w].name, p.outcome->contenders[c].name, p.cost[cell(w, c)]);
    if (file)
        fclose(file);
}

void progress_close(void)
{
    progress_clear();
    free(p.cost);
    free(p.left);
}

double progress_seconds(void) { return wall() - p.began; }

double progress_cost(size_t work, size_t who)
{
    double known = p.cost[cell(work, who)], guessed = workloads[work].seconds;
    return known > 0 ? known : guessed > 0 ? guessed : 1;
}

void progress_expect(size_t work, size_t who, int runs) { p.left[cell(work, who)] = runs; }

void progress_ran(size_t work, size_t who, double seconds) { p.cost[cell(work, who)] = seconds; }

void progress_at(size_t work, size_t who, int run, int of)
{
    snprintf(p.at, sizeof p.at, "%s: %s, run %d of %d", workloads[work].name, p.outcome->contenders[who].name, run, of);
    progress_tick();
}

static int runs_to_go(void)
{
    int left = 0;
    for (size_t i = 0; i < workload_count * p.outcome->contender_count; i++)
        left += p.left[i];
    return left;
}

static double seconds_to_go(void)
{
    double seconds = 0;
    for (size_t w = 0; w < workload_count; w++)
        for (size_t c = 0; c < p.outcome->contender_count; c++)
            seconds += p.left[cell(w, c)] * progress_cost(w, c);
    return seconds;
}

static void tell(int left, double seconds)
{
    struct winsize size = { .ws_col = 0 };
    char line[256];
    if (p.terminal)
        ioctl(STDERR_FILENO, TIOCGWINSZ, &size);
    int used = snprintf(
        line, sizeof line, "%s, %d more runs, %.0f s, about %.0f s to go", p.at, left, wall() - p.began, seconds);
    if (size.ws_col > 20 && used >= size.ws_col)
        line[size.ws_col - 1] = '\0';
    fprintf(stderr, p.terminal ? "\r\033[K%s" : "%s\n", line);
    fflush(stderr);
    p.drawn = p.terminal;
}

int progress_tick(void)
{
    double now = wall();
    if (now - p.shown >= p.interval && p.at[0]) {
        p.shown = now;
        tell(runs_to_go(), seconds_to_go());
    }
    double rest = p.shown + p.interval - now;
    return p.at[0] && rest < 1e6 ? (int)(rest * 1000) + 1 : 1000000000;
}

void progress_clear(void)
{
    if (p.drawn)
        fputs("\r\033[K", stderr);
    p.drawn = false;
}
