/* SPDX-License-Identifier: MIT */
/* sys_result.h: what the files of cr_sys_real make of what libc gives. */
#ifndef CR_SYS_RESULT_H
#define CR_SYS_RESULT_H
#include <errno.h>
#include "base/sys.h"

#if CR_MSAN
#include <sanitizer/msan_interface.h>
#endif

/* libc's -1 as the kernel's negative errno. */
static inline int cr_sys_result(int result) { return result < 0 ? -errno : result; }
static inline ssize_t cr_sys_result_size(ssize_t result) { return result < 0 ? -errno : result; }

/* MemorySanitizer does not know calls that are made by number: what the kernel has written it must
 * be told. */
static inline void cr_sys_result_written(CR_UNUSED void *memory, CR_UNUSED size_t size)
{
#if CR_MSAN
    __msan_unpoison(memory, size);
#endif
}
#endif
