/* SPDX-License-Identifier: MIT */
/* E04: the wrong way and the right way to start: a waiting function needs a loop under it.
 *
 * In Python main() only makes a coroutine object, nothing runs, and a warning says "never
 * awaited". C has no such object: hell_world() is a call and begins to run. What it cannot do
 * without a loop is wait; the first waiting call stops the program with a sentence that says what
 * to do. The wrong way runs in a child process, since it is the end of that process; its stderr is
 * shown as our stdout. */
#define _POSIX_C_SOURCE 200809L
#include <crank.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static int hell_world(void)
{
    crank_try(crank_sleep(0));
    puts("Hell world!");
    return 0;
}

static void wrong_way(void)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        dup2(STDOUT_FILENO, STDERR_FILENO);
        hell_world();
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    printf("-> %s\n", WIFSIGNALED(status) ? "stopped before it printed anything" : "it ran");
}

int main(void)
{
    puts("the wrong way: hell_world()");
    wrong_way();
    puts("the right way: crank_run(hell_world)");
    return crank_run(hell_world);
}
