/* SPDX-License-Identifier: MIT */
/* base.h: the few words every file of crank uses: hints to the compiler, container_of, the units
 * of time, and which tool, if any, this build is watched by. Nothing here knows of anything in
 * crank. */
#ifndef CR_BASE_H
#define CR_BASE_H
#include <crank/base.h>

/* Where a branch goes is said only where it was measured to matter: the first lines of calls
 * that run millions of times a second, and the way out of them. */
#define CR_LIKELY(x) __builtin_expect(!!(x), 1)
#define CR_UNLIKELY(x) __builtin_expect(!!(x), 0)
/* A build that counts branches counts those of a function once: -DCR_INLINE=inline. */
#ifndef CR_INLINE
#define CR_INLINE inline __attribute__((always_inline))
#endif
/* What a contract promises that neither the compiler nor an analyzer sees. No code; UBSan checks
 * it. */
#define CR_ASSUME(condition) ((condition) ? (void)0 : __builtin_unreachable())
#define CR_NOINLINE __attribute__((noinline))
#define CR_COLD __attribute__((cold, noinline))
/* Of what each message of a stream passes through: such functions lie together, in a few pages of
 * code instead of one each, and the processor looks up fewer addresses between two calls of the
 * kernel. */
#define CR_HOT __attribute__((hot))
#define CR_UNUSED __attribute__((unused))
/* In a loop that spins: let the core's other thread have it. */
static inline void cr_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}
#define cr_container_of(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Instants and spans inside crank are int64 nanoseconds; CR_NEVER is an instant that does not
 * come. */
#define CR_NEVER INT64_MAX
#define CR_SECOND INT64_C(1000000000)

/* gcc defines a macro per sanitizer, clang has a feature: here they become 0 or 1 each, so that
 * a misspelt one is a warning and not a silent no. */
#if defined(__SANITIZE_ADDRESS__)
#define CR_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CR_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define CR_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CR_TSAN 1
#endif
#endif
#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
#define CR_MSAN 1
#endif
#endif
#ifndef CR_ASAN
#define CR_ASAN 0
#endif
#ifndef CR_TSAN
#define CR_TSAN 0
#endif
#ifndef CR_MSAN
#define CR_MSAN 0
#endif
/* Builds in which every switch of stacks is announced to a tool: they take the switch written in
 * C. */
#define CR_SWITCH_SANITIZED (CR_ASAN || CR_TSAN || CR_MSAN)

/* Reads what another thread or frame is writing, and can live with what it finds: no tool need say
 * so. gcc does not know the last. */
#if CR_MSAN
#define CR_RACY __attribute__((noinline, no_sanitize("memory")))
#else
#define CR_RACY __attribute__((noinline, no_sanitize("thread"), no_sanitize("address")))
#endif
#endif
