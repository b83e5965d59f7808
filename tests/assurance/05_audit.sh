#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# 05_audit.sh: what a test leaves behind fails it, and is named by its kind.
#
# The audit stands after every test (tests/harness/audit.c, heap.c, runs.c) and allows for nothing. Here it is shown one
# leak of each kind on each backend (programs/leaks.c), in a plain build and in a sanitized one. In the latter the
# address space and the heap are the sanitizer's: mappings are not judged, and blocks are LeakSanitizer's to report.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# BUILD KIND: what is said to be left, the numbers left out.
expected() {
    local fd="a descriptor is still open" blocks="heap blocks;heap bytes;" bytes="heap bytes;"
    local mappings="bytes of mappings;"
    [ "$1" = plain ] || blocks="LeakSanitizer;" bytes="" mappings=""
    case $2 in
        none) ;;
        descriptor) echo "$fd;" ;;
        "high descriptor") echo "descriptors above the others;" ;;
        "descriptor of another") echo "a descriptor was not ours to close;" ;;
        file) echo "a file;" ;;
        child | "dead child") echo "a child process;" ;;
        thread) echo "threads;$mappings$([ "$1" = plain ] && echo "$blocks")" ;;
        mapping) echo "$mappings" ;;
        block | "aligned block") echo "$blocks" ;;
        "block that grew") echo "$bytes" ;;
        task | "ended task") echo "tasks of runs that are over;" ;;
        stack) echo "stacks of runs that are over;" ;;
        object) echo "objects of runs that are over;" ;;
        loop) echo "$fd;$fd;$fd;$mappings$([ "$1" = plain ] && echo "$blocks")" ;;
        *) echo "05_audit.sh does not know what to expect of it" ;;
    esac
}
# What the program printed, a line for each test: verdict|kind|backend|what is left.
summarize() {
    awk '
        function flush() { if (test) print test "|" left; test = left = "" }
        /^(ok  |FAIL|skip) leak: / {
            flush()
            match($0, /\[[a-z]+\]/)
            test = $1 "|" substr($0, 12, RSTART - 13) "|" substr($0, RSTART + 1, RLENGTH - 2)
        }
        /^    left: / {
            sub(/^    left: /, "")
            sub(/^descriptor [0-9]+ \(.*\)/, "a descriptor")
            sub(/^file .*/, "a file")
            sub(/^[0-9]+ /, "")
            sub(/, [0-9]+ before$/, "")
            left = left $0 ";"
        }
        /LeakSanitizer: detected memory leaks/ { left = left "LeakSanitizer;" }
        END { flush() }'
}

declare -A kinds=()
# BUILD PROGRAM
show_leaks() {
    local build=$1 verdict kind backend left wanted
    local count
    "$2" -j "$CORES" --timeout 60 --verbose >"$SCRATCH/$build.out" 2>&1
    summarize <"$SCRATCH/$build.out" >"$SCRATCH/$build.left"
    while IFS='|' read -r verdict kind backend left; do
        wanted=$(expected "$build" "$kind")
        if [ "$verdict" = skip ]; then
            skipped=$((skipped + 1))
            continue
        fi
        if [ -n "$wanted" ]; then
            planted=$((planted + 1))
            kinds[$kind]=1
        fi
        if [ "$left" != "$wanted" ] || [ "$verdict" != "$([ -n "$wanted" ] && echo FAIL || echo ok)" ]; then
            fail "$build: $kind on $backend" "left is \"$left\", expected \"$wanted\""
            continue
        fi
        passed=$((passed + 1))
        [ -z "$wanted" ] || found=$((found + 1))
    done <"$SCRATCH/$build.left"
    count=$(grep -c '^TEST_EACH_BACKEND' tests/assurance/programs/leaks.c)
    [ "$(wc -l <"$SCRATCH/$build.left")" = $((3 * count)) ] ||
        fail "$build" "not each of its tests gave a verdict: $(tail -n 1 "$SCRATCH/$build.out")"
}

# BUILD FOLDER: build the program there, and show it. Adds to the figures.
figures=""
show_leaks_of() {
    planted=0 found=0 kinds=()
    if ninja -C "$2" tests/planted_leaks >>"$SCRATCH/build.log" 2>&1; then
        show_leaks "$1" "$2/tests/planted_leaks"
    else
        fail "$1" "it does not build; see $SCRATCH/build.log"
    fi
    figures+="$found of $planted leaks of ${#kinds[@]} kinds found in a $1 build; "
}

: >"$SCRATCH/build.log"
show_leaks_of plain "$TEST_FOLDER/gcc"
sanitized=$TEST_FOLDER/clang-sanitized
if [ ! -f "$sanitized/build.ninja" ] && command -v clang >/dev/null; then
    sanitized=$SCRATCH/clang-sanitized
    [ -f "$sanitized/build.ninja" ] || CC=clang meson setup "$sanitized" -Dbench=false -Dexamples=false \
        -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1 -Dwerror=false >>"$SCRATCH/build.log" 2>&1
fi
if [ -f "$sanitized/build.ninja" ] || command -v clang >/dev/null; then
    show_leaks_of sanitized "$sanitized"
else
    skipped=$((skipped + 1))
fi

# ---- the tests that stand under it: all but those that must abort

tests=0 audited=0
for program in $(tools/list_tests.sh); do
    tests=$((tests + $("$TEST_FOLDER/gcc/tests/$program" --list | wc -l)))
    audited=$((audited + $("$TEST_FOLDER/gcc/tests/$program" --list --audited | wc -l)))
done
[ $audited -gt 0 ] || fail suite "no test of it is audited"
echo "figures: $figures$audited of the $tests tests of the suite are audited, the others abort as they must"
finish
