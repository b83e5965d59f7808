# SPDX-License-Identifier: MIT
from itertools import islice


def integers():
    a = 1
    while True:
        yield a
        a += 1


print(list(islice(integers(), 0, 10)))
