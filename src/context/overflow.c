/* SPDX-License-Identifier: MIT */
/* overflow.c: a stack overflow is reported before the process dies of it.
 *
 * Owns: the process's SIGSEGV and SIGBUS handler while any loop lives, each such thread's alternate
 * signal stack, and the list of pools whose guards count as this thread's. Does not own the text of
 * the report.
 *
 * An overflowed stack has no room for a handler, so without the alternate stack the process would
 * die without a word. After the report the default action is put back and the handler returns: the
 * instruction faults again, and a core file shows the overflow itself instead of our handler.
 * Whatever is not an overflow goes to the handler that was there before.
 *
 * Invariant: the handler reads only this thread's list and what was written before it was
 * installed; it takes no lock. Signal calls are made directly and not through the OS table: they
 * are per thread and per process and have nothing to simulate. */
#include "context/stack.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

/* Room for the report, which prints (10 KiB of stack where stderr is unbuffered); on top of the
 * kernel's own frame. A stack somebody else has set is kept if it has at least the minimum. */
#define ALTERNATE_BYTES ((size_t)64 << 10)
#define ALTERNATE_MIN ((size_t)16 << 10)
#define NULL_BYTES 4096 /* no object lies there */

typedef void report_fn(const void *address, size_t depth, size_t limit);

/* One per loop of this thread; written while no fault of ours can happen. */
struct watched {
    struct watched *next;
    const cr_sys *sys;
    cr_stacks *stacks;
    report_fn *report;
};

struct alternate {
    char *memory; /* NULL where another's stack was good enough */
    size_t size;
    stack_t before; /* what was set before ours */
};

#define SIGNAL_LOCAL static __thread __attribute__((tls_model("initial-exec")))
/* Initial-exec, for the handler: any other thread-local may allocate when it is first touched. */
SIGNAL_LOCAL struct watched *watched_here;
SIGNAL_LOCAL struct alternate alternate_here;
SIGNAL_LOCAL uintptr_t passing_on; /* the frame that called the handler before ours; 0: over */

static const int fault_signals[] = { SIGSEGV, SIGBUS };
enum { FAULT_SIGNALS = sizeof fault_signals / sizeof *fault_signals };

/* The process's: how many loops want the handler, and what was there before it. */
static pthread_mutex_t handler_mutex = PTHREAD_MUTEX_INITIALIZER;
static size_t handler_users;
static struct sigaction before[FAULT_SIGNALS];

__thread bool (*cr_stack_restore)(const void *address);
void (*cr_null_faulted)(uintptr_t at);

/* Where the stack was, as the kernel saved it: the handler itself runs on another one. */
static const void *stack_pointer(const void *context)
{
    const ucontext_t *user = context;
#if defined(__x86_64__)
    return (const void *)(uintptr_t)user->uc_mcontext.gregs[REG_RSP];
#else
    return (const void *)(uintptr_t)user->uc_mcontext.sp;
#endif
}

static uintptr_t program_counter(const void *context)
{
    const ucontext_t *user = context;
#if defined(__x86_64__)
    return (uintptr_t)user->uc_mcontext.gregs[REG_RIP];
#else
    return (uintptr_t)user->uc_mcontext.pc;
#endif
}

/* All pools of this thread: a loop may run inside a callback of another's, one after the other. */
static bool report_overflow(const void *address)
{
    for (const struct watched *watched = watched_here; watched; watched = watched->next) {
        char *low;
        char *high;
        if (cr_stacks_in_guard(watched->stacks, address, &low, &high)) {
            watched->report(address, (size_t)(high - (const char *)address), (size_t)(high - low));
            return true;
        }
    }
    return false;
}

/* The default action comes when the handler returns: a fault happens again; a signal that was sent,
 * and the kernel's own for want of room for a signal's frame, must be sent again. */
static void die_by(int number, const siginfo_t *info)
{
    struct sigaction action = { .sa_handler = SIG_DFL };
    sigaction(number, &action, NULL);
    if (info->si_code <= 0 || info->si_code == SI_KERNEL)
        raise(number);
}

/* Is the handler before ours running, which was called further up the signal stack? One that left
 * by siglongjmp has left its mark, but the next fault begins at the top again. */
static bool passed_on_already(uintptr_t frame)
{
    return frame < passing_on && passing_on - frame < ALTERNATE_BYTES;
}

/* As if ours were not there: with the handler's own flags, in the form it was installed for.
 * What the kernel would do by itself is done by going back to the default action. */
static void pass_on(int number, siginfo_t *info, void *context)
{
    const struct sigaction *action = &before[number == SIGSEGV ? 0 : 1];
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    /* A handler installed after ours may call ours, which we took for the one before. */
    if (passed_on_already(frame) || action->sa_handler == SIG_DFL) {
        die_by(number, info);
    } else if (action->sa_handler == SIG_IGN) {
        if (info->si_code > 0)
            die_by(number, info);
    } else {
        passing_on = frame;
        if (action->sa_flags & SA_SIGINFO)
            action->sa_sigaction(number, info, context);
        else
            action->sa_handler(number);
        passing_on = 0;
    }
}

