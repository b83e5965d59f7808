#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# 02_cancel.sh: each waiting call is cancelled at every point, and random calls and cancels agree with models.
#
# A sample runs 10^5 scripts of each synchronisation primitive, LONG=1 10^6. Beside them run those of the trees of
# groups and timeouts and of generators, at a tenth of that; and 10^5 random programs, LONG=1 10^6, of which a model
# of the rules of docs/cancellation.md predicts each return. The programs are the gcc build's.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
BUILD=$TEST_FOLDER/gcc/tests
calls=0 points=0 scripts=0 hundredths=0 differences=0

# ---- every waiting call at every point (in long the gcc configuration has run their slow tests too)

core() { ls include/crank/*.h | grep -vE '/(http|websocket|tls)\.h$'; } # a library's rows stand beside its tests
marked() { core | xargs grep -hoE 'CRANK_BLOCKS [^(]*\(' | grep -oE 'crank_[a-z_]+\(' | tr -d '(' | sort -u; }
rows() {
    cat tests/behaviour/cancel_everywhere*.c tests/behaviour/socket_rows.h |
        grep -oE '^    \{ "crank_[a-z_]+"' | grep -oE 'crank_[a-z_]+' | sort -u
}
if difference=$(diff <(marked) <(rows)); then
    passed=$((passed + 1))
else
    fail rows "${difference//$'\n'/; }"
fi
for program in behaviour_cancel_everywhere behaviour_cancel_everywhere_io; do
    if [ ! -x "$BUILD/$program" ]; then
        fail "$program" "it was not built"
        continue
    fi
    add "$program" "$("$BUILD/$program" -j "$CORES" --timeout 120 2>&1)"
    # The first three tests are the same one on each backend; alone each says what it covered (audited it was above).
    for number in 0 1 2; do
        said=$("$BUILD/$program" --one $number --no-audit 2>/dev/null | grep '^calls ')
        if [[ $said =~ ^calls\ ([0-9]+)\ points\ ([0-9]+)$ ]]; then
            [ $number != 0 ] || calls=$((calls + BASH_REMATCH[1]))
            points=$((points + BASH_REMATCH[2]))
        fi
    done
done
[ $points -gt 0 ] || fail points "no point was covered"

# ---- random scripts beside models

count=100000
[ "$LONG" = 0 ] || count=1000000
list_runs() {
    for name in lock event condition semaphore barrier queue; do
        echo "$name $count"
    done
    for name in tree generator; do
        echo "$name $((count / 10))"
    done
}
# In a file of its own each: several run at a time.
run_scripts() { "$BUILD/fuzz_$1" --seeds 1 "$2" >"$SCRATCH/$1.out" 2>&1; }
export BUILD SCRATCH
export -f run_scripts
list_runs | xargs -P "$CORES" -L 1 bash -c 'run_scripts "$0" "$1"'
while read -r name wanted; do
    output=$(cat "$SCRATCH/$name.out")
    if [[ $output =~ $name:\ ([0-9]+)\ scripts,.*\ ([0-9]+)\.([0-9]+)\ s, ]] && [ "${BASH_REMATCH[1]}" = "$wanted" ] &&
        [[ ${output##*$'\n'} == "1 passed, 0 failed, 0 skipped" ]]; then
        passed=$((passed + 1)) scripts=$((scripts + wanted))
        hundredths=$((hundredths + BASH_REMATCH[2] * 100 + 10#${BASH_REMATCH[3]}))
    else
        fail "$name" "$output"
        differences=$((differences + 1))
    fi
done < <(list_runs)

# ---- random programs beside the model of what one -ECANCELED answers: ten tests of as many programs each

output=$(CRANK_MODEL_PROGRAMS=$((count / 10)) "$BUILD/behaviour_interruption_model" -j "$CORES" --timeout 900 \
    "random programs" 2>&1)
add interruption_model "$output"
[[ ${output##*$'\n'} == "10 passed, 0 failed, 0 skipped" ]] || differences=$((differences + 1))

echo "figures: $calls stories of $(marked | wc -l) calls, cancelled at $points points on 3 backends; $scripts scripts" \
    "beside models in $((hundredths / 100)) s of CPU; $count programs beside the model of interruptions;" \
    "$differences differences"
finish
