/* SPDX-License-Identifier: MIT */
/* one.h: tasks that get or put one element and say so. */
#ifndef ONE_H
#define ONE_H
#include "trail.h"

__attribute__((unused)) static int get_one(crank_queue *queue, const char *name)
{
    int value = -1;
    int err = crank_get(queue, &value);
    say("%s%d", name, err < 0 ? err : value);
    return err;
}

__attribute__((unused)) static int put_one(crank_queue *queue, int value)
{
    int err = crank_put(queue, value);
    say("+%d", err < 0 ? err : value);
    return err;
}
#endif