/* A fault whose address lies in a guard is an overflow; so is any with the stack pointer in one,
 * and a signal frame that found no room, for which the kernel gives no address: it would have
 * reached below the stack pointer. */
static bool is_overflow(const siginfo_t *info, const void *context)
{
    const char *sp = stack_pointer(context);
    if (report_overflow(info->si_addr) || report_overflow(sp))
        return true;
    return info->si_code == SI_KERNEL && report_overflow(sp - getauxval(AT_MINSIGSTKSZ));
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    bool sent = info->si_code <= 0;
    if (!sent && cr_stack_restore && cr_stack_restore(info->si_addr)) {
        errno = saved;
        return;
    }
    if (!sent && cr_null_faulted && (uintptr_t)info->si_addr < NULL_BYTES)
        cr_null_faulted(program_counter(context));
    if (!sent && is_overflow(info, context))
        die_by(number, info);
    else
        pass_on(number, info, context);
    errno = saved;
}

/* Installed by the first loop of the process and kept to the last; another's is remembered once. */
static void install_handler(void)
{
    pthread_mutex_lock(&handler_mutex);
    struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_ONSTACK | SA_SIGINFO };
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; handler_users == 0 && i < FAULT_SIGNALS; i++) {
        struct sigaction old;
        sigaction(fault_signals[i], NULL, &old);
        if (old.sa_sigaction == on_fault)
            continue;
        before[i] = old;
        sigaction(fault_signals[i], &action, NULL);
    }
    handler_users++;
    pthread_mutex_unlock(&handler_mutex);
}

/* Where somebody has put a handler over ours since, ours must stay: theirs may call it. */
static void remove_handler(void)
{
    pthread_mutex_lock(&handler_mutex);
    handler_users--;
    for (size_t i = 0; handler_users == 0 && i < FAULT_SIGNALS; i++) {
        struct sigaction now;
        sigaction(fault_signals[i], NULL, &now);
        if (now.sa_sigaction == on_fault)
            sigaction(fault_signals[i], &before[i], NULL);
    }
    pthread_mutex_unlock(&handler_mutex);
}

/* One guarded page below, for the report prints and may itself be deep. One that somebody else
 * has set is kept where it is large enough: it may be watched by a tool. */
static int alternate_open(const cr_sys *sys)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t kernel = getauxval(AT_MINSIGSTKSZ);
    stack_t old;
    sigaltstack(NULL, &old);
    alternate_here = (struct alternate){ .before = old };
    if (!(old.ss_flags & SS_DISABLE) && old.ss_size >= ALTERNATE_MIN + kernel)
        return 0;
    size_t usable = (ALTERNATE_BYTES + kernel + page - 1) / page * page;
    char *memory = sys->map(sys->context, page + usable);
    if (!memory)
        return -ENOMEM;
    stack_t new = { .ss_sp = memory + page, .ss_size = usable };
    if (sys->protect_none(sys->context, memory, page) < 0 || sigaltstack(&new, NULL) < 0) {
        sys->unmap(sys->context, memory, page + usable);
        return -ENOMEM;
    }
    alternate_here.memory = memory;
    alternate_here.size = page + usable;
    return 0;
}

/* Only where ours is still the one that is set: a later owner's is left alone. */
static void alternate_close(const cr_sys *sys)
{
    if (!alternate_here.memory)
        return;
    stack_t now;
    sigaltstack(NULL, &now);
    char *lowest = now.ss_sp;
    if (lowest > alternate_here.memory && lowest < alternate_here.memory + alternate_here.size)
        sigaltstack(&alternate_here.before, NULL);
    sys->unmap(sys->context, alternate_here.memory, alternate_here.size);
    alternate_here.memory = NULL;
}

/* The list is complete before the handler can see it, and the handler is there before any stack. */
int cr_overflow_install(const cr_sys *sys, cr_stacks *stacks, report_fn *report)
{
    struct watched *watched = cr_alloc(sys, sizeof *watched);
    if (!watched)
        return -ENOMEM;
    int result = watched_here ? 0 : alternate_open(sys);
    if (result < 0) {
        cr_free(sys, watched);
        return result;
    }
    *watched = (struct watched){ watched_here, sys, stacks, report };
    atomic_signal_fence(memory_order_release);
    watched_here = watched;
    install_handler();
    return 0;
}

/* The handler goes before the alternate stack that it runs on. */
void cr_overflow_remove(cr_stacks *stacks)
{
    for (struct watched **link = &watched_here; *link; link = &(*link)->next) {
        struct watched *watched = *link;
        if (watched->stacks != stacks)
            continue;
        *link = watched->next;
        atomic_signal_fence(memory_order_release);
        remove_handler();
        if (!watched_here)
            alternate_close(watched->sys);
        cr_free(watched->sys, watched);
        return;
    }
}
