#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# builds: nothing
# What ./run promises: a program's own output and nothing else on stdout, names that are found or refused, and a tour of
# at most 40 seconds that shows every program and leaves nothing behind.
. "$(dirname "$0")/common.sh"

export RUN_BUILD_DIR=$BUILD
unset CRANK_BACKEND
needs "$BUILD/build.ninja"
BUILD=$(cd "$BUILD" && pwd)
export RUN_BUILD_DIR=$BUILD

# Both streams of ./run, apart, and its status.
call() {
    ./run "$@" >"$SCRATCH/out" 2>"$SCRATCH/err" </dev/null
    status=$?
}
prints_exactly() {
    local want=$1
    shift
    call "$@"
    [ $status = 0 ] || { echo "status $status"; cat "$SCRATCH/err"; return 1; }
    printf "$want" | diff - "$SCRATCH/out"
}
refuses() {
    local text=$1
    shift
    call "$@"
    [ $status = 2 ] || { echo "status $status, expected 2"; return 1; }
    [ ! -s "$SCRATCH/out" ] || { echo "prints on stdout:"; cat "$SCRATCH/out"; return 1; }
    [ "$(wc -l <"$SCRATCH/err")" = 1 ] || { echo "more than one line:"; cat "$SCRATCH/err"; return 1; }
    grep -qF -- "$text" "$SCRATCH/err" || { echo "does not say $text but:"; cat "$SCRATCH/err"; return 1; }
}
# Every id of the checklist of the tutorials, the look programs, and the servers.
ids() {
    printf 'e%02d\n' $(seq 1 35)
    printf 'x%02d\n' $(seq 1 8)
    printf 'n%02d\n' 1 2 3 7
    printf 'look/%s\n' 01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16 17 18 19 20
    echo "$(cd examples/servers && ls | sed '/^golden$/d; s/\.c$//')"
    echo fetch
}
lists_all() {
    call list
    diff <(ids | sort) <(cut -d' ' -f1 "$SCRATCH/out" | sort)
}
every_line_says_what() {
    ! awk 'NF < 5' "$SCRATCH/out" | grep .
}
# At 80 columns nothing is wrapped by the terminal, and each description is whole.
lists_for_a_terminal() {
    script -qefc 'stty cols 80; ./run list' /dev/null </dev/null | tr -d '\r' >"$SCRATCH/terminal"
    ! grep -E '.{80}' "$SCRATCH/terminal" || return 1
    diff <(tr -s ' \n' '\n' <"$SCRATCH/out") <(tr -s ' \n' '\n' <"$SCRATCH/terminal")
}
list_cannot_be_written() {
    ! ./run list >/dev/full 2>"$SCRATCH/err" || { echo "status 0"; return 1; }
    [ "$(wc -l <"$SCRATCH/err")" = 1 ] || { echo "more than one line:"; cat "$SCRATCH/err"; return 1; }
}
fails_naming() {
    call x08 examples/tutorials/data/planets.txt "$1"
    [ $status = 1 ] || { echo "status $status, expected 1"; return 1; }
    grep -qF "$1" "$SCRATCH/err" || { echo "stderr does not name it:"; cat "$SCRATCH/err"; return 1; }
}
gives_usage() {
    call "$@"
    [ $status = 2 ] || { echo "status $status, expected 2"; return 1; }
    grep -q '^usage: ' "$SCRATCH/err" || { echo "no usage on stderr"; cat "$SCRATCH/err"; return 1; }
}
tree() { git status --porcelain 2>/dev/null; ls; }
tours() {
    local before took id skipped
    before=$(tree)
    call
    skipped=$(sed -n '/^No time left/,/NAME$/p' "$SCRATCH/out" | tr -s '\n ' ' ') # it may be wrapped
    echo "$skipped" >>"$SCRATCH/out"
    [ $status = 0 ] || { echo "status $status"; grep -B5 'ended with' "$SCRATCH/out"; cat "$SCRATCH/err"; return 1; }
    took=$(sed -n 's/^(the tour took \([0-9]*\)\.[0-9]* s)$/\1/p' "$SCRATCH/out")
    [ -n "$took" ] && [ "$took" -lt 40 ] || { echo "took ${took:-no} s"; return 1; }
    ! grep -q $'\e' "$SCRATCH/out" || { echo "escape sequences in a pipe"; return 1; }
    [ "$(tree)" = "$before" ] || { echo "the tree has changed:"; diff <(echo "$before") <(tree); return 1; }
    for id in $(ids | grep '^[enx][0-9]' | grep -v 'x0[56]'); do # x05 and x06 are e33 and e34
        grep -qE "^${id^^} |No time left.* $id( |:)" "$SCRATCH/out" || { echo "$id is missing"; return 1; }
    done
    grep -q "^LOOK/12 .*\|No time left.* look/12" "$SCRATCH/out" || { echo "look/12 is missing"; return 1; }
    grep -qF '"from":"ada","to":"cem","text":"do not tell bob about the cake"' "$SCRATCH/out" ||
        grep -q "No time left.* chat" "$SCRATCH/out" || { echo "the chat's scene is missing"; return 1; }
    grep -qF "8 URLs, 4 fetched, 4 failed" "$SCRATCH/out" ||
        grep -q "No time left.* fetch" "$SCRATCH/out" || { echo "the scene of fetch is missing"; return 1; }
    for part in "tutorial " "crank " "The figures side by side" "The plot of E34: " "./run list"; do
        grep -qF "$part" "$SCRATCH/out" || { echo "\"$part\" is missing"; return 1; }
    done
}

check "list names every program" lists_all
check "list says what each is" every_line_says_what
command -v script >/dev/null && check "list on a terminal" lists_for_a_terminal || skip
check "list into a full disk" list_cannot_be_written
check "an id" prints_exactly '001 Mercury\n002 Venus\n003 Earth\n' x03
check "an id in capitals" prints_exactly '001 Mercury\n002 Venus\n003 Earth\n' X03
check "a file's name" prints_exactly 'done: tea\n' e27_typical_program tea
check "a file's path" prints_exactly 'done: tea\n' ./examples/tutorials/e27_typical_program.c tea
check "the beginning of a name, and an argument" prints_exactly '1\n1\n2\n3\n5\n' x02_fib 5
check "an unknown name" refuses 'no program "e99"; known are list, e01-e35' e99
check "an unknown option" refuses 'unknown option --fast; known are list, --help' --fast
check "a name that may be several" refuses '"e0" may be e01_fibonacci_list, e02_' e0
check "a folder's name" refuses '"look" may be look_01_hello, look_02_' look
check "a program of look" prints_exactly 'Hello ...\n... World!\n' look/01
check "a server that is asked wrongly" gives_usage chat --nonsense
check "a tool without arguments" gives_usage proxy
check "a server by its path" gives_usage examples/servers/chat/main.c a b
check "a missing file is named" fails_naming no/such/file
[ "$QUICK" = 1 ] && skip || check "the tour" tours
finish
