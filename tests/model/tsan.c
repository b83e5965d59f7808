/* SPDX-License-Identifier: MIT */
/* tsan.c: the entry points that -fsanitize=thread calls, as far as they are for atomics and for changes of stacks.
 * Each atomic operation is a point at which another thread may go first. */
#include "model.h"

void __tsan_init(void);
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_signal_fence(int order);

void __tsan_init(void) {}
void *__tsan_get_current_fiber(void) { return &model_shared_; }
void *__tsan_create_fiber(unsigned flags)
{
    (void)flags;
    return &model_shared_;
}
void __tsan_destroy_fiber(void *fiber) { (void)fiber; }
void __tsan_switch_to_fiber(void *fiber, unsigned flags)
{
    (void)fiber;
    (void)flags;
}
void __tsan_atomic_thread_fence(int order)
{
    (void)order;
    model_point(NULL, true);
}
void __tsan_atomic_signal_fence(int order) { (void)order; }

#define CHANGE(bits, name, builtin) \
    uint##bits##_t __tsan_atomic##bits##_##name(volatile uint##bits##_t *a, uint##bits##_t v, int order); \
    uint##bits##_t __tsan_atomic##bits##_##name(volatile uint##bits##_t *a, uint##bits##_t v, int order) \
    { \
        (void)order; \
        model_point(a, true); \
        return builtin(a, v, __ATOMIC_SEQ_CST); \
    }
#define ATOMICS(bits) \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *a, int order); \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *a, int order) \
    { \
        (void)order; \
        model_point(a, false); \
        return __atomic_load_n(a, __ATOMIC_SEQ_CST); \
    } \
    void __tsan_atomic##bits##_store(volatile uint##bits##_t *a, uint##bits##_t v, int order); \
    void __tsan_atomic##bits##_store(volatile uint##bits##_t *a, uint##bits##_t v, int order) \
    { \
        (void)order; \
        model_point(a, true); \
        __atomic_store_n(a, v, __ATOMIC_SEQ_CST); \
    } \
    uint##bits##_t __tsan_atomic##bits##_compare_exchange_val( \
        volatile uint##bits##_t *a, uint##bits##_t c, uint##bits##_t v, int order, int failed); \
    uint##bits##_t __tsan_atomic##bits##_compare_exchange_val( \
        volatile uint##bits##_t *a, uint##bits##_t c, uint##bits##_t v, int order, int failed) \
    { \
        (void)order; \
        (void)failed; \
        model_point(a, true); \
        __atomic_compare_exchange_n(a, &c, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
        return c; \
    } \
    CHANGE(bits, exchange, __atomic_exchange_n) \
    CHANGE(bits, fetch_add, __atomic_fetch_add) \
    CHANGE(bits, fetch_sub, __atomic_fetch_sub) \
    CHANGE(bits, fetch_and, __atomic_fetch_and) \
    CHANGE(bits, fetch_or, __atomic_fetch_or) \
    CHANGE(bits, fetch_xor, __atomic_fetch_xor)
ATOMICS(8)
ATOMICS(16)
ATOMICS(32)
ATOMICS(64)
