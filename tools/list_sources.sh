#!/bin/sh
# SPDX-License-Identifier: MIT
# Print the C files right inside the given folders, sorted, one per line: what meson builds one program each of.
for folder in "$@"; do
    [ -d "$folder" ] || continue
    find "$folder" -maxdepth 1 -name '*.c' -print
done | LC_ALL=C sort
