/* SPDX-License-Identifier: MIT */
/* workers.c: a fault that shows when a worker thread is stopped at the wrong moment: two jobs read and write what they
 * share, and post to the loop in between. */
#include <crank.h>

static crank_loop *loop;
static int sum;
static int notes;

static void noted(void *arg)
{
    (void)arg;
    notes++;
}

static int add(int amount)
{
    int before = sum;
    int err = crank_post(loop, noted, NULL);
    sum = before + amount;
    return err;
}

static int app(void)
{
    loop = crank_current_loop();
    crank_task *a = crank_to_thread(add, 1);
    crank_task *b = crank_to_thread(add, 2);
    crank_try(crank_gather(NULL, a, b));
    return sum == 3 && notes == 2 ? 0 : crank_fail(EPROTO, "sum %d, expected 3", sum);
}

int main(void) { return crank_run(app); }
