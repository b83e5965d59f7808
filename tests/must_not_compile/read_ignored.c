/* SPDX-License-Identifier: MIT */
/* gcc must say: ignoring return value of 'crank_read' */
/* clang must say: ignoring return value of function declared with 'warn_unused_result' attribute */
#include <crank.h>
static int app(void)
{
    char buf[10];
    CRANK_AUTO_STREAM crank_stream *s = crank_open("/dev/null", "r");
    crank_read(s, buf, sizeof buf);
    return 0;
}
int main(void) { return crank_run(app); }
