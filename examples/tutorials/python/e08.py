# SPDX-License-Identifier: MIT
import asyncio


async def fetch_data():
    print("Start fetching")
    await asyncio.sleep(2)
    return {'data': 1}


async def main():
    task1 = asyncio.create_task(fetch_data())
    print(task1)


asyncio.run(main())
