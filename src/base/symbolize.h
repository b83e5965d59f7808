/* SPDX-License-Identifier: MIT */
/* symbolize.h: a code address in words, for reports. Takes the dynamic linker's lock, so neither is
 * for signal handlers; allocates nothing. */
#ifndef CR_SYMBOLIZE_H
#define CR_SYMBOLIZE_H
#include "base/base.h"

/* Does a call return to it: does it lie in loaded code, behind an instruction that calls? */
bool cr_symbolize_is_return(uintptr_t address);
/* "usleep+0x45 (libc.so.6+0xf7d25)": the nearest function that the dynamic linker knows, and what
 * addr2line wants. As snprintf. */
size_t cr_symbolize_print(uintptr_t address, char *buf, size_t size);
#endif
