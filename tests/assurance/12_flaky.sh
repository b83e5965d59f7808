#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# No test fails now and then: the behaviour tests of the plain build in a changing order, with every core kept busy by
# something else, twenty times in long. And on the real clock, where threads stand still for 6 ms now and then
# (tests/harness/failing.c), twice in long: what depends on how fast it is fails so. Else every third program has the
# one, every third the other; all have had both after three days.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
times=1 stalled=1
[ "$LONG" = 0 ] || times=20 stalled=2
hogs=()
stop() { kill "${hogs[@]}" 2>/dev/null; }
trap stop EXIT
for ((i = 0; i < CORES; i++)); do
    (while :; do :; done) &
    hogs+=($!)
done
day=$(date +%-j)
run_all() { # TIMES THIRD OPTIONS...
    local program repeat=$1 third=$(($2 + day)) number=0
    shift 2
    for program in "$TEST_FOLDER"/gcc/tests/behaviour_*; do
        [ -x "$program" ] && [ -f "$program" ] || continue
        number=$((number + 1))
        [ "$LONG" = 1 ] || [ $(((number + third) % 3)) = 0 ] || continue
        add "$(basename "$program")" "$("$program" --repeat "$repeat" --shuffle --timeout 60 "$@" 2>&1)"
    done
}
for backend in epoll uring; do # the simulator's clock does not know of the load
    run_all $times 0 -j $((4 * CORES)) --backend $backend
done
stop
loaded=$((passed + failed)) loaded_failed=$failed
for backend in epoll uring; do
    run_all $stalled 1 -j $((4 * CORES)) --backend $backend --stalled
done
echo "figures: $loaded runs of behaviour tests on a loaded machine, each test $times times: $loaded_failed failed;" \
    "$((passed + failed - loaded)) on the real clock with stalls: $((failed - loaded_failed)) failed"
finish
