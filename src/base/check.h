/* SPDX-License-Identifier: MIT */
/* check.h: what a broken promise prints before the abort.
 *
 * A CHECK is for a misuse by the programmer or a broken invariant of our own, never for what the
 * world may do. It prints one sentence that says what, where and what to do, and aborts. Messages
 * begin "crank: " and are also given to cr_check_hook, which the layers above set to add what they
 * know (the running task and its place). */
#ifndef CR_CHECK_H
#define CR_CHECK_H
#include "base/base.h"

/* Print "crank: <message>" and what the hook adds to stderr, and abort. */
CRANK_NORETURN CR_COLD void cr_check_failed(const char *format, ...) CRANK_PRINTF(1, 2);
#define CR_CHECK(condition, ...) ((condition) ? (void)0 : cr_check_failed(__VA_ARGS__))
/* An invariant of ours: the message is the condition. */
#define CR_ASSERT(condition) \
    CR_CHECK(condition, "internal: %s does not hold (%s:%d)", #condition, __FILE__, __LINE__)

/* The public call under way on this thread, where its macro tells where it is written; a CHECK that
 * fails meanwhile says so. Set and taken back around what may fail, never over a wait. */
extern __thread const crank_site *cr_check_site __attribute__((tls_model("initial-exec")));

/* What stands before and behind the head of a message ("crank: deadlock:") on stderr: colour where
 * that is a terminal which has any and NO_COLOR is not set, else nothing. */
typedef struct cr_paint {
    const char *on, *off;
} cr_paint;
cr_paint cr_check_paint(void);

/* Writes one line about the running task into buf, or nothing; set once by the task layer. */
extern size_t (*cr_check_hook)(char *buf, size_t size);
#endif
