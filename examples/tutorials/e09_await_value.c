/* SPDX-License-Identifier: MIT */
/* E09: the value a task returns comes out of await: {'data': 1}.
 *
 * Python's dictionary is a struct here. A task returns a scalar: a pointer to something on the
 * heap is how it hands over more. crank_await_ptr gives that pointer, NULL if the task failed. */
#include <crank.h>
#include <stdio.h>
#include <stdlib.h>

struct record {
    int data;
};

static struct record *fetch_data(void)
{
    puts("Start fetching");
    crank_try_null(crank_sleep(2));

    struct record *value = malloc(sizeof *value);
    if (value)
        value->data = 1;
    return value;
}

static int app(void)
{
    double started = crank_time();
    crank_task *task1 = crank_spawn(fetch_data);
    struct record *value = crank_try(crank_await_ptr(task1));

    printf("{'data': %d}\n", value->data);
    free(value);
    printf("(%.2f seconds)\n", crank_time() - started);
    return 0;
}

int main(void) { return crank_run(app); }
