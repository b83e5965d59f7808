#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# examples/certificates.sh [FOLDER [NAME]...]
#
# Make a certificate for this machine, to try TLS with: localhost.pem and localhost.key for a server, and ca.pem for
# clients that shall trust it. They are for localhost, 127.0.0.1 and ::1, or for the NAMEs, and are valid from 2025 on,
# so that simulated runs, which begin in 2026, take them. The authority's own key is thrown away: nothing else can be
# signed with it. In FOLDER, which is made; without one here.

set -eu
folder=${1:-.}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- localhost 127.0.0.1 ::1
if ! command -v openssl >/dev/null; then
    echo "certificates.sh: there is no openssl; to install it: sudo apt-get install -y openssl" >&2
    exit 1
fi
mkdir -p "$folder"
names=""
for name in "$@"; do
    case $name in
        *:* | *[0-9].[0-9]*.[0-9]*.[0-9]*) names="$names,IP:$name" ;;
        *) names="$names,DNS:$name" ;;
    esac
done
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
: >"$scratch/signed"
cat >"$scratch/authority" <<END
[ca]
default_ca = authority
[authority]
database = $scratch/signed
new_certs_dir = $scratch
rand_serial = yes
default_md = sha256
policy = any
[any]
commonName = supplied
[signer]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
[server]
basicConstraints = CA:false
subjectAltName = ${names#,}
END
# sign SUBJECT EXTENSIONS KEY CERTIFICATE ARGUMENT...: make a key, and a certificate for it.
sign() {
    local subject=$1 extensions=$2 key=$3 certificate=$4
    shift 4
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$subject" \
        -keyout "$key" -out "$scratch/request"
    openssl ca -batch -notext -config "$scratch/authority" -extensions "$extensions" -startdate 20250101000000Z \
        -enddate 20450101000000Z -in "$scratch/request" -out "$certificate" "$@"
}
umask 077
if ! {
    sign "authority of $(hostname)" signer "$scratch/ca.key" "$folder/ca.pem" -selfsign -keyfile "$scratch/ca.key" &&
        sign "$1" server "$folder/localhost.key" "$folder/localhost.pem" -cert "$folder/ca.pem" \
            -keyfile "$scratch/ca.key"
} 2>"$scratch/said"; then
    cat "$scratch/said" >&2
    exit 1
fi
chmod 644 "$folder/ca.pem" "$folder/localhost.pem"
echo "a server's: $folder/localhost.pem and $folder/localhost.key; for clients to trust: $folder/ca.pem"
