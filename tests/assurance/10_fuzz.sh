#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# 10_fuzz.sh: the committed scripts of each fuzz target are replayed; with LONG=1 libFuzzer seeks new ones, 60 s each.
#
# What it finds to be new stays in SCRATCH/corpus between runs, what fails in SCRATCH/failed. To make the committed
# corpus of a target anew after a long run: SCRATCH/build/tests/fuzz_NAME -merge=1 -set_cover_merge=1 FOLDER
# SCRATCH/corpus/NAME.
# Packages: clang libclang-rt-14-dev (LONG=1 only).
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
SECONDS_EACH=${SECONDS_EACH:-60}
replayed=0
targets=$(grep -lE '^const fuzz_target fuzz_this' tests/fuzz/*.c | sed -E 's|.*/(.*)\.c|\1|')

# ---- replay, with each build that is there

replay() {
    local name=$1 build=$2 output
    if output=$("$build/tests/fuzz_$name" "tests/fuzz/corpus/$name" 2>&1) &&
        [[ $output =~ $name:\ ([0-9]+)\ scripts ]] && [[ ${output##*$'\n'} == "1 passed, 0 failed, 0 skipped" ]]; then
        passed=$((passed + 1)) replayed=$((replayed + BASH_REMATCH[1]))
    else
        fail "$name ($build)" "$output"
    fi
}
for name in $targets; do
    if [ ! -d "tests/fuzz/corpus/$name" ]; then
        fail "$name" "it has no corpus in tests/fuzz/corpus"
        continue
    fi
    for build in "$TEST_FOLDER/gcc" "$TEST_FOLDER/clang-sanitized"; do
        if [ -x "$build/tests/fuzz_$name" ]; then
            replay "$name" "$build"
        elif [ "$build" = "$TEST_FOLDER/gcc" ]; then
            fail "$name" "$build/tests/fuzz_$name was not built"
        fi
    done
done
figures="$(echo "$targets" | wc -w) targets, $replayed scripts replayed"

# ---- fuzz

build_fuzzers() {
    local name programs=()
    for name in $targets; do
        programs+=("tests/fuzz_$name")
    done
    if [ ! -f "$SCRATCH/build/build.ninja" ]; then
        rm -rf "$SCRATCH/build"
        CC=clang meson setup "$SCRATCH/build" -Dbench=false -Dexamples=false -Dfuzz=libfuzzer -Doptimization=1 \
            -Db_sanitize=address,undefined -Db_lundef=false -Dwerror=false -Dc_args=-fsanitize=fuzzer-no-link ||
            return 1
    fi
    ninja -C "$SCRATCH/build" -j "$CORES" "${programs[@]}"
}
fuzz() {
    mkdir -p "$SCRATCH/corpus/$1" "$SCRATCH/failed"
    UBSAN_OPTIONS=halt_on_error=1 "$SCRATCH/build/tests/fuzz_$1" -max_total_time="$SECONDS_EACH" -max_len=300 \
        -timeout=25 -print_final_stats=1 -artifact_prefix="$SCRATCH/failed/$1-" \
        "$SCRATCH/corpus/$1" "tests/fuzz/corpus/$1" >"$SCRATCH/$1.log" 2>&1
    echo "status $?" >>"$SCRATCH/$1.log"
}
if [ "$LONG" = 1 ]; then
    if ! build_fuzzers >"$SCRATCH/build.log" 2>&1; then
        fail build "$(tail -5 "$SCRATCH/build.log")"
    else
        export SCRATCH SECONDS_EACH
        export -f fuzz
        echo "$targets" | xargs -P $((CORES + 1)) -n 1 bash -c 'fuzz "$0"'
        for name in $targets; do
            runs=$(sed -nE 's/^stat::number_of_executed_units: +//p' "$SCRATCH/$name.log")
            figures+=", $name ${runs:-0}"
            if [ "$(tail -1 "$SCRATCH/$name.log")" = "status 0" ] && [ "${runs:-0}" -gt 1000 ]; then
                passed=$((passed + 1))
            else
                fail "$name" "$(grep -E '^FAIL|ERROR|SUMMARY|unit written|runtime error' "$SCRATCH/$name.log")"
            fi
        done
    fi
fi

echo "figures: $figures"
finish
