#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Debuggers and profilers see tasks: gdb's bt in a running one, crank-gdb.py on a living process and on core
# files, perf's call graphs. (backtrace() has tests of its own: tests/behaviour/backtrace.c; that gdb loads the script
# by itself for an installed library is checked by tests/build/install.sh.)
set -u
cd "$(dirname "$0")/../.." || exit 2
TEST_FOLDER=${TEST_FOLDER:-build/test}
SCRATCH=${SCRATCH:-$TEST_FOLDER/assurance/08_debuggers}
LONG=${LONG:-0}
mkdir -p "$SCRATCH"
passed=0 failed=0 skipped=0
program_pid=""
trap 'stop' EXIT

say() { # NAME WHY: one check has failed
    echo "FAIL $1: $2"
    failed=$((failed + 1))
}
# expect NAME FILE REGEX...: every expression is found in the file, in a line each.
expect() {
    local name=$1 file=$2 expression
    shift 2
    for expression in "$@"; do
        if ! grep -Eq -- "$expression" "$file"; then
            say "$name" "nothing in $file matches: $expression"
            return
        fi
    done
    passed=$((passed + 1))
}
start() { # NAME [VARIABLE=VALUE]...: run the program, in its folder, until it says that it is ready
    local name=$1 i
    shift
    : >"$SCRATCH/output"
    (cd "$SCRATCH" && exec env "$@" "./$name" >output 2>&1) &
    program_pid=$!
    for ((i = 0; i < 400; i++)); do
        grep -q ready "$SCRATCH/output" && return 0
        sleep 0.05
    done
    say "$name" "is not ready after twenty seconds: $(cat "$SCRATCH/output")"
    return 1
}
stop() {
    [ -z "$program_pid" ] || kill -9 "$program_pid" 2>/dev/null
    [ -z "$program_pid" ] || wait "$program_pid" 2>/dev/null
    program_pid=""
}
look() { # FILE, then arguments of gdb
    local file=$SCRATCH/$1
    shift
    timeout 60 gdb -batch -nx -iex 'set debuginfod enabled off' -iex "source $TEST_FOLDER/gcc/crank-gdb.py" \
        "$@" >"$file" 2>&1
}

build() {
    local name=$1
    shift
    gcc -g -Wall -Wextra -Werror -Iinclude "$@" -o "$SCRATCH/$name" tests/assurance/programs/waiting.c \
        "$TEST_FOLDER/gcc/libcrank.a" -pthread >"$SCRATCH/build.log" 2>&1 && return 0
    say "$name" "does not build: $(head -3 "$SCRATCH/build.log")"
    return 1
}

# What the list must say of the program's tasks, whose waits it knows in full.
check_list() {
    local name=$1 file=$2 since=$3
    expect "$name: the loop" "$file" 'loop 0x[0-9a-f]+ \((epoll|uring)\): 14 tasks'
    expect "$name: sleeping" "$file" "Task-1 +pending +app +sleeps .* s more +$since +at waiting.c:[0-9]+ in app" \
        "Task-3 +pending +sleeper +sleeps .* at waiting.c:[0-9]+ in deep_sleep +spawned at waiting.c:[0-9]+ in app"
    expect "$name: a sleep without a stack" "$file" 'Task-4 +pending +crank_sleep +sleeps .* spawned at waiting.c'
    expect "$name: a name, an event" "$file" \
        "the holder +pending +holder +waits for an event 0x.* $since +at waiting.c:[0-9]+ in holder"
    expect "$name: a lock and its holder" "$file" \
        'Task-6 +pending +in_line +waits for a lock 0x[0-9a-f]+, held by the holder .* at waiting.c:[0-9]+ in in_line'
    expect "$name: a queue" "$file" \
        'Task-7 +pending +getter +waits to get from a queue 0x.* at waiting.c:[0-9]+ in getter'
    expect "$name: a group" "$file" 'Task-8 +pending +opener +waits for 2 children of its group .* in opener' \
        'Task-12 +pending +member .* spawned at waiting.c:[0-9]+ in opener'
    expect "$name: a generator" "$file" 'Task-9 +pending +asker +waits for an event .* at waiting.c:[0-9]+ in numbers'
    expect "$name: a future" "$file" 'Future-2 +unset' 'Task-10 +pending +hoping +awaits Future-2 '
    expect "$name: a task" "$file" 'Task-11 +pending +parent_of_one +awaits Task-14 .* in parent_of_one'
}
# And of their backtraces, each from the function that waits down to the base.
check_backtraces() {
    local name=$1 file=$2 deep='depth=depth@entry=' base='.* in cr_fiber_first_run'
    tr '\n' '~' <"$file" | sed 's/~~/\n/g' >"$file.paragraphs"
    expect "$name: bt" "$file.paragraphs" \
        "^Task-3 .*deep_sleep .*${deep}0.*deep_sleep .*${deep}3.* sleeper .*waiting\.c:[0-9]+~#[0-9]+ $base" \
        '^the holder .* in holder \(\) .*cr_fiber_first_run' '^Task-6 .* in in_line \(\) .*cr_fiber_first_run' \
        '^Task-7 .* in getter \(\)' '^Task-8 .* crank_group_wait .* in opener \(\)' \
        '^Task-13 .* in member \(number=2\)' \
        '^Task-4 .*\(no stack: a sleep of crank.s own\)' '^Future-2 .*\(no stack: a future\)'
    expect "$name: bt of a generator and of who asks it" "$file.paragraphs" \
        "^Task-9 .* in numbers \(.* in cr_stack_base .*~\(generator numbers, asked by\)~#0 .* in asker \(\) $base"
}

