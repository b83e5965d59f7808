# SPDX-License-Identifier: MIT
import asyncio
import time


async def main():
    started = time.perf_counter()
    print("hello there!")
    await foo()
    print("All done!")
    print(f"({time.perf_counter() - started:.2f} seconds)")


async def foo():
    print("text")
    await asyncio.sleep(1)


asyncio.run(main())
