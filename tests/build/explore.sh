#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The crank program, and what `crank explore` finds in the programs of tests/explored, which hold one fault each.
. "$(dirname "$0")/common.sh"

crank=$(realpath -m "$BUILD/src/cli/crank")
programs=$BUILD/tests
tests=$BUILD/tests/explore_schedules

# gives STATUS TEXT COMMAND...: it ends with that status and prints the text.
gives() {
    local status=$1 text=$2 output got
    shift 2
    output=$("$@" 2>&1)
    got=$?
    [ $got = "$status" ] || { echo "status $got: $output"; return 1; }
    case $output in
        *"$text"*) ;;
        *) echo "does not say \"$text\": $output"; return 1 ;;
    esac
}
one_line() {
    local output
    output=$("$@" 2>&1)
    [ "$(wc -l <<<"$output")" = 1 ] || { echo "$output"; return 1; }
}
# A fault is found, said in so many words, needs no more choices than told, and comes again by the line that says how.
finds() {
    local text=$1 most=$2 program=$3 output again pairs
    output=$("$crank" explore "$programs/explored_$program" 2>&1)
    [ $? = 1 ] || { echo "status $?: $output"; return 1; }
    case $output in
        *"$text"*) ;;
        *) echo "does not say \"$text\": $output"; return 1 ;;
    esac
    again=$(sed -n 's/^again: //p' <<<"$output")
    pairs=$(grep -o 'CRANK_CHOICES=[^ ]*' <<<"$again" | tr ',' '\n' | wc -l)
    [ "$pairs" -le "$most" ] || { echo "needs $pairs choices: $again"; return 1; }
    for _ in 1 2 3; do
        ! bash -c "$again" >/dev/null 2>&1 || { echo "does not come again: $again"; return 1; }
    done
    CRANK_BACKEND=sim "$programs/explored_$program" >/dev/null 2>&1 || { echo "fails in the plain order"; return 1; }
}
# The same of a test, and its schedule alone.
test_finds() {
    local output list
    output=$(TEST_PLANTED=1 "$tests" "makes a change whole" 2>&1) && { echo "not found: $output"; return 1; }
    list=$(grep -o -- '--choices [^ ]*' <<<"$output" | head -1)
    [ -n "$list" ] || { echo "no list: $output"; return 1; }
    # shellcheck disable=SC2086
    TEST_PLANTED=1 "$tests" $list "makes a change whole" >/dev/null && { echo "does not come again: $list"; return 1; }
    # shellcheck disable=SC2086
    "$tests" $list "makes a change whole"
}
# A failure that chance finds is shrunk to what the search in turn finds.
shrinks() {
    local output
    output=$("$crank" explore --schedules 1 --seeds 500 "$programs/explored_torn" 2>&1)
    grep -qE 'with seed [0-9]+ \(of 1 choice, shrunk from [0-9]+\)' <<<"$output" || { echo "$output"; return 1; }
}
# Stopped amid a run it leaves no process behind, and ends as one that was stopped.
stops() {
    local pid child='' began=$SECONDS
    env --default-signal=HUP,TERM "$crank" explore --timeout 60 "$programs/explored_torn" spin & # nohup ignores one
    pid=$!
    while [ -z "$child" ]; do
        [ $((SECONDS - began)) -lt 20 ] || { kill $pid; echo "it runs nothing"; return 1; }
        sleep 0.02
        read -r child <"/proc/$pid/task/$pid/children"
    done
    kill "-$1" $pid
    wait $pid
    [ $? = "$2" ] || { echo "status $?, expected $2"; return 1; }
    ! kill -0 "$child" 2>/dev/null || { echo "the program still runs"; return 1; }
}
# docs/simulator.md shows a program and what is found in it: so it is.
page_is_true() (
    page=docs/simulator.md folder=$SCRATCH/page
    mkdir -p "$folder"
    awk '/^```c$/ { f = 1; next } /^```/ && f { exit } f' "$page" >"$folder/program.c"
    awk '/^```text$/ { f = 1; next } /^```/ && f { exit } f' "$page" | sed 1d >"$folder/expected"
    ln -sf "$(realpath include)" "$(realpath "$BUILD/libcrank.a")" "$folder"
    cd "$folder" || return 1
    gcc -std=gnu11 -D_GNU_SOURCE -Iinclude -o program program.c libcrank.a -pthread -lm || return 1
    "$crank" explore ./program | diff expected -
)

needs "$crank" "$tests" "$programs/explored_torn"
check "crank --help" gives 0 "explore " "$crank" --help
check "crank explore --help" gives 0 "--deviations N" "$crank" explore --help
check "crank --version" gives 0 "crank 0." "$crank" --version
check "no command is one line" one_line "$crank"
check "an unknown command names the known" gives 2 "unknown command \"nonsense\"; known are explore" "$crank" nonsense
check "an unknown option names the known" gives 2 "known are --schedules" "$crank" explore --nonsense x
check "an option without its value" gives 2 "no value for" "$crank" explore --seeds
check "a value that is none" gives 2 "\"many\"" "$crank" explore --seeds many x
check "no program" gives 2 "no program" "$crank" explore
check "a program that is not there" gives 3 "No such file" "$crank" explore "$SCRATCH/nonsense"
check "a program without crank" gives 3 "no loop on the simulator" "$crank" explore true
check "a torn change" finds "exit status 1" 1 torn
check "a deadlock" finds "exit status 70 (deadlock)" 1 hang
check "a late timer" finds "exit status 1" 1 late
check "interrupted workers" finds "exit status 1" 2 workers
check "no fault where there is none" gives 0 "schedules, which are all" "$crank" explore "$programs/explored_torn" held
check "a program that hangs" gives 1 "no end within 0.2 s" "$crank" explore --timeout 0.2 "$programs/explored_torn" spin
# A shell's own children in the background ignore SIGINT: it is sent to none here.
check "a stop stops the program too" stops TERM 143
check "so does a terminal that goes" stops HUP 129
check "what docs/simulator.md shows" page_is_true
check "what chance finds is shrunk" shrinks
check "a test's fault" test_finds
finish
