# SPDX-License-Identifier: MIT
import asyncio


async def fun_a():
    print("Running coroutine *a*.")
    await asyncio.sleep(0)
    print("Back in *a*.")
    return "result from *a*"


async def fun_b():
    print("Running coroutine *b*.")
    await asyncio.sleep(0)
    print("Back in *b*.")
    return "result from *b*"


async def main():
    print(await asyncio.gather(fun_a(), fun_b()))


asyncio.run(main())
