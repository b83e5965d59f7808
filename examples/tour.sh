# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# The guided tour, sourced by ./run when everything is built. Needs bash and coreutils; python3 is shown if it is there.
#
# Whatever sleeps is started at the beginning, all at once and in the background, for real: so the longest of them (ten
# seconds, E15) is about what the tour takes. What calculates is run one after another meanwhile, so that its times are
# its own. The foreground shows the results in the tutorials' order, waiting for them where it must.

export LC_ALL=C.UTF-8
scratch=$(mktemp -d) || exit 1
plot=$build/asyncio-timings.svg
failures=0 skipped=""
tour_begun=${EPOCHREALTIME//[!0-9]/}

tour_end() {
    local file
    for file in "$scratch"/*.pid; do
        [ -e "${file%.pid}.us" ] || kill "$(cat "$file" 2>/dev/null)" 2>/dev/null
    done
    wait
    rm -rf "$scratch"
}
trap tour_end EXIT
trap 'exit 130' INT TERM

bold="" dim="" green="" red="" plain=""
if [ -t 1 ] && [ -z "${NO_COLOR-}" ] && [ "${TERM-dumb}" != dumb ]; then
    bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
fi

# Python's name and its own path: a wrapper script in front of it would be timed with every program.
python="" python_path=""
if command -v python3 >/dev/null; then
    python_path=$(python3 -c 'import sys; print(sys.executable)' 2>/dev/null) &&
        python="Python $("$python_path" -c 'import sys; print("%d.%d" % sys.version_info[:2])')" || python=""
fi

# ---- running ----------------------------------------------------------------------------------------------------

# Run a command with a time limit: $tag.out and .err are what it wrote, .status how it ended, .us how long it took.
# The last is written last: where it is, the run is over.
run_timed() {
    local tag=$1 begun status
    shift
    begun=${EPOCHREALTIME//[!0-9]/}
    timeout 20 "$@" >"$scratch/$tag.out" 2>"$scratch/$tag.err" </dev/null &
    echo $! >"$scratch/$tag.pid"
    wait $!
    status=$?
    echo "$((${EPOCHREALTIME//[!0-9]/} - begun))" >"$scratch/$tag.time"
    echo "$status" >"$scratch/$tag.status"
    mv "$scratch/$tag.time" "$scratch/$tag.us"
}

# The program of each id, and what it shows.
declare -A program about
while read -r id name line; do
    program[$id]=$build/examples/$name about[$id]=$line
done < <(list_programs)

has_python() { [ -n "$python" ] && [ -e "$examples/tutorials/python/$1.py" ]; }

# On a machine that is very busy or slow: from 22 seconds on the tour does without Python and the simulator, from 34 on
# it only names the programs.
is_late() { [ $((${EPOCHREALTIME//[!0-9]/} - tour_begun)) -ge 22000000 ]; }
is_over() { [ $((${EPOCHREALTIME//[!0-9]/} - tour_begun)) -ge 34000000 ]; }

run_ours() {
    local id=$1
    shift
    ! is_over || return 0
    run_timed "$id" "${program[$id]}" "$@"
}

run_python() {
    local id=$1
    shift
    has_python "$id" && ! is_late || return 0
    PYTHONDONTWRITEBYTECODE=1 run_timed "$id.py" "$python_path" "$examples/tutorials/python/$id.py" "$@"
}

# Python's points are a hundredth of ours where it has no Numba: the tour says so.
python_points=1000000

start_everything_slow() {
    local id
    for id in e15 e12 e14 e08 e10 e07 e09 e05 e06 e11 e25 e26 e28 n01 n02 n03 e13 e27; do
        run_ours "$id" &
        run_python "$id" &
        pause
    done
    (
        for id in e29 e30 e33 x04 e31; do
            run_ours "$id"
        done
        run_python e31 "$python_points"
        run_ours e32
        run_python e32 "$python_points"
        run_ours e34 "$plot"
        run_python e34
        run_ours n07
    ) &
}

is_slow() {
    case $1 in
        e05 | e06 | e07 | e08 | e09 | e1[0-5] | e2[5-9] | e3[0-4] | x04 | n0*) return 0 ;;
    esac
    return 1
}

progress_line() {
    [ -t 1 ] && printf '\r\e[K%s' "$1"
    return 0
}

# A pause without a process of its own: nobody ever writes into this pipe.
mkfifo "$scratch/pipe"
exec 8<>"$scratch/pipe"
pause() { read -rt 0.05 -u 8 || true; }

wait_for() {
    local begun=$SECONDS
    until [ -e "$scratch/$1.us" ] || is_over; do
        progress_line "$dim      ... $2, $((SECONDS - begun)) s$plain"
        pause
        ! is_late || [ "${1%.py}" = "$1" ] || break
    done
    progress_line ""
}

# ---- figures ----------------------------------------------------------------------------------------------------

format_us() {
    if [ "$1" = 0 ]; then
        printf '0 s'
    elif [ "$1" -ge 100000 ]; then
        printf '%d.%02d s' $((($1 + 5000) / 1000000)) $((($1 + 5000) % 1000000 / 10000))
    elif [ "$1" -ge 1000 ]; then
        printf '%d.%d ms' $((($1 + 50) / 1000)) $((($1 + 50) % 1000 / 100))
    else
        printf '%d µs' "$1"
    fi
}

to_us() {
    local whole=${1%%.*} part=${1#*.}000000
    case $1 in
        *e*) echo 0 ;;
        *.*) echo $((10#$whole * 1000000 + 10#${part:0:6})) ;;
        *) echo $((10#$1 * 1000000)) ;;
    esac
}

# The nth (or "last") time a program printed, in microseconds; nothing where it printed none.
printed_us() {
    local times
    [ -e "$scratch/$1.us" ] && [ "$(<"$scratch/$1.status")" = 0 ] || return 1
    mapfile -t times < <(grep -oE '[0-9]+(\.[0-9]+)?(e-[0-9]+)? seconds' "$scratch/$1.out" | cut -d' ' -f1)
    [ ${#times[@]} -gt 0 ] || return 1
    case $2 in
        last) to_us "${times[-1]}" ;;
        *) to_us "${times[$2]-0}" ;;
    esac
}

# From "Start: 16:20:11" to "End: 16:20:21".
clock_difference() {
    local seconds=() hour minute second
    while IFS=: read -r _ hour minute second; do
        seconds+=($((10#${hour# } * 3600 + 10#$minute * 60 + 10#$second)))
    done < <(grep -E '^(Start|End):' "$1")
    echo "$(((seconds[1] - seconds[0] + 86400) % 86400)) s"
}

# The figure of one run: the time it prints, else how long the whole process took.
figure() {
    local tag=$1 us
    [ -e "$scratch/$tag.us" ] && [ "$(<"$scratch/$tag.status")" = 0 ] || { echo "-"; return; }
    case $tag in
        e34*) sed -n 's/^without work: //p' "$scratch/$tag.out" ;;
        e3[0-3]*) format_us "$(printed_us "$tag" last)" ;;
        e15*) clock_difference "$scratch/$tag.out" ;;
        *) us=$(printed_us "$tag" 0) || us=$(<"$scratch/$tag.us") && format_us "$us" ;;
    esac
}

tutorial_figure() {
    case $1 in
        e05) echo "1 s" ;;
        e07 | e09) echo "2 s" ;;
        e11) echo "1.01 s" ;;
        e12) echo "3.01 s" ;;
        e14) echo "3 s" ;;
        e15) echo "10 s" ;;
        e25 | e26) echo "1 s" ;;
        e28) echo "0.2006 s" ;;
        e31) echo "2.33 s" ;;
        e32) echo "0.588 s" ;;
        e34) echo "~100 µs per job" ;;
        e35) echo "12 h and 1 h" ;;
    esac
}

# How long the same program takes under the simulator: for those that sleep.
simulated_figure() {
    local id=$1
    case $id in
        e05 | e06 | e07 | e08 | e09 | e10 | e11 | e14 | e15 | e25 | e26 | e28 | n0[1-3]) ;;
        *) return 0 ;;
    esac
    ! is_late || return 0
    CRANK_BACKEND=sim run_timed "$id.sim" "${program[$id]}"
    format_us "$(<"$scratch/$id.sim.us")"
}

scale_note() {
    case $1 in
        e31 | e32) echo " (at 1/100 of the points)" ;;
    esac
}

show_figures() {
    local id=$1 figures="" simulated
    [ -z "$(tutorial_figure "$id")" ] || figures="tutorial $(tutorial_figure "$id")   "
    if [ -e "$scratch/$id.py.us" ]; then
        figures+="$python $(figure "$id.py")$(scale_note "$id")   "
    fi
    figures+="${green}crank $(figure "$id")$plain$dim"
    simulated=$(simulated_figure "$id")
    [ -z "$simulated" ] || figures+="   simulated: in $simulated"
    if cmp -s "$scratch/$id.out" "$scratch/$id.py.out"; then
        figures+="   (Python prints the same)"
    fi
    printf '      %s%s%s\n\n' "$dim" "$figures" "$plain"
}

# ---- showing ----------------------------------------------------------------------------------------------------

# A program's output, indented; many short lines in columns, read downwards.
show_output() {
    local lines line width=0 count columns rows row column
    mapfile -t lines <"$1"
    count=${#lines[@]}
    for line in "${lines[@]}"; do
        [ ${#line} -le $width ] || width=${#line}
    done
    columns=$((90 / (width + 4)))
    if [ "$count" -le 9 ] || [ $columns -lt 2 ]; then
        for line in "${lines[@]}"; do
            if [ ${#line} -gt 112 ]; then
                line="${line:0:109}..."
            fi
            printf '      %s\n' "$line"
        done
        return
    fi
    [ $columns -le 4 ] || columns=4
    rows=$(((count + columns - 1) / columns))
    for ((row = 0; row < rows; row++)); do
        line=""
        for ((column = 0; column < columns && column * rows + row < count; column++)); do
            printf '%*s%s' $((column == 0 ? 6 : width + 4 - ${#line})) "" "${lines[column * rows + row]}"
            line=${lines[column * rows + row]}
        done
        printf '\n'
    done
}

show() {
    local id=$1
    if is_over && [ ! -e "$scratch/$id.us" ]; then
        skipped+=" $id"
        return
    fi
    printf '%s%-4s %s%s\n' "$bold" "${id^^}" "${about[$id]}" "$plain"
    if is_slow "$id"; then
        wait_for "$id" "$id is running"
        has_python "$id" && [ "$id" != e29 ] && [ "$id" != e30 ] && wait_for "$id.py" "the same in Python"
    else
        run_ours "$id"
        run_python "$id"
    fi
    if [ ! -e "$scratch/$id.us" ]; then
        skipped+=" $id"
        printf '      %s(not in time)%s\n\n' "$dim" "$plain"
        return
    fi
    show_output "$scratch/$id.out"
    if [ "$(<"$scratch/$id.status")" != 0 ]; then
        head -n 8 "$scratch/$id.err" | sed 's/^/      /'
        printf '      %sended with status %s%s\n' "$red" "$(<"$scratch/$id.status")" "$plain"
        failures=$((failures + 1))
    fi
    show_figures "$id"
}

section() {
    printf '%s%s%s\n' "$bold$green" "$1" "$plain"
    printf '%s%s%s\n\n' "$dim" "$2" "$plain"
}

scaled_python() {
    local us
    if us=$(printed_us "$1" "$2"); then
        echo "($(format_us $((us * 100000000 / python_points))))"
    else
        echo "-"
    fi
}

ratio() {
    local whole part
    if whole=$(printed_us "$1" 0) && part=$(printed_us "$1" 1) && [ "$part" -gt 0 ]; then
        printf '%d.%02d x' $((whole / part)) $((whole * 100 / part % 100))
    else
        echo "-"
    fi
}

# How much longer than 0.2 seconds the sleep of E28 took.
sleep_overhead() {
    local us
    us=$(printed_us "$1" 0) && format_us $((us - 200000)) || echo "-"
}

# printf counts bytes, not characters; so the padding is counted here.
table_row() {
    local cell
    printf '   %s%*s' "$1" $((34 - ${#1})) ""
    for cell in "$2" "$3" "$4"; do
        printf '%*s%s' $((17 - ${#cell})) "" "$cell"
    done
    printf '\n'
}

show_table() {
    section "The figures side by side" \
        "Python is run here and now${python:+ ($python)}; in brackets: at 1/100 of the points, times 100."
    table_row "" tutorial "${python:-no python3}" crank
    table_row "three sleeps of 1 s at once  E11" "1.01 s" "$(figure e11.py)" "$(figure e11)"
    table_row "the same, blocking           E12" "3.01 s" "$(figure e12.py)" "$(figure e12)"
    table_row "a sleep of 0.2 s is late by  E28" "0.6 ms" "$(sleep_overhead e28.py)" "$(sleep_overhead e28)"
    table_row "10^8 points, one thread      E31" "2.33 s" "$(scaled_python e31.py 0)" "$(figure e31)"
    table_row "10^8 points in ten jobs      E32" "0.588 s" "$(scaled_python e32.py 1)" "$(figure e32)"
    table_row "ten jobs are faster by       E32" "3.97 x" "$(ratio e32.py)" "$(ratio e32)"
    table_row "a thread job without work    E34" "~100 µs" "$(figure e34.py | sed 's/ per job//')" \
        "$(figure e34 | sed 's/ per job//')"
    table_row "13 hours of chess            E35" "" "" "$(figure e35)"
    printf '\n   This machine has %s cores; the tutorial does not say how many its machine had (4 to 8).\n\n' "$(nproc)"
}

# ---- the tour ---------------------------------------------------------------------------------------------------

printf '%scrank: asyncio for C. A tour of the programs of five asyncio tutorials.%s\n' "$bold" "$plain"
printf 'Everything runs for real, now; beside it what the tutorial printed%s.\n\n' \
    "${python:+, and the same program in $python on this machine}"
start_everything_slow

section "1. Asyncio fundamentals" "A generator keeps its context between calls; an event loop manages many of them."
for id in e01 e02 e03; do show $id; done
section "2. Introduction" "Coroutines, await, tasks, futures."
for id in e04 e05 e06 e07 e08 e09 e10; do show $id; done
section "3. Asyncio" "Concurrency on one thread: what waits lets others run."
for id in e11 e12 e13 e14 e15 e35; do show $id; done
section "4. Coroutines, and pi in threads" "Generators both ways, timers, and CPU work beside the loop."
for id in e22 e23 x01 x02 e24 x03 e25 e26 e27 e28 e29 e30 x04 e31 e32 e33 e34; do show $id; done
section "5. Generators and event loops" "A baby event loop of our own, tasks, groups, results and pools."
for id in e17 e18 e19 e16 e20 e21 x07 x08 n01 n02 n03 n07; do show $id; done
[ -z "$skipped" ] || printf '%sNo time left on this busy machine for%s: ./run NAME%s\n\n' "$dim" "$skipped" "$plain"
show_table

printf '%sThe plot of E34:%s %s\n' "$bold" "$plain" "$plot"
printf '%sNext:%s ./run list                        every program\n' "$bold" "$plain"
printf '      CRANK_BACKEND=sim ./run e15       the same ten seconds, simulated\n'
printf '      ./run x08 README.md               the characters of your own files\n'
printf '      ./run e35 0.001                   the chess exhibition in real time, at 1/1000 (47 s)\n'
printf '      docs/tutorial.md                  the tutorials, told for C programmers\n'
printf '%s(the tour took %s)%s\n' "$dim" "$(format_us $((${EPOCHREALTIME//[!0-9]/} - tour_begun)))" "$plain"
[ $failures = 0 ] || { printf '%s%d programs failed%s\n' "$red" "$failures" "$plain"; exit 1; }
