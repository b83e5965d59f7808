#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# 01_faults.sh: every call to the OS fails in turn, over the whole suite.
#
# Each test of tests/behaviour, tests/explore and tests/capture is run again for each call site of the OS table that it
# reaches, in the loop's role and in the workers': that call fails once, and from a call that chance chooses all of them
# do; then one byte at a time, interrupted, not ready, late (tests/harness/failures.c). A sample takes a few sites of
# each test on one backend, LONG=1 all of them on all. Beside that the sweeps of tests/fault, in which every single call
# of some programs fails.
set -u
cd "$(dirname "$0")/../.." || exit 2
BUILD=$(cd "${TEST_FOLDER:-build/test}" && pwd)/gcc/tests
LONG=${LONG:-0}
CORES=${CORES:-$(nproc)}
SEED=${SEED:-1}
BACKEND=${BACKEND:-sim}
SCRATCH=${SCRATCH:-build/test/assurance/01_faults}
mkdir -p "$SCRATCH"
passed=0 failed=0 skipped=0
fail() {
    echo "FAIL $1: $2"
    failed=$((failed + 1))
}

# Which tests of a program, how many sites of each, and what else.
arguments() {
    if [ "$LONG" = 1 ]; then
        echo "--failing 0 --timeout 900"
    else
        echo "--failing 2 --timeout 120 --backend $BACKEND"
    fi
}
run_program() {
    local program=$1
    # shellcheck disable=SC2046
    "$BUILD/$program" -j 1 --seed "$SEED" --verbose $(arguments) >"$SCRATCH/$program.out" 2>&1
}
programs() {
    tools/list_sources.sh tests/behaviour tests/explore tests/capture |
        sed -E 's|^tests/([a-z]+)/(.*)\.c$|\1_\2|'
}
export BUILD LONG SEED BACKEND SCRATCH
export -f arguments run_program
programs | xargs -P "$CORES" -I{} bash -c 'run_program {}'

sites=0 runs=0 injected=0 refused=0 tolerated=0 stuck=0 findings=0 whole=0
while read -r program; do
    output=$(cat "$SCRATCH/$program.out")
    if [[ ! ${output##*$'\n'} =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
        fail "$program" "${output##*$'\n'}"
        continue
    fi
    passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2])) skipped=$((skipped + BASH_REMATCH[3]))
    [ "${BASH_REMATCH[2]}" = 0 ] || grep -vE '^ok |^ *sites |^skip ' <<<"$output" | sed '$d'
    while read -r _ a _ b _ c _ d _ e _ f _ g _ h; do
        sites=$((sites + a)) runs=$((runs + b)) injected=$((injected + c)) whole=$((whole + d))
        refused=$((refused + e)) tolerated=$((tolerated + f)) stuck=$((stuck + g)) findings=$((findings + h))
    done < <(grep -E '^ *sites [0-9]' <<<"$output")
done < <(programs)
tests=$passed

for program in fault_sweep fault_scarce fault_spent; do
    output=$("$BUILD/$program" -j "$CORES" --timeout 60 2>&1)
    if [[ ${output##*$'\n'} =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
        passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2]))
        [ "${BASH_REMATCH[2]}" = 0 ] || echo "$output"
    else
        fail "$program" "${output##*$'\n'}"
    fi
done
[ $injected -gt 1000 ] || fail "injected" "only $injected runs had a call that failed"
echo "figures: $tests tests, $sites call sites in them, $injected runs with calls that failed ($whole passed all the" \
    "same, $refused were refused with an error, $tolerated stopped at an expectation, $stuck at a deadlock)," \
    "$findings findings; $((passed - tests)) sweeps of every call"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
