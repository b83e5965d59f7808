#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# builds: tests/explore_chat tests/planted_chat
# The scene of the chat server (tests/explore/chat.c): by a thousand seeds, and with a fault (planted_chat.sed), which
# it finds.
. "$(dirname "$0")/common.sh"

needs "$BUILD/tests/explore_chat" "$BUILD/tests/planted_chat"

finds_the_fault() {
    local said
    said=$("$BUILD/tests/planted_chat" --timeout 60 "brings each line to all" 2>&1) &&
        { echo "a room with a fault passes"; return 1; }
    grep -q "has read another line in the order of all" <<<"$said" || { echo "$said"; return 1; }
}
a_thousand_seeds() {
    "$BUILD/tests/explore_chat" -j 2 --long --timeout 300 "a thousand seeds"
}

check "a planted fault in the order of lines is found" finds_the_fault
[ "$QUICK" = 1 ] && skip || check "a thousand seeds" a_thousand_seeds
finish
