/* SPDX-License-Identifier: MIT */
/* E20: function, generator and coroutine have one type; what differs is how it is started.
 *
 * dis.show_code prints flags: GENERATOR or COROUTINE is a property of a Python function. A C
 * function has no such flag: the same hello can be called, spawned, generated or sent to a thread.
 * What crank knows it knows of the object made from it: its kind, function, file and line. */
#include <crank.h>
#include <stdio.h>

#define TYPE_NAME(f) _Generic((f), int (*)(void) : "int (*)(void)")

static int hello(void)
{
    puts("Hello!");
    return 0;
}

static int myfunc(void)
{
    crank_try(crank_yield(1));
    crank_try(crank_yield(2));
    return 0;
}

static int app(void)
{
    char line[256];

    printf("type of hello:  %s\n", TYPE_NAME(hello));
    printf("type of myfunc: %s\n", TYPE_NAME(myfunc));

    CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(myfunc);
    crank_generator_describe(g, line, sizeof line);
    puts(line);

    crank_task *t = crank_spawn(hello);
    crank_describe(t, line, sizeof line);
    puts(line);
    return (int)crank_await(t);
}

int main(void) { return crank_run(app); }