without_registers() { # optimised, without frame pointers: only the program's unwind information leads on
    build waiting -O2 -fomit-frame-pointer || return
    start waiting || return
    look live -p "$program_pid" -ex 'crank tasks'
    look live.bt -p "$program_pid" -ex 'crank bt all' -ex "crank core $SCRATCH/core.gdb" -ex 'crank select 3' \
        -ex 'info locals' -ex 'up 4' -ex 'crank select' -ex 'bt -3' -ex 'crank bt nobody'
    check_list "process" "$SCRATCH/live" "(for at least [0-9.]+ s|since: unknown)"
    check_backtraces "process" "$SCRATCH/live.bt"
    expect "select speaks of a task, and again of the thread" "$SCRATCH/live.bt" '^#5 .* in sleeper ' '_start \(\)'
    expect "an unknown task is refused" "$SCRATCH/live.bt" 'no task nobody; crank tasks lists them'
    kill -0 "$program_pid" 2>/dev/null && passed=$((passed + 1)) || say "the process goes on" "it ended when gdb left"
    (ulimit -c 0; timeout 60 gcore -o "$SCRATCH/gcore" "$program_pid" >"$SCRATCH/gcore.log" 2>&1)
    stop
    look core "$SCRATCH/waiting" "$SCRATCH/core.gdb" -ex 'crank tasks' -ex 'crank bt all'
    check_list "core file" "$SCRATCH/core" "since: unknown"
    check_backtraces "core file" "$SCRATCH/core"
    look gcore.list "$SCRATCH/waiting" "$SCRATCH"/gcore.[0-9]* -ex 'crank tasks'
    expect "a core file of gcore's has the tasks" "$SCRATCH/gcore.list" '14 tasks' \
        'Task-6 +pending +in_line +waits for a lock 0x[0-9a-f]+, held by the holder'
    rm -f "$SCRATCH"/gcore.[0-9]* "$SCRATCH/core.gdb"
}
# Debug mode notes when each wait began. The core file is the kernel's, where it writes one to a place we know.
with_debug_mode() {
    start waiting CRANK_DEBUG=1 || return
    sleep 0.5
    look since -p "$program_pid" -ex 'crank tasks'
    check_list "debug mode" "$SCRATCH/since" "for [0-9]+\.[0-9]+ s"
    local first second
    first=$(sed -nE 's/^ +Task-1 .* for ([0-9.]+) s .*/\1/p' "$SCRATCH/since")
    second=$(sed -nE 's/^ +Task-3 .* for ([0-9.]+) s .*/\1/p' "$SCRATCH/since")
    if awk -v a="$first" -v b="$second" 'BEGIN { exit !(a >= 0.5 && b - a >= 0.29 && b - a < 5) }'; then
        passed=$((passed + 1)) # the app began its second wait 0.3 s after the others
    else
        say "since when" "Task-1 waits for '$first' s, Task-3 for '$second' s"
    fi
    stop
    if [ "$(cat /proc/sys/kernel/core_pattern)" != core ]; then
        skipped=$((skipped + 1))
        return
    fi
    find "$SCRATCH" -maxdepth 1 \( -name core -o -name 'core.[0-9]*' \) -delete
    local limit
    limit=$(ulimit -S -c)
    if ! ulimit -S -c unlimited 2>/dev/null; then
        skipped=$((skipped + 1))
        return
    fi
    start waiting CRANK_DEBUG=1 || return
    ulimit -S -c "$limit"
    kill -ABRT "$program_pid"
    wait "$program_pid" 2>/dev/null
    program_pid=""
    local core
    core=$(find "$SCRATCH" -maxdepth 1 \( -name core -o -name 'core.[0-9]*' \) | head -1)
    if [ -z "$core" ]; then
        say "the kernel's core file" "there is none"
        return
    fi
    look kernel.core "$SCRATCH/waiting" "$core" -ex 'crank tasks' -ex 'crank bt all'
    check_list "the kernel's core file" "$SCRATCH/kernel.core" "for at least [0-9]+\.[0-9]+ s"
    check_backtraces "the kernel's core file" "$SCRATCH/kernel.core"
    rm -f "$core"
}
running_task() {
    start waiting WAITING_MODE=spin || return
    look running -p "$program_pid" -ex 'bt' -ex 'echo --\n' -ex 'crank bt 1' -ex 'crank tasks'
    stop
    tr '\n' '~' <"$SCRATCH/running" >"$SCRATCH/running.line"
    expect "bt in a running task goes to its base" "$SCRATCH/running.line" \
        '#[0-9]+ .* spin \(\).*#[0-9]+ .*in app \(\).*#[0-9]+ .*in cr_fiber_first_run [^~]*~--'
    expect "crank bt of a running task" "$SCRATCH/running.line" \
        '--.*~Task-1 running app.* spin \(\).*in app \(\).*cr_fiber_first_run'
    expect "its state" "$SCRATCH/running" 'Task-1 +running +app'
}
hibernating() {
    build framed -O1 -fno-omit-frame-pointer -fno-optimize-sibling-calls || return
    start framed CRANK_HIBERNATE_AFTER=0.05 || return
    sleep 0.3
    look nap -p "$program_pid" -ex 'crank tasks' -ex 'crank bt Task-3'
    stop
    if ! grep -q 'stack put away' "$SCRATCH/nap"; then # a kernel without guards of that kind
        skipped=$((skipped + 1))
        return
    fi
    expect "a stack that is put away" "$SCRATCH/nap" 'Task-3 .*\(stack put away\)' 'in deep_sleep' 'in sleeper' \
        '\(its stack is put away: by frame pointers only\)'
}
profiled() {
    if ! command -v perf >/dev/null ||
        ! perf record -q -o "$SCRATCH/perf.data" -e cpu-clock:u true >/dev/null 2>&1; then
        skipped=$((skipped + 1))
        return
    fi
    [ -x "$SCRATCH/framed" ] || build framed -O1 -fno-omit-frame-pointer -fno-optimize-sibling-calls || return
    start framed WAITING_MODE=spin || return
    perf record -q -e cpu-clock:u --call-graph fp -F 500 -o "$SCRATCH/perf.data" -p "$program_pid" -- sleep 0.5 \
        >"$SCRATCH/perf.log" 2>&1
    stop
    perf script -i "$SCRATCH/perf.data" -F ip,sym 2>/dev/null |
        awk '{ printf "%s", NF ? " " $2 : "\n" }' >"$SCRATCH/perf"
    expect "perf sees from a task's function to its base" "$SCRATCH/perf" ' spin app cr_fiber_first_run$'
}

command -v gdb >/dev/null || { echo "FAIL gdb: is not installed"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
without_registers
with_debug_mode
running_task
hibernating
profiled
echo "figures: 14 tasks in 10 kinds of waits, listed and unwound in a process and in core files: $passed checks"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
