/* SPDX-License-Identifier: MIT */
/* gcc must say: ignoring return value of 'crank_must_use_' */
/* clang must say: ignoring return value of function */
#include <crank.h>
static int work(void) { return 1; }
static int app(void)
{
    CRANK_GROUP(group);
    crank_group_start(&group, NULL, work);
    return 0;
}
int main(void) { return crank_run(app); }
