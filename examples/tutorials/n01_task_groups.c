/* SPDX-License-Identifier: MIT */
/* N01: task groups: the first failure cancels the siblings, and every failure is kept.
 *
 * Python raises an ExceptionGroup. Here the group's wait returns the first failure's errno, and
 * crank_last_failure is the tree of all of them: the group's, with its children's below. */
#include <crank.h>
#include <stdio.h>

static int works(const char *name, double seconds)
{
    int err = crank_sleep(seconds);
    printf("%s %s\n", name, err < 0 ? "was cancelled" : "is done");
    return err;
}

static int fails(const char *message, double seconds)
{
    crank_sleep(seconds); /* cut short when the group is cancelled: then we fail too, on our own */
    return crank_fail(EINVAL, "%s", message);
}

static int inner(void)
{
    CRANK_GROUP(group);

    crank_group_spawn(&group, works, "inner sibling", 60.0);
    crank_group_spawn(&group, fails, "inner failure", 0.2);
    return crank_group_wait(&group);
}

static void print_tree(const crank_failure *failure, int depth)
{
    printf("%*s%s: %s", 2 * depth, "", crank_errno_name(failure->error), failure->message);
    puts(failure->child_count > 0 ? ", in a group:" : "");
    for (size_t i = 0; i < failure->child_count; i++)
        print_tree(failure->children[i], depth + 1);
}

static int app(void)
{
    double started = crank_time();
    CRANK_GROUP(group);

    crank_group_spawn(&group, works, "quick", 0.1);
    crank_group_spawn(&group, works, "slow", 60.0);
    crank_group_spawn(&group, fails, "a", 0.3);
    crank_group_spawn(&group, fails, "b", 60.0);
    int err = crank_group_wait(&group);
    printf("%s after %.2f seconds\n", crank_errno_name(err), crank_time() - started);
    print_tree(crank_last_failure(), 0);

    puts("-- a group in a group");
    crank_group_spawn(&group, inner);
    crank_group_spawn(&group, works, "outer sibling", 60.0);
    if (crank_group_wait(&group) < 0)
        print_tree(crank_last_failure(), 0);

    puts("-- and one in which nothing fails");
    crank_group_spawn(&group, works, "first", 0.1);
    crank_group_spawn(&group, works, "second", 0.2);
    return crank_group_wait(&group);
}

int main(void) { return crank_run(app); }
