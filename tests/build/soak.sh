#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# builds: libcrank.a examples/echo
# seconds: 75
# Clients that stall, reset and half-close trouble the server echo: no byte is wrong, and it has as many descriptors and
# as much memory afterwards as before; and when it has run out of descriptors it serves again by itself. For 60 seconds
# on epoll, of which most are waiting: other tests run beside it. For 600 on epoll and on io_uring where LONG is 1.
. "$(dirname "$0")/common.sh"

[ "$QUICK" = 0 ] || { skip; finish; }
needs "$BUILD/libcrank.a" "$BUILD/examples/echo"
SCRATCH=$(realpath "$SCRATCH")
compile() {
    gcc -std=gnu11 -O2 -D_GNU_SOURCE -Wall -Wextra -Werror -Iinclude -o "$SCRATCH/soak" tests/build/soak.c \
        "$BUILD/libcrank.a" -pthread
}
check "the clients compile" compile
[ -x "$SCRATCH/soak" ] || finish

# BACKEND SECONDS: the server, and 200 clients.
soak() {
    local server port="" said=$SCRATCH/said status
    : >"$said"
    (ulimit -n "$(ulimit -Hn)" && CRANK_BACKEND=$1 exec "$BUILD/examples/echo" 127.0.0.1:0 10000 >"$said" \
        2>"$said.wrong") &
    server=$!
    for ((i = 0; i < 100; i++)); do
        port=$(sed -n 's/.*nc 127.0.0.1 \([0-9]*\) .*/\1/p;q' "$said")
        [ -z "$port" ] || break
        sleep 0.05
    done
    CRANK_BACKEND=$1 timeout $(($2 + 60)) "$SCRATCH/soak" "$port" "$server" "$2" 200 >"$said.clients" 2>&1
    status=$?
    kill "$server"
    wait "$server" || { echo "the server left with a failure"; status=1; }
    [ $status = 0 ] || { echo "of the server:"; tail -5 "$said.wrong"; echo "of the clients:"; cat "$said.clients"; }
    return $status
}
seconds=60
backends=epoll
[ "${LONG:-0}" = 0 ] || { seconds=600; backends="epoll uring"; }
for backend in $backends; do
    check "$seconds s of trouble on $backend" soak "$backend" "$seconds"
done
finish
