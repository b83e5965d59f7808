/* SPDX-License-Identifier: MIT */
/* adaptor.c: generators over generators.
 *
 * Each is an ordinary generator whose body asks its source: nothing here that a user could not
 * have written, but for the types, which are known by size and kind only. It owns the source,
 * also where it was never asked itself, so that closing the outermost closes all. A predicate or
 * function over values is called as its own type wants it: the value stands in the first integer
 * and in the first floating point register, of which it reads one. */
#include "generator/generator.h"
#include "task/result.h"
#include "task/wait.h"
#include "base/check.h"
#include <string.h>

/* What a body must know, on the heap with its generator. */
typedef struct plan {
    crank_generator *a, *b;
    crank_function_ *function;
    cr_place element, result; /* sizes and kinds */
    cr_place second;
    size_t second_offset;
    size_t n;
} plan;

/* Takes the sources whatever happens, so that a chain of adaptors that fails in the middle leaks
 * nothing: NULL in gives NULL out, and the last one's asker is told. One that is both sources is
 * owned once. */
static crank_generator *adapt(
    int (*body)(plan *), const crank_site *site, const plan *given, bool owned)
{
    crank_generator *sources[] = { owned ? given->a : NULL,
        owned && given->b != given->a ? given->b : NULL };
    crank_loop *loop = cr_checked_loop(site->function);
    for (size_t i = 0; i < 2; i++)
        if (sources[i])
            cr_generator_check(sources[i], site->function);
    plan *own = given->a ? cr_alloc(loop->sys, sizeof *own) : NULL;
    crank_generator *g = NULL;
    if (own) {
        *own = *given;
        *cr_fiber_captured_small() = (cr_small_args){ .general = { (uint64_t)(uintptr_t)own } };
        g = cr_generator_make((crank_function_ *)body, site);
    }
    if (!g) { /* the sources were given to us: they end here */
        cr_free(loop->sys, own);
        for (size_t i = 0; i < 2; i++)
            (void)crank_generator_close(sources[i]);
        errno = ENOMEM;
        return NULL;
    }
    g->plan = own;
    for (size_t i = 0; i < 2; i++) {
        g->sources[i] = sources[i];
        if (sources[i])
            sources[i]->owned = true;
    }
    return g;
}

#define SITE(name) \
    { \
        name, __FILE__, "crank", __LINE__, CRANK_KIND_SIGNED, sizeof(int), 1, false, 1, 0 \
    }

/* The generator the body runs in: where its asker wants values. */
static crank_generator *me(void) { return cr_self()->fiber.generator; }

/* Give what already lies in the asker's place. What is sent meanwhile is for nobody, as with the
 * other adaptors, which yield. */
static int pass_on(void) { return cr_generator_sleep(__LINE__); }

/* The value goes from the source straight into the asker's place: take never holds one. */
static int take_body(plan *p)
{
    for (size_t i = 0; i < p->n; i++) {
        int more = cr_generator_ask(p->a, me()->out, (cr_place){ 0 }, "crank_take");
        if (more <= 0)
            return more;
        int err = pass_on();
        if (err < 0)
            return err;
    }
    return 0;
}

crank_generator *crank_take(crank_generator *source, size_t n)
{
    static const crank_site site = SITE("crank_take");
    return adapt(take_body, &site, &(plan){ .a = source, .n = n }, true);
}

/* The source is not closed: it goes on behind what was taken. */
crank_generator *crank_take_from(crank_generator *source, size_t n)
{
    static const crank_site site = SITE("crank_take_from");
    return adapt(take_body, &site, &(plan){ .a = source, .n = n }, false);
}

/* Call a function of one scalar with the value at element. Narrow signed values are widened as
 * the caller's side of the ABI would do. */
static cr_returned call_with(const plan *p, const void *value)
{
    cr_small_args args = { 0 };
    cr_returned returned = { 0 };
    uint64_t bits = 0;
    memcpy(&bits, value, p->element.size);
    if (p->element.kind == CRANK_KIND_SIGNED && p->element.size < sizeof bits) {
        unsigned shift = 64 - 8 * p->element.size;
        bits = (uint64_t)((int64_t)(bits << shift) >> shift);
    }
    args.general[0] = bits;
    args.vector[0] = bits;
    cr_call_captured(p->function, &args, NULL, &returned);
    return returned;
}

