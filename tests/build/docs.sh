#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The documentation is true: every program in it compiles, runs and prints what the page shows; no link is dead.
. "$(dirname "$0")/common.sh"

chosen=(--cc gcc)
if [ "${QUICK:-0}" = 0 ] && command -v clang >/dev/null; then
    chosen+=(--cc clang)
fi
exec python3 tools/doccheck.py "${chosen[@]}" --flags="-Iinclude $BUILD/libcrank.a -pthread -lm" ./*.md docs/*.md
