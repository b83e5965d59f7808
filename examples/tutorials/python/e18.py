# SPDX-License-Identifier: MIT
def myfunc():
    yield 1
    yield 2
    yield 3


g = myfunc()
print(g)
for value in g:
    print(value)
