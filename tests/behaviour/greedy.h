/* SPDX-License-Identifier: MIT */
/* greedy.h: a function that needs more stack than any task has. */
#ifndef GREEDY_H
#define GREEDY_H

static volatile char sink;

__attribute__((noinline)) static int greedy(int depth)
{
    volatile char frame[1000];
    __asm__ volatile("" : : "r"(frame) : "memory"); /* it keeps its size */
    frame[depth % 1000] = 1;
    sink = frame[0];
    return depth > 10000000 ? depth : greedy(depth + 1) + frame[depth % 1000];
}
#endif
