# SPDX-License-Identifier: MIT
"""The overhead of asyncio.to_thread: the tutorial's study without its work, so that plain Python can run it."""
import asyncio
import time


def no_work():
    pass


async def main():
    await asyncio.gather(*(asyncio.to_thread(no_work) for _ in range(64)))
    started = time.perf_counter()
    await asyncio.gather(*(asyncio.to_thread(no_work) for _ in range(4096)))
    print(f"without work: {(time.perf_counter() - started) / 4096 * 1e6:.2f} µs per job")


asyncio.run(main())
