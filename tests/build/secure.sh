#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# builds: examples/fetch examples/httpd examples/look_18_tls
# crank's TLS beside others': openssl's client and server, and curl; look/18 for real.
. "$(dirname "$0")/common.sh"

examples=$BUILD/examples
if [ ! -x "$examples/look_18_tls" ] || ! command -v openssl >/dev/null; then
    skip
    finish
fi
folder=$SCRATCH/certificates
server=

# serve COMMAND...: what it says of its port, ":PORT" at the end of an address, is $port.
serve() {
    local line
    coproc SERVER { exec "$@" 2>&1; }
    server=$SERVER_PID
    while read -r -t 10 line <&"${SERVER[0]}"; do
        [[ $line =~ (://|ACCEPT\ )[^/]*:([0-9]+) ]] && port=${BASH_REMATCH[2]} && return 0
    done
    echo "$1 says no port"
    return 1
}
stop() {
    [ -z "$server" ] || { kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; }
    server=
}
trap stop EXIT

# Its port is always 8443, and where another has it the program ends: then it is started again.
look_18() {
    local program said
    program=$(realpath "$examples/look_18_tls")
    for _ in $(seq 100); do
        said=$(cd "$folder" && CRANK_BACKEND=$1 "$program" 2>&1) && break
        [[ $said == *EADDRINUSE* ]] || break
        sleep 0.1
    done
    [ "$said" = "$(cat examples/look/golden/18.txt)" ] || { echo "$said"; return 1; }
}
# VERSION OPTION...: openssl's server is asked by fetch.
fetches_from_openssl() {
    local said
    serve openssl s_server -accept 127.0.0.1:0 -www -cert "$folder/localhost.pem" -key "$folder/localhost.key" "$1" ||
        return 1
    said=$("$examples/fetch" --quiet --timeout 10 --trust "$folder/ca.pem" "https://localhost:$port/" 2>&1)
    stop
    [[ $said == 200* ]] || { echo "$said"; return 1; }
}
# EXPECTED OPTION...: openssl's client asks httpd, and says so.
asks_httpd() {
    local said
    said=$(printf 'GET /page.txt HTTP/1.0\r\nHost: localhost\r\n\r\n' | timeout 10 openssl s_client \
        -connect "127.0.0.1:$port" -servername localhost -CAfile "$folder/ca.pem" -verify_return_error -ign_eof \
        "${@:2}" 2>&1)
    [[ $said == *$1* ]] || { echo "$said" | tail -n 15; return 1; }
}
curl_takes() {
    local said
    said=$(curl -sS --max-time 10 --cacert "$folder/ca.pem" "https://localhost:$port/page.txt" \
        "https://127.0.0.1:$port/page.txt" 2>&1)
    [ "$said" = $'a page\na page' ] || { echo "$said"; return 1; }
}
curl_refuses() {
    local said
    said=$(curl -sS --max-time 10 "https://localhost:$port/page.txt" 2>&1) && { echo "it is trusted"; return 1; }
    [[ $said == *certificate* ]] || { echo "$said"; return 1; }
}

# Certificates of another authority take the place of those that the running server has.
reloads() {
    local line="" said
    examples/certificates.sh "$folder" >/dev/null || return 1
    kill -HUP "$server"
    while [[ $line != *"was read again" ]]; do
        read -r -t 10 line <&"${SERVER[0]}" || { echo "the server does not say that it has read it"; return 1; }
    done
    said=$("$examples/fetch" --quiet --timeout 10 --trust "$folder/ca.pem" "https://localhost:$port/page.txt" 2>&1)
    [[ $said == 200* ]] || { echo "$said"; return 1; }
}

check "certificates are made" examples/certificates.sh "$folder"
check "look/18 on epoll" look_18 epoll
check "look/18 on uring" look_18 uring
check "fetch asks openssl by TLS 1.3" fetches_from_openssl -tls1_3
check "fetch asks openssl by TLS 1.2" fetches_from_openssl -tls1_2
mkdir "$SCRATCH/site"
echo "a page" >"$SCRATCH/site/page.txt"
serve "$examples/httpd" "$SCRATCH/site" 127.0.0.1:0 --cert "$folder/localhost.pem" --key "$folder/localhost.key"
check "openssl asks by TLS 1.3" asks_httpd "a page" -tls1_3
check "openssl asks by TLS 1.2" asks_httpd "a page" -tls1_2
check "openssl is refused with TLS 1.1" asks_httpd "alert protocol version" -tls1_1 -cipher DEFAULT:@SECLEVEL=0
if command -v curl >/dev/null; then
    check "curl asks by either name" curl_takes
    check "curl refuses what it does not trust" curl_refuses
else
    skip
fi
check "a renewed certificate is read at SIGHUP" reloads
stop
finish
