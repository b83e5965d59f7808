#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The hardening that the build promises is in what it built: the library and the crank program, by gcc and by clang, and
# the objects for aarch64.
BUILD=${TEST_FOLDER:-build/test}/gcc
. "$(dirname "${BASH_SOURCE[0]}")/../build/common.sh"

shared=$BUILD/libcrank.so
program=$BUILD/src/cli/crank

dynamic_has() { readelf -dW "$2" | grep -qE "$1" || { echo "no $1 in the dynamic section"; return 1; }; }
segment_has() { readelf -lW "$2" | grep -qE "$1" || { echo "no $1 among the segments"; return 1; }; }
stack_not_executable() { ! readelf -lW "$1" | grep -E 'GNU_STACK.*E'; }
no_writable_code() { ! readelf -lW "$1" | grep -E 'LOAD.* RWE'; }
asm_has_notes() {
    local object
    for object in "$BUILD"/libcrank.so*.p/*.S.o; do
        readelf -SW "$object" | grep -q '\.note\.GNU-stack' || { echo "$object lacks .note.GNU-stack"; return 1; }
    done
}
no_text_relocations() { ! readelf -dW "$1" | grep TEXTREL; }
position_independent() { readelf -hW "$1" | grep -q 'Type: *DYN' || { echo "not position independent"; return 1; }; }
# Object by object: the C library's own start files may lack the note, and then the linker drops it for the whole.
branches_protected() {
    local object
    for object in "$1"/libcrank.so*.p/*.o; do
        readelf -nW "$object" | grep -qE 'IBT|BTI' || { echo "$object lacks the branch protection note"; return 1; }
    done
}
# Marked for shadow stacks while the switch does not serve them would be a promise it breaks.
shadow_stack_not_promised() { ! readelf -nW "$BUILD"/libcrank.so*.p/*.S.o | grep SHSTK; }
protector_used() { nm -D "$shared" | grep -q __stack_chk_fail || { echo "no stack protector"; return 1; }; }
fortified() { nm -D "$shared" | grep -qE '__[a-z]+_chk' || { echo "no fortified call"; return 1; }; }

needs "$shared" "$program"
# Other configurations' builds are there in a whole ./test, and not where assurance alone was asked for.
builds=$BUILD
for other in "${TEST_FOLDER:-build/test}"/{clang,aarch64}; do
    [ -e "$other/libcrank.so" ] && builds="$builds $other"
done
for file in "$shared" "$program"; do
    check "$(basename "$file"): relocations are read-only" segment_has GNU_RELRO "$file"
    check "$(basename "$file"): symbols are bound at start" dynamic_has 'BIND_NOW|NOW' "$file"
    check "$(basename "$file"): the stack is not executable" stack_not_executable "$file"
    check "$(basename "$file"): no page is writable and executable" no_writable_code "$file"
    check "$(basename "$file"): no relocation in code" no_text_relocations "$file"
    check "$(basename "$file"): position independent" position_independent "$file"
done
check "assembly carries its notes" asm_has_notes
for build in $builds; do
    check "$(basename "$build"): every object protects its indirect branches" branches_protected "$build"
done
check "shadow stacks are not promised" shadow_stack_not_promised
check "the stack protector is on" protector_used
check "libc calls are fortified" fortified
echo "figures: RELRO, NOW, NX, PIE, canary, fortify, branch notes, no text relocation: $checks_passed checks of $(
    echo "$builds" | wc -w) builds"
finish
