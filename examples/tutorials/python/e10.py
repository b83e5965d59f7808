# SPDX-License-Identifier: MIT
import asyncio


async def fetch_data():
    print("Start fetching")
    await asyncio.sleep(2)
    return {'data': 1}


async def print_numbers():
    for i in range(5):
        print(i)
        await asyncio.sleep(0.25)


async def main():
    print("-- alone")
    await print_numbers()
    print("-- beside fetch_data")
    task1 = asyncio.create_task(fetch_data())
    task2 = asyncio.create_task(print_numbers())
    value = await task1
    print(value)
    await task2


asyncio.run(main())
