# SPDX-License-Identifier: MIT
def integers():
    a = 1
    while True:
        yield a
        a += 1


for i in integers():
    print(i)
    if i > 10:   # or this would take a while
        break
