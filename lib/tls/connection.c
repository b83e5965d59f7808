/* SPDX-License-Identifier: MIT */
/* connection.c: one encrypted stream: its handshake, its bytes, its end.
 *
 * Owns the SSL and the stream below. Every call of OpenSSL's begins with an empty queue of errors
 * and ends with one: between them no other task runs.
 *
 * Reading shows OpenSSL what the stream below has, and waits there for more. Writing puts all,
 * never waits, and is bounded by crank's streams: their writers wait while too much is unsent.
 * Where the peer has sent half a message of its own, OpenSSL writes nothing before it has the rest;
 * such bytes are kept, in order, until the reader has that.
 *
 * The peer's end without TLS's own (close_notify) is an error: a third party can cut a connection,
 * and what was read would pass for all. A client reads what has arrived before it closes the stream
 * below: a kernel that closes with input unread sends a reset, which could overtake what was
 * written last. A server's peer is closed by crank_serve, which lingers. */
#include "tls/connection.h"

#include <crank/error.h>
#include <crank/layer.h>
#include <crank/scope.h>
#include <crank/task.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "tls/names.h"
#include "tls/simulated.h"

enum { DELAYED_MAX = 1024 * 1024, DROPPED_MAX = 256 * 1024 };
/* Seconds for TLS's end, where all else is sent; and for a look at what the kernel has. */
static const double farewell = 10, glance = 1e-6;

static void free_connection(cr_tls_connection *c)
{
    SSL_free(c->ssl);
    ERR_clear_error();
    if (c->delayed)
        OPENSSL_cleanse(c->delayed, c->delayed_size);
    crank_release(c->delayed);
    crank_release(c->description);
    crank_tls_free(c->tls);
    crank_release(c);
}

/* ---- Writing ---- */

/* OpenSSL takes all, or nothing. 1: it has; 0: it must read before; else a negative errno. */
static int write_all(cr_tls_connection *c, const void *bytes, size_t size)
{
    size_t written;
    ERR_clear_error();
    int good = SSL_write_ex(c->ssl, bytes, size, &written);
    int error = good ? SSL_ERROR_NONE : SSL_get_error(c->ssl, good);
    ERR_clear_error();
    if (good || error == SSL_ERROR_WANT_READ)
        return good;
    c->failed = c->wire.error ? c->wire.error : -EPROTO;
    return c->failed;
}

static int delay(cr_tls_connection *c, const void *bytes, size_t size)
{
    if (size > DELAYED_MAX - c->delayed_size)
        return c->failed = -EPROTO; /* the peer has left its message unfinished for long */
    char *more = crank_alloc(c->delayed_size + size);
    if (!more)
        return c->failed = -ENOMEM;
    if (c->delayed)
        memcpy(more, c->delayed, c->delayed_size);
    memcpy(more + c->delayed_size, bytes, size);
    crank_release(c->delayed);
    c->delayed = more;
    c->delayed_size += size;
    return 0;
}

static int put(void *self, const void *bytes, size_t size)
{
    cr_tls_connection *c = self;
    if (c->failed)
        return c->failed;
    int n = c->delayed ? 0 : write_all(c, bytes, size);
    return n == 0 ? delay(c, bytes, size) : n < 0 ? n : 0;
}

/* Behind a call that has read. */
static void put_delayed(cr_tls_connection *c)
{
    if (!c->delayed || c->failed || write_all(c, c->delayed, c->delayed_size) == 0)
        return;
    crank_release(c->delayed);
    c->delayed = NULL;
    c->delayed_size = 0;
}

/* TLS's end, behind what was written. */
static int say_end(cr_tls_connection *c)
{
    if (c->failed || (SSL_get_shutdown(c->ssl) & SSL_SENT_SHUTDOWN))
        return c->failed;
    ERR_clear_error();
    int said = SSL_shutdown(c->ssl);
    ERR_clear_error();
    if (said < 0)
        c->failed = c->wire.error ? c->wire.error : -EPROTO;
    return c->failed;
}

static int write_eof(void *self)
{
    cr_tls_connection *c = self;
    if (SSL_version(c->ssl) < TLS1_3_VERSION)
        return crank_fail(ENOTSUP,
            "in TLS 1.2 an end is that of both directions: crank_close, or TLS 1.3 alone "
            "(only_13)");
    return say_end(c);
}

