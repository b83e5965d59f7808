/* SPDX-License-Identifier: MIT */
/* gcc must say: format '%s' expects argument of type 'char *' */
/* clang must say: format specifies type 'char *' but the argument has type 'int' */
#include <crank.h>
static int app(void) { return crank_fail(EPROTO, "nonsense: %s", 3); }
int main(void) { return crank_run(app); }
