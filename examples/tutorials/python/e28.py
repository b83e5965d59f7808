# SPDX-License-Identifier: MIT
import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Optional


@dataclass
class Elapsed:
    time: Optional[float] = None


@asynccontextmanager
async def timer():
    e = Elapsed()
    t = perf_counter()
    yield e
    e.time = perf_counter() - t


async def main():
    async with timer() as t:
        await asyncio.sleep(0.2)
    print(f"that took {t.time} seconds")


asyncio.run(main())
