/* SPDX-License-Identifier: MIT */
/* result.h: what a task's function returned, as its waiters are given it. */
#ifndef CR_RESULT_H
#define CR_RESULT_H
#include "task/task.h"

/* Is a result of this kind (enum crank_kind) a floating point number? */
static inline bool cr_kind_is_real(unsigned char kind)
{
    return kind == CRANK_KIND_FLOAT || kind == CRANK_KIND_DOUBLE;
}
/* What the integer register of a call of this site holds when it has returned. */
long cr_result_of_site(const crank_site *site, uint64_t raw);
/* The integer result of an ended task, by its site's kind and size; its failure where it failed. */
long cr_result_value_of_kind(const cr_task *task);
/* What most tasks return. */
static inline bool cr_result_is_int(const cr_task *task)
{
    return task->site->kind == CRANK_KIND_SIGNED && task->site->size == sizeof(int) &&
           !(task->fiber.flags & CR_TASK_BROKEN);
}
static inline long cr_result_value(const cr_task *task)
{
    return CR_LIKELY(cr_result_is_int(task)) ? (int32_t)task->fiber.result
                                             : cr_result_value_of_kind(task);
}
/* What a task has failed with: a negative errno; 0 where it has not. */
int cr_result_error(const cr_task *task);
/* The result as it is handed to a waiter: an integer's value, a double's or pointer's bits;
 * where the task has failed its error, but for a double's (NaN is the waiter's to make). */
uint64_t cr_result_bits_of_kind(const cr_task *task);
static inline uint64_t cr_result_bits(const cr_task *task)
{
    return CR_LIKELY(cr_result_is_int(task)) ? (uint64_t)(int64_t)(int32_t)task->fiber.result
                                             : cr_result_bits_of_kind(task);
}
#endif
