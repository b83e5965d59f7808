/* SPDX-License-Identifier: MIT */
/* result.c: what a task's function returned, as its waiters are given it.
 *
 * Owns: reading the register a result came back in by the kind and size that the spawn's site
 * names. Does not own where a result goes (the waiter's side). */
#include "task/result.h"
#include "error/failure.h"
#include "task/record.h"
#include <string.h>

/* The ABI leaves the upper bits of a narrow result undefined: it is cut to its size and widened
 * again by its sign. */
long cr_result_of_site(const crank_site *site, uint64_t raw)
{
    switch (site->kind) {
    case CRANK_KIND_SIGNED:
        switch (site->size) {
        case 1: return (int8_t)raw;
        case 2: return (int16_t)raw;
        case 4: return (int32_t)raw;
        default: return (long)raw;
        }
    case CRANK_KIND_UNSIGNED:
        switch (site->size) {
        case 1: return (uint8_t)raw;
        case 2: return (uint16_t)raw;
        case 4: return (long)(uint32_t)raw;
        default: return (long)raw;
        }
    case CRANK_KIND_BOOL: return (uint8_t)raw != 0;
    case CRANK_KIND_VOID: return 0;
    default: return (long)raw;
    }
}

/* A broken task was ended by us and holds an error, whatever its type. */
long cr_result_value_of_kind(const cr_task *task)
{
    uint64_t raw = task->fiber.result;
    return CR_UNLIKELY(task->fiber.flags & CR_TASK_BROKEN) ? (long)raw
                                                           : cr_result_of_site(task->site, raw);
}

/* A float comes back in the low half of the register a double fills: which it is, the site
 * knows. */
static double real_value(const cr_task *task)
{
    uint64_t raw = task->fiber.result;
    double value;
    float small;
    memcpy(&value, &raw, sizeof value);
    memcpy(&small, &raw, sizeof small);
    return task->site->kind == CRANK_KIND_FLOAT ? (double)small : value;
}

/* A pointer's own value says nothing about the error; its failure does, and a cancellation has
 * none. */
int cr_result_error(const cr_task *task)
{
    if (!(task->fiber.flags & CR_TASK_FAILED))
        return 0;
    if (task->site->kind != CRANK_KIND_POINTER || (task->fiber.flags & CR_TASK_BROKEN)) {
        long value = cr_result_value(task);
        return value < INT32_MIN ? INT32_MIN : (int)value;
    }
    const cr_failure *failure = cr_failure_of(task);
    return failure ? cr_failure_error(failure) : -ECANCELED;
}

/* A float is widened here, so that a waiter tells reals from integers and needs no size. */
uint64_t cr_result_bits_of_kind(const cr_task *task)
{
    if (task->fiber.flags & CR_TASK_BROKEN)
        return task->fiber.result;
    if (task->site->kind == CRANK_KIND_POINTER && (task->fiber.flags & CR_TASK_FAILED))
        return (uint64_t)(int64_t)cr_result_error(task);
    if (cr_kind_is_real(task->site->kind)) {
        double value = real_value(task);
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        return bits;
    }
    return (uint64_t)cr_result_value(task);
}
