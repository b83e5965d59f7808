/* SPDX-License-Identifier: MIT */
/* must say: the value is an integer, a double or a pointer */
#include <crank.h>
static int work(void) { return 1; }
static int app(void)
{
    crank_outcome value;
    CRANK_GROUP(group);
    return crank_group_start(&group, &value, work);
}
int main(void) { return crank_run(app); }