/* A predicate returns a bool, of which only the low byte is defined. */
static int filter_body(plan *p)
{
    uint64_t value;
    int more;
    cr_place place = p->element;
    place.at = &value;
    while ((more = cr_generator_ask(p->a, place, (cr_place){ 0 }, "crank_filter")) > 0) {
        if (!(call_with(p, &value).integer & 0xff))
            continue;
        int err = crank_yield_(&value, place.size, place.kind, __LINE__);
        if (err < 0)
            return err;
    }
    return more;
}

/* One general and one floating point register are set: a struct would need more. */
static void scalar_check(const char *call, size_t size, unsigned char kind)
{
    CR_CHECK(size <= 8 && kind != CRANK_KIND_STRUCT,
        "%s: its values must be scalars of at most 8 bytes", call);
}

crank_generator *crank_filter_(
    crank_generator *source, crank_function_ *predicate, size_t size, unsigned char kind)
{
    static const crank_site site = SITE("crank_filter");
    scalar_check("crank_filter", size, kind);
    return adapt(filter_body, &site,
        &(plan){ .a = source, .function = predicate, .element = { NULL, (uint32_t)size, kind } },
        true);
}

/* Which of the two registers holds the result is the result's kind's business. */
static int map_body(plan *p)
{
    uint64_t value;
    int more;
    cr_place place = p->element;
    place.at = &value;
    while ((more = cr_generator_ask(p->a, place, (cr_place){ 0 }, "crank_map")) > 0) {
        cr_returned returned = call_with(p, &value);
        bool real = cr_kind_is_real(p->result.kind);
        const void *from = real ? (const void *)&returned.real : (const void *)&returned.integer;
        int err = crank_yield_(from, p->result.size, p->result.kind, __LINE__);
        if (err < 0)
            return err;
    }
    return more;
}

crank_generator *crank_map_(crank_generator *source, crank_function_ *function, size_t size,
    unsigned char kind, size_t result_size, unsigned char result_kind)
{
    static const crank_site site = SITE("crank_map");
    scalar_check("crank_map", size, kind);
    scalar_check("crank_map", result_size, result_kind);
    return adapt(map_body, &site,
        &(plan){ .a = source,
            .function = function,
            .element = { NULL, (uint32_t)size, kind },
            .result = { NULL, (uint32_t)result_size, result_kind } },
        true);
}

/* Both values are asked for into the pair itself, laid out as the user's struct. The first of a
 * source that is longer by one is lost, as zip's is everywhere. */
static int zip_body(plan *p)
{
    char pair[32] = { 0 };
    for (;;) {
        cr_place first = p->element, second = p->second;
        first.at = pair;
        second.at = pair + p->second_offset;
        int more = cr_generator_ask(p->a, first, (cr_place){ 0 }, "crank_zip");
        if (more > 0)
            more = cr_generator_ask(p->b, second, (cr_place){ 0 }, "crank_zip");
        if (more <= 0)
            return more;
        int err = crank_yield_(pair, p->n, CRANK_KIND_STRUCT, __LINE__);
        if (err < 0)
            return err;
    }
}

/* The offsets are the caller's compiler's, so that no layout is guessed here. */
crank_generator *crank_zip_(
    crank_generator *a, crank_generator *b, const size_t sizes[4], const unsigned char kinds[2])
{
    static const crank_site site = SITE("crank_zip");
    CR_CHECK(sizes[0] <= 8 && sizes[1] <= 8, "crank_zip: its values must be at most 8 bytes");
    if (!a || !b) {
        (void)crank_generator_close(a ? a : b);
        errno = ENOMEM;
        return NULL;
    }
    return adapt(zip_body, &site,
        &(plan){ .a = a,
            .b = b,
            .element = { NULL, (uint32_t)sizes[0], kinds[0] },
            .second = { NULL, (uint32_t)sizes[1], kinds[1] },
            .second_offset = sizes[2],
            .n = sizes[3] },
        true);
}

/* It ends its source, as a loop over it would: a failure of the closing counts where there was
 * none before, and is reported where there was. */
ssize_t crank_collect_(
    crank_generator *source, void *array, size_t max, size_t size, unsigned char kind)
{
    cr_caller w;
    size_t count = 0;
    int more = cr_checkpoint(&w, "crank_collect");
    while (more >= 0 && count < max &&
           (more = crank_next_(source, (char *)array + count * size, size, kind)) > 0)
        count++;
    if (more < 0) {
        crank_generator_end_(source);
        return more;
    }
    int closed = crank_generator_close(source);
    return closed < 0 ? closed : (ssize_t)count;
}
