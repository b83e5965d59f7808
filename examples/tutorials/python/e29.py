# SPDX-License-Identifier: MIT
import sys

from calc_pi import calc_pi

print(f"Value of π: {calc_pi(int(sys.argv[1]) if len(sys.argv) > 1 else 10**6)}")