/* ---- Reading ---- */

/* One call of OpenSSL's, which gives SSL_ERROR_... */
static int read_once(cr_tls_connection *c, void *buf, size_t size, size_t *ret_size)
{
    ERR_clear_error();
    cr_tls_bio_show(&c->wire);
    int good = SSL_read_ex(c->ssl, buf, size, ret_size);
    int error = good ? SSL_ERROR_NONE : SSL_get_error(c->ssl, good);
    cr_tls_bio_take(&c->wire);
    return error;
}

/* OpenSSL has no more to say; its queue has the reason. */
static int fail_reading(cr_tls_connection *c)
{
    c->failed = c->wire.error ? c->wire.error : -EPROTO;
    if (c->wire.error)
        return c->wire.error;
    if (c->wire.ended)
        return crank_fail(EPROTO,
            "the connection ended without TLS's own end (close_notify): what was read may not be "
            "all");
    return cr_tls_reason_fail(EPROTO, "the peer breaks TLS's rules");
}

/* OpenSSL has taken whole records only, of which nothing is left, or needs more of one. */
static int await_some(void *self)
{
    cr_tls_connection *c = self;
    const char *bytes;
    if (c->wire.ended || SSL_pending(c->ssl) > 0 || crank_peek(c->wire.below, 0, &bytes) > 0)
        return 0;
    return cr_tls_bio_await(&c->wire);
}

static ssize_t read_some(void *self, void *buf, size_t size)
{
    cr_tls_connection *c = self;
    for (;;) {
        size_t n = 0;
        int error = read_once(c, buf, size, &n);
        if (error == SSL_ERROR_ZERO_RETURN || error == SSL_ERROR_NONE) {
            put_delayed(c);
            return (ssize_t)n;
        }
        if (error != SSL_ERROR_WANT_READ || c->wire.ended)
            return fail_reading(c);
        put_delayed(c);
        int err = cr_tls_bio_await(&c->wire);
        if (err < 0)
            return err;
    }
}

/* ---- The end ---- */

/* What the kernel has, without waiting for more. A read that its limit has ended has had the loop
 * look, so that a second one finds what there is. */
static void drop_input(crank_stream *below)
{
    char bytes[1024];
    size_t dropped = 0;
    for (int missed = 0; missed < 2 && dropped < DROPPED_MAX;) {
        ssize_t n = crank_shield(crank_within(glance, crank_read(below, bytes, sizeof bytes)));
        missed = n == -ETIMEDOUT ? missed + 1 : n > 0 ? 0 : 2;
        dropped += n > 0 ? (size_t)n : 0;
    }
    crank_error_clear();
}

/* Where only TLS's end is unsent a peer that reads nothing is not waited for without end. */
static int send_rest(crank_stream *below, bool is_end)
{
    if (crank_unsent(below) == 0)
        return 0;
    return is_end ? crank_within(farewell, crank_flush(below)) : crank_flush(below);
}

/* A task that is to end waits for nothing: the loop sends what the kernel takes, once. */
static int close_in_order(cr_tls_connection *c)
{
    crank_stream *below = c->wire.below;
    bool is_end = crank_unsent(below) == 0;
    (void)say_end(c);
    (void)crank_shield(crank_sleep(0));
    int err = send_rest(below, is_end);
    if (err < 0)
        crank_abort(below);
    else if (!c->is_server && !c->wire.ended)
        drop_input(below);
    int closed = crank_shield(crank_stream_close(below));
    if (err == 0)
        err = closed;
    return is_end && err != -ECANCELED ? 0 : err; /* it has all that was written */
}

static int close_below(cr_tls_connection *c, bool abort)
{
    if (!abort)
        return close_in_order(c);
    crank_abort(c->wire.below);
    return crank_stream_close(c->wire.below);
}

static int close_connection(void *self, bool abort)
{
    cr_tls_connection *c = self;
    int err = close_below(c, abort);
    free_connection(c);
    return err;
}

static const crank_transport transport = {
    .name = "TLS",
    .read = read_some,
    .await_read = await_some,
    .put = put,
    .write_eof = write_eof,
    .close = close_connection,
};

/* ---- The handshake ---- */

