#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# builds: nothing
# What ./bench says while it measures, with programs that only print figures, and a peer that takes long.
. "$(dirname "$0")/common.sh"

SCRATCH=$(realpath "$SCRATCH")
driver=$SCRATCH/driver
mkdir -p "$SCRATCH"/{programs,out,peers/{swift,slow}}
compile() { gcc -std=gnu11 -O1 -D_GNU_SOURCE -o "$driver" benchmarks/driver/*.c -lm; }
check "the driver compiles" compile
[ -x "$driver" ] || finish
program() { # FILE COMMAND: a program whose every figure is 10 ns
    printf '#!/bin/sh\n%s\necho "$1 it 10 ns"\n' "$2" >"$1"
    chmod +x "$1"
}
program "$SCRATCH/programs/crank_bench" ""
program "$SCRATCH/peers/swift/run" ""
program "$SCRATCH/peers/slow/run" "sleep 4.1"
for peer in swift slow; do
    printf '%s\n' "probe true" "run \"\$PWD/run\"" "workloads ctxswitch generator" >"$SCRATCH/peers/$peer/peer"
done
bench() {
    "$driver" --programs "$SCRATCH/programs" --peers-folder "$SCRATCH/peers" --out "$SCRATCH/out" "$@" \
        >"$SCRATCH/printed" 2>"$SCRATCH/said"
}
says() {
    local file=$1 text
    shift
    for text in "$@"; do
        grep -qE -- "$text" "$file" || { echo "does not say $text but:"; cat "$file"; return 1; }
    done
}
help() { bench --help && says "$SCRATCH/printed" "at most 12 minutes" '^  \./bench spawn_seq --peers go'; }
check "--help says how long it takes" help
export BENCH_PROGRESS_SECONDS=0.001
told() {
    bench ctxswitch --runs 2 --peers && says "$SCRATCH/printed" '^ctxswitch crank 10 ns \[10 \.\. 10\] x2' \
        '^ctxswitch swift 10 ns .* x2' '^ctxswitch slow 10 ns once: a run takes 4 s'
}
check "each result is printed, a slow peer runs once" told
check "how far it is is told apart from the results" says "$SCRATCH/said" \
    '^ctxswitch: crank, run 2 of 2, [0-9]+ more runs, [0-9]+ s, about [0-9]+ s to go$'
unset BENCH_PROGRESS_SECONDS
silent() { bench generator --runs 1 && [ ! -s "$SCRATCH/said" ]; }
check "elsewhere than on a terminal a line comes once a minute" silent
refused() { ! bench ctxswitchh && says "$SCRATCH/said" 'unknown "ctxswitchh"; known: ctxswitch'; }
check "an unknown name is refused" refused
finish
