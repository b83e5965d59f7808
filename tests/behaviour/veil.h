/* SPDX-License-Identifier: MIT */
/* veil.h: a transport for tests, over any stream: each byte is changed by its place among all, so that one that is
 * lost, doubled or moved is seen; and both directions are cut at odd places. */
#ifndef VEIL_H
#define VEIL_H
#include "test.h"

typedef struct veil {
    crank_stream *below;
    uint64_t read, written; /* so many bytes */
    bool ended;             /* write_eof was called */
} veil;

/* Of all veils of the test. */
static struct {
    int open;    /* made and not closed */
    int aborted; /* closed so */
    int puts;
    int fail_put;   /* the next put gives this errno; 0 */
    int fail_read;  /* the next read does */
    int fail_close; /* the next close does, when it has closed */
} veils;

static inline char veil_change(char byte, uint64_t place)
{
    return (char)(byte ^ (char)(place * 37 + place / 251 + 1));
}

static inline ssize_t veil_read(void *self, void *buf, size_t size)
{
    veil *v = self;
    char *bytes = buf;
    size_t most = 7 + v->read % 1021;
    if (veils.fail_read) {
        int err = -veils.fail_read;
        veils.fail_read = 0;
        return crank_fail(-err, "the veil is torn");
    }
    ssize_t n = crank_read(v->below, buf, size < most ? size : most);
    for (ssize_t i = 0; i < n; i++)
        bytes[i] = veil_change(bytes[i], v->read++);
    return n;
}

static inline int veil_put(void *self, const void *bytes, size_t size)
{
    char piece[1021];
    veil *v = self;
    const char *from = bytes;
    veils.puts++;
    if (veils.fail_put) {
        int err = -veils.fail_put;
        veils.fail_put = 0;
        return err;
    }
    while (size > 0) {
        size_t n = size < sizeof piece ? size : sizeof piece;
        for (size_t i = 0; i < n; i++)
            piece[i] = veil_change(*from++, v->written++);
        int err = crank_write_now(v->below, piece, n);
        if (err < 0)
            return err;
        size -= n;
    }
    return 0;
}

static inline int veil_write_eof(void *self)
{
    veil *v = self;
    v->ended = true;
    return crank_write_eof(v->below);
}

static inline int veil_close(void *self, bool abort)
{
    veil *v = self;
    crank_stream *below = v->below;
    veils.open--;
    veils.aborted += abort;
    free(v);
    if (abort)
        crank_abort(below);
    int err = crank_close(below);
    if (err == 0 && veils.fail_close) {
        err = -veils.fail_close;
        veils.fail_close = 0;
    }
    return err;
}

static const crank_transport veil_transport = {
    .name = "veil", .read = veil_read, .put = veil_put, .write_eof = veil_write_eof, .close = veil_close
};

/* Put one over *stream, in its place. On failure nothing changes. */
static inline int veil_over_as(crank_stream **stream, const crank_transport *transport)
{
    veil *v = calloc(1, sizeof *v);
    if (!v)
        return -ENOMEM;
    v->below = *stream;
    crank_stream *veiled = crank_stream_new(transport, v, *stream);
    if (!veiled) {
        int err = -errno;
        free(v);
        return err;
    }
    veils.open++;
    *stream = veiled;
    return 0;
}
static inline int veil_over(crank_stream **stream) { return veil_over_as(stream, &veil_transport); }
#endif
