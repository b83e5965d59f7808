/* SPDX-License-Identifier: MIT */
/* fiber.h: the part of a task that a switch touches, and the machine that switches.
 *
 * Owns: the ready line (first in, first out), the current fiber, the captured arguments, the switch
 * itself. Does not own: stacks (stack.h), what fibers wait for, the loop.
 *
 * A fiber leaves the processor only in cr_fiber_park, whose caller must do nothing after it: it is
 * a tail call, and the next fiber is resumed by a jump straight to its own caller's return address.
 * (A `ret` crossed after a switch is mispredicted whenever the two fibers wait in different
 * functions: about 10 ns.) The assembly keeps to the offsets below, which fiber.c asserts. */
#ifndef CR_FIBER_H
#define CR_FIBER_H

/* cr_fiber */
#define CR_FIBER_NEXT 0
#define CR_FIBER_RUN 8
#define CR_FIBER_FLAGS 10
#define CR_FIBER_SP 16
#define CR_FIBER_WAKE 24
#define CR_FIBER_WAIT 32
#define CR_FIBER_STACK 40
#define CR_FIBER_SCOPE 48
#define CR_FIBER_GENERATOR 56
#define CR_FIBER_ARGS 24
#define CR_FIBER_CHILD 128
/* cr_sched */
#define CR_SCHED_HEAD 0
#define CR_SCHED_TAIL 8
#define CR_SCHED_CURRENT 16
#define CR_SCHED_SP 24
#define CR_SCHED_BUDGET 32
#define CR_SCHED_STEPS 36
#define CR_SCHED_STACKS 40
#define CR_SCHED_ERRNO 48
#define CR_SCHED_SWITCHES 56
#define CR_SCHED_FP 64
#define CR_SCHED_BUDGET_FULL 72
#define CR_SCHED_LARGE 80

/* What the head of the ready line needs before it can go on. */
#define CR_RUN_RESUME 0     /* it has a stack and a place to return to */
#define CR_RUN_NEW 1        /* it has only captured arguments */
#define CR_RUN_HIBERNATED 3 /* its stack was put away: sp is the task layer's */
#define CR_RUN_SERVICE 2    /* it is not a fiber but a callback: the loop's business */
#define CR_RUN_NATIVE 4 /* it has only captured arguments and needs no stack: the task layer's */
#define CR_RUN_NATIVE_ENDS 5 /* the same, begun; its wake is its result */

#define CR_FIBER_FLAG_LARGE \
    1 /* the arguments are in a cr_large_args, whose address is at CR_FIBER_ARGS */

#ifndef __ASSEMBLER__
#include "base/probe.h"

#if CR_MSAN /* what the assembly reads and writes it does not see */
#include <sanitizer/msan_interface.h>
#endif

typedef struct cr_fiber cr_fiber;
typedef struct cr_sched cr_sched;

/* Argument registers and stack words as the small stub leaves them: enough for two arguments of any
 * type, and for four of one word each. */
typedef struct cr_small_args {
#if defined(__x86_64__)
    uint64_t general[4];
    uint64_t vector[4];
    uint64_t stack[4];
    uint64_t unused[2];
#else
    uint64_t general[4];
    uint64_t vector[8];
    uint64_t vector_high[2];
#endif
} cr_small_args;

/* The same for up to fourteen. */
typedef struct cr_large_args {
#if defined(__x86_64__)
    uint64_t general[6];
    uint64_t vector[8];
    uint64_t stack[16];
#else
    uint64_t general[8];
    uint64_t vector[16];
    uint64_t stack[16];
#endif
} cr_large_args;

/* What a captured call returned: which of the two counts is the site's business. */
typedef struct cr_returned {
    uint64_t integer;
    double real;
} cr_returned;

/* One cache line: all that a switch reads and writes of the fiber that is resumed. run and life
 * tell which of the unions' members hold. */
