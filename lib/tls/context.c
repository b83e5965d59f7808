/* SPDX-License-Identifier: MIT */
/* context.c: a crank_tls: its files, and what OpenSSL has made of them.
 *
 * Owns the files' names and the contexts that were made of them. Contexts are made anew whenever a
 * file is added or all are read again, and take the old ones' place when all have succeeded: so a
 * failure changes nothing, and handshakes of other threads go on with those they hold. Reading
 * waits, and no lock is held meanwhile: where another call has put its contexts first, what was
 * made of the files as they were is dropped and made again.
 *
 * Tickets and stored sessions are off: a client that sends its bytes and leaves would be reset for
 * tickets that it has not read. */
#include "tls/context.h"

#include <crank/error.h>
#include <crank/layer.h>
#include <crank/task.h>
#include <openssl/err.h>
#include <string.h>

#include "tls/bio.h"
#include "tls/identity.h"
#include "tls/names.h"
#include "tls/reason.h"

enum { PROTOCOLS_MAX = 65535 };
static const double handshake_seconds = 10;

/* ---- Contexts ---- */

cr_tls_contexts *cr_tls_context_hold(crank_tls *tls)
{
    pthread_mutex_lock(&tls->mutex);
    cr_tls_contexts *contexts = tls->contexts;
    if (contexts)
        atomic_fetch_add(&contexts->refs, 1);
    pthread_mutex_unlock(&tls->mutex);
    return contexts;
}

void cr_tls_context_drop(cr_tls_contexts *contexts)
{
    if (!contexts || atomic_fetch_sub(&contexts->refs, 1) > 1)
        return;
    for (size_t i = 0; i < contexts->count; i++)
        SSL_CTX_free(contexts->list[i]);
    crank_release(contexts);
}

