#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# 09_coverage.sh: the tests run at least 98% of the lines and 90% of the branches of src/base to src/sync, and notice
# at least 80% of what is changed there.
#
# The coverage is measured in a build of its own. Then mutants are made and judged by the tests that run their lines
# (tools/mutate.py): a handful, by the dozen programs that are most likely to notice, with LONG=1 150 of them, by all.
# Which they are depends on the seed and on the changed lines alone. Those that survive are listed in
# SCRATCH/survivors.txt; 09_equivalent.txt holds those that change nothing a program could see, each with its reason.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
MUTANTS=${MUTANTS:-$([ "$LONG" = 1 ] && echo 150 || echo 6)}
SEED=${SEED:-1}

# ---- coverage

# Of the library the core alone, with the tests that coverage.py runs: those of lib/ reach nothing else in it.
counted=$SCRATCH/build
programs() { tools/list_tests.sh unit behaviour real fault explore capture | sed 's|^|tests/|'; }
fuzzers() { ninja -C "$counted" -t targets rule c_LINKER | grep '^tests/fuzz_'; }
build_counted() {
    if [ ! -f "$counted/build.ninja" ]; then
        rm -rf "$counted"
        CC=gcc meson setup "$counted" -Dbench=false -Dexamples=false -Dharden=false -Dweb=disabled -Dtls=disabled \
            -Doptimization=0 -Db_coverage=true -Dc_args=-DCR_INLINE=inline || return 1
    elif ! programs | cmp -s - "$counted/programs.list"; then
        meson setup --reconfigure "$counted" || return 1
    fi
    programs >"$counted/programs.list"
    # shellcheck disable=SC2046
    ninja -C "$counted" -j "$CORES" $(programs) $(fuzzers)
}
lines="not measured" branches=""
if ! build_counted >"$SCRATCH/build.log" 2>&1; then
    fail build "$(grep -E 'error:|ERROR' "$SCRATCH/build.log" | head -5)"
else
    asleep=
    [ "$LONG" = 1 ] && asleep=--asleep # what that reaches beyond the rest is a few lines of a thousand
    output=$(tools/coverage.py "$counted" --run $asleep --lines 98 --branches 90 -j "$CORES" 2>&1)
    status=$?
    echo "$output" >"$SCRATCH/coverage.txt"
    if [[ $output =~ all\ +([0-9]+)\ of\ +([0-9]+)\ +([0-9.]+)%\ +([0-9]+)\ of\ +([0-9]+)\ +([0-9.]+)% ]]; then
        lines="${BASH_REMATCH[3]}% of ${BASH_REMATCH[2]} lines"
        branches="${BASH_REMATCH[6]}% of ${BASH_REMATCH[5]} branches"
    fi
    if [ $status = 0 ] && [ -n "$branches" ]; then
        passed=$((passed + 2))
    else
        fail coverage "$(grep -vE '^src/|^ {20}|^all ' <<<"$output")"
    fi
fi

# ---- mutants

mutants="no mutants"
if [ ! -d "$counted/coverage" ]; then
    fail mutants "without coverage nobody knows which tests run a line"
elif [ ! -f "$TEST_FOLDER/gcc/build.ninja" ]; then
    fail mutants "$TEST_FOLDER/gcc was not built"
else
    # Of a handful some may happen to be such as nobody notices, or a later program only: less is asked of them.
    least=80 programs=0
    [ "$LONG" = 1 ] || least=50 programs=12
    tools/mutate.py "$TEST_FOLDER/gcc" "$counted/coverage" --count "$MUTANTS" --seed "$SEED" --least $least \
        --programs $programs --survivors "$SCRATCH/survivors.txt" --equivalent tests/assurance/09_equivalent.txt \
        --list -j "$CORES" >"$SCRATCH/mutants.txt" 2>&1
    status=$?
    output=$(cat "$SCRATCH/mutants.txt")
    if [[ $output =~ ([0-9]+\ mutants\ of\ seed\ .*\ survived) ]]; then
        mutants=${BASH_REMATCH[1]}
    fi
    if [ $status = 0 ]; then
        passed=$((passed + 1))
    else
        fail mutants "$(grep -E '^survived|^FAIL|^Traceback|Error' <<<"$output")"
    fi
fi

echo "figures: $lines, $branches, without what is argued to be out of reach; $mutants"
finish
