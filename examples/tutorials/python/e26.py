# SPDX-License-Identifier: MIT
import asyncio
import time


async def counter(name):
    for i in range(5):
        print(f"{name:<10} {i:03}")
        await asyncio.sleep(0.2)


async def main():
    started = time.perf_counter()
    await asyncio.gather(counter("Earth"), counter("Moon"))
    print(f"({time.perf_counter() - started:.2f} seconds)")


asyncio.run(main())
