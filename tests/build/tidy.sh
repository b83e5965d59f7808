#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# builds: nothing
# Style, rule by rule, and the tests of the program that checks it.
. "$(dirname "$0")/common.sh"

check "tidy's own tests" tools/test_tidy.py
for rule in $(tools/tidy.py --list); do
    check "tidy: $rule" tools/tidy.py "$rule"
done
check "what the model's faults replace stands in its file" tests/model/planted.py --check
for script in test run bench examples/*.sh benchmarks/*.sh tests/build/*.sh tools/*.sh; do
    [ -f "$script" ] && head -1 "$script" | grep -q sh && check "syntax of $script" bash -n "$script"
done
finish
