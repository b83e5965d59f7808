/* SPDX-License-Identifier: MIT */
/* switch_x86_64.S: the switch, the first run of a fiber, and the capture of a call.
 *
 * A parked context is a frame of callee-saved registers, floating point control and errno on its
 * own stack, under the return address of the call that waited:
 *
 * 0 mxcsr, 4 x87 control word, 8 errno, 16 r15, 24 r14, 32 r13, 40 r12, 48 rbx, 56 rbp, 64 return
 * address
 *
 * It is resumed by a jump to that address, not a ret: a ret is predicted to go where the last call
 * came from, which is another fiber's function. So a call that parks must be a tail call all the
 * way down from the user's: then the jump leads straight back into the user's code.
 *
 * Owns the layout of that frame and of nothing else: the structs' offsets are those of fiber.h,
 * which fiber.c asserts. Caller-saved registers need no saving, for to the compiler a switch is a
 * call. What may differ between two fibers and is not in registers (rounding, traps, errno) is part
 * of the frame; everything else that a thread has (its signal mask, its thread-locals) the fibers
 * of a loop share.
 *
 * The CFI must be right at every instruction: debuggers, profilers and the sanitizers' unwinders
 * stop anywhere. At the base of a stack it says that there is no caller, or backtrace() would
 * run off it. */
#include "context/fiber.h"

#define FRAME_ERRNO 8
#define MXCSR_CONTROL 0xffc0 /* rounding, masks, denormals; below are the flags of exceptions */
#define FRAME_SAVED 16

    /* endbr64 first: with indirect branch tracking on, an indirect call must land on one. At the
     * beginning of a cache line, so that the shortest ones lie in one: where a switch crosses from
     * one into the next, it is up to a quarter slower, and other code decides which. */
    .macro function name
    .globl \name
    .hidden \name
    .type \name, @function
    .p2align 6
\name:
    .cfi_startproc
    endbr64
    .endm
    .macro endfunction name
    .cfi_endproc
    .size \name, . - \name
    .endm
    .macro push_cfi register
    pushq %\register
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset \register, 0
    .endm
    .macro pop_cfi register
    popq %\register
    .cfi_adjust_cfa_offset -8
    .cfi_restore \register
    .endm
    /* In the order of the frame, with a note for the unwinder at each step. */
    .macro save_registers
    push_cfi rbp
    push_cfi rbx
    push_cfi r12
    push_cfi r13
    push_cfi r14
    push_cfi r15
    .endm
    /* The stack is as after a ret; notrack, since what it jumps to is the place behind a call,
     * where no compiler puts an endbr64. */
    .macro restore_and_jump
    pop_cfi r15
    pop_cfi r14
    pop_cfi r13
    pop_cfi r12
    pop_cfi rbx
    pop_cfi rbp
    popq %rcx
    .cfi_adjust_cfa_offset -8
    .cfi_register rip, rcx
    notrack jmp *%rcx
    .endm

    .section .text.hot, "ax", @progbits /* beside CR_HOT */

/* long cr_fiber_park_fast(cr_sched *rdi, cr_fiber *rsi, const void *rdx) */
    function cr_fiber_park_fast
    /* What it waits for is noted before anybody else can run and ask. */
    movq %rdx, CR_FIBER_WAIT(%rsi)
    save_registers
    subq $FRAME_SAVED, %rsp
    .cfi_adjust_cfa_offset FRAME_SAVED
    stmxcsr (%rsp)
    fnstcw 4(%rsp)
    movq CR_SCHED_ERRNO(%rdi), %rax
    movl (%rax), %eax
    movl %eax, FRAME_ERRNO(%rsp)
    movq %rsp, CR_FIBER_SP(%rsi)
    movq %rsp, %r10 /* the control words there are now */
/* The next in line, or back to the loop. Falls in with the frame of a parked context on the stack
 * it loads; at r10 lies the floating point control there is now. */
.Lnext:
    movq CR_SCHED_HEAD(%rdi), %rsi /* the next in line */
    xorl %eax, %eax /* what the loop is told: no service wanted */
    testq %rsi, %rsi
    jz .Lloop
    decl CR_SCHED_STEPS(%rdi) /* enough for this turn? */
    js .Lloop
    movq CR_FIBER_NEXT(%rsi), %rcx
    movq %rcx, CR_SCHED_HEAD(%rdi)
    testq %rcx, %rcx
    jz .Llast
