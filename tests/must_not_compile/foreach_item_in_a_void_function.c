/* SPDX-License-Identifier: MIT */
/* gcc must say: 'return' with a value, in function returning void */
/* clang must say: void function 'app' should not return a value */
#include <crank.h>
static void app(crank_queue *queue) { crank_foreach_item(int, i, queue)(void) i; }
int main(void)
{
    CRANK_QUEUE(queue, int, 0);
    app(queue);
    return 0;
}
