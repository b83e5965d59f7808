/* SPDX-License-Identifier: MIT */
/* passing.h: descriptors that come between the bytes of a unix socket. */
#ifndef CR_PASSING_H
#define CR_PASSING_H
#include "io/socketlike.h"

typedef struct cr_passing {
    uint64_t received;       /* bytes, from the kernel */
    struct cr_passed *first; /* descriptors that have come and are not taken, oldest first */
    uint64_t lost_place;     /* of the last that came and could not be kept */
    int lost;                /* why not: -EMFILE, -ENOMEM; 0: none was */
    bool single;             /* the next byte alone is wanted */
} cr_passing;

/* What cr_socketlike_kind.receive gives: bytes, and keep what came with them. */
long cr_passing_receive(const cr_socketlike *s, cr_passing *p, void *buf, size_t size);
/* The descriptor of the next byte, which is taken too: the caller's. -ENODATA: it has none, and
 * stays; -EMFILE, -ENOMEM: it was lost. */
int cr_passing_take(cr_socketlike *s, cr_passing *p);
/* Close what no call has taken. */
void cr_passing_close_all(const cr_socketlike *s, cr_passing *p);
#endif
