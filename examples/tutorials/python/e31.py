# SPDX-License-Identifier: MIT
import asyncio
import sys
import time

from calc_pi import calc_pi

N = int(sys.argv[1]) if len(sys.argv) > 1 else 10**8


async def main():
    started = time.perf_counter()
    pi = await asyncio.to_thread(calc_pi, N)
    print(f"Value of π: {pi}")
    print(f"that took {time.perf_counter() - started} seconds")


asyncio.run(main())
