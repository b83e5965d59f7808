/* SPDX-License-Identifier: MIT */
#ifndef CRANK_BASE_H
#define CRANK_BASE_H
/* Marks, types and units that every crank header uses. */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#if defined(__GNUC__)
#pragma GCC system_header /* our GNU-C macros never warn in user code */
#endif

#define CRANK_VERSION_MAJOR 0
#define CRANK_VERSION_MINOR 1
#define CRANK_VERSION_PATCH 0
#define CRANK_VERSION "0.1.0"

#ifdef __cplusplus
#define CRANK_BEGIN_DECLS extern "C" {
#define CRANK_END_DECLS }
#else
#define CRANK_BEGIN_DECLS
#define CRANK_END_DECLS
#endif

/* Exported from the library. */
#define CRANK_API __attribute__((visibility("default")))

/* The call may suspend the running task. It notices a pending cancellation first, on every call, also where it
 * need not wait; and it spends the task's budget, so that calls which never wait cannot starve other tasks. A
 * prototype without this mark never suspends. Outside a run, and inside a callback, it is a CHECK. */
#define CRANK_BLOCKS

#define CRANK_MUST_USE __attribute__((warn_unused_result))
/* Passes a result through: a call that ends a statement expression is not seen as unused by gcc, this one is. */
static inline CRANK_MUST_USE int crank_must_use_(int result) { return result; }
#define CRANK_PRINTF(fmt_at, args_at) __attribute__((format(printf, fmt_at, args_at)))
#define CRANK_CLEANUP_(fn) __attribute__((cleanup(fn)))
#define CRANK_NORETURN __attribute__((noreturn))

/* Seconds that never pass: no timeout. */
#define CRANK_FOREVER (__builtin_inf())

/* Elements of an array. */
#define CRANK_COUNT(array) (sizeof(array) / sizeof *(array))

/* A task: opaque, a number in a pointer's clothes. It is never dereferenced; a handle used after it was given up
 * is recognised and is a CHECK, not a crash: at once where it is awaited, by other calls once the task has ended. */
typedef struct crank_task crank_task;
/* A value that arrives later. */
typedef struct crank_future crank_future;
typedef struct crank_generator crank_generator;
typedef struct crank_loop crank_loop;

/* What kind of value a function returns, a queue holds or a generator yields. */
enum crank_kind {
    CRANK_KIND_NONE = 0,
    CRANK_KIND_VOID = 1,
    CRANK_KIND_BOOL = 2,
    CRANK_KIND_SIGNED = 3,
    CRANK_KIND_UNSIGNED = 4,
    CRANK_KIND_FLOAT = 5,
    CRANK_KIND_DOUBLE = 6,
    CRANK_KIND_POINTER = 7,
    CRANK_KIND_STRUCT = 8
};

/* A place in the user's source at which something was made; static, one per call site. */
typedef struct crank_site {
    const char *function; /* the called function, as written */
    const char *file;
    const char *caller; /* the function in which it is written */
    int line;
    unsigned char kind; /* enum crank_kind of the result */
    unsigned char size; /* bytes of the result */
    unsigned char args;
    bool large; /* the call was captured in the large form */
    unsigned short pointers; /* a bit by argument: which are pointers as written, the first in bit 0 */
    unsigned short integers; /* which are integers; constants are not counted, for they may have become reals */
} crank_site;
/* For libraries that spawn a function of their own in the name of the program's: the site says where the program wrote
 * its call; how the other was captured, captured says. */
static inline void crank_site_take_(crank_site *site, const crank_site *captured)
{
    site->kind = captured->kind;
    site->size = captured->size;
    site->args = captured->args;
    site->large = captured->large;
    site->pointers = captured->pointers;
    site->integers = captured->integers;
}

#define CRANK_CAT_(a, b) CRANK_CAT2_(a, b)
#define CRANK_CAT2_(a, b) a##b
#endif
