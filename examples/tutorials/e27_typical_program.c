/* SPDX-License-Identifier: MIT */
/* E27: what a typical program looks like: functions that may wait, an app, and crank_run in main.
 *
 * crank_run takes the function itself, and its arguments behind it. Writing crank_run(app()) by
 * mistake (the tutorial has the opposite one) does not compile: an int is not a function. Locks,
 * semaphores and queues are made inside app, or whatever app calls. main's status: 0, or 1 with
 * the error's trace on stderr, 130 after Ctrl-C, 70 on a deadlock. */
#include <crank.h>
#include <stdio.h>

static int work(const char *what)
{
    crank_try(crank_sleep(0.1));
    printf("done: %s\n", what);
    return 0;
}

static int app(int argc, char **argv)
{
    crank_try(work(argc > 1 ? argv[1] : "nothing in particular"));
    return 0;
}

int main(int argc, char **argv) { return crank_run(app, argc, argv); }
