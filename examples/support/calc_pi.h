/* SPDX-License-Identifier: MIT */
/* calc_pi.h: an estimate of pi from n random points: the work of the thread examples (E29). */
#ifndef EXAMPLES_CALC_PI_H
#define EXAMPLES_CALC_PI_H

/* Throws n points at a square and gives four times the share that fell inside the circle. The
 * error of the estimate has a standard deviation of 1.642 / sqrt(n). Safe to run in many threads
 * at once. */
double calc_pi(long n);

#endif
