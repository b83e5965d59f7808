#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What the tools say of the code: nothing. AddressSanitizer with LeakSanitizer and UBSan have configurations of their
# own in every ./test; here are ThreadSanitizer, MemorySanitizer, the checks of integers that the language leaves
# defined, Valgrind, gcc's analyzer, cppcheck and clang-tidy (.clang-tidy says which of its checks, and why). Without
# LONG a sample of each: the programs named here, and the layers that change most.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
LONG=${LONG:-0} TEST_FOLDER=${TEST_FOLDER:-build/test} CORES=${CORES:-2}
passed=0 failed=0 skipped=0 notes=""

# ran NAME PARTS...: the tests of a configuration, all of them in long, else those whose names have one of the parts.
ran() {
    local name=$1 output
    shift
    [ "$LONG" = 0 ] || set --
    output=$(TEST_BUILD_DIR=$TEST_FOLDER ./test --only "$name" "$@" 2>&1)
    if [[ ${output##*$'\n'} =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
        passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2])) skipped=$((skipped + BASH_REMATCH[3]))
        [ "${BASH_REMATCH[2]}" = 0 ] || echo "${output%$'\n'*}"
        notes+="${name#clang-} ${BASH_REMATCH[1]}, "
    else
        echo "FAIL $name: ended without a count: $output"
        failed=$((failed + 1))
    fi
}

# silent NAME COMMAND...: a tool that must say nothing and succeed, over the files on its input.
silent() {
    local name=$1 output
    shift
    if output=$(xargs -P "$CORES" -n 1 "$@" 2>&1) && [ -z "$output" ]; then
        passed=$((passed + 1))
        notes+="$name, "
    else
        echo "FAIL $name: $output"
        failed=$((failed + 1))
    fi
}
layers="src/task src/sync"
[ "$LONG" = 0 ] || layers=src
files() { find $layers -name '*.c' | sort; }
analyze() {
    local file status=0
    for file in "$@"; do
        gcc -fanalyzer -O2 -std=gnu11 -D_GNU_SOURCE -Iinclude -Isrc -c "$file" -o /dev/null || status=1
    done
    return $status
}
tidy() { # what it says of others' headers it only counts, on stderr
    clang-tidy --quiet "$@" -- -std=gnu11 -D_GNU_SOURCE -Iinclude -Isrc 2>/dev/null
}
export -f analyze tidy

# Sanitizers' builds need more memory and time per task than a test's default: those tests say so themselves.
ran clang-tsan thread submit waker post
ran clang-msan error spawn generator stream
ran clang-integer timer queue sleep
ran valgrind capture spawn generator lock
# Not at the end of a pipe, where what silent counts would be lost.
silent "gcc -fanalyzer" bash -c 'analyze "$@"' analyze < <(files)
silent "clang-tidy" bash -c 'tidy "$@"' tidy < <(files)
silent "cppcheck" cppcheck -q --std=c11 --enable=warning,performance,portability --inline-suppr \
    --template='{file}:{line}: {id}: {message}' --error-exitcode=1 -D__x86_64__ -D__linux__ -D_GNU_SOURCE \
    -Iinclude -Isrc <<<src
echo "figures: 0 reports, 0 suppressions; tests passed under ${notes%, }: no finding"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
