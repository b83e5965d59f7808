/* SPDX-License-Identifier: MIT */
/* torn.c: a program with a fault that only some schedules show, for crank explore to find. A balance is read, then
 * something that may wait is done, and then it is written: who takes in between is forgotten. With "held" as its first
 * word it holds a lock meanwhile, and no schedule breaks it; with "spin" it does not end. */
#include <crank.h>
#include <stdlib.h>
#include <string.h>

static crank_lock *lock;
static crank_queue *journal;
static long balance = 100;
static bool held;

static int note(long amount) { return crank_put(journal, amount); }

static int take(long amount)
{
    if (held)
        crank_try(crank_lock_acquire(lock));
    long before = balance;
    int err = note(amount);
    balance = before - amount;
    if (held)
        crank_lock_release(lock);
    return err;
}

static int app(void)
{
    CRANK_LOCK(turns);
    CRANK_QUEUE(notes, long, 16);
    lock = turns;
    journal = notes;
    crank_task *a = crank_spawn(take, 10);
    crank_task *b = crank_spawn(take, 20);
    crank_task *c = crank_spawn(take, 30);
    crank_try(crank_gather(NULL, a, b, c));
    return balance == 40 ? 0 : crank_fail(EPROTO, "balance %ld, expected 40", balance);
}

int main(int argc, char **argv)
{
    while (argc > 1 && strcmp(argv[1], "spin") == 0)
        (void)crank_run(app);
    held = argc > 1 && strcmp(argv[1], "held") == 0;
    return crank_run(app);
}
