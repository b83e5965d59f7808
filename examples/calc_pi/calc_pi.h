/* SPDX-License-Identifier: MIT */
/* calc_pi.h: an estimate of pi from n random points; plain C, safe in many threads at once. */
#ifndef CALC_PI_H
#define CALC_PI_H

double calc_pi(long n);

#endif
