/* SPDX-License-Identifier: MIT */
/* E08: print a task in each of its states: pending, waiting, cancelled, finished, failed.
 *
 * print(task) in Python, crank_describe in C: the state, the name, the function, where it was
 * spawned and what it waits for. A task that has been spawned has not run yet: "Start fetching"
 * comes later. */
#include <crank.h>
#include <stdio.h>

static long fetch_data(void)
{
    puts("Start fetching");
    crank_try(crank_sleep(2));
    return 1;
}

static int fetch_nonsense(void) { return crank_fail(EPROTO, "the server sent nonsense"); }

static void print(crank_task *task)
{
    char line[256];

    crank_describe(task, line, sizeof line);
    puts(line);
}

static int app(void)
{
    crank_task *task = crank_spawn(fetch_data);
    print(task); /* not yet begun */
    crank_try(crank_sleep(0));
    print(task); /* asleep in its crank_sleep */
    crank_cancel(task);
    print(task); /* asked to stop, has not noticed yet */
    crank_await_shared(task);
    print(task);
    crank_drop(task); /* await_shared keeps the handle: now it is given up */

    crank_task *good = crank_spawn(fetch_data);
    crank_set_name(good, "fetcher");
    crank_await_shared(good);
    print(good);
    crank_drop(good);

    crank_task *bad = crank_spawn(fetch_nonsense);
    crank_await_shared(bad);
    print(bad);
    crank_drop(bad);
    return 0;
}

int main(void) { return crank_run(app); }
