/* SPDX-License-Identifier: MIT */
#ifndef CRANK_CALL_H
#define CRANK_CALL_H
/* Call capture: crank_spawn(fn, args...) calls an assembly stub through fn's own type, so that the compiler checks
 * and converts each argument exactly as for fn(args...). The stub saves the argument registers, nothing runs yet;
 * the new task loads them. fn is evaluated once, before the arguments; an argument may itself spawn or wait.
 *
 * A task returns a scalar of at most 8 bytes or void. An argument is a scalar or a struct of at most 16 bytes, at
 * most 14 of them. Each limit is a _Static_assert with a sentence. Nothing in this header is called by name in a
 * program: it serves crank_spawn and its kin. The technique is that of objc_msgSend (Apple, 1980s on). */
#include "base.h"

#ifndef __cplusplus
#if defined(__GNUC__)
#pragma GCC system_header
#endif

/* Stubs in assembly, and the way to them: through a function, so that the compiler does not compare the types. */
CRANK_API void crank_capture_few_(void);
CRANK_API void crank_capture_many_(void);
typedef void crank_function_(void);
/* A CHECK: what make(), a name, was to make a task of is NULL. */
CRANK_API CRANK_NORETURN void crank_no_function_(const char *make, const crank_site *site);
static inline crank_function_ *crank_few_(void) { return crank_capture_few_; }
static inline crank_function_ *crank_many_(void) { return crank_capture_many_; }

#define CRANK_PICK_(a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, name, ...) name
/* How many arguments follow the function: 0 to 14. */
#define CRANK_ARGS_(...) CRANK_PICK_(__VA_ARGS__, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0)

/* The kind of a type, from a null pointer to it. */
#define CRANK_KIND_OF_(pointer, value_class) \
    ((unsigned char)_Generic((pointer), \
        void *: CRANK_KIND_VOID, _Bool *: CRANK_KIND_BOOL, \
        char *: ((char)-1 < 0 ? CRANK_KIND_SIGNED : CRANK_KIND_UNSIGNED), \
        signed char *: CRANK_KIND_SIGNED, short *: CRANK_KIND_SIGNED, int *: CRANK_KIND_SIGNED, \
        long *: CRANK_KIND_SIGNED, long long *: CRANK_KIND_SIGNED, \
        unsigned char *: CRANK_KIND_UNSIGNED, unsigned short *: CRANK_KIND_UNSIGNED, \
        unsigned *: CRANK_KIND_UNSIGNED, unsigned long *: CRANK_KIND_UNSIGNED, \
        unsigned long long *: CRANK_KIND_UNSIGNED, \
        float *: CRANK_KIND_FLOAT, double *: CRANK_KIND_DOUBLE, \
        default: (value_class)))

/* The class of a value that is none of the arithmetic types above: a pointer (5), or something we refuse. */
#define CRANK_RESULT_CLASS_(p) \
    (__builtin_classify_type(*__builtin_choose_expr( \
        __builtin_types_compatible_p(__typeof__(*(p)), void), (int *)0, (p))) == 5 \
        ? CRANK_KIND_POINTER : CRANK_KIND_NONE)
/* Bytes at p, 1 for a void pointer, without a warning. */
#define CRANK_SIZEOF_AT_(p) \
    sizeof *__builtin_choose_expr(__builtin_types_compatible_p(__typeof__(*(p)), void), (char *)0, (p))
#define CRANK_VALUE_CLASS_(p) (__builtin_classify_type(*(p)) == 5 ? CRANK_KIND_POINTER : CRANK_KIND_STRUCT)

/* CRANK_EACH_(m, f, args...) writes m(i, arg) for each argument that follows f, i counted from 0 (as 0 + 1 + 1). It
 * writes nothing for 15, which the callers refuse. */
