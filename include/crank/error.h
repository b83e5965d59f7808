/* SPDX-License-Identifier: MIT */
#ifndef CRANK_ERROR_H
#define CRANK_ERROR_H
/* Errors: a function that can fail returns int, long or ssize_t with a negative errno, or a pointer with NULL (then
 * errno is set too). Beside the number every task keeps a message and an error return trace: the places the error
 * passed through, across awaits, with the place each task was spawned. Nothing is spent on them until one occurs. */
#include "base.h"
#if defined(__GNUC__)
#pragma GCC system_header
#endif

CRANK_BEGIN_DECLS

/* One place in an error's trace. */
typedef struct crank_trace_entry {
    const char *file;
    const char *function;
    const char *what; /* the expression that failed, or NULL where the error was made */
    int line;
    bool spawned; /* the task was spawned (the future was made) here, the error came out of its end */
} crank_trace_entry;

/* An error as kept by a task: read-only, valid until the task's next error or its end. A group's failure holds the
 * failures of all its children, in the order in which they failed. */
typedef struct crank_failure {
    int error; /* negative errno */
    const char *message;
    const char *task; /* the name of the task in which it was made */
    const crank_trace_entry *trace;
    size_t trace_count;
    const struct crank_failure *const *children;
    size_t child_count;
} crank_failure;

/* Make an error: sets the running task's message, begins a trace here, and gives -error (error may be given with
 * either sign; 0 counts as EINVAL). The message is cut at 511 bytes. Works outside a task too (per thread). */
#define crank_fail(error, ...) crank_fail_(__FILE__, __LINE__, __func__, (error), __VA_ARGS__)
CRANK_API int crank_fail_(const char *file, int line, const char *function, int error, const char *format, ...)
    CRANK_PRINTF(5, 6);

/* The running task's last error message, "" if it has had none. Valid until the next error of this task. */
CRANK_API const char *crank_error(void);
/* The whole of it, or NULL if there is none. */
CRANK_API const crank_failure *crank_last_failure(void);
/* Forget it. */
CRANK_API void crank_error_clear(void);
/* Print it, with its trace and the children's, to stderr. */
CRANK_API void crank_error_print(void);
/* Write it into buf as crank_error_print would, cut to size and terminated. Gives the length it would have. */
CRANK_API size_t crank_error_format(char *buf, size_t size);

/* "ENOENT" for ENOENT or -ENOENT; "E?" for what is none. */
CRANK_API const char *crank_errno_name(int error);

#ifndef __cplusplus
CRANK_API int crank_traced_(const char *file, int line, const char *function, const char *what, long error,
    const void *frame);
CRANK_API long crank_null_error_(void);

/* Classes of values crank_try takes: integers that carry -errno, and pointers. */
#define CRANK_TRY_OK_(v) \
    _Static_assert(__builtin_types_compatible_p(__typeof__(v), int) || \
            __builtin_types_compatible_p(__typeof__(v), long) || __builtin_classify_type(v) == 5, \
        "crank_try takes int, long, ssize_t or a pointer")
#define CRANK_TRY_ERROR_(v) \
    __builtin_choose_expr(__builtin_classify_type(v) == 5, ((const void *)(intptr_t)(v) ? 0L : crank_null_error_()), \
        (long)(intptr_t)(v))
#define CRANK_TRACED_(what, error) \
    crank_traced_(__FILE__, __LINE__, __func__, (what), (error), __builtin_frame_address(0))

/* The value of expr; where it is a failure (negative, or a NULL pointer) return it from this function, which must
 * return an integer, noting the place. Where this return leaves a timeout or group opened in this same function that
 * caused an -ECANCELED, what is returned is the scope's own error: -ETIMEDOUT, or the failed child's. */
#define crank_try(expr) CRANK_TRY_(__COUNTER__, #expr, expr, return crank_failed_)
/* The same in a function that returns a pointer: returns NULL, errno and the message are set. */
#define crank_try_null(expr) CRANK_TRY_(__COUNTER__, #expr, expr, errno = -crank_failed_; return NULL)
/* The same, running statement instead of returning: crank_try_or(f(), goto out). In it crank_failed_ is the error:
 * crank_try_or(f(), err = crank_failed_; goto out). */
#define crank_try_or(expr, statement) CRANK_TRY_(__COUNTER__, #expr, expr, statement)
#define CRANK_TRY_(id, text, expr, statement) \
    __extension__({ \
        __typeof__(expr) CRANK_CAT_(crank_v_, id) = (expr); \
        CRANK_TRY_OK_(CRANK_CAT_(crank_v_, id)); \
        long CRANK_CAT_(crank_e_, id) = CRANK_TRY_ERROR_(CRANK_CAT_(crank_v_, id)); \
        if (__builtin_expect(CRANK_CAT_(crank_e_, id) < 0, 0)) { \
            int crank_failed_ = CRANK_TRACED_(text, CRANK_CAT_(crank_e_, id)); \
            (void)crank_failed_; \
            statement; \
        } \
        CRANK_CAT_(crank_v_, id); \
    })
/* libc's way turned into ours: the value of expr, or -errno where it is -1; with a message naming expr. */
#define crank_sys(expr) CRANK_SYS_(__COUNTER__, #expr, expr)
#define CRANK_SYS_(id, text, expr) \
    __extension__({ \
        __typeof__(expr) CRANK_CAT_(crank_v_, id) = (expr); \
        if (CRANK_CAT_(crank_v_, id) == (__typeof__(CRANK_CAT_(crank_v_, id)))-1) \
            CRANK_CAT_(crank_v_, id) = (__typeof__(CRANK_CAT_(crank_v_, id))) \
                crank_sys_failed_(__FILE__, __LINE__, __func__, text); \
        CRANK_CAT_(crank_v_, id); \
    })
CRANK_API int crank_sys_failed_(const char *file, int line, const char *function, const char *what);
#endif

CRANK_END_DECLS
#endif
