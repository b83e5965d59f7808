#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""WebSockets of crank-http and of the libraries that people use, each once as the server and once as the client:
python's websockets and aiohttp, and with LONG=1 node's ws. One that is not there is skipped by name. SERVER and CLIENT
name the programs of clients/server.c and clients/client.c."""
import asyncio
import contextlib
import os
import subprocess
import sys

from clients import LIMIT, LONG, NODE, ROOT, expect, node, run
from runner import module

CLIENT = os.path.abspath(os.environ.get("CLIENT", "build/test/gcc/tests/clients_client"))
SIZES = [0, 1, 125, 126, 65535, 65536, 1 << 20]
# What client.c prints where all is well, and how a server sees it end.
SEEN = ["protocol echo, 114 messages", "0: closed with 4001 as told", "protocol echo, 114 messages", "closed"]
BACKENDS = iter(["epoll", "uring"] * 10)  # each test runs twice


def messages():
    for size in SIZES:
        yield "a" * size
        yield b"\xff" * size


async def crank_client(port):
    """What client.c sees of a server."""
    program = await asyncio.create_subprocess_exec(
        CLIENT, f"ws://127.0.0.1:{port}/", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=dict(os.environ, CRANK_BACKEND=next(BACKENDS)))
    try:
        out, err = await asyncio.wait_for(program.communicate(), LIMIT)
    except asyncio.TimeoutError:
        program.kill()
        raise
    expect(err.decode(), "")
    return out.decode().splitlines()


# ---- websockets ----------------------------------------------------------------------------------------------------


def websockets_talks_with_a_server(url, _):
    websockets = module("websockets")
    address = url.replace("http:", "ws:") + "/echo"

    async def talk(number):
        async with websockets.connect(address, subprotocols=["chat", "echo"], max_size=None) as socket:
            expect(socket.subprotocol, "echo")
            expect(socket.extensions, [])  # it has asked for permessage-deflate
            for message in messages():
                await socket.send(message)
                expect(await socket.recv(), message)
            await socket.send(piece for piece in ["in ", "", "many ", "pieces", str(number)])
            pong = await socket.ping(b"between")
            await asyncio.wait_for(pong, LIMIT)
            expect(await socket.recv(), f"in many pieces{number}")
            await socket.send("close")
            await socket.wait_closed()
            expect((socket.close_code, socket.close_reason), (4001, "as told"))

    async def refused(code, *sent):
        async with websockets.connect(address, max_size=None) as socket:
            for frame in sent:
                await socket.send(frame)
            await socket.wait_closed()
            expect(socket.close_code, code)

    async def all_of_it():
        await asyncio.gather(*(talk(i) for i in range(10)))
        await refused(1009, b"x" * ((1 << 20) + 1))
        async with websockets.connect(address) as socket:
            await socket.close(4000, "enough")
            expect((socket.close_code, socket.close_reason), (4000, ""))  # crank answers with the code
        try:
            async with websockets.connect(address, origin="https://elsewhere.example"):
                raise AssertionError("another site's page was let in")
        except websockets.InvalidStatusCode as answer:
            expect(answer.status_code, 403)

    asyncio.run(all_of_it())


def websockets_serves_a_client(*_):
    websockets = module("websockets")
    ends = []

    async def echo(socket):
        with contextlib.suppress(websockets.ConnectionClosedError):  # by a code other than 1000
            async for message in socket:
                if message == "close":
                    await socket.close(4001, "as told")
                else:
                    await socket.send(message)
        await socket.wait_closed()
        ends.append((socket.close_rcvd.code, socket.close_rcvd.reason))

    async def all_of_it():
        async with websockets.serve(echo, "127.0.0.1", 0, subprotocols=["echo"], max_size=None) as server:
            seen = await crank_client(server.sockets[0].getsockname()[1])
        expect(seen, SEEN)

    asyncio.run(all_of_it())
    expect(ends, [(4001, ""), (4000, "enough")])


# ---- aiohttp -------------------------------------------------------------------------------------------------------


def aiohttp_talks_with_a_server(url, _):
    aiohttp = module("aiohttp", "web")

    async def talk():
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(url + "/echo", protocols=["chat", "echo"], max_msg_size=0) as socket:
                expect(socket.protocol, "echo")
                for message in messages():
                    await (socket.send_str if isinstance(message, str) else socket.send_bytes)(message)
                    expect((await socket.receive(LIMIT)).data, message)
                await socket.send_str("close")
                last = await socket.receive(LIMIT)
                expect((last.type, last.data, last.extra), (aiohttp.WSMsgType.CLOSE, 4001, "as told"))

    asyncio.run(talk())


def aiohttp_serves_a_client(*_):
    aiohttp = module("aiohttp", "web")

    async def echo(request):
        socket = aiohttp.web.WebSocketResponse(protocols=["echo"], max_msg_size=0)
        await socket.prepare(request)
        async for message in socket:
            if message.data == "close":
                await socket.close(code=4001, message=b"as told")
            elif message.type == aiohttp.WSMsgType.TEXT:
                await socket.send_str(message.data)
            else:
                await socket.send_bytes(message.data)
        return socket

    async def all_of_it():
        app = aiohttp.web.Application()
        app.router.add_get("/", echo)
        runner = aiohttp.web.AppRunner(app)
        await runner.setup()
        site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            expect(await crank_client(runner.addresses[0][1]), SEEN)
        finally:
            await runner.cleanup()

    asyncio.run(all_of_it())


# ---- ws ------------------------------------------------------------------------------------------------------------


def ws_talks_with_a_server(url, _):
    said = "protocol echo, 14 messages, in pieces, between"
    expect(node("sockets.js", "client", url.replace("http:", "ws:") + "/echo", module="ws").splitlines(),
           [said, "closed with 4001 as told", said, "closed with 4000 "])


def ws_serves_a_client(*_):
    node("sockets.js", "client", "ws://127.0.0.1:1/", module="ws", ends=1)  # it is there
    with subprocess.Popen(["node", os.path.join(ROOT, "tests/real/clients/sockets.js"), "server"],
                          stdout=subprocess.PIPE, text=True, env=NODE) as program:
        try:
            expect(asyncio.run(crank_client(int(program.stdout.readline()))), SEEN)
            expect(program.communicate(timeout=LIMIT)[0].splitlines(), ["closed with 4001 ", "closed with 4000 enough"])
        finally:
            program.kill()


TESTS = [websockets_talks_with_a_server, websockets_serves_a_client, aiohttp_talks_with_a_server,
         aiohttp_serves_a_client] + ([ws_talks_with_a_server, ws_serves_a_client] if LONG else [])

if __name__ == "__main__":
    sys.exit(run(TESTS))