struct cr_fiber {
    cr_fiber *next;  /* in the ready line */
    uint8_t run;     /* CR_RUN_ */
    uint8_t life;    /* the task layer's */
    uint16_t flags;  /* CR_FIBER_FLAG_LARGE and the task layer's */
    uint32_t counts; /* the task layer's */
    union {
        void *sp;               /* while it does not run */
        void (*function)(void); /* before its first run */
        uint64_t result;        /* after its end */
    };
    union {
        struct {
            long wake;        /* what park returns */
            const void *wait; /* NULL or CR_WAIT_EAGER: ready or running */
            void *stack;      /* top of its stack */
            void *scope;
            void *generator;
        };
        cr_large_args *many; /* before its first run, with CR_FIBER_FLAG_LARGE; else a cr_small_args
                               begins here */
    };
};

/* The captured arguments of a new fiber: they reach beyond the fiber into what its owner keeps free
 * until the first run. */
static inline cr_small_args *cr_fiber_small(cr_fiber *fiber)
{
    return (cr_small_args *)(void *)((char *)fiber + CR_FIBER_ARGS);
}

/* What a fiber may do at a stretch, in waiting calls that need not wait. The quick ones take some
 * 5 ns each, one on a stream that has its data ten times that, or a visit to the kernel. */
enum {
    CR_BUDGET = 1024,
    CR_BUDGET_STREAM = 8, /* of it, for a call on a stream */
};

/* The wait of a fiber that has started another eagerly. It stands in the ready line right behind
 * that one, and the loop makes no turn before it has gone on. It keeps this wait until it parks
 * again, for nothing of crank's runs when it goes on. */
#define CR_WAIT_EAGER ((const void *)1)

/* One per loop, at its very beginning: the loop's thread reaches both by one pointer. */
struct cr_sched {
    cr_fiber *head; /* ready line */
    cr_fiber **tail;
    cr_fiber *current; /* NULL in the loop */
    void *sp;          /* the loop's own context while a fiber runs */
    uint32_t budget;   /* quick calls left to the current fiber before it makes room */
    int32_t steps;     /* fibers to run before the loop looks at the world */
    void *stacks;      /* hot free stacks, linked through the word at their top */
    int *errno_at;     /* this thread's errno */
    uint64_t switches;
    uint64_t fp; /* floating point control a new fiber starts with */
    uint32_t budget_full;
    uint32_t stack_usable; /* bytes below the top of each stack, for tools */
    void *large_free;  /* cr_large_args blocks given back by first runs, linked through their first
                        word */
    cr_tracer *tracer; /* NULL: nobody listens */
};

/* Builds whose switches are announced to a tool take them in C (switch_sanitized.c), all others in
 * assembly. */
#if CR_SWITCH_SANITIZED
#define CR_PARK_SYMBOL "cr_fiber_park"
#else
#define CR_PARK_SYMBOL "cr_fiber_park_fast"
#define cr_sched_enter cr_sched_enter_fast
#define cr_fiber_park cr_fiber_park_fast
#define cr_fiber_leave cr_fiber_leave_fast
#define cr_sched_call cr_sched_call_fast
#endif

/* The loop's side: run the ready line until it is empty, steps are used up, or its head needs
 * service. Gives that head (a callback, or a new fiber for which there is no stack), taken off the
 * line; else NULL. */
cr_fiber *cr_sched_enter(cr_sched *runner);
void cr_sched_init(cr_sched *runner);
/* fn(arg) on the loop's own stack, called from a fiber: for what needs more stack for a moment than
 * an idle fiber should keep. fn must not park, nor leave but by returning. */
void cr_sched_call(const cr_sched *runner, void (*fn)(void *arg), void *arg);
/* This thread's rounding mode and floating point traps, in the form of runner->fp. */
uint64_t cr_fiber_floating_control(void);
void cr_fiber_floating_control_set(uint64_t control);

/* First in, first out; tail points at the link to be set, so that an empty line is no special
 * case. */
static inline void cr_sched_push(cr_sched *runner, cr_fiber *fiber)
{
    fiber->next = NULL;
    *runner->tail = fiber;
    runner->tail = &fiber->next;
}
/* For one that was at the front already (it had no stack), and for eager spawns: nobody else may
 * overtake the line. */
