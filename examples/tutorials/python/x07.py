# SPDX-License-Identifier: MIT
import asyncio


async def up(maximum):
    for i in range(maximum + 1):
        print(f"up {i}")
        await asyncio.sleep(0)


async def down(maximum):
    for i in range(maximum, -1, -1):
        print(f"down {i}")
        await asyncio.sleep(0)


async def powers(n):
    for i in range(8):
        print(f"powers {n ** i}")
        await asyncio.sleep(0)


async def main():
    tasks = [asyncio.create_task(up(3)), asyncio.create_task(down(3)), asyncio.create_task(powers(2))]
    for task in tasks:
        await task


asyncio.run(main())
