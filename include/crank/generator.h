/* SPDX-License-Identifier: MIT */
#ifndef CRANK_GENERATOR_H
#define CRANK_GENERATOR_H
/* Generators: functions that give values one by one. A generator is an extra stack of the task that asks it for
 * values, not a task: same crank_self, task-locals and cancellation, and a wait inside it is a wait of that task. So
 * a plain and an asynchronous generator are the same thing. Asking for a value waits only where the body does; by
 * itself it neither notices a cancellation nor spends the task's budget. */
#include "base.h"
#include "call.h"
#include "error.h"
#if defined(__GNUC__)
#pragma GCC system_header
#endif

CRANK_BEGIN_DECLS

#ifndef __cplusplus
/* A generator whose body is fn(args...), an int or long function. Nothing runs until the first value is asked for.
 * It belongs to the caller, who closes it (crank_foreach does, CRANK_AUTO_GENERATOR does); one that is left open is
 * reported and closed when the run ends. NULL when memory is short (crank_next then gives -ENOMEM). */
#define crank_generate(...) CRANK_CAPTURE_(__COUNTER__, crank_generate_, 0, __VA_ARGS__)
CRANK_API crank_generator *crank_generate_(int zero, crank_function_ *fn, const crank_site *site);

/* Inside a generator: give a value and sleep until the next is asked for. 0; -ECANCELED when the generator is being
 * closed; what was thrown in; all to be returned by way of crank_try. Outside a generator a CHECK. */
#define crank_yield(value) CRANK_YIELD_(__COUNTER__, value)
#define CRANK_YIELD_(id, value) \
    __extension__({ \
        __typeof__(((void)0, (value))) CRANK_CAT_(crank_v_, id) = (value); \
        crank_yield_(&CRANK_CAT_(crank_v_, id), sizeof CRANK_CAT_(crank_v_, id), \
            CRANK_KIND_OF_(&CRANK_CAT_(crank_v_, id), CRANK_VALUE_CLASS_(&CRANK_CAT_(crank_v_, id))), __LINE__); \
    })
/* Inside a generator: x = yield. Give no value, sleep, and receive what crank_send brings. *ret is untouched when
 * asked by crank_next. 1 when something was sent, 0 when not; fails as crank_yield. */
#define crank_receive(ret) \
    crank_receive_((ret), sizeof *(ret), CRANK_KIND_OF_((ret), CRANK_VALUE_CLASS_(ret)), __LINE__)
/* Inside a generator: x = yield value. */
#define crank_exchange(value, ret) CRANK_EXCHANGE_(__COUNTER__, value, ret)
#define CRANK_EXCHANGE_(id, value, ret) \
    __extension__({ \
        __typeof__(((void)0, (value))) CRANK_CAT_(crank_v_, id) = (value); \
        crank_exchange_(&CRANK_CAT_(crank_v_, id), sizeof CRANK_CAT_(crank_v_, id), \
            CRANK_KIND_OF_(&CRANK_CAT_(crank_v_, id), CRANK_VALUE_CLASS_(&CRANK_CAT_(crank_v_, id))), (ret), \
            sizeof *(ret), CRANK_KIND_OF_((ret), CRANK_VALUE_CLASS_(ret)), __LINE__); \
    })

/* Ask for the next value. 1 with *ret_value set; 0 at the end, and ever after. The size and kind of *ret_value must be
 * those yielded: a CHECK. ret_value may be NULL. Fails with what the generator failed with (then it has ended). A
 * generator that asks itself is a CHECK. */
#define crank_next(generator, ret_value) \
    crank_next_((generator), (ret_value), CRANK_SIZEOF_AT_(ret_value), \
        CRANK_KIND_OF_((ret_value), CRANK_VALUE_CLASS_V_(ret_value)))
/* Send a value in and ask for the next. Fails with -EINVAL when the generator has not come to its first yield; else as
 * crank_next. */
