/* SPDX-License-Identifier: MIT */
/* bio.c: OpenSSL's side of the stream below.
 *
 * No call of OpenSSL's waits: reading gives what the stream below has buffered, and writing puts
 * all into its buffer, however much. So no task is ever suspended inside OpenSSL, one task may read
 * an SSL while others write it, and OpenSSL's errors, which belong to a thread, never mix those of
 * two tasks.
 *
 * What the peer can make us write is bounded: it may ask for new keys as often as it likes, each
 * time an answer is due, and when it does not read these they would pile up. */
#include "tls/bio.h"

#include <crank/error.h>
#include <string.h>

enum { ANSWERS_MAX = 64 * 1024 };

static int read_wire(BIO *bio, char *buf, int size)
{
    cr_tls_wire *w = BIO_get_data(bio);
    size_t left = w->size - w->used;
    BIO_clear_retry_flags(bio);
    if (left == 0 && !w->ended)
        BIO_set_retry_read(bio);
    if (left == 0 || size <= 0)
        return left == 0 && w->ended ? 0 : -1;
    size_t n = left < (size_t)size ? left : (size_t)size;
    memcpy(buf, w->bytes + w->used, n);
    w->used += n;
    return (int)n;
}

/* May so many bytes more be answered? */
static bool answer(cr_tls_wire *w, size_t size)
{
    if (crank_unsent(w->below) == 0)
        w->answered = 0;
    w->answered += size;
    return w->answered <= ANSWERS_MAX;
}

static int write_wire(BIO *bio, const char *bytes, int size)
{
    cr_tls_wire *w = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (w->error || size <= 0)
        return -1;
    if (w->reading && !answer(w, (size_t)size))
        w->error = crank_fail(EPROTO, "the peer asks for answers and reads none of them");
    else
        w->error = crank_write_now(w->below, bytes, (size_t)size);
    return w->error < 0 ? -1 : size;
}

static long control(BIO *bio, int what, long number, void *arg)
{
    const cr_tls_wire *w = BIO_get_data(bio);
    (void)number, (void)arg;
    if (what == BIO_CTRL_EOF)
        return w->ended && w->used == w->size;
    return what == BIO_CTRL_FLUSH;
}

BIO_METHOD *cr_tls_bio_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "a crank_stream");
    if (method && BIO_meth_set_read(method, read_wire) && BIO_meth_set_write(method, write_wire) &&
        BIO_meth_set_ctrl(method, control))
        return method;
    BIO_meth_free(method);
    return NULL;
}

BIO *cr_tls_bio_new(BIO_METHOD *method, cr_tls_wire *wire)
{
    BIO *bio = BIO_new(method);
    if (!bio)
        return NULL;
    BIO_set_data(bio, wire);
    BIO_set_init(bio, 1);
    return bio;
}

void cr_tls_bio_show(cr_tls_wire *w)
{
    ssize_t n = crank_peek(w->below, 0, &w->bytes);
    w->size = n > 0 ? (size_t)n : 0;
    w->used = 0;
    w->reading = true;
}

void cr_tls_bio_take(cr_tls_wire *w)
{
    crank_skip(w->below, w->used);
    w->bytes = NULL;
    w->size = w->used = 0;
    w->reading = false;
}

int cr_tls_bio_await(cr_tls_wire *w)
{
    const char *bytes;
    ssize_t n = crank_peek(w->below, 1, &bytes);
    if (n == 0)
        w->ended = true;
    return n < 0 ? (int)n : 0;
}
