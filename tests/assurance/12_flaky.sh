#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# No test fails now and then: the behaviour tests of the plain build over and over in a changing order, with every core
# kept busy by something else. Twenty times in long; else twice.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
LONG=${LONG:-0} TEST_FOLDER=${TEST_FOLDER:-build/test} CORES=${CORES:-2}
times=2
[ "$LONG" = 0 ] || times=20
passed=0 failed=0 skipped=0 hogs=()
stop() { kill "${hogs[@]}" 2>/dev/null; }
trap stop EXIT
for ((i = 0; i < CORES; i++)); do
    (while :; do :; done) &
    hogs+=($!)
done
for program in "$TEST_FOLDER"/gcc/tests/behaviour_*; do
    [ -x "$program" ] && [ -f "$program" ] || continue
    output=$("$program" -j "$((2 * CORES))" --repeat "$times" --shuffle --timeout 60 2>&1)
    if [[ ${output##*$'\n'} =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
        passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2])) skipped=$((skipped + BASH_REMATCH[3]))
        [ "${BASH_REMATCH[2]}" = 0 ] || echo "${output%$'\n'*}"
    else
        echo "FAIL $(basename "$program"): ended without a count: $output"
        failed=$((failed + 1))
    fi
done
echo "figures: $((passed + failed)) runs of behaviour tests on a loaded machine, each test $times times: $failed failed"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
