/* SPDX-License-Identifier: MIT */
/* options.h: what a run was asked for: options first, then environment variables, then defaults. */
#ifndef CR_OPTIONS_H
#define CR_OPTIONS_H
#include <crank/run.h>

/* given may be NULL. 0; -EINVAL with a sentence in *ret_why. */
int cr_options_fill(const crank_options *given, crank_options *ret_options, const char **ret_why);
/* The first variable that is set and has no effect where nothing is simulated; NULL. */
const char *cr_options_ignored(void);
#endif
