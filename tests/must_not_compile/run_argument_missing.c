/* SPDX-License-Identifier: MIT */
/* must say: too few arguments to function */
#include <crank.h>
static int app(int argc, char **argv) { return argc + (argv != NULL); }
int main(void) { return crank_run(app); }