/* Many tasks' stacks are in no cache: the one after this begins to come while this one runs. What
 * is no stack (a function, not yet run) does no harm. */
    movq CR_FIBER_SP(%rcx), %rdx
    prefetcht0 (%rdx)
    prefetcht0 64(%rdx)
/* The line is consistent from here on, whatever the head turns out to need. */
.Lcheck:
    cmpb $CR_RUN_RESUME, CR_FIBER_RUN(%rsi)
    jne .Lnot_resumable
    movq %rsi, CR_SCHED_CURRENT(%rdi)
    movl CR_SCHED_BUDGET_FULL(%rdi), %ecx /* a fiber starts with a full budget */
    movl %ecx, CR_SCHED_BUDGET(%rdi)
    incq CR_SCHED_SWITCHES(%rdi)
    movq CR_FIBER_SP(%rsi), %rsp /* from here on its stack */
    movq CR_FIBER_WAKE(%rsi), %rax /* what its parking call returns */
.Lresume:
    movl (%r10), %r8d /* mxcsr as it is */
    movzwl 4(%r10), %r9d /* the x87 control word as it is */
    xorl (%rsp), %r8d
    testl $MXCSR_CONTROL, %r8d
    jnz .Lload_control
    cmpw 4(%rsp), %r9w
    jne .Lload_control
/* errno is this thread's one, reached by a pointer that is read when the loop starts: the
 * address of a thread-local may not be kept across a switch by a compiler, but here it is the
 * runner's. */
.Lcontrol:
    movl FRAME_ERRNO(%rsp), %ecx /* its errno */
    movq CR_SCHED_ERRNO(%rdi), %rdx
    movl %ecx, (%rdx)
    .cfi_remember_state
    addq $FRAME_SAVED, %rsp
    .cfi_adjust_cfa_offset -FRAME_SAVED
    restore_and_jump
    .cfi_restore_state
/* A load of either makes the processor wait, for the resumed stack to come from memory most of
 * all: so only what differs is loaded. What exceptions there were is no call's to keep, by the
 * calling convention, and so no switch's: or any task that calculates would pay for two loads. */
.Lload_control:
    ldmxcsr (%rsp)
    fldcw 4(%rsp)
    jmp .Lcontrol
.Llast:
    movq %rdi, CR_SCHED_TAIL(%rdi) /* empty: the head is the runner's first field */
    jmp .Lcheck
    endfunction cr_fiber_park_fast

/* Back to the loop with rax: NULL, or the head that needs service. */
    .type cr_fiber_to_loop, @function
cr_fiber_to_loop:
    .cfi_startproc
    .cfi_undefined rip
/* New with a stack to be had: straight to its first run, without a way through the loop. */
.Lnot_resumable:
    movq %rsi, %rax /* the head, for the loop to serve */
    cmpb $CR_RUN_NEW, CR_FIBER_RUN(%rsi)
    jne .Lloop
    movq CR_SCHED_STACKS(%rdi), %rdx
    testq %rdx, %rdx
    jnz cr_fiber_first_run
/* The loop's own context is a frame like the others. */
.Lloop:
    movq $0, CR_SCHED_CURRENT(%rdi) /* the loop is no fiber */
    movq CR_SCHED_SP(%rdi), %rsp
    jmp .Lresume
    endfunction cr_fiber_to_loop

/* The first run: rdi the runner, rsi the fiber, rdx a hot stack. This is the base of every fiber's
 * stack: an unwinder stops here. */
    .type cr_fiber_first_run, @function
cr_fiber_first_run:
    .cfi_startproc
    .cfi_undefined rip
    movq (%rdx), %rcx /* off the list of hot stacks */
    movq %rcx, CR_SCHED_STACKS(%rdi)
    movq %rsi, CR_SCHED_CURRENT(%rdi)
    movl CR_SCHED_BUDGET_FULL(%rdi), %ecx
    movl %ecx, CR_SCHED_BUDGET(%rdi)
    incq CR_SCHED_SWITCHES(%rdi)
