/* SPDX-License-Identifier: MIT */
/* gcc must say: is not compatible with any association */
/* clang must say: not compatible with any generic association type */
#include <crank.h>
static int app(void) { return crank_close(3); }
int main(void) { return crank_run(app); }
