#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What the libraries show: the shared one the public names under their version, the static one cr_ and crank_ names;
# no data that all threads share but what is listed here.
. "$(dirname "$0")/common.sh"

shared=$BUILD/libcrank.so
archive=$BUILD/libcrank.a
# Data that the whole process shares: a signal's handler, the mapping limit and the numbers of tasks are the process's,
# handles and loops are looked up from any thread, a key by which threads free what they leave is made once, and a mark
# is only ever compared with its address. The watchdog is one per process: which loops it watches, its thread, its texts
# and its signal.
shared_data="cr_check_hook guards_protected handler_mutex handler_users before interrupted_run interrupts"
shared_data="$shared_data handling handled_before cr_forks counted cr_numbers cr_slabs lock alive"
shared_data="$shared_data key_once thread_key key_made mark call_slabs call_slabs_from call_numbers"
shared_data="$shared_data cr_watchdog_sleeps watched alone examined thread generation lives shares timer due"
shared_data="$shared_data prepared looked copy text last_serial"
shared_data="$shared_data chosen question cr_null_faulted"
# Choices are counted over all the loops of a process that follow the environment's list.
shared_data="$shared_data chosen_before"
# Names are looked up by threads of the process's; signals are the process's, and so are their receivers.
shared_data="$shared_data pool receivers received"

exported() { nm -D --defined-only "$shared" | awk '{ print $3 }'; }
none_left() {
    local left
    left=$(cat)
    [ -z "$left" ] || { echo "$left"; return 1; }
}
only_public_names() { exported | grep -vE '^crank_[a-z0-9_]+@@?CRANK_[0-9.]+$|^CRANK_[0-9.]+(@.*)?$' | none_left; }
no_foreign_names() {
    nm --defined-only -g "$archive" 2>/dev/null | awk 'NF == 3 { print $3 }' | grep -vE '^(cr|crank)_' | none_left
}
headers() {
    printf '#include <crank%s.h>\n' '' /loop /explore /sim /layer | gcc -std=gnu11 -Iinclude -E -P -x c -
}
# Every prototype of the headers is there, and nothing is there that no header declares.
headers_match() {
    headers | tr '\n' ' ' | tr ';' '\n' |
        grep 'visibility("default")' | grep -oE 'crank_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u >"$SCRATCH/declared"
    exported | sed 's/@.*//' | grep '^crank_' | sort -u >"$SCRATCH/exported"
    comm -23 "$SCRATCH/exported" "$SCRATCH/declared" | sed 's/^/exported but not declared: /' >"$SCRATCH/differences"
    while read -r name; do
        grep -qx "$name" "$SCRATCH/exported" || echo "declared but not exported: $name"
    done < <(headers | grep -v '^static' | tr '\n' ' ' | tr ';' '\n' | grep 'visibility("default")' |
        grep -oE '\bcrank_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u) >>"$SCRATCH/differences"
    none_left <"$SCRATCH/differences"
}
# Written data of the whole process: neither constants (.data.rel.ro) nor thread-locals (.tdata, .tbss).
no_shared_data() {
    objdump -t "$archive" | awk '{ for (i = 3; i < NF; i++) if ($i ~ /^\.(data|bss)/ && $NF !~ /^\./) print $i, $NF }' |
        grep -v '^\.data\.rel\.ro' | sed -E 's/^[^ ]+ //; s/\.[0-9]+$//' | grep -vxE "${shared_data// /|}" | none_left
}
needs_libc_only() {
    readelf -d "$shared" | grep NEEDED | grep -vE 'libc\.so|ld-linux|libgcc_s' | none_left
}
not_symbolic() { readelf -d "$shared" | grep -iE 'symbolic' | none_left; }
no_text_relocations() { readelf -d "$shared" | grep TEXTREL | none_left; }

# crank-http: its own names alone, none of crank's inside, no data of the process's.
web=$BUILD/lib/http/libcrank-http
only_web_names() {
    nm -D --defined-only "$web.so" | awk '{ print $3 }' |
        grep -vE '^crank_(http|websocket)_[a-z0-9_]+@@?CRANK_HTTP_[0-9.]+$|^CRANK_HTTP_[0-9.]+(@.*)?$' | none_left
}
no_names_but_webs() {
    nm --defined-only -g "$web.a" 2>/dev/null | awk 'NF == 3 { print $3 }' |
        grep -vE '^(cr_http|crank_http|crank_websocket)_' | none_left
}
no_web_data() {
    objdump -t "$web.a" | awk '{ for (i = 3; i < NF; i++) if ($i ~ /^\.(data|bss)/ && $NF !~ /^\./) print $i, $NF }' |
        grep -v '^\.data\.rel\.ro' | none_left
}
web_needs_crank() {
    readelf -d "$web.so" | grep NEEDED | grep -vE 'libcrank(-tls)?\.so|libc\.so|ld-linux|libgcc_s' | none_left
}
# crank-tls: the same, and OpenSSL.
secure=$BUILD/lib/tls/libcrank-tls
only_secure_names() {
    nm -D --defined-only "$secure.so" | awk '{ print $3 }' |
        grep -vE '^crank_tls_[a-z0-9_]+@@?CRANK_TLS_[0-9.]+$|^CRANK_TLS_[0-9.]+(@.*)?$' | none_left
}
no_names_but_secure() {
    nm --defined-only -g "$secure.a" 2>/dev/null | awk 'NF == 3 { print $3 }' | grep -vE '^(cr|crank)_tls_' | none_left
}
no_secure_data() {
    objdump -t "$secure.a" |
        awk '{ for (i = 3; i < NF; i++) if ($i ~ /^\.(data|bss)/ && $NF !~ /^\./) print $i, $NF }' |
        grep -v '^\.data\.rel\.ro' | none_left
}
secure_needs_openssl() {
    readelf -d "$secure.so" | grep NEEDED | grep -vE 'libcrank\.so|lib(ssl|crypto)\.so|libc\.so|ld-linux|libgcc_s' |
        none_left
}

needs "$shared" "$archive"
check "the shared library exports only public, versioned names" only_public_names
check "the static library defines only cr_ and crank_ names" no_foreign_names
check "headers and exports agree" headers_match
check "no data shared by all threads but the listed" no_shared_data
check "the shared library needs libc only" needs_libc_only
check "the shared library is not linked -Bsymbolic" not_symbolic
check "the shared library has no text relocations" no_text_relocations
if [ -e "$web.a" ]; then
    check "the shared crank-http exports only its public, versioned names" only_web_names
    check "the static crank-http defines only its own names" no_names_but_webs
    check "crank-http has no data of the process" no_web_data
    check "crank-http needs crank, crank-tls and libc only" web_needs_crank
else
    skip
fi
if [ -e "$secure.a" ]; then
    check "the shared crank-tls exports only its public, versioned names" only_secure_names
    check "the static crank-tls defines only its own names" no_names_but_secure
    check "crank-tls has no data of the process" no_secure_data
    check "crank-tls needs crank, OpenSSL and libc only" secure_needs_openssl
else
    skip
fi
finish
