#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# builds: libcrank.a lib/http/libcrank-http.a lib/tls/libcrank-tls.a
# What ./bench says while it measures, with programs that only print figures, and a peer that takes long; and its echo
# servers, among a few connections for a fraction of a second.
. "$(dirname "$0")/common.sh"
[ "$QUICK" = 0 ] || { skip; finish; }

SCRATCH=$(realpath "$SCRATCH")
driver=$SCRATCH/driver
mkdir -p "$SCRATCH"/{programs,out,peers/{swift,slow}}
compile() { gcc -std=gnu11 -O1 -D_GNU_SOURCE -o "$driver" benchmarks/driver/*.c -lm; }
check "the driver compiles" compile
[ -x "$driver" ] || finish
program() { # FILE COMMAND: a program whose every figure is 10 ns
    printf '#!/bin/sh\n%s\necho "$1 it 10 ns"\n' "$2" >"$1"
    chmod +x "$1"
}
program "$SCRATCH/programs/crank_bench" ""
program "$SCRATCH/peers/swift/run" ""
program "$SCRATCH/peers/slow/run" "sleep 4.1"
for peer in swift slow; do
    printf '%s\n' "probe true" "run \"\$PWD/run\"" "workloads ctxswitch generator" >"$SCRATCH/peers/$peer/peer"
done
bench() {
    "$driver" --programs "$SCRATCH/programs" --peers-folder "$SCRATCH/peers" --out "$SCRATCH/out" "$@" \
        >"$SCRATCH/printed" 2>"$SCRATCH/said"
}
says() {
    local file=$1 text
    shift
    for text in "$@"; do
        grep -qE -- "$text" "$file" || { echo "does not say $text but:"; cat "$file"; return 1; }
    done
}
help() {
    BENCH_BUILD=$SCRATCH/not-built ./bench --help >"$SCRATCH/printed" || return 1
    [ ! -e "$SCRATCH/not-built" ] || { echo "a folder was set up"; return 1; }
    says "$SCRATCH/printed" "at most 12 minutes" '^  \./bench spawn_seq --peers go'
}
check "--help says how long it takes, and builds nothing for it" help
export BENCH_PROGRESS_SECONDS=0.001
told() {
    bench ctxswitch --runs 2 --peers && says "$SCRATCH/printed" '^ctxswitch crank 10 ns \[10 \.\. 10\] x2' \
        '^ctxswitch swift 10 ns .* x2' '^ctxswitch slow 10 ns once: a run takes 4 s'
}
check "each result is printed, a slow peer runs once" told
check "how far it is is told apart from the results" says "$SCRATCH/said" \
    '^ctxswitch: crank, run 2 of 2, [0-9]+ more runs, [0-9]+ s, about [0-9]+ s to go$'
unset BENCH_PROGRESS_SECONDS
silent() { bench generator --runs 1 && [ ! -s "$SCRATCH/said" ]; }
check "elsewhere than on a terminal a line comes once a minute" silent
refused() { ! bench ctxswitchh && says "$SCRATCH/said" 'unknown "ctxswitchh"; known: ctxswitch'; }
check "an unknown name is refused" refused
listed() { bench list && says "$SCRATCH/printed" '^echo_64 .*; only when named$' '^ctxswitch .*[^d]$'; }
check "list says that echo is measured only when it is named" listed

load=$SCRATCH/programs/load
plain=$SCRATCH/programs/plain_epoll
tls_flags=()
[ ! -f "$BUILD/lib/tls/libcrank-tls.a" ] || tls_flags=(-DBENCH_TLS -lssl -lcrypto)
compile_network() {
    local flags=(-std=gnu11 -O1 -D_GNU_SOURCE -Wall -Wextra -Werror -pthread)
    gcc "${flags[@]}" -o "$load" benchmarks/echo/{answers,calls,clients,files,load,room,secure,server,wait}.c \
        "${tls_flags[@]}" &&
        gcc "${flags[@]}" -o "$plain" benchmarks/echo/plain_{epoll,others}.c &&
        gcc "${flags[@]}" -o "$SCRATCH/programs/plain_uring" benchmarks/echo/plain_uring.c
}
check "the load and the plain servers compile" compile_network
[ -x "$load" ] || finish
loaded() { # KIND CONNECTIONS SERVER...
    local kind=$1 connections=$2
    shift 2
    timeout 60 "$load" it "$kind" "$connections" 0.1 "$@" >"$SCRATCH/printed" 2>"$SCRATCH/said"
}
number='[0-9]+(\.[0-9]+)?(e\+[0-9]+)?'
echoes() {
    loaded echo 4 "$1" && says "$SCRATCH/printed" "^it_cpu load $number us$" "^it_rate load $number /s$" \
        "^it_p50 load $number us$" "^it_p99 load $number us$"
}
check "an echo server's CPU, rate and delays are measured" echoes "$plain"
idles() { loaded idle 300 "$plain" && says "$SCRATCH/printed" "^it load $number B$" "^it_tables load $number B$"; }
check "what an idle connection keeps is measured" idles
moves() { # KIND SERVER...
    loaded "$1" 1 "$plain" "$2" && says "$SCRATCH/printed" "^it_cpu load $number ms/GiB$" "^it_rate load $number MB/s$"
}
check "what a server reads and throws away is measured" moves fill sink
check "what a server writes is measured" moves drain source
serves() { # KIND SERVER...
    loaded "$1" 4 "$2" "$3" && says "$SCRATCH/printed" "^it_cpu load $number us$" "^it_rate load $number /s$"
}
check "a connection for each message is measured" serves connect "$plain" echo
check "datagrams are measured" serves udp "$plain" udp
check "datagrams received many at once are measured" serves udp "$plain" udp_many
check "programs that are started are measured" serves starts "$plain" starts
# Plain C takes two calls for a message, and after the first none to register.
calls_counted() {
    loaded calls 4 "$plain" && says "$SCRATCH/printed" '^it_transfer load (2|1\.9[0-9]*|2\.0[0-9]*) calls$' \
        '^it_register load 0 calls$'
}
loaded calls 4 "$plain"
traced=echo_calls
if grep -q "cannot be traced" "$SCRATCH/said"; then
    traced=echo_64
    skip
else
    check "system calls are counted" calls_counted
fi
if "$SCRATCH/programs/plain_uring" probe 2>/dev/null; then
    check "the plain server on io_uring echoes" echoes "$SCRATCH/programs/plain_uring"
else
    skip
fi
mute() { ! loaded echo 4 true && says "$SCRATCH/said" 'true printed no port'; }
check "a server that prints no port is refused" mute
cat >"$SCRATCH/wrong.py" <<'END'
import socket
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    peer = listener.accept()[0]
    while data := peer.recv(64):
        peer.sendall(data.replace(b"a", b"b"))
END
wrong() { ! loaded echo 1 python3 "$SCRATCH/wrong.py" && says "$SCRATCH/said" 'echo: Bad message'; }
check "a wrong echo is refused" wrong
gone() { ! pgrep -f "$SCRATCH/(programs/|wrong.py)"; }
check "no server is left behind" gone

compile_crank() {
    local tls=()
    [ ! -f "$BUILD/lib/tls/libcrank-tls.a" ] || tls=("$BUILD/lib/tls/libcrank-tls.a" "${tls_flags[@]}")
    gcc -std=gnu11 -O1 -D_GNU_SOURCE -Iinclude -o "$SCRATCH/programs/crank_server" benchmarks/echo/crank_server.c \
        "$BUILD/lib/http/libcrank-http.a" "${tls[@]}" "$BUILD/libcrank.a" -pthread -lm
}
check "crank's server compiles" compile_crank
answers() {
    loaded http 4 "$SCRATCH/programs/crank_server" http && says "$SCRATCH/printed" "^it_cpu load $number us$" \
        "^it_rate load $number /s$"
}
check "a web server's CPU and rate are measured" answers
for kind in udp udp_many starts; do
    check "crank's $kind is measured" serves ${kind%_many} "$SCRATCH/programs/crank_server" $kind
done
sends_files() { # KIND
    loaded "$1" 2 "$SCRATCH/programs/crank_server" files && says "$SCRATCH/printed" "^it_cpu load $number us$"
}
check "a small file's CPU is measured" sends_files file_1k
check "a large file's CPU is measured" sends_files file_1m
if [ -f "$BUILD/lib/tls/libcrank-tls.a" ] && command -v openssl >/dev/null; then
    check "a web server over TLS is measured" serves https "$SCRATCH/programs/crank_server" https
else
    skip
fi
check "a room of WebSockets is measured" serves room "$SCRATCH/programs/crank_server" room
asks() {
    timeout 60 "$load" it client 64 0.1 "$SCRATCH/programs/crank_server" client >"$SCRATCH/printed" 2>"$SCRATCH/said" &&
        says "$SCRATCH/printed" "^it_cpu load $number us$" "^it_rate load $number /s$"
}
check "a client's CPU is measured" asks
keeps() {
    loaded idle_http 100 "$SCRATCH/programs/crank_server" http && says "$SCRATCH/printed" "^it load $number B$"
}
check "what an idle connection of a web server keeps is measured" keeps
cat >"$SCRATCH/wrong.py" <<'END'
import http.server
import os
import sys
import urllib.request

class Wrong(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "14")
        self.end_headers()
        self.wfile.write(b"Hello, World!\n")

    def log_message(self, *_):
        pass

if sys.argv[1] == "client":
    print(1, flush=True)
    while True:
        urllib.request.urlopen(os.environ["BENCH_URL"]).read()
server = http.server.HTTPServer(("127.0.0.1", 0), Wrong)
print(server.server_port, flush=True)
server.serve_forever()
END
wrong_body() { ! loaded http 1 python3 "$SCRATCH/wrong.py" http && says "$SCRATCH/said" 'another body'; }
check "a web server with a wrong answer is refused" wrong_body
careless() { ! loaded client 2 python3 "$SCRATCH/wrong.py" client && says "$SCRATCH/said" 'does not keep'; }
check "a client that does not keep its connections is refused" careless
no_answers() { ! loaded http 1 "$plain" echo && says "$SCRATCH/said" 'the first answer'; }
check "what is no web server is refused" no_answers
beside() {
    bench echo_64 "$traced" --runs 1 --seconds 0.1 &&
        says "$SCRATCH/printed" "^echo_64_cpu crank $number us" "^echo_64_cpu plain_epoll $number us" \
            "^echo_64_cpu +us +$number +$number \($number\)"
}
check "./bench echo puts crank beside plain C, and ends" beside
check "no server is left behind" gone
finish
