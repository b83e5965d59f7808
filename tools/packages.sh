# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# packages.sh: sourced by ./run, ./test and ./bench: the Debian packages they need are installed where they can be.

# install_packages PROGRAM PACKAGE...: say what is installed and install it; nothing where no package is named. Ends the
# script where that cannot be done, with the line to type. All of it goes to stderr: stdout is the program's.
install_packages() {
    local program=$1 sudo=() how="" line output
    shift
    [ $# -gt 0 ] || return 0
    line="apt-get update && apt-get install -y $*"
    if ! command -v apt-get >/dev/null; then
        echo "$program: missing, by their names in Debian: $*; please install them, there is no apt-get here" >&2
        exit 1
    fi
    if [ "$(id -u)" != 0 ]; then
        sudo=(sudo)
        if ! command -v sudo >/dev/null; then
            echo "$program: missing: $*; there is no sudo to install them with; as root: $line" >&2
            exit 1
        fi
        how=" with sudo"
        line="sudo apt-get update && sudo apt-get install -y $*"
    fi
    echo "$program: installing what is missing$how: $*" >&2
    # apt-get says much and may read standard input, which is the script's: what it says is shown if it fails.
    if ! output=$({ "${sudo[@]}" apt-get update -q &&
        "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y "$@"; } 2>&1 </dev/null); then
        printf '%s\n' "$output" | tail -n 8 >&2
        echo "$program: that failed; try yourself: $line" >&2
        exit 1
    fi
}
