/* SPDX-License-Identifier: MIT */
/* waiting.c: a program whose tasks wait in every way a debugger should be able to show.
 *
 * 08_debuggers.sh starts it, waits for "ready", and looks: at the living process, and at its core file. The names of
 * the functions are what it looks for. With WAITING_MODE=spin the first task then runs in spin. */
#include <crank.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOINLINE __attribute__((noinline))

static crank_lock *lock;
static crank_queue *queue;
static crank_event *event;
static crank_future *future;
static volatile int kept; /* what a function does after its wait: so that the wait is no tail call */

NOINLINE static int deep_sleep(double seconds, int depth)
{
    int result = depth > 0 ? deep_sleep(seconds, depth - 1) : crank_sleep(seconds);
    kept++;
    return result;
}
NOINLINE static int sleeper(double seconds) { return deep_sleep(seconds, 3) + kept; }

NOINLINE static int holder(void)
{
    CRANK_WITH_LOCK(lock);
    crank_set_name(NULL, "the holder");
    int result = crank_event_wait(event);
    kept++;
    return result;
}
NOINLINE static int in_line(void)
{
    int result = crank_lock_acquire(lock);
    kept++;
    return result;
}
NOINLINE static int getter(void)
{
    int value;
    int result = crank_get(queue, &value);
    kept++;
    return result;
}
NOINLINE static int member(int number)
{
    int result = crank_event_wait(event);
    kept += number;
    return result;
}
NOINLINE static int opener(void)
{
    CRANK_GROUP(group);
    crank_group_spawn(&group, member, 1);
    crank_group_spawn(&group, member, 2);
    int result = crank_group_wait(&group);
    kept++;
    return result;
}
NOINLINE static int numbers(int from)
{
    for (int i = from;; i++) {
        crank_try(crank_event_wait(event));
        crank_try(crank_yield(i));
    }
}
NOINLINE static int asker(void)
{
    crank_generator *g = crank_generate(numbers, 7);
    int value;
    int result = crank_next(g, &value);
    kept++;
    return result + crank_generator_close(g);
}
NOINLINE static int hoping(void)
{
    int result = (int)crank_await_shared(future);
    kept++;
    return result;
}
NOINLINE static int parent_of_one(void)
{
    int result = (int)crank_await(crank_spawn(sleeper, 5000));
    kept++;
    return result;
}
/* Its end is the debugger's: or half a minute. */
NOINLINE static int spin(void)
{
    double until = crank_time() + 30;
    while (crank_time() < until)
        kept++;
    return kept;
}

static int app(void)
{
    const char *mode = getenv("WAITING_MODE");
    lock = crank_lock_new();
    queue = crank_queue_new(sizeof(int), CRANK_KIND_SIGNED, 4);
    event = crank_event_new();
    future = crank_future_new();
    crank_spawn(sleeper, 1000);
    crank_spawn(crank_sleep, 2000.0);
    crank_spawn(holder);
    crank_spawn(in_line);
    crank_spawn(getter);
    crank_spawn(opener);
    crank_spawn(asker);
    crank_spawn(hoping);
    crank_spawn(parent_of_one);
    crank_sleep(0.3);
    printf("ready\n");
    fflush(stdout);
    int result = mode && strcmp(mode, "spin") == 0 ? spin() : crank_sleep(3000);
    kept++;
    return result;
}

int main(void) { return crank_run(app); }
