/* SPDX-License-Identifier: MIT */
/* startup.c: an empty program. The driver takes its time and memory from outside. */
#include <crank.h>

static int app(void) { return 0; }

int main(void) { return crank_run(app); }
