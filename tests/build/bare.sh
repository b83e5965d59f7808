#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# builds: nothing
# The library compiles on a system that has libc's headers and no others: what it looks for it can do without.
. "$(dirname "$0")/common.sh"

headers=$SCRATCH/include
mkdir -p "$headers"
ln -s /usr/include/* "$headers"
rm -f "$headers/valgrind" "$headers"/liburing*
gcc_headers=$(gcc -print-file-name=include)
triplet=$(gcc -print-multiarch)

is_missing() { ! echo '#include <valgrind/valgrind.h>' | bare -x c -; }
bare() {
    gcc -std=gnu11 -O1 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -D_GNU_SOURCE= -Iinclude -Isrc \
        -nostdinc -isystem "$gcc_headers" -isystem "$headers" -isystem "$headers/$triplet" \
        -c -o "$SCRATCH/bare.o" "$@"
}
check "Valgrind's headers are not there" is_missing
for source in $(grep -l __has_include src/*/*.c); do
    check "$source without them" bare "$source"
done
finish
