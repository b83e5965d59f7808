/* SPDX-License-Identifier: MIT */
/* standard.h: standard input, output and error as streams. */
#ifndef CR_STANDARD_H
#define CR_STANDARD_H
#include "loop/loop.h"

/* The last task of a run has ended: is there something left to write? Then one more task writes it;
 * its end is handled as that of any detached task. */
bool cr_standard_end(crank_loop *loop);
#endif
