# SPDX-License-Identifier: MIT
def myfunc():
    yield 1
    yield 2


g = myfunc()
for value in g:
    print(f"{value}, asleep at line {g.gi_frame.f_lineno}")
