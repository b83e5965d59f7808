# SPDX-License-Identifier: MIT
import asyncio
import sys
import time

from calc_pi import calc_pi

N = int(sys.argv[1]) if len(sys.argv) > 1 else 10**8


async def calc_pi_split(N, M):
    lst = await asyncio.gather(*(asyncio.to_thread(calc_pi, N) for _ in range(M)))
    return sum(lst) / M


async def main():
    started = time.perf_counter()
    pi = await asyncio.to_thread(calc_pi, N)
    print(f"Value of π: {pi}")
    whole = time.perf_counter() - started
    print(f"that took {whole} seconds")

    started = time.perf_counter()
    pi = await calc_pi_split(N // 10, 10)
    print(f"Value of π: {pi}")
    split = time.perf_counter() - started
    print(f"that took {split} seconds")
    print(f"{whole / split:.2f} times as fast")


asyncio.run(main())
