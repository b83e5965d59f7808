/* SPDX-License-Identifier: MIT */
/* unwind.h: where a function's caller is found, by the tables that compilers leave for exceptions.
 */
#ifndef CR_UNWIND_H
#define CR_UNWIND_H
#include "base/base.h"

/* Where the caller's value of a register is. */
enum cr_kept {
    CR_KEPT,    /* still in the register */
    CR_SAVED,   /* in memory, so many bytes from the frame's address */
    CR_NOWHERE, /* of the return address: there is no caller */
    CR_UNCLEAR, /* by an expression, or a register that is not followed */
};

/* What holds at one instruction. The frame's address is what the stack pointer was before the call:
 * so many bytes above the stack or frame pointer. */
typedef struct cr_unwind_row {
    bool by_fp;
    bool by_other; /* the program's own while it is run; false in what is given */
    int64_t offset;
    enum cr_kept returns, fp;
    int64_t returns_at, fp_at;
} cr_unwind_row;

/* The row for an address; false where there is none, or one that is not understood. */
bool cr_unwind_row_of(uintptr_t pc, cr_unwind_row *ret_row);
#endif
