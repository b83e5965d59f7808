#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# builds: examples/look_12_headers
# The client by hand, examples/look/12_headers, asks a server that is none of ours.
. "$(dirname "$0")/common.sh"

needs "$BUILD/examples/look_12_headers"

serve() {
    python3 -u - >"$SCRATCH/port" <<'PYTHON' &
import socket
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1])
while True:
    peer, _ = listener.accept()
    request = b""
    while b"\r\n\r\n" not in request and (piece := peer.recv(4096)):
        request += piece
    if request.startswith(b"HEAD / HTTP/1.0\r\nHost: "):
        peer.sendall(b"HTTP/1.0 200 OK\r\nServer: test\r\n\r\nno header\r\n")
    peer.close()
PYTHON
    server=$!
    until [ -s "$SCRATCH/port" ] || ! kill -0 "$server" 2>/dev/null; do sleep 0.02; done
    port=$(cat "$SCRATCH/port")
}
answers() {
    CRANK_BACKEND=$1 "$BUILD/examples/look_12_headers" "$2:$port" | tr -d '\r' >"$SCRATCH/said" || return 1
    printf 'header> HTTP/1.0 200 OK\nheader> Server: test\n' | diff - "$SCRATCH/said"
}

serve
check "a web server is there" [ -n "$port" ]
for backend in epoll uring; do
    check "a web server's headers are printed on $backend" answers $backend 127.0.0.1
    check "a name's second address is asked where the first refuses on $backend" answers $backend localhost
done
kill "$server"
finish
