/* SPDX-License-Identifier: MIT */
/* gcc must say: ignoring return value of 'crank_process_wait' */
/* clang must say: ignoring return value of function declared with 'warn_unused_result' attribute */
#include <crank.h>
static int app(void)
{
    CRANK_AUTO_PROCESS crank_process *p = crank_shell_start("true", NULL);
    crank_process_wait(p);
    return 0;
}
int main(void) { return crank_run(app); }
