# SPDX-License-Identifier: MIT
"""nginx as one process on a port that the kernel chooses: serve.py FOLDER http|https|files, as benchmarks/echo/load.c
starts a server. This process becomes nginx; a child of it says the port when that can be connected to."""
import os
import socket
import sys
import time

CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    sendfile on;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    default_type application/octet-stream;
    server {{
        listen 127.0.0.1:{port}{secure};
        root {files};
        location = /hello {{ default_type text/plain; return 200 "Hello, world!\\n"; }}
    }}
}}
"""
SECURE = """ ssl;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate {BENCH_CERTIFICATE};
        ssl_certificate_key {BENCH_KEY}"""
os.environ["PATH"] += ":/usr/sbin"
folder = sys.argv[1]
os.makedirs(folder, exist_ok=True)
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
path = os.path.join(folder, f"nginx-{port}.conf")
with open(path, "w", encoding="utf-8") as file:
    secure = SECURE.format(**os.environ) if "https" in sys.argv else ""
    files = os.environ.get("BENCH_FILES", folder)
    file.write(CONFIGURATION.format(folder=folder, port=port, files=files, secure=secure))
if os.fork() == 0:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            print(port, flush=True)
            break
    os._exit(0)
os.execvp("nginx", ["nginx", "-c", path, "-e", "stderr"])
