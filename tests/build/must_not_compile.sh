#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# builds: nothing
# Wrong calls do not compile, and the compiler says what the first comment of each file demands.
. "$(dirname "$0")/common.sh"

demanded() {
    sed -nE "s,^/\* ($2 )?must say: (.*) \*/\$,\2,p" "$1" | head -1
}
refuses() {
    local program=$1 compiler=$2 text output
    text=$(demanded "$program" "$compiler")
    [ -n "$text" ] || { echo "$program does not say what $compiler must say"; return 1; }
    if output=$(LC_ALL=C $compiler -std=c11 -Wall -Wextra -Wpedantic -Wconversion -Werror -Iinclude -O1 -c \
        -o "$SCRATCH/refused.o" "$program" 2>&1); then
        echo "$compiler accepts $program"
        return 1
    fi
    case $output in
        *"$text"*) ;;
        *) echo "$compiler does not say: $text"; echo "$output"; return 1 ;;
    esac
}
for program in tests/must_not_compile/*.c; do
    for compiler in $(compilers); do
        check "$(basename "$program" .c) with $compiler" refuses "$program" $compiler
    done
done
finish
