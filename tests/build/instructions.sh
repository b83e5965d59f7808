#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# builds: libcrank.a
# What an operation costs in instructions must not grow: benchmarks/instructions.txt holds what it cost. And what
# benchmarks/instructions finds is tried with a Valgrind that only says what it is told.
. "$(dirname "$0")/common.sh"
[ "$QUICK" = 0 ] || { skip; finish; }

# ---- the program itself: a table, and counts

mkdir -p "$SCRATCH/bin"
table=$SCRATCH/table
# An operation costs 1,000 instructions in the table, and here what COST and CANCEL_COST say.
cat >"$SCRATCH/bin/valgrind" <<'END'
#!/usr/bin/env bash
while [[ $1 == --* ]]; do shift; done
case $2 in
    ctxswitch) each=2 ;;
    spawn_gather) each=11 ;;
    lock | locknoyield) each=1000 ;;
    *) each=1 ;;
esac
cost=$COST
[ "$2" != cancel ] || cost=$CANCEL_COST
echo "I refs: $((5000 + $3 * each * cost))"
END
chmod +x "$SCRATCH/bin/valgrind"
echo 'int main(void) { return 0; }' | gcc -x c -o "$SCRATCH/nothing" -
counted() { # COST CANCEL_COST [--update]
    PATH=$SCRATCH/bin:$PATH INSTRUCTIONS_TABLE=$table COST=$1 CANCEL_COST=$2 \
        benchmarks/instructions "$SCRATCH/nothing" ${3:-}
}
refused() {
    local text=$1 output
    shift
    ! output=$(counted "$@") || { echo "accepted"; return 1; }
    grep -qF "$text" <<<"$output" || { echo "does not say \"$text\" but:"; echo "$output"; return 1; }
}
has_rows() { # REFERENCE LAST
    counted "$@" --update >/dev/null || return 1
    awk -v last="$1" '!/^#/ && ($2 != 1000 || $3 != last) { print; bad = 1 } END { exit bad }' "$table"
}
rm -f "$table"
check "a new table's references are its counts" has_rows 1000 1000
check "3% above the reference, 5% of a cancellation, are accepted" counted 1030 1050
check "more is refused" refused "ctxswitch 1031 (more than 3% above the reference, 1000)" 1031 1000
check "more is refused of a cancellation" refused "cancel 1051 (more than 5% above the reference, 1000)" 1000 1051
check "--update writes the counts and moves no reference" has_rows 1030 1030
check "3% above the last count is more than 3% above the reference" refused "above the reference, 1000" 1060 1060
check "--update after an improvement" has_rows 900 900
check "what was won must not be lost again" refused "ctxswitch 946 (more than 5% above the last count, 900)" 946 900
sed -i 's/^# compiler: .*/# compiler: another/' "$table"
left_alone() { counted 900 900 --update; [ $? = 77 ] && grep -q '^# compiler: another' "$table"; }
check "a table of another compiler is left alone" left_alone

# ---- crank

link() {
    gcc -std=gnu11 -O2 -g -fno-omit-frame-pointer -D_GNU_SOURCE -Iinclude -o "$SCRATCH/crank_bench" \
        benchmarks/{main,tasks,sleepers,sync,threads,growth}.c "$BUILD/libcrank.a" -pthread
}
check "the measured programs link" link
if [ -x "$SCRATCH/crank_bench" ]; then
    output=$(benchmarks/instructions "$SCRATCH/crank_bench" 2>&1)
    case $? in
        77) skip ;;
        0) check "instructions per operation" true ;;
        *) check "instructions per operation" sh -c 'printf "%s\n" "$1" | grep -v "(ok)"; exit 1' sh "$output" ;;
    esac
fi
finish