/* What has just ended may have left its stack, with these words, to be the fresh one: a signal
 * that comes once rsp is at its top writes over them. */
    movl (%r10), %r8d
    movzwl 4(%r10), %r9d
    movq %rdx, %rsp /* onto the fresh stack */
    movq %rdi, %r12 /* kept where no call destroys them */
    movq %rsi, %rbx
    movq %rdx, %r13
    xorl CR_SCHED_FP(%rdi), %r8d
    testl $MXCSR_CONTROL, %r8d
    jnz .Lfirst_control
    cmpw CR_SCHED_FP + 4(%rdi), %r9w
    jne .Lfirst_control
/* The arguments are loaded last, for everything before needs registers. What overlays them in
 * the record (wait, stack, scope, generator, child) is written only after. */
.Lfirst_controlled:
    movq CR_SCHED_ERRNO(%r12), %rax
    movl $0, (%rax) /* errno starts at 0 */
    movb $CR_RUN_RESUME, CR_FIBER_RUN(%rbx)
    movq CR_FIBER_SP(%rbx), %r14 /* the function, before its first run */
    testb $CR_FIBER_FLAG_LARGE, CR_FIBER_FLAGS(%rbx)
    jnz .Lmany
    pushq CR_FIBER_ARGS + 88(%rbx) /* the stack arguments a small call can have */
    pushq CR_FIBER_ARGS + 80(%rbx)
    pushq CR_FIBER_ARGS + 72(%rbx)
    pushq CR_FIBER_ARGS + 64(%rbx)
    movq CR_FIBER_ARGS + 32(%rbx), %xmm0 /* as many registers as two arguments fill */
    movq CR_FIBER_ARGS + 40(%rbx), %xmm1
    movq CR_FIBER_ARGS + 48(%rbx), %xmm2
    movq CR_FIBER_ARGS + 56(%rbx), %xmm3
    movq CR_FIBER_ARGS + 0(%rbx), %rdi
    movq CR_FIBER_ARGS + 8(%rbx), %rsi
    movq CR_FIBER_ARGS + 16(%rbx), %rdx
    movq CR_FIBER_ARGS + 24(%rbx), %rcx
/* rbp is 0 at the base, where frame pointers end too. */
.Lstart:
    xorl %ebp, %ebp
    movq %rbp, CR_FIBER_WAIT(%rbx)
    movq %r13, CR_FIBER_STACK(%rbx) /* its top, to give it back by */
    movq %rbp, CR_FIBER_SCOPE(%rbx)
    movq %rbp, CR_FIBER_GENERATOR(%rbx)
    movq %rbp, CR_FIBER_CHILD(%rbx)
    movl $8, %eax /* for a variadic function: vector registers in use, at most */
    call *%r14 /* the task's function */
    movq %rax, %rdi
    call cr_fiber_returned
    ud2 /* cr_fiber_returned does not return */
.Lfirst_control:
    ldmxcsr CR_SCHED_FP(%r12)
    fldcw CR_SCHED_FP + 4(%r12)
    jmp .Lfirst_controlled
/* All sixteen words are copied, whatever the call had: the pool's block is that large. Each is read
 * in the size it was written in a moment ago, which the processor forwards; the compiler writes
 * those the call has one by one, fourteen arguments of one word each at most eight. */
.Lmany:
    movq CR_FIBER_ARGS(%rbx), %r15
    subq $128, %rsp /* sixteen words of stack arguments */
    .irp at, 0, 8, 16, 24, 32, 40, 48, 56
    movq 112 + \at(%r15), %rax
    movq %rax, \at(%rsp)
    .endr
    .irp at, 64, 80, 96, 112
    movups 112 + \at(%r15), %xmm0
    movups %xmm0, \at(%rsp)
    .endr
    movq 48(%r15), %xmm0
    movq 56(%r15), %xmm1
    movq 64(%r15), %xmm2
    movq 72(%r15), %xmm3
    movq 80(%r15), %xmm4
    movq 88(%r15), %xmm5
    movq 96(%r15), %xmm6
    movq 104(%r15), %xmm7
    movq 0(%r15), %rdi
    movq 8(%r15), %rsi
    movq 16(%r15), %rdx
    movq 24(%r15), %rcx
    movq 32(%r15), %r8
    movq 40(%r15), %r9
    movq CR_SCHED_LARGE(%r12), %rax
    movq %rax, (%r15)
    movq %r15, CR_SCHED_LARGE(%r12) /* the block has been read: it is free */
    jmp .Lstart
    endfunction cr_fiber_first_run