#define CRANK_EACH_(m, ...) CRANK_CAT_(CRANK_EACH_, CRANK_ARGS_(__VA_ARGS__))(m, 0, __VA_ARGS__)
#define CRANK_EACH_0(m, i, f)
#define CRANK_EACH_1(m, i, f, a) m(i, a)
#define CRANK_EACH_2(m, i, f, a, ...) m(i, a) CRANK_EACH_1(m, i + 1, f, __VA_ARGS__)
#define CRANK_EACH_3(m, i, f, a, ...) m(i, a) CRANK_EACH_2(m, i + 1, f, __VA_ARGS__)
#define CRANK_EACH_4(m, i, f, a, ...) m(i, a) CRANK_EACH_3(m, i + 1, f, __VA_ARGS__)
#define CRANK_EACH_5(m, i, f, a, ...) m(i, a) CRANK_EACH_4(m, i + 1, f, __VA_ARGS__)
#define CRANK_EACH_6(m, i, f, a, ...) m(i, a) CRANK_EACH_5(m, i + 1, f, __VA_ARGS__)
#define CRANK_EACH_7(m, i, f, a, ...) m(i, a) CRANK_EACH_6(m, i + 1, f, __VA_ARGS__)
#define CRANK_EACH_8(m, i, f, a, ...) m(i, a) CRANK_EACH_7(m, i + 1, f, __VA_ARGS__)
#define CRANK_EACH_9(m, i, f, a, ...) m(i, a) CRANK_EACH_8(m, i + 1, f, __VA_ARGS__)
#define CRANK_EACH_10(m, i, f, a, ...) m(i, a) CRANK_EACH_9(m, i + 1, f, __VA_ARGS__)
#define CRANK_EACH_11(m, i, f, a, ...) m(i, a) CRANK_EACH_10(m, i + 1, f, __VA_ARGS__)
#define CRANK_EACH_12(m, i, f, a, ...) m(i, a) CRANK_EACH_11(m, i + 1, f, __VA_ARGS__)
#define CRANK_EACH_13(m, i, f, a, ...) m(i, a) CRANK_EACH_12(m, i + 1, f, __VA_ARGS__)
#define CRANK_EACH_14(m, i, f, a, ...) m(i, a) CRANK_EACH_13(m, i + 1, f, __VA_ARGS__)
#define CRANK_EACH_15(m, i, f, ...)

