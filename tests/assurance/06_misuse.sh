#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# When the user is wrong: each mistake is one message that names the task and its place, in one form; a blocked loop is
# named within 200 ms by a watchdog that costs under 0.1% of a processor, or, where waking is dear, hardly more than to
# wake as often; an overflow is reported on aarch64 too.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
notes="" long=()
[ "$LONG" = 0 ] || long=(--long)

# The tests of the suite that show it, by program and parts of their names.
run_tests() {
    local program=$1 name before=$((passed + failed))
    name=$(basename "$program")
    shift
    if [ ! -x "$program" ]; then
        fail "$program" "it was not built"
        return
    fi
    add "$name" "$("${wrap[@]}" "$program" "${long[@]}" "$@" 2>&1)"
    [ $((passed + failed)) -gt $before ] || fail "$name" "no test of it ran"
}
wrap=()
tests=$TEST_FOLDER/gcc/tests
run_tests "$tests/real_watchdog"
run_tests "$tests/behaviour_misuse"
run_tests "$tests/behaviour_overflow"
run_tests "$tests/unit_overflow"
run_tests "$tests/unit_walk"
run_tests "$tests/behaviour_run" deadlock
run_tests "$tests/behaviour_lock" deadlock
run_tests "$tests/behaviour_cancel" grace
messages=$passed

# Overflows where the stack is another architecture's.
emulated=$TEST_FOLDER/aarch64
if command -v qemu-aarch64 >/dev/null && command -v aarch64-linux-gnu-gcc >/dev/null; then
    if [ ! -x "$emulated/tests/behaviour_overflow" ]; then
        emulated=$SCRATCH/aarch64
        { [ -f "$emulated/build.ninja" ] ||
            meson setup "$emulated" -Dbench=false -Dexamples=false --cross-file tests/aarch64.ini; } \
            >"$SCRATCH/aarch64.log" 2>&1 &&
            ninja -C "$emulated" tests/behaviour_overflow tests/unit_overflow >>"$SCRATCH/aarch64.log" 2>&1 ||
            fail "aarch64" "it does not build; see $SCRATCH/aarch64.log"
    fi
    wrap=(env TEST_EMULATED=1 qemu-aarch64)
    long+=(--wrap qemu-aarch64 --timeout 120)
    run_tests "$emulated/tests/behaviour_overflow"
    run_tests "$emulated/tests/unit_overflow"
    notes="overflows on x86-64 and aarch64"
else
    skipped=$((skipped + 1))
    notes="overflows on x86-64 (no emulator for aarch64)"
fi

# How fast, and what it costs: a program built as users build theirs.
measure=$SCRATCH/blocked
if gcc -std=gnu11 -O2 -D_GNU_SOURCE -Iinclude -o "$measure" tests/assurance/06_blocked.c \
    "$TEST_FOLDER/gcc/libcrank.a" -pthread >"$SCRATCH/blocked.log" 2>&1; then
    # A loaded machine may spoil a round; a watchdog that is too slow or too dear is so in each.
    for round in 1 2 3; do
        output=$("$measure" "$([ "$LONG" = 1 ] && echo 21 || echo 5)" "$([ "$LONG" = 1 ] && echo 10 || echo 2)" 2>&1)
        status=$?
        [ $status != 0 ] || break
    done
    if [ $status = 0 ]; then
        passed=$((passed + 1))
    else
        fail "blocked loop" "$output"
    fi
    figures=$(sed -n 's/^figures: //p' <<<"$output")
else
    fail "the measuring program" "it does not compile: $(head -1 "$SCRATCH/blocked.log")"
    figures="not measured"
fi
echo "figures: $messages tests of messages; $notes; $figures"
finish
