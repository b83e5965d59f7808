/* SPDX-License-Identifier: MIT */
/* gcc must say: format '%d' expects argument of type 'int' */
/* clang must say: format specifies type 'int' but the argument has type 'char *' */
#include <crank.h>
static int app(void)
{
    CRANK_AUTO_STREAM crank_stream *s = crank_open("/dev/null", "w");
    return crank_printf(s, "%d\n", "three");
}
int main(void) { return crank_run(app); }
