/* SPDX-License-Identifier: MIT */
/* libfuzzer.c: the end of a failed script where libFuzzer runs it: it keeps the bytes of one that aborts. */
#include "fuzz.h"

void fuzz_stop(void) { abort(); }
