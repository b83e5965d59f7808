#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# builds: libcrank.a tests/libharness.a
# Call capture in the ways programs are compiled: what a compiler makes of a call is its business, so each way is tried.
# "capture.sh aarch64" does the same for aarch64, under the emulator.
. "$(dirname "$0")/common.sh"

count=300
common="-std=gnu11 -D_GNU_SOURCE= -Wall -Wextra -Wpedantic -Wconversion -Werror -Iinclude -Isrc -Itests/harness"
tests/capture/signatures.py $count >"$SCRATCH/signatures.c"

run() {
    local program=$1 output
    output=$($runner "$program" --timeout 60 $runner_options 2>&1)
    local status=$?
    echo "$output"
    return $status
}
try() {
    local name=$1 compiler=$2
    shift 2
    local source
    for source in tests/capture/torture.c "$SCRATCH/signatures.c"; do
        local program
        program=$SCRATCH/$(basename "$source" .c)-${name// /}
        check "$name: compile $(basename "$source")" $compiler $common "$@" -o "$program" "$source" \
            "$BUILD/tests/libharness.a" "$BUILD/libcrank.a" -Wl,--wrap=cr_sys_real -pthread -lm
        [ -x "$program" ] && check "$name: run $(basename "$source" .c)" run "$program"
        rm -f "$program"
    done
}

if [ "${1:-}" = aarch64 ]; then
    runner=qemu-aarch64
    runner_options="--backend sim --wrap qemu-aarch64"
    export TEST_EMULATED=1
    for level in -O0 -O2 "-O3 -flto" -Os; do
        try "aarch64 $level" aarch64-linux-gnu-gcc $level -static
    done
    finish
fi

runner=""
runner_options=""
if [ "$QUICK" = 1 ]; then # tests/capture has the torture at -O2
    try "gcc -O0" gcc -O0
    try "gcc -O3" gcc -O3
    finish
fi
levels="-O0 -O3"
[ "${LONG:-0}" = 0 ] || levels="-O0 -O2 -O3 -Os"
for compiler in $(compilers); do
    for level in $levels; do
        try "$compiler $level" $compiler $level
    done
done
try "gcc -O3 -flto" gcc -O3 -flto
try "gcc -fcf-protection=full" gcc -O2 -fcf-protection=full -fstack-clash-protection -fstack-protector-strong
try "gcc UBSan" gcc -O1 -fsanitize=undefined -fno-sanitize-recover=all
! command -v clang >/dev/null || try "clang -O3 -flto" clang -O3 -flto
if [ "${LONG:-0}" = 1 ]; then
    try "gcc no PIE" gcc -O2 -fno-pie -no-pie
    try "gcc FORTIFY" gcc -O2 -D_FORTIFY_SOURCE=3
    try "gcc -fomit-frame-pointer -march=native" gcc -O3 -fomit-frame-pointer -march=native
    ! command -v clang >/dev/null || try "clang UBSan" clang -O1 -fsanitize=undefined -fno-sanitize-recover=all
fi
finish
