/* SPDX-License-Identifier: MIT */
/* must say: too few arguments to function */
#include <crank.h>
static long crunch(long a, long b) { return a * b; }
static int app(void) { return (int)crank_await(crank_to_thread(crunch, 1L)); }
int main(void) { return crank_run(app); }
