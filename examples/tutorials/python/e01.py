# SPDX-License-Identifier: MIT
from itertools import islice


def fib():
    a, b = 1, 1
    while True:
        yield a
        a, b = b, a + b


numbers = fib()
print(*islice(numbers, 20))
print("and it can go on:", next(numbers))
