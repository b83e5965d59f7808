# SPDX-License-Identifier: MIT
"""aiohttp's server: serve.py http|files, as benchmarks/echo/load.c starts one."""
import os
import socket
import sys

from aiohttp import web


async def hello(_):
    return web.Response(text="Hello, world!\n", content_type="text/plain")


app = web.Application()
app.router.add_get("/hello", hello)
if "files" in sys.argv:
    app.router.add_static("/", os.environ["BENCH_FILES"])
listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
print(listener.getsockname()[1], flush=True)
web.run_app(app, sock=listener, print=None, access_log=None)
