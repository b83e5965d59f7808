#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# builds: tests/explore_chat tests/planted_chat tests/explore_servers tests/planted_servers
# The scenes of the chat server (tests/explore/chat.c), and of echo and proxy with their clients (servers.c): by a
# thousand seeds each, by a hundred thousand where LONG is 1; and with a fault (planted_chat.sed, planted_proxy.sed),
# which they find.
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

check "a planted fault in the order of chat's lines is found" \
    finds planted_chat "brings each line to all" "has read another line in the order of all"
check "a planted fault in how the proxy ends is found" finds planted_servers "send each line back" "reads the end after"
if [ "$QUICK" = 1 ]; then
    skip
    skip
else
    check "$seeds seeds of chat" by_seeds explore_chat "brings each line to all"
    check "$seeds seeds of echo and proxy" by_seeds explore_servers "send each line back"
fi
finish