/* cr_fiber *cr_sched_enter_fast(cr_sched *rdi) */
    function cr_sched_enter_fast
    save_registers
    subq $FRAME_SAVED, %rsp
    .cfi_adjust_cfa_offset FRAME_SAVED
    stmxcsr (%rsp)
    fnstcw 4(%rsp)
    movq CR_SCHED_ERRNO(%rdi), %rax
    movl (%rax), %eax
    movl %eax, FRAME_ERRNO(%rsp)
    movq %rsp, CR_SCHED_SP(%rdi)
    movq %rsp, %r10
    jmp .Lnext
    endfunction cr_sched_enter_fast

/* void cr_fiber_leave_fast(cr_sched *rdi) */
    function cr_fiber_leave_fast
    .cfi_undefined rip
    /* Nothing is saved of a fiber that leaves; only its control words are needed, to compare
     * with those of whoever comes next. The red zone, which signal handlers leave alone, is room
     * enough. */
    stmxcsr -8(%rsp)
    fnstcw -4(%rsp)
    leaq -8(%rsp), %r10
    jmp .Lnext
    endfunction cr_fiber_leave_fast

/* void cr_sched_call_fast(const cr_sched *rdi, void (*rsi)(void *), void *rdx): below the loop's
 * context nothing is in use. */
    function cr_sched_call_fast
    push_cfi rbp
    movq %rsp, %rbp
    .cfi_def_cfa_register rbp
    movq CR_SCHED_SP(%rdi), %rsp
    andq $-16, %rsp
    movq %rdx, %rdi
    call *%rsi
    leave
    .cfi_def_cfa rsp, 8
    ret
    endfunction cr_sched_call_fast

/* long cr_stack_swap(void **rdi, void *rsi, long rdx) */
    function cr_stack_swap
    save_registers
    movq %rsp, (%rdi)
    movq %rsi, %rsp /* and gone */
    movq %rdx, %rax /* the value passed, for who comes back there */
    restore_and_jump
    endfunction cr_stack_swap

/* Where a prepared stack starts: r12 the function, r13 its argument. */
    function cr_stack_base
    .cfi_undefined rip
    movq %r13, %rdi /* its argument */
    call *%r12 /* the entry */
    ud2
    endfunction cr_stack_base

/* void cr_call_captured(void (*rdi)(void), const cr_small_args *rsi, const cr_large_args *rdx,
 * cr_returned *rcx) */
    function cr_call_captured
    push_cfi rbp
    movq %rsp, %rbp
    .cfi_def_cfa_register rbp
    pushq %rbx
    .cfi_offset rbx, -24
    subq $136, %rsp
    movq %rcx, %rbx /* where the result goes */
    movq %rdi, %r11 /* the function, out of the arguments' way */
    testq %rdx, %rdx
    jnz .Lcall_many
    movups 64(%rsi), %xmm0
    movups 80(%rsi), %xmm1
    movups %xmm0, (%rsp)
    movups %xmm1, 16(%rsp)
    movq 32(%rsi), %xmm0
    movq 40(%rsi), %xmm1
    movq 48(%rsi), %xmm2
    movq 56(%rsi), %xmm3
    movq 0(%rsi), %rdi
    movq 16(%rsi), %rdx
    movq 24(%rsi), %rcx
    movq 8(%rsi), %rsi
.Lcall:
    movl $8, %eax
    call *%r11
    movq %rax, (%rbx) /* both results: which counts the site knows */
    movsd %xmm0, 8(%rbx)
    movq -8(%rbp), %rbx
    leave
    .cfi_def_cfa rsp, 8
    ret
    .cfi_def_cfa rbp, 16
