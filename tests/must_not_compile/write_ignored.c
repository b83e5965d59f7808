/* SPDX-License-Identifier: MIT */
/* gcc must say: ignoring return value of 'crank_write' */
/* clang must say: ignoring return value of function declared with 'warn_unused_result' attribute */
#include <crank.h>
static int app(void)
{
    CRANK_AUTO_STREAM crank_stream *s = crank_open("/dev/null", "w");
    crank_write(s, "x", 1);
    return 0;
}
int main(void) { return crank_run(app); }
