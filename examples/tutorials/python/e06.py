# SPDX-License-Identifier: MIT
import asyncio
import time


async def main():
    print("hello there!")
    task = asyncio.create_task(foo())
    print("All done!")


async def foo():
    started = time.perf_counter()
    print("text")
    try:
        await asyncio.sleep(1)
        what = "has slept"
    except asyncio.CancelledError:
        what = "was cancelled"
    print(f"(foo {what} after {time.perf_counter() - started:.2f} seconds)")


asyncio.run(main())
