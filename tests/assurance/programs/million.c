/* SPDX-License-Identifier: MIT */
/* million.c: so many tasks at once, at default settings: `million N [overflow]`.
 *
 * All are parked when the program looks at itself: how many mappings their stacks lie in, what they take. Then all are
 * woken, and each does some work. Prints what failed, a line "figures: ...", and the count. With overflow only the one
 * in the middle is woken, and overflows its stack: its guard must be there among so many. The process dies of it. */
#include "../../behaviour/greedy.h"
#include <crank.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { MAPPINGS_MAX = 100, MAPS_MAX = 4096, GUARD_INSTALL = 102 };

static struct {
    size_t asked;
    size_t parked;
    size_t worked;
    crank_event *go;
    crank_event *dig;
    bool overflow;
    uintptr_t *frames; /* an address on the stack of each */
    int passed;
    int failed;
} all;

typedef struct mapping {
    uintptr_t low;
    uintptr_t high;
    size_t stacks;
} mapping;
static mapping maps[MAPS_MAX];
static size_t map_count;

static void check(bool holds, const char *claim)
{
    all.passed += holds;
    all.failed += !holds;
    if (!holds)
        printf("FAIL %zu tasks: %s\n", all.asked, claim);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* A line of /proc/self/status, in MiB. */
static double memory(const char *name)
{
    char line[256];
    double kib = 0;
    FILE *status = fopen("/proc/self/status", "re");
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, name, strlen(name)) == 0)
            kib = strtod(line + strlen(name), NULL);
    if (status)
        fclose(status);
    return kib / 1024;
}

static void read_maps(void)
{
    char line[512];
    FILE *file = fopen("/proc/self/maps", "re");
    map_count = 0;
    while (file && map_count < MAPS_MAX && fgets(line, sizeof line, file)) {
        char *rest;
        mapping *m = &maps[map_count++];
        m->low = strtoul(line, &rest, 16);
        m->high = strtoul(rest + 1, NULL, 16);
        m->stacks = 0;
    }
    if (file)
        fclose(file);
}

/* The mappings that hold a stack; those that hold none are libraries', the heap's, the records'. Each stack must lie in
 * one. */
static size_t count_mappings_of_stacks(void)
{
    size_t with_stacks = 0;
    size_t found = 0;
    for (size_t i = 0; i < all.asked; i++) {
        size_t low = 0;
        size_t high = map_count;
        while (low < high) {
            size_t middle = (low + high) / 2;
            if (all.frames[i] < maps[middle].high)
                high = middle;
            else
                low = middle + 1;
        }
        if (low < map_count && all.frames[i] >= maps[low].low) {
            found++;
            with_stacks += maps[low].stacks++ == 0;
        }
    }
    check(found == all.asked, "a stack lies in no mapping");
    return with_stacks;
}

static int work(size_t number)
{
    char text[64];
    volatile char place = 0;
    all.frames[number] = (uintptr_t)&place;
    all.parked++;
    crank_try(crank_event_wait(all.go));
    int length = snprintf(text, sizeof text, "%zu", number);
    all.worked += length > 0 && strtoul(text, NULL, 10) == number;
    return (int)(number % 1000);
}
static int victim(size_t number)
{
    volatile char place = 0;
    all.frames[number] = (uintptr_t)&place;
    all.parked++;
    crank_try(crank_event_wait(all.dig));
    return crank_event_is_set(all.go) ? (int)(number % 1000) : greedy(0);
}

/* In portions, so that nothing else waits for long. */
static void spawn_all(crank_task **tasks)
{
    for (size_t i = 0; i < all.asked; i++) {
        tasks[i] = i == all.asked / 2 ? crank_spawn(victim, i) : crank_spawn(work, i);
        if (i % 10000 == 9999)
            crank_sleep(0);
    }
    crank_sleep(0);
}

/* What can be seen while all are parked. Prints half of the figures. */
static void look(double spawned)
{
    read_maps();
    size_t total = map_count;
    size_t mappings = count_mappings_of_stacks();
    check(total < MAPS_MAX && mappings <= MAPPINGS_MAX, "their stacks have more than 100 mappings");
    printf("figures: %zu tasks at once, guarded, in %zu mappings (of %zu of the process), peak %.0f MiB and %.0f MiB "
           "of page tables, begun in %.1f s",
        all.asked, mappings, total, memory("VmHWM:"), memory("VmPTE:"), spawned);
}

/* Some got no stack. */
static int give_up(crank_task **tasks)
{
    long error = 0;
    size_t parked = all.parked;
    crank_event_set(all.go);
    crank_event_set(all.dig);
    for (size_t i = 0; i < all.asked; i++) {
        long result = crank_await(tasks[i]);
        error = result < 0 ? result : error;
    }
    return crank_fail((int)-error, "only %zu of %zu tasks live at once", parked, all.asked);
}

static int app(void)
{
    size_t right = 0;
    double begun = now();
    crank_task **tasks = calloc(all.asked, sizeof *tasks);
    all.frames = calloc(all.asked, sizeof *all.frames);
    all.go = crank_event_new();
    all.dig = crank_event_new();
    if (!tasks || !all.frames || !all.go || !all.dig)
        return crank_fail(ENOMEM, "no memory for the program itself");
    spawn_all(tasks);
    if (all.parked < all.asked)
        return give_up(tasks);
    if (all.overflow) {
        crank_event_set(all.dig);
        crank_sleep(0);
        return crank_fail(ENOTRECOVERABLE, "task '%s' went on without a stack", crank_name(tasks[all.asked / 2]));
    }
    look(now() - begun);
    begun = now();
    crank_event_set(all.go);
    crank_event_set(all.dig);
    for (size_t i = 0; i < all.asked; i++)
        right += crank_await(tasks[i]) == (long)(i % 1000);
    printf(", ended in %.1f s\n", now() - begun);
    check(right == all.asked && all.worked == all.asked - 1, "not all of them ended well");
    crank_event_free(all.go);
    crank_event_free(all.dig);
    free(tasks);
    free(all.frames);
    return 0;
}

/* Else each guard costs mappings, and there are not enough of them. */
static bool guards_are_free(void)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *memory = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool free_ones = memory != MAP_FAILED && madvise(memory, page, GUARD_INSTALL) == 0;
    munmap(memory, page);
    return free_ones;
}

int main(int argc, char **argv)
{
    all.asked = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    all.overflow = argc > 2 && strcmp(argv[2], "overflow") == 0;
    if (all.asked == 0 || (argc > 2 && !all.overflow)) {
        fprintf(stderr, "million: how many tasks, and what is to overflow?\n");
        return 2;
    }
    if (!guards_are_free()) {
        printf("figures: this kernel has no guards without mappings (Linux 6.13)\n0 passed, 0 failed, 1 skipped\n");
        return 77;
    }
    setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
    check(crank_run(app) == 0, "the program failed");
    printf("%d passed, %d failed, 0 skipped\n", all.passed, all.failed);
    return all.failed > 0;
}
