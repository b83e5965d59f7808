/* SPDX-License-Identifier: MIT */
/* results.h: results of tasks on their way into the user's variables: do they fit, when are they
 * written, and what a pool keeps of its children's until the caller asks for them. */
#ifndef CR_RESULTS_H
#define CR_RESULTS_H
#include "task/record.h"

/* Does what a function with this site returns fit a variable of so many bytes and this kind
 * (enum crank_kind)? A void result fits every variable, as 0. */
bool cr_results_fits(const crank_site *site, size_t size, unsigned char kind);
/* The kind of a result, and of an array of variables, for CHECKs: "an integer", "integers". */
const char *cr_results_words(const crank_site *site);
const char *cr_results_variables_words(unsigned char kind);

#define CR_DELIVERY_SIZE 64 /* bytes of a delivery under way, kept in a freelist */

typedef struct cr_results cr_results;

/* Where the result of one task goes when it has ended: to *result, of this size and kind, if that
 * is not NULL and the task has succeeded; and into a pool's results, at index, if they are not
 * NULL. */
typedef struct cr_delivery {
    void *result;
    unsigned char size, kind;
    cr_results **results;
    size_t index;
    uint64_t stack_of; /* debug mode: the task with result on its stack; 0: unknown */
} cr_delivery;

/* Deliver when the task ends. In debug mode the variable is looked for on the stacks of the running
 * task and of the group's parent. 0 or -ENOMEM. */
int cr_results_deliver_at_end(
    crank_loop *loop, cr_task *task, const cr_delivery *delivery, const cr_task *parent);
/* The same for a task that is taken into the group of that parent, whose results (NULL: it is no
 * pool) have the next place for it. Where it has ended, deliver now. */
int cr_results_deliver_added(
    crank_loop *loop, cr_task *task, cr_delivery *delivery, const cr_task *parent);

/* ---- a pool's results, in the order in which its children were spawned or added */

cr_results *cr_results_new(const cr_sys *sys);                /* NULL when memory is short */
int cr_results_grow(const cr_sys *sys, cr_results **results); /* room for one more: 0 or -ENOMEM */
/* The next result is this task's, which was spawned just now. There is room for it. */
void cr_results_add(cr_results *results, const cr_task *task);
/* A spawned child has ended: keep its result. Nothing where the results have no place for it. */
void cr_results_keep(cr_results *results, const cr_task *task);
/* Copy the first max into array (NULL: copy nothing), whose variables have this size and kind, and
 * forget all. One of the first max that does not fit is a CHECK. */
void cr_results_take(cr_results *results, void *array, size_t max, size_t size, unsigned char kind);
#endif
