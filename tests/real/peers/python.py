#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""python.py h11|aiohttp: a server of either, as ours.c answers."""
import asyncio
import os
import socketserver
import sys

# This folder has names that modules have.
sys.path = [path for path in sys.path if os.path.realpath(path or ".") != os.path.dirname(os.path.realpath(__file__))]


def serve_h11():
    import h11

    class Handler(socketserver.BaseRequestHandler):
        def next_event(self, connection):
            while (event := connection.next_event()) is h11.NEED_DATA:
                connection.receive_data(self.request.recv(65536))
            return event

        def answer(self, connection, status, text):
            fields = [("content-length", str(len(text)))] + ([("connection", "close")] if status != 200 else [])
            self.request.sendall(connection.send(h11.Response(status_code=status, headers=fields)) +
                                 connection.send(h11.Data(data=text)) + connection.send(h11.EndOfMessage()))

        def handle(self):
            connection = h11.Connection(h11.SERVER)
            while True:
                body = b""
                try:
                    request = self.next_event(connection)
                    if not isinstance(request, h11.Request):
                        return
                    while isinstance(event := self.next_event(connection), h11.Data):
                        body += bytes(event.data)
                    self.answer(connection, 200, request.method + b" " + request.target + b" " + body)
                    if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                        return
                    connection.start_next_cycle()
                except h11.RemoteProtocolError as error:
                    if connection.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                        self.answer(connection, error.error_status_hint, b"")
                    return
                except OSError:
                    return

    socketserver.ThreadingTCPServer.daemon_threads = True
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


def serve_aiohttp():
    from aiohttp import web

    async def echo(request):
        body = await request.read()
        return web.Response(body=f"{request.method} {request.path} ".encode() + body)

    async def serve():
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", echo)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(serve())


if __name__ == "__main__":
    serve_h11() if sys.argv[1] == "h11" else serve_aiohttp()
