# SPDX-License-Identifier: MIT
"""The tutorial's kernel: compiled where Numba is there, plain Python where not."""
import random

try:
    from numba import njit
except ImportError:
    def njit(**_):
        return lambda function: function


@njit(nogil=True)
def calc_pi(N):
    M = 0
    for i in range(N):
        # Simulate impact coordinates
        x = random.uniform(-1, 1)
        y = random.uniform(-1, 1)

        # True if impact happens inside the circle
        if x**2 + y**2 < 1.0:
            M += 1
    return 4 * M / N


calc_pi(1)
