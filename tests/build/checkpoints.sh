#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# builds: nothing
# Every prototype marked CRANK_BLOCKS has its row in tests/behaviour/checkpoints*.c and in cancel_everywhere*.c, and no
# other has one.
. "$(dirname "$0")/common.sh"

# The calls of a library have their rows beside its tests.
core() { ls include/crank/*.h | grep -vE '/(http|websocket|tls)\.h$'; }
marked() { core | xargs grep -hoE 'CRANK_BLOCKS [^(]*\(' | grep -oE 'crank_[a-z_]+\(' | tr -d '(' | sort -u; }
rows() { cat "$@" | grep -oE '^    \{ "crank_[a-z_]+"' | grep -oE 'crank_[a-z_]+' | sort -u; }
same() { diff <(marked) <(rows "$@") | grep '^[<>]' | sed 's/^</without a row:/; s/^>/not marked:/' | { ! grep .; }; }

check "every call that may wait is tried with a cancellation pending" same tests/behaviour/checkpoints*.c
check "every call that may wait is cancelled everywhere" same \
    tests/behaviour/cancel_everywhere*.c tests/behaviour/socket_rows.h
library() {
    local headers=${1//,/.h include/crank/}
    # shellcheck disable=SC2086
    grep -hoE 'CRANK_BLOCKS [^(]*\(' include/crank/$headers.h | grep -oE 'crank_[a-z_]+\(' | tr -d '(' | sort -u
}
# A library's rows may be of other calls as well: on its streams, or with its options.
has_rows() {
    {
        comm -23 <(library "$1") <(rows "${@:2}") | sed 's/^/without a row: /'
        comm -13 <(library '*') <(rows "${@:2}") | sed 's/^/not marked: /'
    } | { ! grep .; }
}
check "every call of crank-http that may wait is tried with a cancellation pending" \
    has_rows http,websocket tests/http/life.c tests/http/checkpoints*.c tests/http/cancel_everywhere_serve.c
check "every call of crank-http that waits is cancelled everywhere" \
    has_rows http,websocket tests/http/cancel_everywhere*.c
check "every call of crank-tls that may wait is cancelled everywhere, and tried with a cancellation pending" \
    has_rows tls tests/tls/checkpoints.c
finish
