#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# builds: tests/explore_chat tests/planted_chat tests/explore_servers tests/planted_servers tests/http_fetch
# builds: tests/planted_fetch tests/tls_chat tests/planted_tls_chat
# seconds: 150
# The scenes of the chat server (tests/explore/chat.c), also with members over TLS (tests/tls/chat.c), of echo and proxy
# with their clients (servers.c), and of fetch with servers that misbehave (tests/http/fetch.c): by a thousand seeds
# each, by a hundred thousand where LONG is 1; and with a fault (planted_*.sed), which they find.
. "$(dirname "$0")/common.sh"

needs "$BUILD"/tests/{explore,planted}_{chat,servers}

finds() { # PROGRAM NAME WORDS: the test of that name fails by one of its seeds, saying so
    local said
    said=$("$BUILD/tests/$1" --timeout 60 --seed 0:1000 "$2" 2>&1) && { echo "$1 passes"; return 1; }
    grep -q "$3" <<<"$said" || { echo "$said"; return 1; }
}
seeds=1000
[ "${LONG:-0}" = 0 ] || seeds=100000
# Half of them each in a process of its own: there are two cores.
by_seeds() { # PROGRAM NAME
    local first failed=0
    "$BUILD/tests/$1" --timeout 20000 --seed "0:$((seeds / 2))" "$2" >"$SCRATCH/$1.first" 2>&1 &
    first=$!
    "$BUILD/tests/$1" --timeout 20000 --seed "$((seeds / 2)):$seeds" "$2" || failed=1
    wait $first || { cat "$SCRATCH/$1.first"; failed=1; }
    return $failed
}
scene() { # WHAT PROGRAM PLANTED NAME FAULT WORDS
    if [ ! -x "$BUILD/tests/$2" ]; then
        echo "skip the seeds of $1: without libssl-dev $2 is not built"
        skip
        skip
        return
    fi
    check "a planted fault in $5 is found" finds "$3" "$4" "$6"
    if [ "$QUICK" = 1 ]; then
        skip
    else
        check "$seeds seeds of $1" by_seeds "$2" "$4"
    fi
}

scene "chat" explore_chat planted_chat "brings each line to all" "the order of chat's lines" \
    "in the order of all"
scene "echo and proxy" explore_servers planted_servers "send each line back" "how the proxy ends" "reads the end after"
scene "chat over TLS" tls_chat planted_tls_chat "brings each line to members over tls" "what TLS writes" \
    "in the order of all"
scene "fetch" http_fetch planted_fetch "gets what can be had" "how a body ends" "bytes"
finish
