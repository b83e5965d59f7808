/* SPDX-License-Identifier: MIT */
/* gcc must say: is not compatible with any association */
/* clang must say: not compatible with any generic association type */
#include <crank.h>
static int work(void) { return 1; }
static int app(void) { return (int)crank_await(work); }
int main(void) { return crank_run(app); }
