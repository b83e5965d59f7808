# SPDX-License-Identifier: MIT
import asyncio
import time


async def fetch_data():
    print("Start fetching")
    await asyncio.sleep(2)
    return {'data': 1}


async def main():
    started = time.perf_counter()
    task1 = asyncio.create_task(fetch_data())
    value = await task1
    print(value)
    print(f"({time.perf_counter() - started:.2f} seconds)")


asyncio.run(main())
