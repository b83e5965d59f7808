/* SPDX-License-Identifier: MIT */
/* must say: the function returns nothing; use crank_group_spawn */
#include <crank.h>
static void work(void) {}
static int app(void)
{
    int result;
    CRANK_GROUP(group);
    crank_group_spawn_into(&group, &result, work);
    return crank_group_wait(&group);
}
int main(void) { return crank_run(app); }
