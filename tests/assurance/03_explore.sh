#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Exploration: tests and programs through their schedules, the cross-thread pieces through their interleavings, and
# faults planted into both, which must be found. LONG=1: all of them; else a sample.
set -u
LONG=${LONG:-0}
TEST_FOLDER=${TEST_FOLDER:-build/test}
SCRATCH=${SCRATCH:-$TEST_FOLDER/explore}
mkdir -p "$SCRATCH"
gcc=$TEST_FOLDER/gcc
passed=0 failed=0 skipped=0
schedules=0 seeds=0 complete=0 explored=0

# judge STATUS NAME OUTPUT: count it, and show what a failure said.
judge() {
    if [ "$1" = 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $2: $(tail -6 <<<"$3")"
    fi
}
# Add up what the lines say: "N schedules[, which are all] ... M seeds|by chance".
add_up() {
    local line
    while read -r line; do
        [[ $line =~ ([0-9]+)\ schedules? ]] || continue
        explored=$((explored + 1))
        schedules=$((schedules + BASH_REMATCH[1]))
        [[ $line != *"which are all"* ]] || complete=$((complete + 1))
        [[ ! $line =~ ([0-9]+)\ (seeds|by\ chance) ]] || seeds=$((seeds + BASH_REMATCH[1]))
    done <<<"$1"
}

# ---- the tests of tests/explore/schedules.c
options=(--verbose)
[ "$LONG" = 0 ] || options+=(--long --timeout 120)
output=$("$gcc/tests/explore_schedules" "${options[@]}" 2>&1)
judge $? "explored tests" "$output"
add_up "$output"

# ---- programs: small ones through all their schedules, larger ones through many
limits=(--schedules 300 --seeds 50)
[ "$LONG" = 0 ] || limits=(--schedules 8000 --seeds 1000)
for program in look_01_hello look_02_tasks look_03_gather look_04_group look_05_timeout look_06_cancel \
    look_07_generators look_08_queue n01_task_groups n03_task_pool; do
    output=$("$gcc/src/cli/crank" explore "${limits[@]}" "$gcc/examples/$program" 2>&1)
    judge $? "crank explore $program" "$output"
    add_up "$output"
done
output=$("$gcc/src/cli/crank" explore "$gcc/tests/explored_torn" held 2>&1)
judge $? "crank explore torn held" "$output"
add_up "$output"

# ---- interleavings of threads, of which every one with up to two preemptions
interleavings=0 all=0 scenarios=0 planted=0
if ! command -v clang >/dev/null; then
    skipped=$((skipped + 2))
elif ! output=$(tests/model/build.sh "$SCRATCH/model" 2>&1); then
    judge 1 "the model is built" "$output"
else
    limits=(--seconds 2)
    [ "$LONG" = 0 ] || limits=()
    output=$("$SCRATCH/model/model" --bound 2 "${limits[@]}" 2>&1)
    judge $? "interleavings" "$output"
    interleavings=$(sed -n 's/^\([0-9]*\) interleavings, .*/\1/p' <<<"$output" | tail -1)
    all=$(grep -c 'which are all' <<<"$output")
    scenarios=$(grep -c 'decisions in one$' <<<"$output")
    if [ "$LONG" = 1 ]; then
        output=$("$SCRATCH/model/model" --bound 4 --seed 1 --seconds 4 2>&1)
        judge $? "interleavings with more preemptions, by chance" "$output"
        more=$(sed -n 's/^\([0-9]*\) interleavings, .*/\1/p' <<<"$output" | tail -1)
        interleavings=$((interleavings + more))
    fi
    plants=("last look" "rests" "retires" "wake who sleeps" "inside")
    [ "$LONG" = 0 ] || plants=()
    output=$(tests/model/planted.py "$SCRATCH/model" "${plants[@]}" 2>&1)
    judge $? "planted faults" "$output"
    planted=$(grep -c ': found by ' <<<"$output")
fi
echo "figures: $explored programs and tests through $schedules schedules ($complete of them through all) and $seeds" \
    "by chance; $scenarios cross-thread scenarios through $interleavings interleavings ($all of them through all with" \
    "up to 2 preemptions); $planted planted faults found"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
