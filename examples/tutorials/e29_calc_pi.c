/* SPDX-License-Identifier: MIT */
/* E29: calc_pi(N): the share of random points that fall inside the circle, and how good it is.
 *
 * The kernel is in support/calc_pi.c: ordinary C, compiled, so what Numba does for Python is done.
 * The standard deviation of the estimate is 1.642 / sqrt(N): a hundred times the points give one
 * more digit. */
#include "../support/calc_pi.h"

#include <math.h>
#include <stdio.h>

static const double pi = 3.14159265358979323846;

int main(void)
{
    for (long n = 100; n <= 100000000; n *= 100) {
        double estimate = calc_pi(n);
        double sigmas = fabs(estimate - pi) / (1.642 / sqrt((double)n));
        printf("calc_pi(%9ld) = %.6f, %s\n", n, estimate, sigmas < 5 ? "within five sigma" : "which is suspicious");
    }
    return 0;
}
