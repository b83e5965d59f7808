#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# builds: libcrank.a
# The documentation is true: every program in it compiles, runs and prints what the page shows; no link is dead; the
# tour names every file of the source and no other; the reference is made from the headers as they are.
. "$(dirname "$0")/common.sh"

toured() {
    grep -q "\`\([a-z]*/\)\?$(basename "$1")\`" docs/tour.md || { echo "docs/tour.md does not mention $1"; return 1; }
}
for source in src/*/*.[chS]; do
    check "the tour names $source" toured "$source"
done
is_there() {
    ls src/*/"$1" include/crank/"$1" tests/harness/"$1" 2>/dev/null | grep -q . || { echo "there is no $1"; return 1; }
}
for name in $(grep -o '`[a-z_0-9/]*\.[chS]`' docs/tour.md | tr -d '`' | xargs -n1 basename | sort -u); do
    check "what the tour names is there: $name" is_there "$name"
done

# A name in a page is one of a header, unless its line says that it comes later.
known() {
    grep -qw -- "$1" include/crank/*.h && return
    echo "no header has $1"
    grep -nw -- "$1" ./*.md docs/*.md | head -3
    return 1
}
words() { grep -hv '\blater\b' ./*.md docs/*.md | sed 's/[A-Za-z_]*_\*//g'; }
for name in $(words | grep -oE '\b(crank|CRANK)_\w*\w' | sort -u); do
    check "the pages' $name is there" known "$name"
done

check "the reference is that of the headers" python3 tools/reference.py --check docs/reference.md

chosen=(--cc gcc)
if [ "$(compilers | tail -n 1)" = clang ]; then
    chosen+=(--cc clang)
fi
pages=$(python3 tools/doccheck.py "${chosen[@]}" --flags=-Iinclude --libs="$BUILD/libcrank.a -pthread -lm" \
    ./*.md docs/*.md)
echo "$pages" | sed '$d'
counted=$(echo "$pages" | tail -1)
if [[ $counted =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed ]]; then
    checks_passed=$((checks_passed + BASH_REMATCH[1]))
    checks_failed=$((checks_failed + BASH_REMATCH[2]))
else
    echo "FAIL tools/doccheck.py ended without a count: $counted"
    checks_failed=$((checks_failed + 1))
fi
finish
