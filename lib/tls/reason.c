/* SPDX-License-Identifier: MIT */
/* reason.c: what OpenSSL says went wrong, as a sentence of ours.
 *
 * OpenSSL's words are kept, so that they can be looked up; before them stands what they mean here
 * and what to do, for the cases that users meet: a peer that speaks no TLS, or none that is new
 * enough, or does not trust the certificate. */
#include "tls/reason.h"

#include <crank/error.h>
#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The first error is the cause, those behind it are its effects. */
static const char *first_words(void)
{
    unsigned long error = ERR_peek_error();
    const char *words = error ? ERR_reason_error_string(error) : NULL;
    if (!words && ERR_SYSTEM_ERROR(error))
        words = strerror(ERR_GET_REASON(error));
    return words ? words : "no reason is given";
}

int cr_tls_reason_fail(int error, const char *format, ...)
{
    char what[CR_TLS_WHY_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (ERR_GET_REASON(ERR_peek_error()) == ERR_R_MALLOC_FAILURE)
        error = ENOMEM;
    (void)crank_fail(error, "%s: %s", what, first_words());
    ERR_clear_error();
    return -error;
}

/* ---- Handshakes ---- */

/* A record of TLS begins with its kind, of which a handshake's first are these, and a 3. */
static bool is_tls(const cr_tls_attempt *a)
{
    return a->seen == 0 ||
           ((a->first[0] == 0x15 || a->first[0] == 0x16) && (a->seen < 2 || a->first[1] == 3));
}

static bool begins_with(const cr_tls_attempt *a, const char *text)
{
    size_t size = strlen(text);
    return a->seen >= size && memcmp(a->first, text, size) == 0;
}

/* Plain bytes, and what they look like. */
static const char *what_instead(const cr_tls_attempt *a)
{
    static const char *const methods[] = { "GET ", "HEAD ", "POST ", "PUT ", "OPTIO" };
    if (begins_with(a, "HTTP/"))
        return "it speaks HTTP without TLS: http:// is the scheme for it, or it is another port";
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (begins_with(a, methods[i]))
            return "it has sent an HTTP request without TLS: https:// is the scheme for this port";
    return a->is_server ? "it has sent something else than TLS"
                        : "it speaks no TLS: is it another port?";
}

/* An alert of the peer's, which says what it dislikes. NULL: no such. */
static const char *dislike(int reason)
{
    switch (reason) {
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED: return "the peer refuses the certificate";
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
        return "one side has no TLS that the other takes; 1.2 and 1.3 are taken here, or 1.3 alone "
               "where only_13 is set";
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        return "the two have no cipher or signature in common";
    default: return NULL;
    }
}

void cr_tls_reason_handshake(const cr_tls_attempt *a, char *ret_why, size_t size)
{
    unsigned long error = ERR_peek_error();
    int reason = ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;
    const char *meaning = dislike(reason);
    bool is_protocol = reason == SSL_R_NO_APPLICATION_PROTOCOL ||
                       reason == SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL;
    if (!is_tls(a))
        snprintf(ret_why, size, "%s", what_instead(a));
    else if (a->ended)
        snprintf(ret_why, size, "the peer has ended the connection amid the handshake");
    else if (is_protocol)
        snprintf(ret_why, size, "the peer takes none of the protocols \"%s\" (%s)",
            a->protocols ? a->protocols : "", first_words());
    else if (meaning)
        snprintf(ret_why, size, "%s (%s)", meaning, first_words());
    else
        snprintf(ret_why, size, "%s", first_words());
    ERR_clear_error();
}
