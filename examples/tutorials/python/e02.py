# SPDX-License-Identifier: MIT
def fib():
    a, b = 1, 1
    while True:
        yield a
        a, b = b, a + b


x = fib()
for i in range(20):
    n = next(x)
    print(f"{i:8} {n:8}")
