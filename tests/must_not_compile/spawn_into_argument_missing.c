/* SPDX-License-Identifier: MIT */
/* must say: too few arguments to function */
#include <crank.h>
static int work(int n) { return n; }
static int app(void)
{
    int result;
    CRANK_GROUP(group);
    crank_group_spawn_into(&group, &result, work);
    return crank_group_wait(&group);
}
int main(void) { return crank_run(app); }
