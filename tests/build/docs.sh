#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# builds: libcrank.a lib/http/libcrank-http.a lib/tls/libcrank-tls.a
# The documentation is true: every program in it compiles, runs and prints what the page shows; no link is dead; the
# tour names every file of the source and no other; the reference is made from the headers as they are.
. "$(dirname "$0")/common.sh"

pages=(./*.md docs/*.md docs/how-to/*.md)
there() { sed 's|.*/||' | sort -u; } # names of files without their folders
fails() { "$@"; false; }
# each NAME LIST HAVE: every line of the file LIST stands in the file HAVE, both sorted. One process for all of them.
each() {
    local missing
    missing=$(comm -23 "$2" "$3")
    checks_passed=$((checks_passed + $(wc -l <"$2")))
    for name in $missing; do
        checks_passed=$((checks_passed - 1))
        check "$1: $name" fails grep -nw -m 1 -- "$name" "${pages[@]}"
    done
}

ls src/*/*.[chS] lib/*/*.[ch] lib/*/*/*.[ch] | there >"$SCRATCH/sources"
grep -o '`[a-z_0-9/]*\.[chS]`' docs/tour.md | tr -d '`' | there >"$SCRATCH/toured"
ls src/*/* lib/*/* lib/*/*/* include/crank/* tests/harness/* | there >"$SCRATCH/files"
each "the tour names it" "$SCRATCH/sources" "$SCRATCH/toured"
each "what the tour names is there" "$SCRATCH/toured" "$SCRATCH/files"

# A name in a page is one of a header, unless its line says that it comes later.
grep -hv '\blater\b' "${pages[@]}" | sed 's/[A-Za-z_]*_\*//g' |
    grep -oE '\b(crank|CRANK)_\w*\w' | sort -u >"$SCRATCH/named"
grep -ohE '\w+' include/crank/*.h | sort -u >"$SCRATCH/declared"
each "a page's name is in a header" "$SCRATCH/named" "$SCRATCH/declared"

# The asyncio of the Python that is there; of names that later ones bring the page need not know.
asyncio_is_covered() {
    python3 - docs/asyncio-to-crank.md <<'END'
import asyncio, asyncio.subprocess, re, sys
with open(sys.argv[1], encoding="utf-8") as page:
    known = set(re.findall(r"\w+", page.read()))
names = set(asyncio.__all__)
whole = (BaseException, asyncio.AbstractEventLoopPolicy, getattr(asyncio, "AbstractChildWatcher", BaseException))
for name in asyncio.__all__:
    thing = getattr(asyncio, name)
    if isinstance(thing, type) and not issubclass(thing, whole):
        names.update(vars(thing))
names.update(vars(asyncio.subprocess.Process))
missing = sorted(name for name in names - known if name.islower() and not name.startswith("_") or
                 name in asyncio.__all__ and name not in known)
print(*missing)
sys.exit(sys.version_info < (3, 14) and len(missing) > 0)
END
}
check "the page on asyncio has its names" asyncio_is_covered

check "the reference is that of the headers" python3 tools/reference.py --check docs/reference.md

chosen=(--cc gcc)
if [ "$(compilers | tail -n 1)" = clang ]; then
    chosen+=(--cc clang)
fi
libraries="$BUILD/lib/http/libcrank-http.a $BUILD/lib/tls/libcrank-tls.a $BUILD/libcrank.a -pthread -lm"
libraries="$libraries -Wl,--as-needed -lssl -lcrypto"
found=$(python3 tools/doccheck.py "${chosen[@]}" --flags=-Iinclude --libs="$libraries" "${pages[@]}")
echo "$found" | sed '$d'
counted=$(echo "$found" | tail -1)
if [[ $counted =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped ]]; then
    checks_passed=$((checks_passed + BASH_REMATCH[1]))
    checks_failed=$((checks_failed + BASH_REMATCH[2]))
    checks_skipped=$((checks_skipped + BASH_REMATCH[3]))
else
    echo "FAIL tools/doccheck.py ended without a count: $counted"
    checks_failed=$((checks_failed + 1))
fi
finish
