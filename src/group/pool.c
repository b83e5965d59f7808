/* SPDX-License-Identifier: MIT */
/* pool.c: groups that keep their children's results.
 *
 * A pool is a group (group.c) with a limit, whose wait gives what the children returned, in the
 * order in which they were spawned or added. For example: a pool of 4 over 100 addresses looks up 4
 * at a time, and its wait fills an array of 100.
 *
 * Owns: the opening of a pool and its wait. Does not own the array of results (results.c), nor when
 * a child's result enters it: the group says so when the child ends. */
#include "base/check.h"
#include "group/group.h"
#include "group/results.h"

void crank_pool_begin_(crank_group *g, size_t limit, const char *function, const void *frame)
{
    CR_CHECK(limit > 0, "CRANK_POOL: a pool must allow at least one task at once");
    cr_group *group = cr_group_open(g, limit, function, frame);
    if (group)
        cr_group_keep_results(group, cr_results_new(cr_loop_here->sys));
}

/* The results are forgotten after: the next wait's begin with the next child spawned. */
int crank_pool_wait_(crank_group *g, void *ret_results, size_t max, size_t size, unsigned char kind)
{
    CR_CHECK(g, "crank_pool_wait: the pool is NULL; give what CRANK_POOL declared");
    CR_CHECK(kind != CRANK_KIND_STRUCT && kind != CRANK_KIND_BOOL && kind != CRANK_KIND_FLOAT,
        "crank_pool_wait: results is an array of integers, doubles or pointers, or NULL");
    if (!g->state)
        return crank_group_wait(g);
    cr_results **results = cr_group_results(g, "crank_pool_wait");
    CR_CHECK(results, "crank_pool_wait: this is a group, not a CRANK_POOL");
    int err = crank_group_wait(g);
    if (!*results)
        return err < 0 ? err : -ENOMEM;
    cr_results_take(*results, err < 0 ? NULL : ret_results, ret_results ? max : 0, size, kind);
    return err;
}

int(crank_pool_wait)(crank_group *g, long *ret_results, size_t max)
{
    return crank_pool_wait_(g, ret_results, max, sizeof *ret_results, CRANK_KIND_SIGNED);
}
