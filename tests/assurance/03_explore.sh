#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Exploration: tests and programs through their schedules, the cross-thread pieces through their interleavings, and
# faults planted into both, which must be found. LONG=1: all of them; else a sample.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
gcc=$TEST_FOLDER/gcc model=$SCRATCH/model
# Each line is a job, "NAME|COMMAND": several run at a time, what each said is in NAME.out, how it ended in NAME.status.
jobs=()
job() {
    local name=$1
    shift
    jobs+=("$name|$(printf '%q ' "$@")")
}
run_job() {
    local name=${1%%|*}
    bash -c "${1#*|}" >"$SCRATCH/$name.out" 2>&1
    echo $? >"$SCRATCH/$name.status"
}
export -f run_job
export SCRATCH
rm -f "$SCRATCH"/*.out "$SCRATCH"/*.status

# ---- the tests of tests/explore/schedules.c, and programs: small ones through all their schedules, larger ones
# through many
long=() limits=(--schedules 300 --seeds 50)
[ "$LONG" = 0 ] || long=(--long --timeout 240) limits=(--schedules 8000 --seeds 1000)
job schedules "$gcc/tests/explore_schedules" --verbose "${long[@]}"
for program in look_01_hello look_02_tasks look_03_gather look_04_group look_05_timeout look_06_cancel \
    look_07_generators look_08_queue n01_task_groups n03_task_pool; do
    job "$program" "$gcc/src/cli/crank" explore "${limits[@]}" "$gcc/examples/$program"
done
job torn "$gcc/src/cli/crank" explore "$gcc/tests/explored_torn" held

# ---- interleavings of threads, of which every one with up to two preemptions; with more, by chance; and plants
if ! command -v clang >/dev/null; then
    skipped=$((skipped + 2))
elif ! output=$(tests/model/build.sh "$model" 2>&1); then
    fail "the model is built" "$output"
else
    seconds=()
    [ "$LONG" = 1 ] || seconds=(--seconds 2)
    names=$("$model/model" --help 2>&1 | sed -n 's/.*names://p')
    [ -n "$names" ] || fail "interleavings" "the model names no scenarios"
    for scenario in $names; do
        job "all_$scenario" "$model/model" --bound 2 "${seconds[@]}" "$scenario"
        [ "$LONG" = 0 ] || job "more_$scenario" "$model/model" --bound 4 --seed 1 --seconds 4 "$scenario"
    done
    plants=("last look" "rests" "retires" "wake who sleeps" "inside")
    [ "$LONG" = 0 ] || mapfile -t plants < <(tests/model/planted.py --list)
    for plant in "${plants[@]}"; do
        job "planted_${plant// /_}" tests/model/planted.py "$model" "$plant"
    done
fi

# ---- what they said: "N schedules[, which are all] ... M seeds|by chance", "N interleavings[, which are all] ..."
printf '%s\0' "${jobs[@]}" | xargs -0 -P "$CORES" -I{} bash -c 'run_job "$1"' run_job {}
schedules=0 seeds=0 complete=0 explored=0 interleavings=0 all=0 scenarios=0 planted=0
for line in "${jobs[@]}"; do
    name=${line%%|*}
    output=$(cat "$SCRATCH/$name.out")
    if [ "$(cat "$SCRATCH/$name.status")" = 0 ]; then
        passed=$((passed + 1))
    else
        fail "$name" "$(tail -6 <<<"$output")"
    fi
    case $name in
        all_* | more_*)
            [[ ! $output =~ ([0-9]+)\ interleavings ]] || interleavings=$((interleavings + BASH_REMATCH[1]))
            [[ $name = more_* ]] || scenarios=$((scenarios + 1))
            [[ $name = more_* || $output != *"which are all"* ]] || all=$((all + 1))
            continue ;;
        planted_*)
            planted=$((planted + $(grep -c ': found by ' <<<"$output")))
            continue ;;
    esac
    while read -r line; do
        [[ $line =~ ([0-9]+)\ schedules? ]] || continue
        explored=$((explored + 1))
        schedules=$((schedules + BASH_REMATCH[1]))
        [[ $line != *"which are all"* ]] || complete=$((complete + 1))
        [[ ! $line =~ ([0-9]+)\ (seeds|by\ chance) ]] || seeds=$((seeds + BASH_REMATCH[1]))
    done <<<"$output"
done
echo "figures: $explored programs and tests through $schedules schedules ($complete of them through all) and $seeds" \
    "by chance; $scenarios cross-thread scenarios through $interleavings interleavings ($all of them through all with" \
    "up to 2 preemptions); $planted planted faults found"
finish
