# SPDX-License-Identifier: MIT
# common.sh: sourced by the parts of this folder that count what other programs count. Each prints what failed, a line
# "figures: ...", and last, by finish, "N passed, N failed, N skipped".
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
LONG=${LONG:-0} TEST_FOLDER=${TEST_FOLDER:-build/test} CORES=${CORES:-$(nproc)}
SCRATCH=${SCRATCH:-build/test/assurance/$(basename "$0" .sh)}
mkdir -p "$SCRATCH"
passed=0 failed=0 skipped=0

# fail NAME TEXT: the first line is why.
fail() {
    echo "FAIL $1: ${2:-without a word}"
    failed=$((failed + 1))
}
# add NAME OUTPUT: the counts in the last line of what a program printed; the rest is shown where something failed.
add() {
    if [[ ! ${2##*$'\n'} =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
        fail "$1" "it ended without a count: $2"
        return
    fi
    passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2])) skipped=$((skipped + BASH_REMATCH[3]))
    [ "${BASH_REMATCH[2]}" = 0 ] || echo "${2%$'\n'*}"
}
finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ $failed = 0 ]
    exit
}
