/* SPDX-License-Identifier: MIT */
/* must say: an argument of a task is a scalar or a struct of at most 16 bytes; pass a pointer */
#include <crank.h>
struct matrix {
    double at[9];
};
static int use(struct matrix m) { return (int)m.at[0]; }
int main(void)
{
    struct matrix m = { { 0 } };
    crank_drop(crank_spawn(use, m));
    return 0;
}
