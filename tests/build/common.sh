# SPDX-License-Identifier: MIT
# common.sh: sourced by the checks of this folder. Each prints what failed and, last, "N passed, N failed, N skipped".
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
BUILD=${BUILD:-build/test/gcc}
SCRATCH=${SCRATCH:-build/test/scratch}/$(basename "$0" .sh)
QUICK=${QUICK:-0} # 1: what takes long, and what another compiler says, is left to ./test --all
rm -rf "$SCRATCH"
mkdir -p "$SCRATCH"
checks_passed=0 checks_failed=0 checks_skipped=0

# check NAME COMMAND...: the command must succeed; what it prints is shown when it does not.
check() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        checks_passed=$((checks_passed + 1))
    else
        checks_failed=$((checks_failed + 1))
        echo "FAIL $name"
        echo "$output" | head -20 | sed 's/^/    /'
    fi
}
skip() {
    checks_skipped=$((checks_skipped + 1))
}
finish() {
    echo "$checks_passed passed, $checks_failed failed, $checks_skipped skipped"
    [ $checks_failed = 0 ]
    exit
}
# Without these files there is nothing to look at.
needs() {
    local file
    for file in "$@"; do
        [ -e "$file" ] && continue
        check "$file is built" false
        finish
    done
}
compilers() {
    echo gcc
    [ "$QUICK" = 1 ] || ! command -v clang >/dev/null || echo clang
}
