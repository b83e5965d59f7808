#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# 07_million.sh: a million tasks at once at default settings, with guards, in few mappings; and where each guard costs
# mappings, tasks that get no stack, while everything else goes on.
#
# LONG=1 has the million, a sample 200,000: a virtual machine that is lent its memory as it is touched takes long for
# 4.5 GiB. They are parked and woken by a program built as users build theirs (programs/million.c), and once more, one
# in their midst overflows. Kernels without MADV_GUARD_INSTALL are played through the OS table (tests/fault/guards.c),
# up to half of the vm.max_map_count of this machine.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
TASK_BYTES=6000 # a page of stack, a ninth of that of page tables, its record; and some to spare
program=$SCRATCH/million
count=200000
[ "$LONG" = 0 ] || count=1000000

# MiB that can be had here, by the machine or by the group of processes that we are in.
available() {
    local least limit used
    least=$(($(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024))
    for limit in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
        [ -r "$limit" ] && [[ $(<"$limit") =~ ^[0-9]{1,15}$ ]] || continue
        case $limit in
            *.max) used=${limit%max}current ;;
            *) used=${limit%limit*}usage_in_bytes ;;
        esac
        limit=$((($(<"$limit") - $(<"$used")) >> 20))
        [ $limit -ge $least ] || least=$limit
    done
    echo $least
}

# ---- so many at once, and an overflow in their midst

needed=$((count * TASK_BYTES >> 20)) there=$(available)
if [ $needed -gt "$there" ]; then
    echo "skip $count tasks: they need $needed MiB, and $there MiB can be had"
    skipped=$((skipped + 2))
    figures="no memory for $count tasks"
elif ! gcc -std=gnu11 -O2 -D_GNU_SOURCE -Iinclude -o "$program" tests/assurance/programs/million.c \
    "$TEST_FOLDER/gcc/libcrank.a" -pthread >"$SCRATCH/build.log" 2>&1; then
    fail million "it does not compile: $(head -n 1 "$SCRATCH/build.log")"
    figures="none were tried"
else
    output=$(timeout 600 "$program" $count 2>&1)
    add million "$(tail -n 20 <<<"$output")"
    figures=$(sed -n 's/^figures: //p' <<<"$output")
    output=$({ timeout 600 "$program" $count overflow; } 2>&1)
    status=$?
    victim="name='Task-$((count / 2 + 2))' fn=victim"
    if [ $status = 77 ]; then
        skipped=$((skipped + 1))
    elif [ $status = 139 ] && [[ $output == *"stack overflow"*"$victim"* ]]; then
        passed=$((passed + 1))
        figures+="; an overflow in their midst was reported"
    else
        fail overflow "status $status: $(tail -n 5 <<<"$output")"
    fi
fi

# ---- guards that cost mappings

guards=$TEST_FOLDER/gcc/tests/fault_guards
if [ -x "$guards" ]; then
    output=$("$guards" --long --timeout 120 2>&1)
    add fault_guards "$output"
    most=$(($(</proc/sys/vm/max_map_count) / 4)) # two mappings each, of half of them: the test expects just that
    [[ $output != *" 0 failed, 0 skipped" ]] ||
        figures+="; with guards of mprotect $most tasks have stacks, those after them ENOMEM"
else
    fail fault_guards "it was not built"
fi
echo "figures: $figures"
finish
