/* SPDX-License-Identifier: MIT */
/* E10: print_numbers alone, then beside fetch_data: numbers while the data is on its way.
 *
 * The second part is the tutorial's program with the line "task2 = ..." no longer commented out. */
#include <crank.h>
#include <stdio.h>

static long fetch_data(void)
{
    puts("Start fetching");
    crank_try(crank_sleep(2));
    return 1;
}

static int print_numbers(void)
{
    for (int i = 0; i < 5; i++) {
        printf("%d\n", i);
        crank_try(crank_sleep(0.25));
    }
    return 0;
}

static int app(void)
{
    puts("-- alone");
    crank_try(print_numbers());

    puts("-- beside fetch_data");
    crank_task *task1 = crank_spawn(fetch_data);
    crank_task *task2 = crank_spawn(print_numbers);
    long value = crank_try(crank_await(task1));
    printf("{'data': %ld}\n", value);
    return (int)crank_await(task2);
}

int main(void) { return crank_run(app); }