static inline void cr_sched_push_front(cr_sched *runner, cr_fiber *fiber)
{
    fiber->next = runner->head;
    if (!runner->head)
        runner->tail = &fiber->next;
    runner->head = fiber;
}

/* The current fiber's side. Park: note what it waits for, run the others, and give, once it has
 * been pushed on the ready line again, its wake. Must be the last thing a waiting call does. */
long cr_fiber_park(cr_sched *runner, cr_fiber *self, const void *wait);
int cr_fiber_park_int(cr_sched *runner, cr_fiber *self, const void *wait) __asm__(CR_PARK_SYMBOL);
/* Leave for good; the stack must already be in the free list or kept by somebody else. */
CRANK_NORETURN void cr_fiber_leave(cr_sched *runner);
/* Called on the fiber's own stack when its function has returned; the task layer's. Does not
 * return. */
CRANK_NORETURN void cr_fiber_returned(uint64_t integer, double real);

/* Call a captured function here and now (worker threads, generators). many is NULL for the small
 * form. */
void cr_call_captured(
    void (*function)(void), const cr_small_args *few, const cr_large_args *many, cr_returned *ret);

/* Where the stubs write: into the loop's spare record and spare block, or, where one is NULL, this
 * thread's own buffer. */
extern __thread cr_small_args *cr_capture_place
    __attribute__((tls_model("initial-exec"), visibility("hidden")));
extern __thread cr_large_args *cr_capture_block
    __attribute__((tls_model("initial-exec"), visibility("hidden")));
static inline void cr_capture_into(cr_small_args *place) { cr_capture_place = place; }
static inline void cr_capture_into_block(cr_large_args *block)
{
    cr_capture_block = block;
#if CR_MSAN
    if (block)
        __msan_unpoison(block, sizeof *block);
#endif
}
cr_small_args *cr_fiber_captured_small(void); /* where it wrote last */
cr_large_args *cr_fiber_captured_large(void);

#if CR_MSAN
#define cr_call_captured(function, few, many, ret) \
    (__msan_unpoison_param(24), cr_call_captured(function, few, many, ret), \
        __msan_unpoison(ret, sizeof(cr_returned)))
#endif

/* A bare switch between two stacks: floating point state and errno are shared. Gives, when somebody
 * swaps back, the value they passed. As the last thing a function does it resumes straight in that
 * function's caller. */
long cr_stack_swap(void **save_sp, void *load_sp, long value);
int cr_stack_swap_int(void **save_sp, void *load_sp, long value) __asm__("cr_stack_swap");
/* One of the stacks a fiber alternates between (generators); the tools' fields are used in
 * announced builds only. */
typedef struct cr_side {
    void *sp;
    const void *low;
    size_t size;
    void *fake;
    void *tsan;
    long value;
} cr_side;
/* From one side to another with a value; comes back with one when somebody swaps to from. */
#if CR_SWITCH_SANITIZED
int cr_side_swap(cr_side *from, cr_side *to, long value);
/* The same for good. */
CRANK_NORETURN void cr_side_leave(cr_side *from, cr_side *to, long value);
/* The first thing on a fresh side. */
void cr_side_entered(cr_side *self);
void cr_side_prepare(
    cr_side *side, cr_sched *runner, void *top, void (*entry)(void *arg), void *arg);
#else
#define cr_side_swap(from, to, value) cr_stack_swap_int(&(from)->sp, (to)->sp, (value))
#define cr_side_leave(from, to, value) \
    ((void)cr_side_swap(from, to, value), __builtin_unreachable())
#define cr_side_entered(self) ((void)0)
#define cr_side_prepare(side, runner, top, entry, arg) \
    ((side)->sp = cr_fiber_prepare_stack((top), (entry), (arg)))
#endif
/* Prepare a fresh stack so that swapping to it calls entry(arg), which must not return. */
void *cr_fiber_prepare_stack(void *top, void (*entry)(void *arg), void *arg);
#endif
#endif
