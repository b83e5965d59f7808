/* SPDX-License-Identifier: MIT */
/* E21: what stands for <coroutine object hello at 0x...>: a spawned task that has not begun.
 *
 * Python's hello() gives an object that never runs unless somebody puts it on the loop. In C the
 * two steps are one: crank_spawn puts it there, and it begins when its parent waits or ends. */
#include <crank.h>
#include <stdio.h>

static int hello(void)
{
    puts("Hello!");
    return 0;
}

static int app(void)
{
    char repr[256];
    crank_task *coroutine = crank_spawn(hello);

    crank_describe(coroutine, repr, sizeof repr);
    puts(repr);
    puts("hello has not run yet");
    return (int)crank_await(coroutine);
}

int main(void) { return crank_run(app); }
