# SPDX-License-Identifier: MIT
def myfunc():
    return 1
    return 2
    return 3


print(myfunc())
