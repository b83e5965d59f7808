# SPDX-License-Identifier: MIT
import dis


async def hello():
    print('Hello!')


def myfunc():
    yield 1
    yield 2


print(type(hello), type(myfunc))
dis.show_code(myfunc)
dis.show_code(hello)
