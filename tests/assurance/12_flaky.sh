#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# No test fails now and then: the behaviour tests of the plain build over and over in a changing order, with every core
# kept busy by something else. Twenty times in long; else twice.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
times=2
[ "$LONG" = 0 ] || times=20
hogs=()
stop() { kill "${hogs[@]}" 2>/dev/null; }
trap stop EXIT
for ((i = 0; i < CORES; i++)); do
    (while :; do :; done) &
    hogs+=($!)
done
for program in "$TEST_FOLDER"/gcc/tests/behaviour_*; do
    [ -x "$program" ] && [ -f "$program" ] || continue
    add "$(basename "$program")" "$("$program" -j "$((2 * CORES))" --repeat "$times" --shuffle --timeout 60 2>&1)"
done
echo "figures: $((passed + failed)) runs of behaviour tests on a loaded machine, each test $times times: $failed failed"
finish
