/* SPDX-License-Identifier: MIT */
/* must say: crank_gather takes at most 15; use crank_gather_n */
#include <crank.h>
int main(void)
{
    crank_task *t = NULL;
    return crank_gather(NULL, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t, t);
}