#define crank_send(generator, value, ret_value) CRANK_SEND_(__COUNTER__, generator, value, ret_value)
#define CRANK_SEND_(id, generator, value, ret_value) \
    __extension__({ \
        __typeof__(((void)0, (value))) CRANK_CAT_(crank_v_, id) = (value); \
        crank_send_((generator), &CRANK_CAT_(crank_v_, id), sizeof CRANK_CAT_(crank_v_, id), \
            CRANK_KIND_OF_(&CRANK_CAT_(crank_v_, id), CRANK_VALUE_CLASS_(&CRANK_CAT_(crank_v_, id))), (ret_value), \
            CRANK_SIZEOF_AT_(ret_value), CRANK_KIND_OF_((ret_value), CRANK_VALUE_CLASS_V_(ret_value))); \
    })
#define CRANK_VALUE_CLASS_V_(p) \
    (__builtin_types_compatible_p(__typeof__(*(p)), void) ? CRANK_KIND_VOID \
        : __builtin_classify_type(*__builtin_choose_expr(__builtin_types_compatible_p(__typeof__(*(p)), void), \
              (int *)0, (p))) == 5 ? CRANK_KIND_POINTER : CRANK_KIND_STRUCT)

/* Loop over the values of a generator and close it at the end of the loop, also after break, return and goto. A
 * failure of the generator is returned from the function, as crank_try does; so is, after break, a
 * cancellation that interrupts its cleanups. After return and goto the next wait notices that. */
#define crank_foreach(T, v, generator) CRANK_FOREACH_(__COUNTER__, #generator, T, v, generator)
#define CRANK_FOREACH_(id, text, T, v, generator) \
    for (crank_generator *CRANK_CAT_(crank_g_, id) CRANK_CLEANUP_(crank_generator_drop_) = \
             crank_foreach_source_(generator); \
         CRANK_CAT_(crank_g_, id); CRANK_CAT_(crank_g_, id) = __extension__({ \
             long crank_c_ = crank_generator_close(CRANK_CAT_(crank_g_, id)); \
             CRANK_CAT_(crank_g_, id) = NULL; \
             if (crank_c_ < 0) \
                 return CRANK_TRACED_(text, crank_c_); \
             (crank_generator *)NULL; \
         })) \
        for (T v; __extension__({ \
                 long crank_w_ = crank_next(CRANK_CAT_(crank_g_, id), &v); \
                 if (__builtin_expect(crank_w_ < 0, 0)) \
                     return CRANK_TRACED_(text, crank_w_); \
                 crank_w_ > 0; \
             });)
#define CRANK_AUTO_GENERATOR CRANK_CLEANUP_(crank_generator_drop_)

/* Adaptors over any generator; each takes its source over and closes it when closed. T and R are scalar types. */
#define crank_filter(T, source, predicate) \
    crank_filter_((source), (crank_function_ *)__extension__((bool (*[])(T)){ (predicate) })[0], sizeof(T), \
        CRANK_KIND_OF_((T *)0, CRANK_VALUE_CLASS_((T *)0)))
#define crank_map(R, T, source, function) \
    crank_map_((source), (crank_function_ *)__extension__((R (*[])(T)){ (function) })[0], sizeof(T), \
        CRANK_KIND_OF_((T *)0, CRANK_VALUE_CLASS_((T *)0)), sizeof(R), \
        CRANK_KIND_OF_((R *)0, CRANK_VALUE_CLASS_((R *)0)))
/* Pairs, as long as both give: a struct { A first; B second; } per step, both of at most 8 bytes. a and b may be the
 * same, which then gives two values to each pair. */
#define CRANK_PAIR(A, B) struct { A first; B second; }
#define crank_zip(A, a, B, b) \
    crank_zip_((a), (b), \
        (const size_t[]){ \
            sizeof(A), sizeof(B), __builtin_offsetof(CRANK_PAIR(A, B), second), sizeof(CRANK_PAIR(A, B)) }, \
        (const unsigned char[]){ \
            CRANK_KIND_OF_((A *)0, CRANK_VALUE_CLASS_((A *)0)), CRANK_KIND_OF_((B *)0, CRANK_VALUE_CLASS_((B *)0)) })
