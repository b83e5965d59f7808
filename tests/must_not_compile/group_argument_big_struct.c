/* SPDX-License-Identifier: MIT */
/* must say: an argument of a task is a scalar or a struct of at most 16 bytes; pass a pointer */
#include <crank.h>
struct matrix {
    double at[9];
};
static int use(struct matrix m) { return (int)m.at[0]; }
static int app(void)
{
    struct matrix m = { { 0 } };
    CRANK_GROUP(g);
    crank_group_spawn(&g, use, m);
    return crank_group_wait(&g);
}
int main(void) { return crank_run(app); }
