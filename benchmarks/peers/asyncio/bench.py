# SPDX-License-Identifier: MIT
"""asyncio, and with --uvloop the same on uvloop: bench.py [--uvloop] WORKLOAD"""
import asyncio
import sys
import time

NAME = sys.argv[-1]
now = time.perf_counter


def result(name, value, unit):
    print(f"{name} asyncio {value:.6g} {unit}", flush=True)


def memory_bytes(field):
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(field):
                return int(line.split()[1]) * 1024


def chances():
    x = 88172645463325252
    while True:
        x ^= (x << 13) & 0xFFFFFFFFFFFFFFFF
        x ^= x >> 7
        x ^= (x << 17) & 0xFFFFFFFFFFFFFFFF
        yield x


def nothing():
    pass


async def noop():
    pass


async def ctxswitch():
    n = 500_000

    async def yields():
        for _ in range(n):
            await asyncio.sleep(0)

    started = now()
    await asyncio.gather(yields(), yields())
    result(NAME, (now() - started) / (2 * n) * 1e9, "ns")


async def spawn_seq():
    n = 200_000
    started = now()
    for _ in range(n):
        await asyncio.create_task(noop())
    result(NAME, (now() - started) / n * 1e9, "ns")


async def spawn_gather():
    n = 100_000
    for name in "spawn_gather_cold", "spawn_gather":
        started = now()
        await asyncio.gather(*[noop() for _ in range(n)])
        result(name, (now() - started) / n * 1e9, "ns")


async def sleepers_round(delays):
    started = now()
    await asyncio.gather(*[asyncio.sleep(delay) for delay in delays])
    return now() - started


def delays(n):
    chance = chances()
    return [(1 + next(chance) % 1000) / 1000 for _ in range(n)]


async def sleepers():
    n = 100_000
    spans = delays(n)
    memory, tables = memory_bytes("VmHWM"), memory_bytes("VmPTE")
    cpu = time.process_time()
    wall = await sleepers_round(spans)
    result("sleepers_cpu", time.process_time() - cpu, "s")
    result("sleepers_wall", wall, "s")
    result("sleepers_mem", (memory_bytes("VmHWM") - memory) / n, "B")
    result("sleepers_tables", (memory_bytes("VmPTE") - tables) / n, "B")


async def sleepers_1m():
    spans = delays(1_000_000)
    result("sleepers_1m_first", await sleepers_round(spans), "s")
    result("sleepers_1m", await sleepers_round(spans), "s")


async def generator():
    def naturals():
        i = 0
        while True:
            yield i
            i += 1

    n = 10_000_000
    total = 0
    started = now()
    for value in naturals():
        total += value
        if value == n:
            break
    result(NAME, (now() - started) / n * 1e9, "ns")


async def pingpong():
    n = 200_000
    there, back = asyncio.Queue(1), asyncio.Queue(1)

    async def return_each():
        for _ in range(n):
            await back.put(await there.get())

    other = asyncio.create_task(return_each())
    started = now()
    for i in range(n):
        await there.put(i)
        await back.get()
    result(NAME, (now() - started) / n * 1e9, "ns")
    await other


async def prodcons():
    n = 1_000_000
    queue = asyncio.Queue(64)

    async def produce():
        for i in range(n):
            await queue.put(i)

    started = now()
    producer = asyncio.create_task(produce())
    for _ in range(n):
        await queue.get()
    result(NAME, (now() - started) / n * 1e9, "ns")
    await producer


async def contend(yielding):
    lock = asyncio.Lock()
    count = 0

    async def contender():
        nonlocal count
        for _ in range(1000):
            async with lock:
                count += 1
                if yielding:
                    await asyncio.sleep(0)

    started = now()
    await asyncio.gather(*[contender() for _ in range(1000)])
    result(NAME, (now() - started) / count * 1e9, "ns")


async def lock():
    await contend(True)


async def locknoyield():
    await contend(False)


async def cancel():
    n = 100_000
    tasks = [asyncio.create_task(asyncio.sleep(3600)) for _ in range(n)]
    await asyncio.sleep(0)
    started = now()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    result(NAME, (now() - started) / n * 1e9, "ns")


async def thread_seq():
    n = 20_000
    await asyncio.to_thread(nothing)
    cpu, started = time.process_time(), now()
    for _ in range(n):
        await asyncio.to_thread(nothing)
    result(NAME, (now() - started) / n * 1e6, "us")
    result("thread_seq_cpu", (time.process_time() - cpu) / n * 1e6, "us")


async def thread_gather():
    n = 10_000
    await asyncio.to_thread(nothing)
    started = now()
    await asyncio.gather(*[asyncio.to_thread(nothing) for _ in range(n)])
    result(NAME, (now() - started) / n * 1e6, "us")


class Echo(asyncio.Protocol):
    """Its fast way: protocols, not streams."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def echo():
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def startup():
    pass


if "--uvloop" in sys.argv:
    import uvloop

    uvloop.install()
asyncio.run(globals()[NAME]())
