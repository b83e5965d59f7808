#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Build the model: build.sh FOLDER [FILE REPLACEMENT]. The library and the scenarios with clang's instrumentation of
# atomics, linked with the model in place of the sanitizer: FOLDER/model. Only what has changed is compiled. With a
# file of src, its replacement is compiled for it.
set -eu
cd "$(dirname "$0")/../.."
out=$1 replaced=${2:-} replacement=${3:-}
mkdir -p "$out"
CC=${MODEL_CC:-clang}
common="-std=gnu11 -O1 -g -D_GNU_SOURCE= -Iinclude -Isrc -Itests/model -fno-omit-frame-pointer -pthread"
instrumented="$common -fsanitize=thread -mllvm -tsan-instrument-memory-accesses=0"
instrumented="$instrumented -mllvm -tsan-instrument-func-entry-exit=0 -mllvm -tsan-instrument-memintrinsics=0"
instrumented="$instrumented -include tests/model/redirect.h"
newest=$(find src include tests/model -name '*.h' -o -name build.sh | xargs ls -t | head -1)

# compile SOURCE OBJECT FLAGS
compile() {
    [ "$2" -nt "$1" ] && [ "$2" -nt "$newest" ] && return
    # shellcheck disable=SC2086
    $CC $3 -c -o "$2" "$1"
}
objects=()
for folder in src/*/; do
    folder=$(basename "$folder")
    [ "$folder" != cli ] || continue # a program of its own
    for source in src/"$folder"/*.c; do
        [ -e "$source" ] || continue
        name=$(basename "$source" .c)
        [ "$source" != "$replaced" ] || source=$replacement
        object=$out/${folder}_$name.o
        objects+=("$object")
        compile "$source" "$object" "$instrumented"
    done
done
for source in src/context/*_"$(uname -m)".S; do
    object=$out/$(basename "$source" .S).o
    objects+=("$object")
    compile "$source" "$object" "$common"
done
compile tests/model/scenarios.c "$out/scenarios.o" "$instrumented -Wall -Wextra -Werror"
objects+=("$out/scenarios.o")
for name in model locks world tsan search; do
    objects+=("$out/model_$name.o")
    compile "tests/model/$name.c" "$out/model_$name.o" "$common -Wall -Wextra -Wshadow -Wconversion -Werror"
done
$CC -pthread -o "$out/model" "${objects[@]}" -lm
