/* SPDX-License-Identifier: MIT */
/* gcc must say: format '%s' expects argument of type 'char *' */
/* clang must say: format specifies type 'char *' */
#include <crank.h>
static int app(void)
{
    CRANK_AUTO_FUTURE crank_future *future = crank_future_new();
    return crank_cancel_because(future, "after %s seconds", 3);
}
int main(void) { return crank_run(app); }
