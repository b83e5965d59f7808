/* SPDX-License-Identifier: MIT */
/* switch_aarch64.S: the switch, the first run of a fiber, and the capture of a call.
 *
 * A parked context is a frame of callee-saved registers, floating point control and errno on its
 * own stack:
 *
 *     0 x19 to x28, 80 x29, 88 x30, 96 d8 to d15, 160 fpcr, 168 errno
 *
 * cr_stack_swap keeps the first 160 bytes of it; fiber.c lays that out for a fresh stack. A context
 * is resumed with ret and not, as on x86-64, with a jump: where branch targets are checked a jump
 * may only lead to a landing pad, and the address behind a call is none. The return address of a
 * parked context is signed where the processor can. */
#include "context/fiber.h"

#define FRAME_SWAPPED 160
#define FRAME_PARKED 176
#define FRAME_CONTROL 160

#define FEW_VECTOR 32
#define FEW_HIGH 96
#define MANY_VECTOR 64
#define MANY_STACK 192
#define MANY_STACK_BYTES 128

    .macro exported name
    .globl \name
    .type \name, %function
    .p2align 4
\name:
    .cfi_startproc
    .endm
    .macro function name
    .hidden \name
    exported \name
    .endm
    .macro local name
    .type \name, %function
\name:
    .cfi_startproc
    .cfi_undefined x30
    .endm
    .macro endfunction name
    .cfi_endproc
    .size \name, . - \name
    .endm

    .macro save_pair first, second, at, number
    stp \first, \second, [sp, #\at]
    .cfi_rel_offset \number, \at
    .cfi_rel_offset \number + 1, \at + 8
    .endm
    .macro save_frame size
    sub sp, sp, #\size
    .cfi_adjust_cfa_offset \size
    save_pair x19, x20, 0, 19
    save_pair x21, x22, 16, 21
    save_pair x23, x24, 32, 23
    save_pair x25, x26, 48, 25
    save_pair x27, x28, 64, 27
    save_pair x29, x30, 80, 29
    save_pair d8, d9, 96, 72
    save_pair d10, d11, 112, 74
    save_pair d12, d13, 128, 76
    save_pair d14, d15, 144, 78
    .endm
    .macro load_pair first, second, at, number
    ldp \first, \second, [sp, #\at]
    .cfi_restore \number
    .cfi_restore \number + 1
    .endm
    .macro load_frame size
    load_pair x19, x20, 0, 19
    load_pair x21, x22, 16, 21
    load_pair x23, x24, 32, 23
    load_pair x25, x26, 48, 25
    load_pair x27, x28, 64, 27
    load_pair x29, x30, 80, 29
    load_pair d8, d9, 96, 72
    load_pair d10, d11, 112, 74
    load_pair d12, d13, 128, 76
    load_pair d14, d15, 144, 78
    add sp, sp, #\size
    .cfi_adjust_cfa_offset -\size
    .endm
    /* What is signed with the stack pointer as it is here must be checked with the same: that
     * holds, for a context comes back on the stack it left. */
    .macro sign_return
    paciasp
    .cfi_negate_ra_state
    .endm
    .macro check_return
    autiasp
    .cfi_negate_ra_state
    .endm

/* The current context's floating point control and errno, under its registers. */
    .macro save_control
    mrs x3, fpcr
    ldr x4, [x0, #CR_SCHED_ERRNO]
    ldr w4, [x4]
    stp x3, x4, [sp, #FRAME_CONTROL]
    mov x5, sp
    .endm
    /* A fiber starts with a full budget whenever it gets the processor. */
    .macro count_switch
    str x1, [x0, #CR_SCHED_CURRENT]
    ldr w7, [x0, #CR_SCHED_BUDGET_FULL]
    str w7, [x0, #CR_SCHED_BUDGET]
    ldr x7, [x0, #CR_SCHED_SWITCHES]
    add x7, x7, #1
    str x7, [x0, #CR_SCHED_SWITCHES]
    .endm

/* From the saved block at base to where a call expects its arguments; x0 and x1 come last. */
    .macro load_few base, scratch
    ldr d0, [\base, #FEW_VECTOR]
    ldr d1, [\base, #FEW_VECTOR + 8]
    ldp d2, d3, [\base, #FEW_VECTOR + 16]
    ldp d4, d5, [\base, #FEW_VECTOR + 32]
    ldp d6, d7, [\base, #FEW_VECTOR + 48]
    ldr \scratch, [\base, #FEW_HIGH]
    mov v0.d[1], \scratch
    ldr \scratch, [\base, #FEW_HIGH + 8]
    mov v1.d[1], \scratch
    ldp x2, x3, [\base, #16]
    ldp x0, x1, [\base]
    .endm
    /* The stack's words first, through registers that the arguments then overwrite. */
    .macro load_many base
    sub sp, sp, #MANY_STACK_BYTES
    ldp q0, q1, [\base, #MANY_STACK]
    ldp q2, q3, [\base, #MANY_STACK + 32]
    ldp q4, q5, [\base, #MANY_STACK + 64]
    ldp q6, q7, [\base, #MANY_STACK + 96]
    stp q0, q1, [sp]
    stp q2, q3, [sp, #32]
    stp q4, q5, [sp, #64]
    stp q6, q7, [sp, #96]
    ldp q0, q1, [\base, #MANY_VECTOR]
    ldp q2, q3, [\base, #MANY_VECTOR + 32]
    ldp q4, q5, [\base, #MANY_VECTOR + 64]
    ldp q6, q7, [\base, #MANY_VECTOR + 96]
    ldp x2, x3, [\base, #16]
    ldp x4, x5, [\base, #32]
    ldp x6, x7, [\base, #48]
    ldp x0, x1, [\base]
    .endm

    .section .text.hot, "ax", %progbits /* beside CR_HOT */

/* long cr_fiber_park_fast(cr_sched *x0, cr_fiber *x1, const void *x2) */
    function cr_fiber_park_fast
    sign_return
    str x2, [x1, #CR_FIBER_WAIT]
    save_frame FRAME_PARKED
    save_control
    str x5, [x1, #CR_FIBER_SP]
/* The next in line, or back to the loop with x6: NULL or the head that needs service. */
.Lnext:
    ldr x1, [x0, #CR_SCHED_HEAD]
    mov x6, #0 /* what the loop is told: no service wanted */
    cbz x1, .Lloop
    ldr w7, [x0, #CR_SCHED_STEPS]
    subs w7, w7, #1
    str w7, [x0, #CR_SCHED_STEPS]
    b.mi .Lloop
    ldr x7, [x1, #CR_FIBER_NEXT]
    str x7, [x0, #CR_SCHED_HEAD]
    cbz x7, .Llast
/* Many tasks' stacks are in no cache: the one after this begins to come while this one runs. */
    ldr x8, [x7, #CR_FIBER_SP]
    prfm pldl1keep, [x8]
    prfm pldl1keep, [x8, #64]
/* The line is consistent from here on, whatever the head turns out to need. */
.Lcheck:
    ldrb w7, [x1, #CR_FIBER_RUN]
    cbnz w7, .Lnot_resumable
    count_switch
    ldr x5, [x1, #CR_FIBER_SP]
    ldr x6, [x1, #CR_FIBER_WAKE] /* what its parking call returns */
/* x5 is the frame of a parked context, x6 what its call returns. Writing the control register makes
 * the processor wait: it is written when it differs. */
.Lresume:
    mov sp, x5
    ldp x3, x4, [sp, #FRAME_CONTROL]
    mrs x7, fpcr
    cmp x7, x3
    b.eq .Lcontrol_loaded
    msr fpcr, x3
.Lcontrol_loaded:
    ldr x7, [x0, #CR_SCHED_ERRNO]
    str w4, [x7]
    mov x0, x6
    .cfi_remember_state
    load_frame FRAME_PARKED
    check_return
    ret
    .cfi_restore_state
.Llast:
    str x0, [x0, #CR_SCHED_TAIL] /* the head is the runner's first field */
    b .Lcheck
    endfunction cr_fiber_park_fast

    local cr_fiber_to_loop
/* New with a stack to be had: straight to its first run, without a way through the loop. */
.Lnot_resumable:
    mov x6, x1 /* the head, for the loop to serve */
    cmp w7, #CR_RUN_NEW
    b.ne .Lloop
    ldr x2, [x0, #CR_SCHED_STACKS]
    cbnz x2, cr_fiber_first_run
/* The loop's own context is a frame like the others. */
.Lloop:
    str xzr, [x0, #CR_SCHED_CURRENT] /* the loop is no fiber */
    ldr x5, [x0, #CR_SCHED_SP]
    b .Lresume
    endfunction cr_fiber_to_loop

/* The first run: x0 the runner, x1 the fiber, x2 a hot stack. This is the base of every fiber's
 * stack: an unwinder stops here. The arguments overlay what the fiber keeps later. */
    local cr_fiber_first_run
    ldr x7, [x2] /* off the list of hot stacks */
    str x7, [x0, #CR_SCHED_STACKS]
    count_switch
    mov sp, x2 /* onto the fresh stack */
    mov x19, x0 /* kept where no call destroys them */
    mov x20, x1
    mov x21, x2
    ldr x7, [x0, #CR_SCHED_FP]
    mrs x8, fpcr
    cmp x8, x7
    b.eq .Lfirst_controlled
    msr fpcr, x7
.Lfirst_controlled:
    ldr x7, [x0, #CR_SCHED_ERRNO]
    str wzr, [x7] /* errno starts at 0 */
    strb wzr, [x1, #CR_FIBER_RUN] /* CR_RUN_RESUME */
    ldr x22, [x1, #CR_FIBER_SP]   /* the function */
    ldrh w7, [x1, #CR_FIBER_FLAGS]
    tst w7, #CR_FIBER_FLAG_LARGE
    b.ne .Lmany
    add x9, x20, #CR_FIBER_ARGS
    load_few x9, x10
/* The record's fields overlay the arguments: they are cleared once those are in registers. */
.Lstart:
    str xzr, [x20, #CR_FIBER_WAIT]
    str x21, [x20, #CR_FIBER_STACK]
    str xzr, [x20, #CR_FIBER_SCOPE]
    str xzr, [x20, #CR_FIBER_GENERATOR]
    str xzr, [x20, #CR_FIBER_CHILD]
    mov x29, #0
    blr x22 /* the task's function */
    bl cr_fiber_returned
    brk #1
/* The block goes back to the runner's list as soon as it has been read. */
.Lmany:
    ldr x23, [x20, #CR_FIBER_ARGS]
    load_many x23
    ldr x9, [x19, #CR_SCHED_LARGE]
    str x9, [x23]
    str x23, [x19, #CR_SCHED_LARGE] /* the block has been read: it is free */
    b .Lstart
    endfunction cr_fiber_first_run

/* cr_fiber *cr_sched_enter_fast(cr_sched *x0) */
    function cr_sched_enter_fast
    sign_return
    save_frame FRAME_PARKED
    save_control
    str x5, [x0, #CR_SCHED_SP]
    b .Lnext
    endfunction cr_sched_enter_fast

/* void cr_fiber_leave_fast(cr_sched *x0) */
    function cr_fiber_leave_fast
    .cfi_undefined x30
    bti c
    b .Lnext
    endfunction cr_fiber_leave_fast

/* long cr_stack_swap(void **x0, void *x1, long x2) */
    function cr_stack_swap
    bti c
    save_frame FRAME_SWAPPED
    mov x9, sp
    str x9, [x0]
    mov sp, x1 /* and gone */
    load_frame FRAME_SWAPPED
    mov x0, x2 /* the value passed, for who comes back there */
    ret
    endfunction cr_stack_swap

/* void cr_sched_call_fast(const cr_sched *x0, void (*x1)(void *), void *x2): below the loop's
 * context nothing is in use. */
    function cr_sched_call_fast
    sign_return
    stp x29, x30, [sp, #-16]!
    .cfi_adjust_cfa_offset 16
    .cfi_rel_offset x29, 0
    .cfi_rel_offset x30, 8
    mov x29, sp
    .cfi_def_cfa_register x29
    ldr x9, [x0, #CR_SCHED_SP]
    and sp, x9, #-16
    mov x0, x2
    blr x1
    mov sp, x29
    .cfi_def_cfa_register sp
    ldp x29, x30, [sp], #16
    .cfi_restore x29
    .cfi_restore x30
    .cfi_adjust_cfa_offset -16
    check_return
    ret
    endfunction cr_sched_call_fast

/* Where a prepared stack starts: x19 the function, x20 its argument. */
    function cr_stack_base
    .cfi_undefined x30
    bti c
    mov x0, x20 /* its argument */
    mov x29, #0
    blr x19 /* the entry */
    brk #1
    endfunction cr_stack_base

/* void cr_call_captured(void (*x0)(void), const cr_small_args *x1, const cr_large_args *x2,
 *     cr_returned *x3) */
    function cr_call_captured
    sign_return
    stp x29, x30, [sp, #-32]!
    .cfi_adjust_cfa_offset 32
    .cfi_rel_offset x29, 0
    .cfi_rel_offset x30, 8
    mov x29, sp
    .cfi_def_cfa_register x29
    str x19, [sp, #16]
    .cfi_rel_offset x19, 16
    mov x19, x3 /* where the result goes */
    mov x16, x0 /* the function, out of the arguments' way */
    cbnz x2, .Lcall_many
    mov x9, x1
    load_few x9, x10
.Lcall:
    blr x16
    str x0, [x19]
    str d0, [x19, #8]
    mov sp, x29
    .cfi_def_cfa_register sp
    ldr x19, [sp, #16]
    .cfi_restore x19
    ldp x29, x30, [sp], #32
    .cfi_restore x29
    .cfi_restore x30
    .cfi_adjust_cfa_offset -32
    check_return
    ret
    .cfi_negate_ra_state
    .cfi_def_cfa x29, 32
    .cfi_rel_offset x29, 0
    .cfi_rel_offset x30, 8
    .cfi_rel_offset x19, 16
.Lcall_many:
    mov x9, x2
    load_many x9
    b .Lcall
    endfunction cr_call_captured

/* The two stubs that a call is captured by: the call's own type decides what is in the registers.
 * Two arguments never reach the stack, and only two of them can be 16 bytes in one vector register
 * each. */
    exported crank_capture_few_
    bti c
    adrp x16, :gottprel:cr_capture_place
    ldr x16, [x16, #:gottprel_lo12:cr_capture_place]
    mrs x17, tpidr_el0
    ldr x16, [x17, x16]
    cbz x16, .Lown
.Lstore:
    stp x0, x1, [x16]
    stp x2, x3, [x16, #16]
    stp d0, d1, [x16, #FEW_VECTOR]
    stp d2, d3, [x16, #FEW_VECTOR + 16]
    stp d4, d5, [x16, #FEW_VECTOR + 32]
    stp d6, d7, [x16, #FEW_VECTOR + 48]
    mov x17, v0.d[1]
    str x17, [x16, #FEW_HIGH]
    mov x17, v1.d[1]
    str x17, [x16, #FEW_HIGH + 8]
    ret
/* Where no loop runs, or its spare record was used up: then the thread's own buffer holds the
 * call. */
.Lown:
    adrp x16, :gottprel:cr_capture_own
    ldr x16, [x16, #:gottprel_lo12:cr_capture_own]
    add x16, x17, x16
    b .Lstore
    endfunction crank_capture_few_

    exported crank_capture_many_
    bti c
    adrp x16, :gottprel:cr_capture_block
    ldr x16, [x16, #:gottprel_lo12:cr_capture_block]
    mrs x17, tpidr_el0
    ldr x16, [x17, x16]
    cbz x16, .Lown_large
.Lstore_large:
    stp x0, x1, [x16]
    stp x2, x3, [x16, #16]
    stp x4, x5, [x16, #32]
    stp x6, x7, [x16, #48]
    stp q0, q1, [x16, #MANY_VECTOR]
    stp q2, q3, [x16, #MANY_VECTOR + 32]
    stp q4, q5, [x16, #MANY_VECTOR + 64]
    stp q6, q7, [x16, #MANY_VECTOR + 96]
    ldp q0, q1, [sp]
    ldp q2, q3, [sp, #32]
    ldp q4, q5, [sp, #64]
    ldp q6, q7, [sp, #96]
    stp q0, q1, [x16, #MANY_STACK]
    stp q2, q3, [x16, #MANY_STACK + 32]
    stp q4, q5, [x16, #MANY_STACK + 64]
    stp q6, q7, [x16, #MANY_STACK + 96]
    ret
.Lown_large:
    adrp x16, :gottprel:cr_capture_large
    ldr x16, [x16, #:gottprel_lo12:cr_capture_large]
    add x16, x17, x16
    b .Lstore_large
    endfunction crank_capture_many_

    .section .note.GNU-stack, "", %progbits
    .section .note.gnu.property, "a"
    .p2align 3
    .word 4, 16, 5
    .asciz "GNU"
    .word 0xc0000000, 4, 3 /* GNU_PROPERTY_AARCH64_FEATURE_1_AND: BTI and PAC */
    .word 0
