# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# The guided tour, sourced by ./run when everything is built. Needs bash and coreutils; python3 is shown if it is there.
#
# Whatever sleeps is started at the beginning, all at once and in the background, for real: so the longest of them
# (ten seconds, E15) is about what the tour takes. What calculates is run one after another meanwhile, so that its
# times are its own. The foreground shows the results in the tutorials' order, waiting for them where it must.
# Functions give their result in REPLY and start no process they can do without: on a busy machine that is what
# takes the time.

export LC_ALL=C.UTF-8
scratch=$(mktemp -d) || exit 1
plot=$build/asyncio-timings.svg
cores=$(nproc)
failures=0 skipped=""
tour_begun=${EPOCHREALTIME//[!0-9]/}

tour_end() {
    local file pid
    for file in "$scratch"/*.pid; do
        if [ ! -e "${file%.pid}.us" ] && read -r pid <"$file"; then
            kill "$pid"
        fi
    done 2>/dev/null
    wait
    rm -rf "$scratch"
}
trap tour_end EXIT
trap 'exit 130' INT TERM

bold="" dim="" green="" red="" plain=""
if [ -t 1 ] && [ -z "${NO_COLOR-}" ] && [ "${TERM-dumb}" != dumb ]; then
    bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
fi

# As wide as the terminal; in a pipe as wide as what is shown.
width=120
if [ -t 1 ] && read -r _ columns < <(stty -F /dev/tty size 2>/dev/null); then
    [ "${columns:-0}" -lt 40 ] || [ "$columns" -gt $width ] || width=$columns
fi

# Python's name and its own path: a wrapper script in front of it would be timed with every program.
python="" python_path=""
if command -v python3 >/dev/null; then
    python_path=$(python3 -c 'import sys; print(sys.executable)' 2>/dev/null) &&
        python="Python $("$python_path" -c 'import sys; print("%d.%d" % sys.version_info[:2])')" || python=""
fi

# The program of each id, and what it shows.
declare -A program about
while read -r id name line; do
    program[$id]=$build/examples/$name about[$id]=$line
done < <(list_programs)

# Other programs keep this machine busy: less is run then, so that the tour still ends in time.
read -r load _ </proc/loadavg
busy=0
[ "${load%.*}" -lt $((2 * cores)) ] || busy=1

elapsed_us() { REPLY=$((${EPOCHREALTIME//[!0-9]/} - tour_begun)); }

# From 24 seconds on the tour does without Python and the simulator, from 35 on it only names the programs.
is_late() { elapsed_us; [ "$REPLY" -ge 24000000 ]; }
is_over() { elapsed_us; [ "$REPLY" -ge 35000000 ]; }

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
    echo "$status" >"$scratch/$tag.status"
    echo "$((${EPOCHREALTIME//[!0-9]/} - begun))" >"$scratch/$tag.us"
}

has_python() {
    [ -n "$python" ] && [ -e "$examples/tutorials/python/$1.py" ] || return 1
    [ $busy = 0 ] || [[ $1 == e03 || $1 == e1[125] || $1 == e28 || $1 == e3[124] ]]
}

run_ours() {
    local id=$1
    shift
    is_over || run_timed "$id" "${program[$id]}" "$@"
}

run_python() {
    local id=$1
    shift
    if has_python "$id" && ! is_late; then
        PYTHONDONTWRITEBYTECODE=1 run_timed "$id.py" "$python_path" "$examples/tutorials/python/$id.py" "$@"
    fi
}

# A pause without a process of its own: nobody ever writes into this pipe.
mkfifo "$scratch/pipe"
exec 8<>"$scratch/pipe"
pause() { read -rt 0.05 -u 8 || true; }

# Without Numba, Python's points are a hundredth of ours: the tour says so.
python_points=1000000

start_everything_slow() {
    local id
    run_timed fetch "${program[fetch]}" --live &
    run_timed chat_live "${program[chat]}" --live &
    pause
    for id in e15 e12 e14 e08 e10 e07 e09 e05 e06 e11 e25 e26 e28 n01 n02 n03 e13 e27; do
        run_ours "$id" &
        if has_python "$id"; then
            run_python "$id" &
        fi
        pause
    done
    (
        run_ours e31
        run_ours e32
        run_ours e34 "$plot"
        run_python e31 "$python_points"
        run_python e32 "$python_points"
        run_python e34
        for id in e29 e30 x04 e33 n07; do
            run_ours "$id"
        done
    ) &
}

is_slow() { [[ $1 == e0[5-9] || $1 == e1[0-5] || $1 == e2[5-9] || $1 == e3[0-4] || $1 == x04 || $1 == n0? ]]; }

progress_line() {
    [ -t 1 ] && printf '\r\e[K%s' "$1"
    return 0
}

wait_for() {
    local begun=$SECONDS
    until [ -e "$scratch/$1.us" ] || is_over; do
        progress_line "$dim      ... $2, $((SECONDS - begun)) s$plain"
        pause
        [ "${1%.py}" = "$1" ] || ! is_late || break
    done
    progress_line ""
}

# ---- figures ----------------------------------------------------------------------------------------------------

# What a run wrote into one of its files.
content() { IFS= read -rd '' REPLY <"$scratch/$1" || true; }

succeeded() {
    [ -e "$scratch/$1.us" ] || return 1
    content "$1.status"
    [ "${REPLY%$'\n'}" = 0 ]
}

format_us() {
    if [ "$1" = 0 ]; then
        REPLY="0 s"
    elif [ "$1" -ge 100000 ]; then
        printf -v REPLY '%d.%02d s' $((($1 + 5000) / 1000000)) $((($1 + 5000) % 1000000 / 10000))
    elif [ "$1" -ge 1000 ]; then
        printf -v REPLY '%d.%d ms' $((($1 + 50) / 1000)) $((($1 + 50) % 1000 / 100))
    else
        REPLY="$1 µs"
    fi
}

# Every time a run printed, in microseconds: "0.25 seconds" is 250000.
printed_us() {
    local rest whole part
    times=()
    succeeded "$1" || return 1
    content "$1.out"
    rest=$REPLY
    while [[ $rest =~ ([0-9]+)(\.([0-9]+))?(e-[0-9]+)?\ seconds ]]; do
        whole=${BASH_REMATCH[1]} part=${BASH_REMATCH[3]}000000
        rest=${rest#*"${BASH_REMATCH[0]}"}
        if [ -n "${BASH_REMATCH[4]}" ]; then
            whole=0 part=000000 # less than a tenth of a millisecond
        fi
        times+=($((10#$whole * 1000000 + 10#${part:0:6})))
    done
    [ ${#times[@]} -gt 0 ]
}

# From "Start: 16:20:11" to "End: 16:20:21".
clock_difference() {
    content "$1.out"
    if [[ $REPLY =~ Start:\ (..):(..):(..).*End:\ (..):(..):(..) ]]; then
        set -- "${BASH_REMATCH[@]:1}"
        REPLY="$(((10#$4 * 3600 + 10#$5 * 60 + 10#$6 - 10#$1 * 3600 - 10#$2 * 60 - 10#$3 + 86400) % 86400)) s"
    fi
}

# The figure of one run: the time it prints, else how long the whole process took.
figure() {
    local tag=$1 times
    if ! succeeded "$tag"; then
        REPLY="-"
        return
    fi
    case $tag in
        e34*)
            content "$tag.out"
            REPLY=${REPLY#*without work: }
            REPLY=${REPLY%% per job*}
            ;;
        e15*) clock_difference "$tag" ;;
        e3[0-3]*) printed_us "$tag" && format_us "${times[-1]}" ;;
        *)
            if printed_us "$tag"; then
                format_us "${times[0]}"
            else
                content "$tag.us"
                format_us "${REPLY%$'\n'}"
            fi
            ;;
    esac
}

declare -A tutorial=([e05]="1 s" [e07]="2 s" [e09]="2 s" [e11]="1.01 s" [e12]="3.01 s" [e14]="3 s" [e15]="10 s"
    [e25]="1 s" [e26]="1 s" [e28]="0.2006 s" [e31]="2.33 s" [e32]="0.588 s" [e34]="~100 µs a job"
    [e35]="12 h and 1 h, calculated")
declare -A note=([e31]=" (1/100 of the points)" [e32]=" (1/100 of the points)")

# How long the same program takes under the simulator: for those that sleep.
simulated() {
    local id=$1
    if [ $busy = 1 ] || is_late; then
        REPLY=""
    elif [[ $id == e0[5-9] || $id == e1[0145] || $id == e2[568] || $id == n0[1-3] ]]; then
        CRANK_BACKEND=sim run_timed "$id.sim" "${program[$id]}"
        content "$id.sim.us"
        format_us "${REPLY%$'\n'}"
        REPLY="simulated: in $REPLY"
    else
        REPLY=""
    fi
}

# Parts in a row, a new line where the next does not fit; the one that is ours in green.
show_parts() {
    local part used=6 colour
    printf '      %s' "$dim"
    for part in "$@"; do
        if [ $used -gt 6 ] && [ $((used + ${#part} + 3)) -gt "$width" ]; then
            printf '\n      '
            used=6
        elif [ $used -gt 6 ]; then
            printf '   '
            used=$((used + 3))
        fi
        colour=""
        [[ $part != crank* ]] || colour=$plain$green
        printf '%s%s%s' "$colour" "$part" "${colour:+$plain$dim}"
        used=$((used + ${#part}))
    done
    printf '%s\n\n' "$plain"
}

show_figures() {
    local id=$1 parts=() ours
    [ -z "${tutorial[$id]-}" ] || parts+=("tutorial ${tutorial[$id]}")
    if [ -e "$scratch/$id.py.us" ]; then
        figure "$id.py"
        parts+=("$python $REPLY${note[$id]-}")
    fi
    figure "$id"
    parts+=("crank $REPLY")
    simulated "$id"
    [ -z "$REPLY" ] || parts+=("$REPLY")
    if [ -e "$scratch/$id.py.us" ]; then
        content "$id.out"
        ours=$REPLY
        content "$id.py.out"
        [ "$REPLY" != "$ours" ] || parts+=("(Python prints the same)")
    fi
    show_parts "${parts[@]}"
}

# ---- showing ----------------------------------------------------------------------------------------------------

# A text after so many spaces, in lines that fit; what does not goes on below, between two words where there are some.
show_line() {
    local indent=$1 text=$2 piece lead
    while [ $((indent + ${#text})) -gt "$width" ]; do
        piece=${text:0:width - indent + 1}
        lead=${piece%%[! ]*}
        if [[ ${piece#"$lead"} == *" "* ]]; then
            piece=${piece% *}
        else
            piece=${piece%?}
        fi
        printf '%*s%s\n' "$indent" "" "$piece"
        text=${text:${#piece}}
        text=${text# }
        [ "$indent" -gt "$1" ] || indent=$((indent + 2))
    done
    printf '%*s%s\n' "$indent" "" "$text"
}

# A program's output, indented; many short lines in columns, read downwards.
show_output() {
    local lines line wide=0 count columns rows row column
    mapfile -t lines <"$1"
    count=${#lines[@]}
    for line in "${lines[@]}"; do
        [ ${#line} -le "$wide" ] || wide=${#line}
    done
    columns=$(((width < 96 ? width - 6 : 90) / (wide + 4)))
    if [ "$count" -le 13 ] || [ $columns -lt 2 ]; then
        for line in "${lines[@]}"; do
            if [ ${#line} -gt 112 ]; then
                line="${line:0:109}..."
            fi
            show_line 6 "$line"
        done
        return
    fi
    [ $columns -le 4 ] || columns=4
    rows=$(((count + columns - 1) / columns))
    for ((row = 0; row < rows; row++)); do
        line=""
        for ((column = 0; column < columns && column * rows + row < count; column++)); do
            printf '%*s%s' $((column == 0 ? 6 : wide + 4 - ${#line})) "" "${lines[column * rows + row]}"
            line=${lines[column * rows + row]}
        done
        printf '\n'
    done
}

show_failure() {
    local lines line
    mapfile -t -n 8 lines <"$scratch/$1.err"
    for line in "${lines[@]}"; do
        show_line 6 "$line"
    done
    content "$1.status"
    printf '      %sended with status %s%s\n' "$red" "${REPLY%$'\n'}" "$plain"
    failures=$((failures + 1))
}

show() {
    local id=$1
    if is_over && [ ! -e "$scratch/$id.us" ]; then
        skipped+=" $id"
        return
    fi
    printf '%s%s' "$plain" "$bold"
    show_line 0 "${id^^}  ${about[$id]}"
    printf '%s' "$plain"
    if is_slow "$id"; then
        wait_for "$id" "$id is running"
        if has_python "$id" && [ "$id" != e29 ] && [ "$id" != e30 ]; then
            wait_for "$id.py" "the same in Python"
        fi
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
    succeeded "$id" || show_failure "$id"
    show_figures "$id"
}

section() {
    printf '%s%s%s\n' "$bold$green" "$1" "$plain"
    printf '%s' "$dim"
    [ -z "$2" ] || show_line 0 "$2"
    printf '%s\n' "$plain"
}

# One line of the table: a label, the tutorial's figure, Python's and ours. printf counts bytes, not characters; so the
# padding is counted here.
table_row() {
    local cell
    printf '   %s%*s' "$1" $((34 - ${#1})) ""
    for cell in "$2" "$3" "$4"; do
        printf '%*s%s' $((14 - ${#cell})) "" "$cell"
    done
    printf '\n'
}

# The same, with figures made by a function that is given the program's tag.
compared_row() {
    local label=$1 printed=$2 make=$3 id=$4 theirs
    "$make" "$id.py"
    theirs=$REPLY
    "$make" "$id"
    table_row "$label  ${id^^}" "$printed" "$theirs" "$REPLY"
}

# The last time printed; Python's, measured at fewer points, in proportion and in brackets.
time_of_all_points() {
    local times
    if ! printed_us "$1"; then
        REPLY="-"
    elif [ "${1%.py}" = "$1" ]; then
        format_us "${times[-1]}"
    else
        format_us $((times[-1] * 100000000 / python_points))
        REPLY="($REPLY)"
    fi
}

ratio() {
    local times
    if printed_us "$1" && [ ${#times[@]} -gt 1 ] && [ "${times[1]}" -gt 0 ]; then
        printf -v REPLY '%d.%02d x' $((times[0] / times[1])) $((times[0] * 100 / times[1] % 100))
    else
        REPLY="-"
    fi
}

# How much longer than 0.2 seconds the sleep of E28 took.
lateness() {
    local times
    if printed_us "$1"; then
        format_us $((times[0] - 200000))
    else
        REPLY="-"
    fi
}

show_table() {
    section "The figures side by side" \
        "${python:+$python on this machine; in brackets: at 1/100 of the points, times 100}"
    table_row "" tutorial "${python:-no python3}" crank
    compared_row "three sleeps of 1 s at once" "1.01 s" figure e11
    compared_row "the same, blocking         " "3.01 s" figure e12
    compared_row "a sleep of 0.2 s is late by" "0.6 ms" lateness e28
    compared_row "10^8 points, one thread    " "2.33 s" time_of_all_points e31
    compared_row "10^8 points in ten jobs    " "0.588 s" time_of_all_points e32
    compared_row "ten jobs are faster by     " "3.97 x" ratio e32
    compared_row "a thread job without work  " "~100 µs" figure e34
    figure e35
    table_row "13 hours of chess            E35" "" "" "$REPLY"
    printf '\n'
    show_line 3 "This machine has $cores cores; the tutorial does not say how many its own had (it looks like 4 to 8)."
    printf '\n'
}

. "$examples/tour_servers.sh"

show_next() {
    if [ -e "$plot" ]; then
        printf '%sThe plot of E34:%s %s\n' "$bold" "$plain" "$plot"
    fi
    printf '%sNext:%s ./run list                   every program\n' "$bold" "$plain"
    printf '      CRANK_BACKEND=sim ./run e15  the same ten seconds, simulated\n'
    printf '      ./run x08 README.md          the characters of your own files\n'
    printf '      ./run e35 0.001              the chess exhibition at 1/1000 (47 s)\n'
    printf '      ./run fetch URL...           your own URLs, many at once\n'
    printf '      ./run chat                   a chat room at http://127.0.0.1:8080/\n'
    printf '      docs/tutorial.md             the tutorials, told for C programmers\n'
    elapsed_us
    format_us "$REPLY"
    printf '%s(the tour took %s)%s\n' "$dim" "$REPLY" "$plain"
}

# ---- the tour ---------------------------------------------------------------------------------------------------

printf '%scrank: asyncio for C. A tour of the programs of five asyncio tutorials.%s\n' "$bold" "$plain"
show_line 0 "Everything runs for real, now; beside it what the tutorial printed${python:+, and the same program in \
$python on this machine}."
if [ $busy = 1 ]; then
    printf '%s' "$dim"
    show_line 0 "This machine is busy (a load of $load on $cores cores): less is run in Python, and times are longer."
    printf '%s' "$plain"
fi
printf '\n'
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
section "6. Servers and clients" \
    "Straight-line code over sockets. echo, chat, proxy, shell, httpd and fetch are yours to run."
show_client
show_fetch
show_chat
if [ -n "$skipped" ]; then
    printf '%s' "$dim"
    show_line 0 "No time left on this busy machine for$skipped: ./run NAME"
    printf '%s\n' "$plain"
fi
show_table
show_next
[ $failures = 0 ] || { printf '%s%d programs failed%s\n' "$red" "$failures" "$plain"; exit 1; }
offer_chat