/* Called by OpenSSL for each fault of the peer's certificates: the first is told. */
static int note_refusal(int good, X509_STORE_CTX *checked)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(checked, SSL_get_ex_data_X509_STORE_CTX_idx());
    cr_tls_handshake *h = ((cr_tls_connection *)SSL_get_app_data(ssl))->handshake;
    if (!good && h->refusal == 0)
        h->refusal = cr_tls_names_refusal(checked, h->attempt.name, h->why, sizeof h->why);
    return good;
}

static bool prepare(cr_tls_connection *c, const char *name)
{
    BIO *bio = cr_tls_bio_new(c->tls->method, &c->wire);
    if (!bio)
        return false;
    SSL_set_bio(c->ssl, bio, bio);
    SSL_set_app_data(c->ssl, c);
    if (!name) {
        SSL_set_accept_state(c->ssl);
        return true;
    }
    SSL_set_connect_state(c->ssl);
    SSL_set_verify(c->ssl, c->tls->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
        c->tls->insecure ? NULL : note_refusal);
    return cr_tls_names_expect(c->ssl, name, c->tls->insecure);
}

static void note_first(cr_tls_connection *c)
{
    cr_tls_attempt *a = &c->handshake->attempt;
    while (a->seen < CR_TLS_FIRST_MAX && a->seen < c->wire.size) {
        a->first[a->seen] = (unsigned char)c->wire.bytes[a->seen];
        a->seen++;
    }
}

static int fail_handshake(cr_tls_connection *c, int err)
{
    const char *peer = crank_peer_name(c->wire.below);
    cr_tls_handshake *h = c->handshake;
    if (err == 0)
        err = h->refusal ? h->refusal : -EPROTO;
    h->attempt.ended = c->wire.ended;
    if (!h->refusal)
        cr_tls_reason_handshake(&h->attempt, h->why, sizeof h->why);
    ERR_clear_error();
    return crank_fail(-err, "no TLS with %s: %s", *peer ? peer : "the peer", h->why);
}

static int shake(cr_tls_connection *c)
{
    for (;;) {
        ERR_clear_error();
        cr_tls_bio_show(&c->wire);
        if (c->handshake->attempt.seen == 0)
            note_first(c);
        int good = SSL_do_handshake(c->ssl);
        int error = SSL_get_error(c->ssl, good);
        cr_tls_bio_take(&c->wire);
        if (good == 1)
            return 0;
        if (c->wire.error)
            return c->wire.error;
        if (error != SSL_ERROR_WANT_READ || c->wire.ended)
            return fail_handshake(c, 0);
        int err = cr_tls_bio_await(&c->wire);
        if (err < 0)
            return err;
    }
}

/* For a limit of the caller's, which else says of itself alone; the reason of a request to cancel
 * stays. */
static int say_cut(const char *peer)
{
    const crank_failure *said = crank_last_failure();
    if (said && said->error == -ECANCELED)
        return -ECANCELED;
    return crank_fail(ECANCELED, "the TLS handshake with %s was cut short", peer);
}

static int shake_in_time(cr_tls_connection *c)
{
    const char *name = crank_peer_name(c->wire.below), *peer = *name ? name : "the peer";
    int err = crank_within(c->tls->handshake, shake(c));
    if (err == -ETIMEDOUT)
        return crank_fail(ETIMEDOUT, "no TLS with %s: the handshake has not ended in %g s", peer,
            c->tls->handshake);
    return err == -ECANCELED ? say_cut(peer) : err;
}

/* 0, -ENOMEM. */
static int describe(cr_tls_connection *c)
{
    char subject[100] = "", text[200];
    const unsigned char *protocol;
    unsigned size;
    X509 *peer = SSL_get0_peer_certificate(c->ssl);
    if (peer)
        cr_tls_names_subject(peer, subject, sizeof subject);
    snprintf(text, sizeof text, "%s %s%s%s%s", SSL_get_version(c->ssl), SSL_get_cipher_name(c->ssl),
        *subject ? ", " : "", subject, c->tls->insecure ? ", not checked" : "");
    SSL_get0_alpn_selected(c->ssl, &protocol, &size);
    size_t length = strlen(text);
    c->description = crank_alloc(length + 1 + size + 1);
    if (!c->description)
        return crank_fail(ENOMEM, "out of memory for TLS");
    char *behind = (char *)memcpy(c->description, text, length + 1) + length + 1;
    if (size > 0)
        memcpy(behind, protocol, size);
    behind[size] = '\0';
    c->protocol = behind;
    return 0;
}

