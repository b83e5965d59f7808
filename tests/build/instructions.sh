#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What an operation costs in instructions must not grow: benchmarks/instructions.txt holds what it cost.
. "$(dirname "$0")/common.sh"

if [ "${QUICK:-0}" = 1 ]; then
    skip
    finish
fi
link() {
    gcc -std=gnu11 -O2 -g -fno-omit-frame-pointer -D_GNU_SOURCE -Iinclude -o "$SCRATCH/crank_bench" \
        benchmarks/{main,tasks,sleepers,sync,threads,growth}.c "$BUILD/libcrank.a" -pthread
}
check "the measured programs link" link
if [ -x "$SCRATCH/crank_bench" ]; then
    output=$(benchmarks/instructions "$SCRATCH/crank_bench" 2>&1)
    case $? in
        77) skip ;;
        0) check "instructions per operation" true ;;
        *) check "instructions per operation" sh -c 'printf "%s\n" "$1" | grep -v "(ok)"; exit 1' sh "$output" ;;
    esac
fi
finish
