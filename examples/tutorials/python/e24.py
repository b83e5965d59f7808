# SPDX-License-Identifier: MIT
def printer():
    while True:
        x = yield
        print(x)


p = printer()
next(p)
p.send("Mercury")
p.send("Venus")
p.send("Earth")
