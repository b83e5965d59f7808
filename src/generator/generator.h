/* SPDX-License-Identifier: MIT */
/* generator.h: what a generator is, for the adaptors. */
#ifndef CR_GENERATOR_H
#define CR_GENERATOR_H
#include <crank/generator.h>
#include "scope/scope.h"

/* The first three may be asked; a running one may be asked by nobody, since it is the asker. One
 * that was closed is no more; its record says so until another takes it. */
enum cr_generator_state {
    CR_GENERATOR_NEW,
    CR_GENERATOR_SLEEPING,
    CR_GENERATOR_ENDED,
    CR_GENERATOR_RUNNING,
    CR_GENERATOR_CLOSED
};

/* A value's address, size and kind; at is NULL for none. */
typedef struct cr_place {
    void *at;
    uint32_t size;
    uint8_t kind;
} cr_place;

/* In a freelist of the loop's, the program's until crank_generator_close. What scopes
 * know and a switch needs comes first; the captured arguments, read once, come last. */
struct crank_generator {
    cr_body body;
    cr_side own, asker;                 /* its stack, and the one it is asked from */
    cr_place out;                       /* where the asker wants the next value */
    cr_place in;                        /* what was sent */
    cr_scope *scope_top, *scope_bottom; /* its own scopes, while it sleeps */
    crank_loop *loop;                   /* the one it was made on */
    const crank_site *site;
    void (*function)(void);
    void *stack; /* NULL before the first run and after the end */
    long result; /* what the body returned */
    int thrown;  /* what the yield it sleeps at will return */
    int line;    /* of the yield it sleeps at */
    enum cr_generator_state state;
    crank_generator *sources[2];    /* an adaptor's, closed with it */
    void *plan;                     /* an adaptor's, freed with it */
    bool owned;                     /* is the source of an adaptor, which closes it */
    crank_generator *older, *newer; /* all of its loop */
    cr_small_args few;
    cr_large_args many;
};

crank_generator *cr_generator_make(crank_function_ *fn, const crank_site *site);
/* Ask for the next value into out, sending in. 1, 0 at the end, or its failure. */
int cr_generator_ask(crank_generator *generator, cr_place out, cr_place in, const char *call);
/* In the body: give what already lies in the asker's place. 0, or what was thrown in. */
int cr_generator_sleep(int line);

/* A CHECK naming call where it was closed. */
void cr_generator_check(const crank_generator *generator, const char *call);

/* ---- generators.c */
/* A record, zero but for its place among the loop's; NULL when memory is short. */
crank_generator *cr_generators_get(crank_loop *loop);
/* Give it back, closed. */
void cr_generators_put(crank_generator *generator);
/* Before the first generator is made. */
void cr_generators_open(crank_loop *loop);
/* Everybody has ended: is there a generator left open? Then a detached task is made
 * that closes them, and true given. */
bool cr_generators_end(crank_loop *loop);
/* Free what is left of them, without running anything. */
void cr_generators_free(crank_loop *loop);
#endif