/* r10 keeps the block, for rsi and rdi are needed to copy from it. */
.Lcall_many:
    movq %rdx, %r10
    leaq 112(%r10), %rsi
    movq %rsp, %rdi
    movl $16, %ecx
    rep movsq
    movq 48(%r10), %xmm0
    movq 56(%r10), %xmm1
    movq 64(%r10), %xmm2
    movq 72(%r10), %xmm3
    movq 80(%r10), %xmm4
    movq 88(%r10), %xmm5
    movq 96(%r10), %xmm6
    movq 104(%r10), %xmm7
    movq 0(%r10), %rdi
    movq 8(%r10), %rsi
    movq 16(%r10), %rdx
    movq 24(%r10), %rcx
    movq 32(%r10), %r8
    movq 40(%r10), %r9
    jmp .Lcall
    endfunction cr_call_captured

    /* The two stubs that a call is captured by: the call's own type decides what is in the
     * registers, so the compiler checks and converts the arguments as for the function itself.
     * Nothing but scratch registers is used, and the stack is read, never written: the four or
     * sixteen words above the return address are the stack arguments, or whatever the caller has
     * there. */
    .globl crank_capture_few_
    .type crank_capture_few_, @function
    .p2align 4
crank_capture_few_:
    .cfi_startproc
    endbr64
    movq cr_capture_place@gottpoff(%rip), %r11
    movq %fs:(%r11), %r11
    testq %r11, %r11 /* a spare record? */
    jz .Lown
.Lstore:
    movq %rdi, 0(%r11)
    movq %rsi, 8(%r11)
    movq %rdx, 16(%r11)
    movq %rcx, 24(%r11)
    movq %xmm0, 32(%r11)
    movq %xmm1, 40(%r11)
    movq %xmm2, 48(%r11)
    movq %xmm3, 56(%r11)
/* Word by word, as they were written: wider loads would wait for those stores to reach the
 * cache. */
    movq 8(%rsp), %rax
    movq 16(%rsp), %rdx
    movq 24(%rsp), %rcx
    movq 32(%rsp), %rsi
    movq %rax, 64(%r11)
    movq %rdx, 72(%r11)
    movq %rcx, 80(%r11)
    movq %rsi, 88(%r11)
    ret
/* Where no loop runs, or its spare record was used up: then the thread's own buffer holds the
 * call. */
.Lown:
    movq cr_capture_own@gottpoff(%rip), %r11
    addq %fs:0, %r11
    jmp .Lstore
    endfunction crank_capture_few_

    .globl crank_capture_many_
    .type crank_capture_many_, @function
    .p2align 4
crank_capture_many_:
    .cfi_startproc
    endbr64
    movq cr_capture_block@gottpoff(%rip), %r11
    movq %fs:(%r11), %r11
    testq %r11, %r11 /* a spare block? */
    jz .Lown_large
.Lstore_large:
    movq %rdi, 0(%r11)
    movq %rsi, 8(%r11)
    movq %rdx, 16(%r11)
    movq %rcx, 24(%r11)
    movq %r8, 32(%r11)
    movq %r9, 40(%r11)
    movq %xmm0, 48(%r11)
    movq %xmm1, 56(%r11)
    movq %xmm2, 64(%r11)
    movq %xmm3, 72(%r11)
    movq %xmm4, 80(%r11)
    movq %xmm5, 88(%r11)
    movq %xmm6, 96(%r11)
    movq %xmm7, 104(%r11)
    .irp at, 0, 8, 16, 24, 32, 40, 48, 56
    movq 8 + \at(%rsp), %rax
    movq %rax, 112 + \at(%r11)
    .endr
    .irp at, 64, 80, 96, 112
    movups 8 + \at(%rsp), %xmm0
    movups %xmm0, 112 + \at(%r11)
    .endr
    ret
.Lown_large:
    movq cr_capture_large@gottpoff(%rip), %r11
    addq %fs:0, %r11
    jmp .Lstore_large
    endfunction crank_capture_many_

    .section .note.GNU-stack, "", @progbits
    .section .note.gnu.property, "a"
    .p2align 3
    .long 4, 16, 5
    .asciz "GNU"
    .long 0xc0000002, 4, 1 /* GNU_PROPERTY_X86_FEATURE_1_AND: IBT */
    .long 0