/* ---- Starting ---- */

static int new_connection(crank_tls *tls, crank_stream *below, cr_tls_handshake *handshake,
    cr_tls_connection **ret_connection)
{
    const char *name = handshake->attempt.name;
    cr_tls_connection *c = crank_alloc(sizeof *c);
    if (!c)
        return crank_fail(ENOMEM, "out of memory for TLS");
    *c = (cr_tls_connection){
        .tls = tls, .wire = { .below = below }, .handshake = handshake, .is_server = !name
    };
    cr_tls_context_share(tls);
    cr_tls_contexts *contexts = cr_tls_context_hold(tls);
    c->ssl = SSL_new(contexts->list[0]);
    cr_tls_context_drop(contexts);
    if (c->ssl && prepare(c, name)) {
        *ret_connection = c;
        return 0;
    }
    free_connection(c);
    return crank_fail(
        name ? EINVAL : ENOMEM, "crank_tls_start: \"%.100s\" is no host's name", name ? name : "");
}

static int check(const crank_tls *tls, const char *name)
{
    if (!tls)
        return crank_fail(EINVAL, "crank_tls_start: a server has a certificate: tls is NULL");
    if (!name && !cr_tls_context_serves(tls))
        return crank_fail(EINVAL,
            "tls is a client's: a server's has a certificate (crank_tls_server), and a client "
            "says whose name the peer must have");
    if (name && cr_tls_context_serves(tls))
        return crank_fail(EINVAL, "crank_tls_start: tls is a server's, and a name was given");
    if ((tls->simulated.library != NULL) != cr_tls_simulated_now())
        return crank_fail(
            EINVAL, "crank_tls_start: what was made in a simulated run is for that run alone");
    return 0;
}

static int start(crank_tls *tls, crank_stream *below, const char *name, crank_stream **ret_stream)
{
    cr_tls_connection *c = NULL;
    int err = check(tls, name);
    if (err < 0)
        return err;
    cr_tls_handshake handshake = {
        .attempt = { .is_server = !name, .name = name, .protocols = tls->protocols }
    };
    err = new_connection(tls, below, &handshake, &c);
    if (err < 0)
        return err;
    crank_set_write_limit(below, SIZE_MAX);
    err = shake_in_time(c);
    c->handshake = NULL;
    if (err == 0)
        err = describe(c);
    if (err == 0) {
        *ret_stream = crank_stream_new(&transport, c, below);
        if (*ret_stream)
            return 0;
        err = -ENOMEM;
    }
    free_connection(c);
    return err;
}

/* The peer is told why by an alert, which is unsent still. */
static void end_failed(crank_stream *below, int err)
{
    if (err == -ETIMEDOUT || err == -ECANCELED)
        crank_abort(below);
    (void)crank_shield(crank_within(farewell, crank_stream_close(below)));
}

int crank_tls_start(crank_tls *tls, crank_stream **stream, const char *name)
{
    crank_stream *below = *stream;
    crank_tls *own = !tls && name ? crank_tls_client(NULL) : NULL;
    *stream = NULL;
    int err = !tls && name && !own ? -errno : start(own ? own : tls, below, name, stream);
    if (err < 0 && tls)
        atomic_fetch_add(&tls->failures, 1);
    crank_tls_free(own);
    if (err < 0)
        end_failed(below, err);
    else
        crank_layer_trim_stack(); /* no other call of OpenSSL's is as deep */
    return err;
}

/* ---- What is asked of a stream ---- */

static const cr_tls_connection *connection_of(const crank_stream *stream)
{
    return crank_stream_self(stream, &transport);
}

const char *crank_tls_describe(const crank_stream *stream)
{
    const cr_tls_connection *c = connection_of(stream);
    return c ? c->description : "";
}

const char *crank_tls_protocol(const crank_stream *stream)
{
    const cr_tls_connection *c = connection_of(stream);
    return c ? c->protocol : "";
}

void *crank_tls_native(const crank_stream *stream)
{
    const cr_tls_connection *c = connection_of(stream);
    return c ? c->ssl : NULL;
}