static int choose_protocol(SSL *ssl, const unsigned char **ret_chosen, unsigned char *ret_size,
    const unsigned char *offered, unsigned size, void *arg)
{
    const crank_tls *tls = arg;
    unsigned char *chosen;
    (void)ssl;
    if (SSL_select_next_proto(&chosen, ret_size, tls->wire, tls->wire_size, offered, size) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret_chosen = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* Called when the client's first message is there: the handshake goes on with the context whose
 * certificate is for the name that it asks for. */
static int choose_context(SSL *ssl, int *ret_alert, void *arg)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    cr_tls_contexts *contexts = cr_tls_context_hold(arg);
    (void)ret_alert;
    for (size_t i = 0; name && i < contexts->count; i++)
        if (cr_tls_names_has(SSL_CTX_get0_certificate(contexts->list[i]), name)) {
            (void)SSL_set_SSL_CTX(ssl, contexts->list[i]);
            break;
        }
    cr_tls_context_drop(contexts);
    return SSL_TLSEXT_ERR_OK;
}

/* Of 1.2 a server takes what 1.3 has left of it: keys with forward secrecy, and ciphers that
 * authenticate what they encrypt. A client still talks with servers that have nothing else. */
static const char server_ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

/* OpenSSL's own curves, in its order, without the groups of finite fields, of which 1.3 has some: a
 * peer that names ffdhe8192 has this loop compute for as long as for a thousand curves. */
#define KEY_GROUPS "X25519:P-256:X448:P-521:P-384"

static bool set_up(const crank_tls *tls, SSL_CTX *context)
{
    char groups[] = KEY_GROUPS; /* the macro casts away a const */
    SSL_CTX_set_options(
        context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    if (!SSL_CTX_set_min_proto_version(context, tls->only_13 ? TLS1_3_VERSION : TLS1_2_VERSION) ||
        !SSL_CTX_set_num_tickets(context, 0) || !SSL_CTX_set1_groups_list(context, groups))
        return false;
    if (tls->files && !SSL_CTX_set_cipher_list(context, server_ciphers))
        return false;
    if (!tls->wire)
        return true;
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, (void *)(uintptr_t)tls);
    return SSL_CTX_set_alpn_protos(context, tls->wire, tls->wire_size) == 0;
}

static SSL_CTX *new_context(const crank_tls *tls)
{
    const SSL_METHOD *method = tls->files ? TLS_server_method() : TLS_client_method();
    SSL_CTX *context = SSL_CTX_new_ex(tls->simulated.library, NULL, method);
    if (context && set_up(tls, context))
        return context;
    SSL_CTX_free(context);
    return NULL;
}

static int load(crank_tls *tls, SSL_CTX *context, const cr_tls_files *files)
{
    if (files) {
        SSL_CTX_set_tlsext_servername_callback(context, choose_context);
        SSL_CTX_set_tlsext_servername_arg(context, tls);
        return cr_tls_identity_load(
            context, tls->simulated.library, files->certificate, files->key);
    }
    SSL_CTX_set_verify(context, tls->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    return tls->insecure ? 0 : cr_tls_identity_trust(context, tls->simulated.library, tls->trust);
}

static int add_context(crank_tls *tls, cr_tls_contexts *contexts, const cr_tls_files *files)
{
    SSL_CTX *context = new_context(tls);
    if (!context)
        return cr_tls_reason_fail(ENOMEM, "OpenSSL makes no context");
    contexts->list[contexts->count++] = context;
    return load(tls, context, files);
}

/* What is put behind them later has no part in it. */
static size_t count_files(crank_tls *tls)
{
    size_t count = 0;
    pthread_mutex_lock(&tls->mutex);
    for (const cr_tls_files *f = tls->files; f; f = f->next)
        count++;
    pthread_mutex_unlock(&tls->mutex);
    return count;
}

/* All files, and one more behind them; NULL: none. */
static int make_contexts(crank_tls *tls, const cr_tls_files *more, cr_tls_contexts **ret_contexts)
{
    size_t count = count_files(tls), most = count + 2;
    const cr_tls_files *f = tls->files;
    cr_tls_contexts *contexts = crank_alloc(sizeof *contexts + most * sizeof *contexts->list);
    if (!contexts)
        return crank_fail(ENOMEM, "out of memory for TLS");
    contexts->count = 0;
    atomic_init(&contexts->refs, 1);
    int err = count > 0 ? 0 : add_context(tls, contexts, NULL);
    for (size_t i = 0; err == 0 && i < count; i++, f = i < count ? f->next : NULL)
        err = add_context(tls, contexts, f);
    if (err == 0 && more)
        err = add_context(tls, contexts, more);
    if (err < 0)
        cr_tls_context_drop(contexts);
    else
        *ret_contexts = contexts;
    return err;
}

/* New ones for the old, which connections that hold them go on with. False: others have taken the
 * old ones' place already. */
static bool put_contexts(
    crank_tls *tls, cr_tls_contexts *old, cr_tls_contexts *contexts, cr_tls_files *more)
{
    pthread_mutex_lock(&tls->mutex);
    bool put = tls->contexts == old;
    cr_tls_files **at = &tls->files;
    while (*at)
        at = &(*at)->next;
    if (put) {
        tls->contexts = contexts;
        *at = more;
    }
    pthread_mutex_unlock(&tls->mutex);
    return put;
}

/* Read all files, and one more, which is the crank_tls's then; NULL: none. Old contexts that are
 * held are no others at the same address. */
static int renew_contexts(crank_tls *tls, cr_tls_files *more)
{
    for (;;) {
        cr_tls_contexts *old = cr_tls_context_hold(tls), *made = NULL;
        int err = make_contexts(tls, more, &made);
        bool put = err == 0 && put_contexts(tls, old, made, more);
        cr_tls_context_drop(old);
        if (put)
            cr_tls_context_drop(old); /* once more: the crank_tls held them, too */
        else
            cr_tls_context_drop(made);
        if (err < 0 || put)
            return err;
    }
}

/* ---- What it is told ---- */

/* NULL stays NULL. False when memory is short. */
static bool copy_text(const char *text, char **ret_copy)
{
    *ret_copy = text ? crank_alloc(strlen(text) + 1) : NULL;
    if (*ret_copy)
        memcpy(*ret_copy, text, strlen(text) + 1);
    return !text || *ret_copy;
}

static void free_files(cr_tls_files *files)
{
    while (files) {
        cr_tls_files *next = files->next;
        crank_release(files->certificate);
        crank_release(files->key);
        crank_release(files);
        files = next;
    }
}

static int new_files(const char *certificate, const char *key, cr_tls_files **ret_files)
{
    cr_tls_files *files = crank_alloc(sizeof *files);
    if (files)
        *files = (cr_tls_files){ .next = NULL };
    if (files && copy_text(certificate, &files->certificate) && copy_text(key, &files->key)) {
        *ret_files = files;
        return 0;
    }
    free_files(files);
    return crank_fail(ENOMEM, "out of memory for TLS");
}

/* "h2,http/1.1" as "\2h2\10http/1.1". */
static int write_protocols(crank_tls *tls, const char *text)
{
    size_t size = strlen(text);
    tls->wire = size < PROTOCOLS_MAX ? crank_alloc(size + 1) : NULL;
    if (!copy_text(text, &tls->protocols) || !tls->wire)
        return crank_fail(ENOMEM, "out of memory for TLS");
    tls->wire_size = (unsigned)size + 1;
    for (size_t at = 0; at <= size;) {
        size_t length = strcspn(text + at, ",");
        if (length == 0 || length > CR_TLS_PROTOCOL_MAX)
            return crank_fail(EINVAL,
                "protocols \"%.100s\" is no list as \"h2,http/1.1\", of names of 1 to 255 bytes",
                text);
        tls->wire[at] = (unsigned char)length;
        memcpy(tls->wire + at + 1, text + at, length);
        at += length + 1;
    }
    return 0;
}

static int check(const crank_tls_options *o)
{
    if (!o->certificate && o->key)
        return crank_fail(EINVAL, "a key without a certificate: both are a server's");
    if (o->certificate && (o->trust || o->insecure))
        return crank_fail(EINVAL,
            "trust and insecure are a client's, a certificate a server's: certificates of clients "
            "are not there yet");
    if (o->trust && o->insecure)
        return crank_fail(EINVAL, "trust and insecure: which is meant?");
    if (!(o->handshake >= 0))
        return crank_fail(EINVAL, "handshake is negative or no number");
    return 0;
}

/* ---- The calls ---- */

/* Where there is no file to be read it is a checkpoint all the same. */
static int read_all(crank_tls *tls)
{
    int err = tls->files || tls->trust ? 0 : crank_sleep(0);
    return err < 0 ? err : renew_contexts(tls, NULL);
}

static int open_tls(crank_tls *tls, const crank_tls_options *o)
{
    int err = check(o);
    tls->handshake = o->handshake > 0 ? o->handshake : handshake_seconds;
    tls->only_13 = o->only_13;
    tls->insecure = o->insecure;
    if (err == 0 && o->protocols)
        err = write_protocols(tls, o->protocols);
    if (err == 0 && o->certificate)
        err = new_files(o->certificate, o->key, &tls->files);
    if (err < 0)
        return err;
    tls->method = cr_tls_bio_method();
    bool opened = !cr_tls_simulated_now() || cr_tls_simulated_open(&tls->simulated);
    if (!copy_text(o->trust, &tls->trust) || !tls->method || !opened)
        return cr_tls_reason_fail(ENOMEM, "out of memory for TLS");
    return read_all(tls);
}

crank_tls *crank_tls_with(const crank_tls_options *options)
{
    crank_tls *tls = crank_alloc(sizeof *tls);
    if (!tls) {
        errno = -crank_fail(ENOMEM, "out of memory for TLS");
        return NULL;
    }
    *tls = (crank_tls){ .contexts = NULL };
    atomic_init(&tls->refs, 1);
    atomic_init(&tls->failures, 0);
    pthread_mutex_init(&tls->mutex, NULL);
    int err = open_tls(tls, options ? options : &(crank_tls_options){ .trust = NULL });
    if (err == 0)
        return tls;
    crank_tls_free(tls);
    errno = -err;
    return NULL;
}

crank_tls *crank_tls_server(const char *certificate, const char *key)
{
    if (!certificate) {
        errno = -crank_fail(EINVAL, "crank_tls_server: there is no certificate");
        return NULL;
    }
    return crank_tls_with(&(crank_tls_options){ .certificate = certificate, .key = key });
}

crank_tls *crank_tls_client(const char *trust)
{
    return crank_tls_with(&(crank_tls_options){ .trust = trust });
}

int crank_tls_add(crank_tls *tls, const char *certificate, const char *key)
{
    cr_tls_files *more = NULL;
    if (!tls || !tls->files || !certificate)
        return crank_fail(EINVAL, "crank_tls_add: a certificate is added to a server's");
    int err = new_files(certificate, key, &more);
    if (err == 0)
        err = renew_contexts(tls, more);
    if (err < 0)
        free_files(more);
    return err;
}

int crank_tls_reload(crank_tls *tls) { return read_all(tls); }

size_t crank_tls_failures(const crank_tls *tls) { return atomic_load(&tls->failures); }

bool cr_tls_context_serves(const crank_tls *tls) { return tls->files; }

void cr_tls_context_share(crank_tls *tls) { atomic_fetch_add(&tls->refs, 1); }

void crank_tls_free(crank_tls *tls)
{
    if (!tls || atomic_fetch_sub(&tls->refs, 1) > 1)
        return;
    cr_tls_context_drop(tls->contexts);
    BIO_meth_free(tls->method);
    cr_tls_simulated_close(&tls->simulated);
    free_files(tls->files);
    crank_release(tls->trust);
    crank_release(tls->protocols);
    crank_release(tls->wire);
    pthread_mutex_destroy(&tls->mutex);
    crank_release(tls);
}
