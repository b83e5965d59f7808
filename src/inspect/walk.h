/* SPDX-License-Identifier: MIT */
/* walk.h: from the copy of a stack to the calls that stand on it. */
#ifndef CR_WALK_H
#define CR_WALK_H
#include "base/base.h"

#define CR_COPY_BYTES ((size_t)32 << 10)

/* A thread's registers and the lower end of its stack, as they were at one moment. */
typedef struct cr_stack_copy {
    uintptr_t pc; /* 0: nothing is known */
    uintptr_t sp;
    uintptr_t fp;   /* 0: not known */
    uintptr_t lr;   /* the return address where it is in a register; 0: not known */
    uintptr_t top;  /* its stack's end; 0: not known, and nothing was copied */
    uintptr_t last; /* a frame record that must be in every chain, at top; 0: it ends at a base */
    size_t count;   /* words copied, from sp up */
    uint64_t words[CR_COPY_BYTES / sizeof(uint64_t)];
} cr_stack_copy;

typedef struct cr_frame {
    uintptr_t address;
    bool sure; /* else it looks like a return address, and may be old */
} cr_frame;

/* Innermost first; gives how many. */
size_t cr_walk(const cr_stack_copy *copy, cr_frame *ret_frames, size_t max);
#endif
