# SPDX-License-Identifier: MIT
async def hello():
    print('Hello!')


coroutine = hello()
print(coroutine)
coroutine.close()
