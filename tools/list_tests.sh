#!/bin/sh
# SPDX-License-Identifier: MIT
# Print the test programs of the given kinds, all where none is given, as tests/meson.build names them: unit_timer.
cd "$(dirname "$0")/.." || exit 2
[ $# -gt 0 ] || set -- unit behaviour real fault explore capture http tls
for kind in "$@"; do
    tools/list_sources.sh "tests/$kind" | sed -E 's|^tests/([a-z]+)/(.*)\.c$|\1_\2|'
done
