#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# 13_web.sh: crank-http beside what it speaks to: requests that it takes, h11 and llhttp understand in the same way;
# wsproto and wslay read the frames of its WebSockets, and it theirs; the clients that people use get what they want of
# it, and it of the servers of WebSockets. The table of requests that are refused has columns of other servers. With
# LONG=1 nginx and haproxy stand in front, and programs that look for weaknesses find none. The programs are the gcc
# build's.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
BUILD=$TEST_FOLDER/gcc

if ! ninja -C "$BUILD" tests/reader_ours tests/frames_ours tests/clients_server tests/clients_client tests/peers_ours \
    tests/http_websocket_large examples/httpd examples/fetch >"$SCRATCH/build.log" 2>&1; then
    fail build "$(tail -5 "$SCRATCH/build.log")"
    echo "figures: none"
    finish
fi
# The modules of Debian's packages are for Debian's python.
python=python3
"$python" -c "import h11" 2>/dev/null || [ ! -x /usr/bin/python3 ] || python=/usr/bin/python3
figures=()
# part NAME COMMAND...: a program that prints what failed, its figures, and its counts.
part() {
    local name=$1 output
    shift
    output=$("$@" 2>&1)
    add "$name" "$output"
    while read -r line; do
        figures+=("$line")
    done < <(sed -nE 's/^(figures: |skip )//p' <<<"$output")
}
part readers env OURS="$BUILD/tests/reader_ours" SCRATCH="$SCRATCH" LONG="$LONG" "$python" tests/real/readers.py
part frames env OURS="$BUILD/tests/frames_ours" SCRATCH="$SCRATCH" LONG="$LONG" "$python" tests/real/frames.py
part autobahn "$BUILD/tests/http_websocket_large" --long --timeout 120 "echo all"
part clients env SERVER="$BUILD/tests/clients_server" LONG="$LONG" "$python" tests/real/clients.py
part sockets env SERVER="$BUILD/tests/clients_server" CLIENT="$BUILD/tests/clients_client" LONG="$LONG" "$python" \
    tests/real/sockets.py
check=--check
[ "$LONG" = 0 ] || check=
# shellcheck disable=SC2086
part peers env OURS="$BUILD/tests/peers_ours" SCRATCH="$SCRATCH/peers" "$python" tests/real/peers.py $check
if [ "$LONG" = 1 ]; then
    part fronts env OURS="$BUILD/tests/peers_ours" SCRATCH="$SCRATCH/fronts" "$python" tests/real/fronts.py
    part tools env HTTPD="$BUILD/examples/httpd" FETCH="$BUILD/examples/fetch" SERVER="$BUILD/tests/clients_server" \
        SCRATCH="$SCRATCH/tools" "$python" tests/real/tools.py
fi

printf -v line '%s; ' "${figures[@]}"
echo "figures: ${line%; }"
finish
