/* SPDX-License-Identifier: MIT */
/* names.c: the names that a certificate is for, and why one is refused.
 *
 * Names are compared by OpenSSL: with the alternative names alone, for the common name is no host's
 * name any more; a star stands for one whole label. Text of a certificate is its maker's: before it
 * is shown, bytes that a terminal would obey are taken out. */
#include "tls/names.h"

#include <arpa/inet.h>
#include <crank/layer.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { NAME_ROOM = 256, NAMES_SHOWN = 3 };

/* ---- Text of certificates ---- */

/* Up to size - 1 bytes, terminated. */
static void copy_text(char *buf, size_t size, const unsigned char *text, size_t length)
{
    size_t n = length < size - 1 ? length : size - 1;
    for (size_t i = 0; i < n; i++)
        buf[i] = text[i] < ' ' || text[i] == 0x7f ? '?' : (char)text[i];
    buf[n] = '\0';
}

static void common_name(const X509_NAME *name, char *buf, size_t size)
{
    unsigned char *text = NULL;
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    buf[0] = '\0';
    if (at < 0)
        return;
    int length =
        ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    if (length > 0)
        copy_text(buf, size, text, (size_t)length);
    OPENSSL_free(text);
}

/* One alternative name, where it is a host's; "" else. */
static void host_of(const GENERAL_NAME *name, char *buf, size_t size)
{
    int kind;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &kind);
    buf[0] = '\0';
    if (kind == GEN_DNS)
        copy_text(buf, size, ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
    else if (kind == GEN_IPADD && ASN1_STRING_length(value) == 4)
        (void)inet_ntop(AF_INET, ASN1_STRING_get0_data(value), buf, (socklen_t)size);
    else if (kind == GEN_IPADD && ASN1_STRING_length(value) == 16)
        (void)inet_ntop(AF_INET6, ASN1_STRING_get0_data(value), buf, (socklen_t)size);
}

/* "*.example.com, example.com and 4 others"; "" where there is none. */
static void hosts_of(X509 *certificate, char *buf, size_t size)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    size_t used = 0;
    int shown = 0, others = 0;
    buf[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        char host[NAME_ROOM];
        host_of(sk_GENERAL_NAME_value(names, i), host, sizeof host);
        if (!host[0])
            continue;
        size_t needed = strlen(host) + 2;
        if (shown == NAMES_SHOWN || used + needed + sizeof " and 1000000 others" > size) {
            others++;
            continue;
        }
        used += (size_t)snprintf(buf + used, size - used, "%s%s", shown ? ", " : "", host);
        shown++;
    }
    if (others > 0)
        snprintf(buf + used, size - used, " and %d %s", others, others == 1 ? "other" : "others");
    GENERAL_NAMES_free(names);
}

void cr_tls_names_subject(X509 *certificate, char *buf, size_t size)
{
    char name[NAME_ROOM];
    common_name(X509_get_subject_name(certificate), name, sizeof name);
    if (name[0])
        snprintf(buf, size, "CN=%.*s", (int)(size - sizeof "CN="), name);
    else
        hosts_of(certificate, buf, size);
}

/* ---- Checking ---- */

static bool is_number(const char *name)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

/* A number is not sent: RFC 6066 has names alone. */
bool cr_tls_names_expect(SSL *ssl, const char *name, bool insecure)
{
    char host[NAME_ROOM];
    size_t size = strlen(name);
    if (size > 0 && name[size - 1] == '.')
        size--; /* "localhost.", which is the same */
    if (size == 0 || size >= sizeof host)
        return false;
    memcpy(host, name, size);
    host[size] = '\0';
    bool number = is_number(host);
    if (!number && !SSL_set_tlsext_host_name(ssl, host))
        return false;
    if (insecure)
        return true;
    X509_VERIFY_PARAM *checks = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_time(checks, (time_t)crank_wall_time());
    X509_VERIFY_PARAM_set_hostflags(
        checks, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return number ? X509_VERIFY_PARAM_set1_ip_asc(checks, host)
                  : X509_VERIFY_PARAM_set1_host(checks, host, size);
}

bool cr_tls_names_has(X509 *certificate, const char *host)
{
    return X509_check_host(certificate, host, 0,
               X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT,
               NULL) == 1;
}

/* ---- Why one is refused ---- */

static void date_of(const ASN1_TIME *time, char *buf, size_t size)
{
    struct tm tm;
    if (!ASN1_TIME_to_tm(time, &tm) || strftime(buf, size, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
        snprintf(buf, size, "an unknown time");
}

static int refuse_time(X509 *certificate, bool expired, char *ret_why, size_t size)
{
    char date[64], now[64] = "?", subject[NAME_ROOM];
    time_t seconds = (time_t)crank_wall_time();
    struct tm tm;
    date_of(expired ? X509_get0_notAfter(certificate) : X509_get0_notBefore(certificate), date,
        sizeof date);
    if (gmtime_r(&seconds, &tm))
        strftime(now, sizeof now, "%Y-%m-%d %H:%M:%S", &tm);
    cr_tls_names_subject(certificate, subject, sizeof subject);
    snprintf(ret_why, size, "the certificate %.100s %s %s; it is %s here", subject,
        expired ? "has expired on" : "is valid from", date, now);
    return -EKEYEXPIRED;
}

static int refuse_name(X509 *certificate, const char *name, char *ret_why, size_t size)
{
    char hosts[NAME_ROOM];
    hosts_of(certificate, hosts, sizeof hosts);
    if (hosts[0])
        snprintf(ret_why, size, "the certificate is for %s, not %.100s", hosts, name);
    else
        snprintf(ret_why, size,
            "the certificate is for no host: it has no subjectAltName that could be %.100s", name);
    return -EKEYREJECTED;
}

static int refuse_issuer(X509 *certificate, char *ret_why, size_t size)
{
    char issuer[NAME_ROOM];
    common_name(X509_get_issuer_name(certificate), issuer, sizeof issuer);
    snprintf(ret_why, size,
        "the certificate is signed by \"%.100s\", which is not trusted: give the file of that one "
        "as trust, or have the server send the certificates between",
        issuer);
    return -EKEYREJECTED;
}

int cr_tls_names_refusal(X509_STORE_CTX *checked, const char *name, char *ret_why, size_t size)
{
    int error = X509_STORE_CTX_get_error(checked);
    X509 *at = X509_STORE_CTX_get_current_cert(checked);
    X509 *own = X509_STORE_CTX_get0_cert(checked);
    switch (at ? error : X509_V_OK) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return refuse_name(own, name, ret_why, size);
    case X509_V_ERR_CERT_HAS_EXPIRED: return refuse_time(at, true, ret_why, size);
    case X509_V_ERR_CERT_NOT_YET_VALID: return refuse_time(at, false, ret_why, size);
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        snprintf(ret_why, size,
            "the certificate is signed by itself and not trusted: give its file as trust");
        return -EKEYREJECTED;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN: return refuse_issuer(at, ret_why, size);
    default:
        snprintf(
            ret_why, size, "the certificate is refused: %s", X509_verify_cert_error_string(error));
        return -EKEYREJECTED;
    }
}
