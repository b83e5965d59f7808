/* SPDX-License-Identifier: MIT */
/* gcc must say: incompatible pointer type */
/* clang must say: incompatible pointer types */
#include <crank.h>
static int app(void)
{
    CRANK_AUTO_FUTURE crank_future *future = crank_future_new();
    CRANK_GROUP(group);
    return crank_group_add(&group, future);
}
int main(void) { return crank_run(app); }
