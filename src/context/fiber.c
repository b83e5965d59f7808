/* SPDX-License-Identifier: MIT */
/* fiber.c: what of the switch is written in C.
 *
 * Owns: the runner's beginning, the thread's places for captured arguments, the frame of a fresh
 * stack, and the proof that the assembly's offsets are those of the structs: whoever moves a field
 * learns of it from the compiler, not from a crash.
 *
 * The capture's places are thread-locals with the initial-exec model: the stubs reach them with
 * two instructions and call nothing, for a call would destroy the arguments that are to be
 * saved. */
#include "context/fiber.h"
#include <string.h>

#define AT(type, field, offset) _Static_assert(offsetof(type, field) == (offset), #type "." #field)
AT(cr_fiber, next, CR_FIBER_NEXT);
AT(cr_fiber, run, CR_FIBER_RUN);
AT(cr_fiber, flags, CR_FIBER_FLAGS);
AT(cr_fiber, sp, CR_FIBER_SP);
AT(cr_fiber, wake, CR_FIBER_WAKE);
AT(cr_fiber, wait, CR_FIBER_WAIT);
AT(cr_fiber, stack, CR_FIBER_STACK);
AT(cr_fiber, scope, CR_FIBER_SCOPE);
AT(cr_fiber, generator, CR_FIBER_GENERATOR);
AT(cr_fiber, many, CR_FIBER_ARGS);
AT(cr_sched, head, CR_SCHED_HEAD);
AT(cr_sched, tail, CR_SCHED_TAIL);
AT(cr_sched, current, CR_SCHED_CURRENT);
AT(cr_sched, sp, CR_SCHED_SP);
AT(cr_sched, budget, CR_SCHED_BUDGET);
AT(cr_sched, steps, CR_SCHED_STEPS);
AT(cr_sched, stacks, CR_SCHED_STACKS);
AT(cr_sched, errno_at, CR_SCHED_ERRNO);
AT(cr_sched, switches, CR_SCHED_SWITCHES);
AT(cr_sched, fp, CR_SCHED_FP);
AT(cr_sched, budget_full, CR_SCHED_BUDGET_FULL);
AT(cr_sched, large_free, CR_SCHED_LARGE);
_Static_assert(sizeof(cr_fiber) == 64, "a fiber is one cache line");
_Static_assert(sizeof(cr_small_args) == 112, "a record keeps 112 bytes free");

#define INITIAL_EXEC __attribute__((tls_model("initial-exec"), visibility("hidden")))
extern __thread cr_small_args cr_capture_own INITIAL_EXEC;
extern __thread cr_large_args cr_capture_large INITIAL_EXEC;
__thread cr_small_args *cr_capture_place;
__thread cr_small_args cr_capture_own;
__thread cr_large_args *cr_capture_block;
__thread cr_large_args cr_capture_large;

/* Where the stub wrote: it may be asked once per call, before the next capture. */
cr_small_args *cr_fiber_captured_small(void)
{
    return cr_capture_place ? cr_capture_place : &cr_capture_own;
}
cr_large_args *cr_fiber_captured_large(void)
{
    return cr_capture_block ? cr_capture_block : &cr_capture_large;
}

/* As the assembly keeps it: on x86-64 mxcsr and above it the x87 control word. */
uint64_t cr_fiber_floating_control(void)
{
#if defined(__x86_64__)
    uint32_t mxcsr = 0; /* MemorySanitizer does not see it written */
    uint16_t x87 = 0;
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    __asm__ volatile("fnstcw %0" : "=m"(x87));
    return mxcsr | (uint64_t)x87 << 32;
#else
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return fpcr;
#endif
}

/* Setting is dear (the processor waits): done where a fiber starts or the value differs. */
void cr_fiber_floating_control_set(uint64_t control)
{
#if defined(__x86_64__)
    uint32_t mxcsr = (uint32_t)control;
    uint16_t x87 = (uint16_t)(control >> 32);
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
    __asm__ volatile("fldcw %0" : : "m"(x87));
#else
    __asm__ volatile("msr fpcr, %0" : : "r"(control));
#endif
}

/* The control words of the thread that makes the runner are what new fibers start with. */
void cr_sched_init(cr_sched *runner)
{
    memset(runner, 0, sizeof *runner);
    runner->tail = &runner->head;
    runner->errno_at = &errno;
    runner->fp = cr_fiber_floating_control();
    runner->budget_full = CR_BUDGET;
    runner->budget = runner->budget_full;
}

void cr_stack_base(void);

/* The frame that cr_stack_swap loads: see the assembly. */
void *cr_fiber_prepare_stack(void *top, void (*entry)(void *arg), void *arg)
{
    uint64_t *sp = top;
#if defined(__x86_64__)
    sp -= 2; /* cr_stack_base finds the stack aligned to 16 and may call */
    *--sp = (uint64_t)(uintptr_t)cr_stack_base;
    *--sp = 0;                          /* rbp */
    *--sp = 0;                          /* rbx */
    *--sp = (uint64_t)(uintptr_t)entry; /* r12 */
    *--sp = (uint64_t)(uintptr_t)arg;   /* r13 */
    *--sp = 0;
    *--sp = 0;
#else
    sp -= 20; /* x19 to x30, d8 to d15 */
    memset(sp, 0, 20 * sizeof *sp);
    sp[0] = (uint64_t)(uintptr_t)entry;          /* x19 */
    sp[1] = (uint64_t)(uintptr_t)arg;            /* x20 */
    sp[11] = (uint64_t)(uintptr_t)cr_stack_base; /* x30 */
#endif
    return sp;
}
