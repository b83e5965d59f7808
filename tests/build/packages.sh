#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# builds: nothing
# A system without compilers: ./run, ./test and ./bench install what they need, saying so, or say what to type. The
# system is a folder of commands: a few real ones, and an apt-get, id and sudo that only note what is asked of them.
. "$(dirname "$0")/common.sh"

bin=$SCRATCH/bin
asked=$SCRATCH/asked
mkdir -p "$bin"
real="bash basename cat cut dirname env find flock grep head mkdir mktemp nproc rm sed sort tail tee touch tr"
for command in $real; do
    ln -s "$(command -v $command)" "$bin/$command"
done
bin=$(cd "$bin" && pwd)
asked=$(cd "$SCRATCH" && pwd)/asked

# put NAME LINE...: a command of that system.
put() {
    local name=$1
    shift
    printf '%s\n' '#!/usr/bin/env bash' "$@" >"$bin/$name"
    chmod +x "$bin/$name"
}
# system USER [apt-get's status [sudo]]: who one is there, and what there is.
system() {
    rm -f "$bin/apt-get" "$bin/sudo" "$asked"
    put id "echo $1"
    [ -z "${2-}" ] || put apt-get "echo \"apt-get \$*\" >>'$asked'" "echo 'E: no network'" "exit $2"
    [ -z "${3-}" ] || put sudo "echo \"sudo \$*\" >>'$asked'" 'exec "$@"'
}
# What one of the three says there; it ends in failure, for nothing is really installed.
say() {
    local folder
    folder=$(cd "$SCRATCH" && pwd)/build
    rm -rf "$folder"
    PATH=$bin RUN_BUILD_DIR=$folder TEST_BUILD_DIR=$folder BENCH_BUILD=$folder "$@" 2>&1 >/dev/null </dev/null
    echo "status $?"
}
says() {
    local text=$1 said
    shift
    said=$(say "$@")
    case $said in
        *"status 0"*) echo "succeeded: $said"; return 1 ;;
        *"$text"*) ;;
        *) echo "does not say \"$text\" but: $said"; return 1 ;;
    esac
}
asks() {
    local line
    for line in "$@"; do
        grep -q "^$line" "$asked" || { echo "did not call $line, but:"; cat "$asked"; return 1; }
    done
}

for program in "run e01" "test --list" "bench ctxswitch"; do
    # shellcheck disable=SC2086
    set -- ./$program
    system 0
    check "$1 without apt-get" says "missing, by their names in Debian: g" "$@"
    system 1000 0
    check "$1 as a user without sudo" says "as root: apt-get update && apt-get install -y " "$@"
    system 0 0
    check "$1 as root" says "installing what is missing: g" "$@"
    check "$1 as root installs" asks "apt-get update" "apt-get install .*gcc.*ninja-build"
    system 1000 0 sudo
    check "$1 as a user with sudo" says "installing what is missing with sudo: g" "$@"
    check "$1 as a user installs" asks "sudo apt-get update" "sudo .*apt-get install .*meson"
    system 0 100
    check "$1 where apt-get fails" says "that failed; try yourself: apt-get update && apt-get install -y g" "$@"
    check "$1 where apt-get fails, why" says "no network" "$@"
done
finish
