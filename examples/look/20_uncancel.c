#include <crank.h>
#include <stdio.h>

/* Asked to stop, as often as they like, it finishes what it has begun and gives its result all the same. */
static int counter(void)
{
    int n = 0;
    while (crank_sleep(1) == 0)
        n++;
    while (crank_uncancel(NULL) > 0)
        ;
    crank_try(crank_sleep(0.5));
    printf("counted %d, and was left in peace\n", n);
    return n;
}

static int app(void)
{
    crank_task *task = crank_spawn(counter);

    crank_sleep(3.5);
    crank_cancel(task);
    crank_cancel(task); /* before it ran on: the same -ECANCELED answers both */
    printf("it gave %d\n", (int)crank_await(task));
    return 0;
}

int main(void) { return crank_run(app); }
