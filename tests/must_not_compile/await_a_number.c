/* SPDX-License-Identifier: MIT */
/* gcc must say: '_Generic' selector of type 'int' is not compatible with any association */
/* clang must say: controlling expression type 'int' not compatible with any generic association type */
#include <crank.h>
int main(void)
{
    int task = 3;
    return (int)crank_await(task);
}
