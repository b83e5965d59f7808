/* SPDX-License-Identifier: MIT */
/* gcc must say: makes pointer from integer without a cast */
/* clang must say: incompatible integer to pointer conversion */
#include <crank.h>
static int app(void) { return crank_done(3); }
int main(void) { return crank_run(app); }
