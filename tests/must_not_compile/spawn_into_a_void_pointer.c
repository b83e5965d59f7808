/* SPDX-License-Identifier: MIT */
/* must say: the result is a variable of the very type that the function returns */
#include <crank.h>
static int work(void) { return 1; }
static int app(void)
{
    int result;
    void *anything = &result;
    CRANK_GROUP(group);
    crank_group_spawn_into(&group, anything, work);
    return crank_group_wait(&group);
}
int main(void) { return crank_run(app); }
