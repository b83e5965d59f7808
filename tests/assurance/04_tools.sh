#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What the tools say of the code: nothing. AddressSanitizer with LeakSanitizer and UBSan have configurations of their
# own; here are ThreadSanitizer, Valgrind, gcc's analyzer, cppcheck and clang-tidy (.clang-tidy says which of its
# checks, and why), with LONG MemorySanitizer and the checks of integers that the language leaves defined. Without LONG
# a sample of most: the programs named here, and the layers that change most.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
notes=""

# ran NAME PARTS...: the tests of a configuration, all of them in long, else those whose names have one of the parts.
ran() {
    local name=$1 before=$passed
    shift
    [ "$LONG" = 0 ] || set --
    add "$name" "$(TEST_BUILD_DIR=$TEST_FOLDER ./test --only "$name" "$@" 2>&1)"
    [ $passed -gt $before ] || fail "$name" "no test ran"
    notes+="${name#clang-} $((passed - before)), "
}

# judge NAME STATUS OUTPUT: a tool that must have said nothing and succeeded.
judge() {
    if [ "$2" = 0 ] && [ -z "$3" ]; then
        passed=$((passed + 1))
        notes+="$1, "
    else
        fail "$1" "$3"
    fi
}
# silent NAME COMMAND...: such a tool, over the files on its input.
silent() {
    local name=$1 output
    shift
    output=$(xargs -P "$CORES" -n 1 "$@" 2>&1)
    judge "$name" $? "$output"
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
ran clang-tsan behaviour_thread behaviour_submit behaviour_waker unit_post
if [ "$LONG" = 1 ]; then # what MemorySanitizer looks for Valgrind finds too, without a build of its own
    ran clang-msan
    ran clang-integer
fi
ran valgrind capture_ behaviour_error behaviour_task behaviour_generator behaviour_lock behaviour_stream_read \
    behaviour_waker
# It looks at all files one after the other, beside those that look at one each. It cannot read what these macros are
# made of: to it they are names.
cppcheck -Ucrank_within -UCRANK_FRAME_ -Ucrank_group_spawn -q --std=c11 --enable=warning,performance,portability \
    --inline-suppr --template='{file}:{line}: {id}: {message}' --error-exitcode=1 -D__x86_64__ -D__linux__ \
    -D_GNU_SOURCE -Iinclude -Isrc src >"$SCRATCH/cppcheck.txt" 2>&1 &
cppcheck=$!
# Not at the end of a pipe, where what silent counts would be lost.
silent "gcc -fanalyzer" bash -c 'analyze "$@"' analyze < <(files)
silent "clang-tidy" bash -c 'tidy "$@"' tidy < <(files)
wait $cppcheck
judge "cppcheck" $? "$(cat "$SCRATCH/cppcheck.txt")"
echo "figures: 0 reports, 0 suppressions; tests passed under ${notes%, }: no finding"
finish