/* Take up to max values into array and close the source. How many, or its failure; -ECANCELED. */
#define crank_collect(source, array, max) \
    crank_collect_( \
        (source), (array), (max), CRANK_SIZEOF_AT_(array), CRANK_KIND_OF_((array), CRANK_VALUE_CLASS_V_(array)))
CRANK_API crank_generator *crank_filter_(crank_generator *source, crank_function_ *predicate, size_t size,
    unsigned char kind);
CRANK_API crank_generator *crank_map_(crank_generator *source, crank_function_ *function, size_t size,
    unsigned char kind, size_t result_size, unsigned char result_kind);
/* sizes: of A, of B, offset of second, of the pair. */
CRANK_API crank_generator *crank_zip_(crank_generator *a, crank_generator *b, const size_t sizes[4],
    const unsigned char kinds[2]);
#endif
/* The first n values of source, which is taken over. */
CRANK_API crank_generator *crank_take(crank_generator *source, size_t n);
/* As crank_take, but the source stays the caller's and may be asked again after. */
CRANK_API crank_generator *crank_take_from(crank_generator *source, size_t n);
CRANK_API CRANK_BLOCKS ssize_t crank_collect_(crank_generator *source, void *array, size_t max, size_t size,
    unsigned char kind);

CRANK_API int crank_yield_(const void *value, size_t size, unsigned char kind, int line);
CRANK_API int crank_receive_(void *ret, size_t size, unsigned char kind, int line);
CRANK_API int crank_exchange_(const void *value, size_t size, unsigned char kind, void *ret,
    size_t ret_size, unsigned char ret_kind, int line);
CRANK_API int crank_next_(crank_generator *generator, void *ret_value, size_t size, unsigned char kind);
CRANK_API int crank_send_(crank_generator *generator, const void *value, size_t size,
    unsigned char kind, void *ret_value, size_t ret_size, unsigned char ret_kind);
/* Inside a generator: give all values of another, passing sends, throws and the close on to it, and close it. Gives
 * what its body returned; fails with what it failed with. */
CRANK_API long crank_yield_from(crank_generator *generator);
/* Make the yield at which the generator sleeps return -error (either sign). 1 when it yielded again (the value is
 * passed over), 0 when it ended, or its failure. One that has not started ends with that error. */
CRANK_API int crank_throw(crank_generator *generator, int error);
/* End a generator and free it: the yield at which it sleeps returns -ECANCELED, its cleanups run. 0, or the failure it
 * ends with (that -ECANCELED counts as none; one by which a wait of a cleanup was interrupted stays). It waits where a
 * cleanup does. One that goes on yielding is a CHECK; so is any use of the generator after, as far as its memory has
 * not become another's. NULL is ignored. */
CRANK_API int crank_generator_close(crank_generator *generator);
/* What the body returned, once it has ended: 0 and *ret_value; -EAGAIN before. NULL is a CHECK (in all three). */
CRANK_API int crank_generator_result(const crank_generator *generator, long *ret_value);
/* The line at which it sleeps: of its last yield; before the first, that of crank_generate; 0 after the end. */
CRANK_API int crank_generator_line(const crank_generator *generator);
/* Describe it on one line, as crank_describe. */
CRANK_API size_t crank_generator_describe(const crank_generator *generator, char *buf, size_t size);
/* Close it where nobody can be given its failure: that is reported. */
CRANK_API void crank_generator_end_(crank_generator *generator);
CRANK_API crank_generator *crank_foreach_source_(crank_generator *generator);
static inline void crank_generator_drop_(crank_generator **generator)
{
    if (*generator)
        crank_generator_end_(*generator);
}

CRANK_END_DECLS
#endif
