/* SPDX-License-Identifier: MIT */
/* results.c: results of tasks on their way into the user's variables.
 *
 * Owns: which result fits which variable; the deliveries of results into variables, each of which
 * watches one task and goes with its end; and the array in which a pool keeps the results of its
 * children until the caller takes them. Does not own the children (group.c).
 *
 * Invariant: the numbers in a pool's array never fall, as those of spawned tasks grow. So a spawned
 * child that ends is found by a binary search, and neither its record nor an ext of its own has to
 * hold an index. An added child is older than its place says: it has a delivery that knows its
 * index, and the number of its neighbour. */
#include "group/results.h"
#include "scope/join.h"
#include "task/debug.h"
#include "task/hibernate.h"
#include "task/result.h"
#include "base/check.h"
#include <math.h>
#include <string.h>

bool cr_results_fits(const crank_site *site, size_t size, unsigned char kind)
{
    unsigned char found = site->kind;
    switch (kind) {
    case CRANK_KIND_SIGNED:
    case CRANK_KIND_UNSIGNED:
        return found == CRANK_KIND_VOID || (found <= CRANK_KIND_UNSIGNED && size >= site->size);
    case CRANK_KIND_DOUBLE: return found == CRANK_KIND_VOID || cr_kind_is_real(found);
    case CRANK_KIND_POINTER: return found == CRANK_KIND_VOID || found == CRANK_KIND_POINTER;
    default: return kind == CRANK_KIND_VOID;
    }
}

const char *cr_results_words(const crank_site *site)
{
    return cr_kind_is_real(site->kind)        ? "floating point"
           : site->kind == CRANK_KIND_POINTER ? "a pointer"
                                              : "an integer";
}

const char *cr_results_variables_words(unsigned char kind)
{
    return kind == CRANK_KIND_DOUBLE    ? "doubles"
           : kind == CRANK_KIND_POINTER ? "pointers"
                                        : "integers";
}

/* ---- a pool's results */

struct cr_results {
    size_t count, room;
    struct {
        uint64_t number; /* the child's; an added one's: that of the child before it */
        const crank_site *site;
        uint64_t bits;
    } at[];
};

cr_results *cr_results_new(const cr_sys *sys) { return cr_alloc_zero(sys, sizeof(cr_results)); }

int cr_results_grow(const cr_sys *sys, cr_results **results)
{
    cr_results *old = *results;
    if (old->count < old->room)
        return 0;
    size_t room = old->room ? 2 * old->room : 16;
    cr_results *grown = cr_resize(sys, old, sizeof *old + room * sizeof old->at[0]);
    if (!grown)
        return -ENOMEM;
    grown->room = room;
    *results = grown;
    return 0;
}

void cr_results_add(cr_results *results, const cr_task *task)
{
    size_t i = results->count++;
    results->at[i].number = cr_task_number(task);
    results->at[i].site = task->site;
    results->at[i].bits = 0;
}

/* The task may have been spawned before others in the array. Gives its index. */
static size_t add_older(cr_results *results, const cr_task *task)
{
    size_t i = results->count;
    cr_results_add(results, task);
    if (i > 0)
        results->at[i].number = results->at[i - 1].number;
    return i;
}

/* What stands for the result of a child that failed, in a pool that was cancelled and has not
 * failed: the error, NaN, or NULL. */
static uint64_t bits_of(const cr_task *task)
{
    if (!(task->fiber.flags & CR_TASK_FAILED))
        return cr_result_bits(task);
    if (task->site->kind == CRANK_KIND_POINTER)
        return 0;
    if (!cr_kind_is_real(task->site->kind))
        return (uint64_t)cr_result_value(task);
    double none = (double)NAN;
    uint64_t bits;
    memcpy(&bits, &none, sizeof bits);
    return bits;
}

/* Numbers begin again after 2^40, so they are compared by how far they are from the first. */
void cr_results_keep(cr_results *results, const cr_task *task)
{
    size_t low = 0, high = results->count;
    uint64_t number = cr_task_number(task);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (cr_number_after(results->at[middle].number, results->at[0].number) <
            cr_number_after(number, results->at[0].number))
            low = middle + 1;
        else
            high = middle;
    }
    if (low < results->count && results->at[low].number == number)
        results->at[low].bits = bits_of(task);
}

/* Bytes are in little-endian order: a narrow variable takes the low ones. */
void cr_results_take(cr_results *results, void *array, size_t max, size_t size, unsigned char kind)
{
    for (size_t i = 0; i < max && i < results->count; i++) {
        const crank_site *site = results->at[i].site;
        CR_CHECK(cr_results_fits(site, size, kind),
            "crank_pool_wait: the result of child %zu (from 0), %s by %s (%s:%d), does not fit the "
            "results' array of %zu-byte %s",
            i, cr_results_words(site), site->function, site->file, site->line, size,
            cr_results_variables_words(kind));
        if (array)
            memcpy((char *)array + i * size, &results->at[i].bits, size);
    }
    results->count = 0;
}

/* ---- into a variable */

struct pending {
    cr_watcher watcher;
    cr_delivery delivery;
};
_Static_assert(sizeof(struct pending) <= CR_DELIVERY_SIZE, "a delivery fits its freelist");

/* Bytes as above. The bits of a float are given as a double's unless it goes into a float. The
 * variable may lie on a stack that is put away. */
static void deliver(const cr_delivery *delivery, const cr_task *task)
{
    if (delivery->results)
        (*delivery->results)->at[delivery->index].bits = bits_of(task);
    if (!delivery->result || (task->fiber.flags & CR_TASK_FAILED))
        return;
    bool is_float = delivery->kind == CRANK_KIND_FLOAT;
    uint64_t bits = is_float ? task->fiber.result : cr_result_bits(task);
    cr_hibernate_ensure(delivery->result);
    memcpy(delivery->result, &bits, delivery->size);
}

static void pending_ended(crank_loop *loop, cr_watcher *watcher, cr_task *task)
{
    struct pending *pending = cr_container_of(watcher, struct pending, watcher);
    if (pending->delivery.stack_of)
        cr_debug_result(task, pending->delivery.stack_of, pending->delivery.result);
    deliver(&pending->delivery, task);
    cr_freelist_put(&cr_task_state_of(loop)->deliveries, pending);
}

int cr_results_deliver_at_end(
    crank_loop *loop, cr_task *task, const cr_delivery *delivery, const cr_task *parent)
{
    cr_task_state *tasks = cr_task_state_of(loop);
    struct pending *pending =
        cr_record_ext(tasks, task) ? cr_freelist_get(&tasks->deliveries) : NULL;
    if (!pending)
        return -ENOMEM;
    *pending = (struct pending){ { NULL, pending_ended }, *delivery };
    if (loop->options.debug && delivery->result) {
        uint64_t id = cr_debug_stack_of(loop, cr_self(), delivery->result);
        pending->delivery.stack_of = id ? id : cr_debug_stack_of(loop, parent, delivery->result);
    }
    cr_join_watch(task, &pending->watcher);
    return 0;
}

int cr_results_deliver_added(
    crank_loop *loop, cr_task *task, cr_delivery *delivery, const cr_task *parent)
{
    if (delivery->results) {
        if (cr_results_grow(loop->sys, delivery->results) < 0)
            return -ENOMEM;
        delivery->index = add_older(*delivery->results, task);
    }
    if (!delivery->results && !delivery->result)
        return 0;
    if (task->fiber.life != CR_ENDED)
        return cr_results_deliver_at_end(loop, task, delivery, parent);
    deliver(delivery, task);
    return 0;
}
