# SPDX-License-Identifier: MIT
import asyncio


async def work(what):
    await asyncio.sleep(0.1)
    print("done:", what)


async def main():
    await work("nothing in particular")


if __name__ == "__main__":
    asyncio.run(main())
