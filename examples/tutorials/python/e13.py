# SPDX-License-Identifier: MIT
import asyncio


async def f():
    await asyncio.sleep(0.1)
    return 42


async def g():
    r = await f()
    return r


async def main():
    print(await g())


asyncio.run(main())
