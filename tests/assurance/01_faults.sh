#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# 01_faults.sh: every call to the OS fails in turn, over the whole suite.
#
# Each test of tests/unit, tests/behaviour, tests/explore, tests/capture, tests/http and tests/tls is run again for each
# call site of the OS table that it reaches, in the loop's role and in the workers': that call fails once, and from a
# call that chance chooses all of them do; then one byte at a time, interrupted, not ready, late
# (tests/harness/failures.c). A sample takes a few sites of each test on one backend, the same in every build of a tree;
# LONG=1 takes all of them on all. Beside that the sweeps of tests/fault, in which every single call of some programs
# fails.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
BUILD=$(cd "$TEST_FOLDER" && pwd)/gcc/tests
SEED=${SEED:-1}
BACKEND=${BACKEND:-sim}

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
    export CRANK_MODEL_PROGRAMS=20 # behaviour_interruption_model: the sites are the same in each of its programs
    # shellcheck disable=SC2046
    "$BUILD/$program" -j 1 --seed "$SEED" --verbose $(arguments) >"$SCRATCH/$program.out" 2>&1
}
export BUILD LONG SEED BACKEND SCRATCH
export -f arguments run_program
whole_suite() { tools/list_tests.sh unit behaviour explore capture http tls; }
# The larger first, or one of them would end alone; half of the time of a run is waiting.
larger_first() {
    while read -r program; do
        echo "$(wc -l <"tests/${program/_//}.c") $program"
    done | sort -rn | cut -d' ' -f2
}
whole_suite | larger_first | xargs -P $((2 * CORES)) -I{} bash -c 'run_program {}'

sites=0 runs=0 injected=0 refused=0 tolerated=0 stuck=0 findings=0 whole=0
while read -r program; do
    add "$program" "$(grep -vE '^ok |^ *sites |^skip ' "$SCRATCH/$program.out")"
    while read -r _ a _ b _ c _ d _ e _ f _ g _ h; do
        sites=$((sites + a)) runs=$((runs + b)) injected=$((injected + c)) whole=$((whole + d))
        refused=$((refused + e)) tolerated=$((tolerated + f)) stuck=$((stuck + g)) findings=$((findings + h))
    done < <(grep -E '^ *sites [0-9]' "$SCRATCH/$program.out")
done < <(whole_suite)
tests=$passed

for program in $(tools/list_tests.sh fault); do
    add "$program" "$("$BUILD/$program" -j "$CORES" --timeout 60 2>&1)"
done
[ $injected -gt 1000 ] || fail "injected" "only $injected runs had a call that failed"
echo "figures: $tests tests, $sites call sites in them, $injected runs with calls that failed ($whole passed all the" \
    "same, $refused were refused with an error, $tolerated stopped at an expectation, $stuck at a deadlock)," \
    "$findings findings; $((passed - tests)) sweeps of every call"
finish