#define CRANK_ARG_OK_(i, arg) \
    _Static_assert(sizeof(__typeof__(((void)0, (arg)))) <= 16, \
        "crank: an argument of a task is a scalar or a struct of at most 16 bytes; pass a pointer: " #arg);
/* Words the arguments take, and those that never fit a register: what the large stub saves is limited. */
#define CRANK_WORDS_(arg) ((sizeof(__typeof__(((void)0, (arg)))) + 7) / 8)
#define CRANK_PLUS_WORDS_(i, arg) +CRANK_WORDS_(arg)
#define CRANK_PLUS_LONG_DOUBLE_(i, arg) \
    +(__builtin_types_compatible_p(__typeof__(((void)0, (arg))), long double) ? 2u : 0u)
/* The sum of either, over 3, 4 or 8 to 14 arguments. For other counts no check below needs it and it is 0: each further
 * copy of an argument takes time to compile, above all where calls nest. */
#define CRANK_SUM_(m, ...) \
    CRANK_CAT_(CRANK_SUM_, CRANK_PICK_(__VA_ARGS__, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0))(m, __VA_ARGS__)
#define CRANK_SUM_0(m, ...) 0
#define CRANK_SUM_1(m, ...) (0 CRANK_EACH_(m, __VA_ARGS__))
#define CRANK_ARGS_OK_(n, words, ...) \
    _Static_assert((n) <= 14, "crank: a task takes at most 14 arguments; put them in a struct and pass a pointer"); \
    _Static_assert((n) < 8 || ((words) <= 22 && CRANK_SUM_(CRANK_PLUS_LONG_DOUBLE_, __VA_ARGS__) <= 16), \
        "crank: the arguments of a task take at most 176 bytes together; put them in a struct and pass a pointer"); \
    CRANK_EACH_(CRANK_ARG_OK_, __VA_ARGS__)

/* A bit for each argument that is a pointer, and for each that is an integer, the first in bit 0. */
#define CRANK_CLASS_(arg) __builtin_classify_type(*(__typeof__(((void)0, (arg))) *)0)
#define CRANK_POINTER_BIT_(i, arg) | (CRANK_CLASS_(arg) == 5) << (i)
#define CRANK_INTEGER_BIT_(i, arg) \
    | (CRANK_CLASS_(arg) == 1 && CRANK_WORDS_(arg) == 1 && !__builtin_constant_p(arg)) << (i)
#define CRANK_BITS_(bit, ...) ((unsigned short)(0 CRANK_EACH_(bit, __VA_ARGS__)))

/* Which form a call is saved in: the small one holds two arguments of any type, and up to four of one word each. */
#define CRANK_IS_LARGE_(n, words) ((n) > 4 || ((n) > 2 && (words) > (n)))
/* Save it: without arguments there is nothing to save. */
#define CRANK_STUB_0(type, large, f) ((void)0)
#define CRANK_STUB_1(type, large, f, ...) ((void)((type)((large) ? crank_many_() : crank_few_()))(__VA_ARGS__))

#define CRANK_FIRST_(f, ...) f
#define CRANK_TYPE_CALL_0(t, f) t()
#define CRANK_TYPE_CALL_1(t, f, ...) t(__VA_ARGS__)
/* 1 where an argument follows the function, else 0. A pick chooses from numbers, not from letters: the program may
 * define a macro N. */
#define CRANK_HAS_ARGS_(...) CRANK_PICK_(__VA_ARGS__, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0)

/* Capture fn(args...) and hand it to make(owner, fn, site). id is a number unique to the expansion. */
#define CRANK_CAPTURE_(id, make, owner, ...) \
    __extension__({ \
        __typeof__(owner) CRANK_CAT_(crank_o_, id) = (owner); \
        __typeof__(&*(CRANK_FIRST_(__VA_ARGS__, 0))) CRANK_CAT_(crank_f_, id) = (CRANK_FIRST_(__VA_ARGS__, 0)); \
        __typeof__(CRANK_CAT_(CRANK_TYPE_CALL_, CRANK_HAS_ARGS_(__VA_ARGS__))( \
            CRANK_CAT_(crank_f_, id), __VA_ARGS__)) *const CRANK_CAT_(crank_r_, id) = 0; \
        _Static_assert(CRANK_KIND_OF_(CRANK_CAT_(crank_r_, id), CRANK_RESULT_CLASS_(CRANK_CAT_(crank_r_, id))) \
                != CRANK_KIND_NONE, \
            "crank: a task returns a scalar of at most 8 bytes or void; return through a pointer argument"); \
        enum { \
            CRANK_CAT_(crank_w_, id) = CRANK_SUM_(CRANK_PLUS_WORDS_, __VA_ARGS__), \
            CRANK_CAT_(crank_l_, id) = CRANK_IS_LARGE_(CRANK_ARGS_(__VA_ARGS__), CRANK_CAT_(crank_w_, id)) \
        }; \
        CRANK_ARGS_OK_(CRANK_ARGS_(__VA_ARGS__), CRANK_CAT_(crank_w_, id), __VA_ARGS__) \
        static const crank_site CRANK_CAT_(crank_s_, id) = { \
            CRANK_STRING_(CRANK_FIRST_(__VA_ARGS__, 0)), __FILE__, __func__, __LINE__, \
            CRANK_KIND_OF_(CRANK_CAT_(crank_r_, id), CRANK_RESULT_CLASS_(CRANK_CAT_(crank_r_, id))), \
            (unsigned char)sizeof(*CRANK_CAT_(crank_r_, id)), CRANK_ARGS_(__VA_ARGS__), CRANK_CAT_(crank_l_, id), \
            CRANK_BITS_(CRANK_POINTER_BIT_, __VA_ARGS__), CRANK_BITS_(CRANK_INTEGER_BIT_, __VA_ARGS__) }; \
        if (__builtin_expect(!CRANK_CAT_(crank_f_, id), 0)) \
            crank_no_function_(#make, &CRANK_CAT_(crank_s_, id)); \
        CRANK_CAT_(CRANK_STUB_, CRANK_HAS_ARGS_(__VA_ARGS__))( \
            __typeof__(CRANK_CAT_(crank_f_, id)), CRANK_CAT_(crank_l_, id), __VA_ARGS__); \
        make(CRANK_CAT_(crank_o_, id), (crank_function_ *)CRANK_CAT_(crank_f_, id), \
            &CRANK_CAT_(crank_s_, id)); \
    })
#define CRANK_STRING_(x) CRANK_STRING2_(x)
#define CRANK_STRING2_(x) #x
#endif
#endif
