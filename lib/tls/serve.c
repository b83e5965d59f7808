/* SPDX-License-Identifier: MIT */
/* serve.c: a server of encrypted streams.
 *
 * crank_serve does it all; between its connection and the handler stands the handshake, in the
 * handler's task, so that it keeps no other connection waiting. */
#include <crank/error.h>
#include <crank/layer.h>
#include <crank/scope.h>
#include <crank/tls.h>

typedef struct server {
    crank_tls *tls;
    crank_kept_call *call;
    crank_site site; /* the handler's, by which a connection's task is named */
    crank_listener *listener;
} server;

static int connection(crank_stream *peer, server *s)
{
    int err = crank_tls_start(s->tls, &peer, NULL);
    if (err == -ECANCELED || err == -EINVAL) /* the latter is no peer's doing: tls is a client's */
        return err;
    if (err < 0) {
        crank_error_clear();
        return 0;
    }
    long result = crank_kept_call_make_(s->call, peer);
    return result < 0 && result >= -4095 ? (int)result : 0;
}

static int serve_as(server *s, crank_function_ *function, const crank_site *site)
{
    crank_site_take_(&s->site, site);
    return crank_serve_((crank_serve_what_){ s->listener, NULL }, function, &s->site);
}

static int serve(server *s)
{
    return CRANK_CAPTURE_(__COUNTER__, serve_as, s, connection, (crank_stream *)0, s);
}

/* The captured call lies in the loop's spare record: it is kept before anything else runs. */
int crank_tls_serve_(crank_tls_serve_what_ what, crank_function_ *handler, const crank_site *site)
{
    crank_kept_call *call = crank_kept_call_new_(handler, site);
    server *s = call ? crank_alloc(sizeof *s) : NULL;
    int err;
    if (!s) {
        err = crank_fail(ENOMEM, "crank_tls_serve: out of memory");
    } else if (!what.tls) {
        err = crank_fail(EINVAL, "crank_tls_serve: there is no certificate: tls is NULL");
    } else {
        *s = (server){ .tls = what.tls, .call = call, .site = *site, .listener = what.listener };
        err = serve(s);
    }
    crank_release(s);
    crank_kept_call_free_(call);
    return err;
}
