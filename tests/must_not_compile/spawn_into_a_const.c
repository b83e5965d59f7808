/* SPDX-License-Identifier: MIT */
/* gcc must say: discards 'const' qualifier */
/* clang must say: discards qualifiers */
#include <crank.h>
static int work(void) { return 1; }
static int app(void)
{
    const int result = 0;
    CRANK_GROUP(group);
    crank_group_spawn_into(&group, &result, work);
    return crank_group_wait(&group);
}
int main(void) { return crank_run(app); }
