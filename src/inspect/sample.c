/* SPDX-License-Identifier: MIT */
/* sample.c: where a loop's thread is, asked from another thread.
 *
 * The kernel is asked first. A thread that it shows in a system call is left alone: its stack is
 * read through procfs, which fails where memory is missing instead of faulting, and no further up
 * than the slot of its task reaches. Only a thread that runs is sent a signal, and in such a way
 * that it is delivered between two instructions of its own and never inside a system call, which
 * might end early by it (base/sys.h). The handler runs on the alternate stack where there is one,
 * copies words, and locks nothing.
 *
 * Owns the signal: a real-time one that has no handler when first needed, and ours from then on to
 * the end of the process, for one may still be on its way. Where the program installs its own
 * handler for it later, the program has it and another is chosen. */
#include "inspect/sample.h"
#include "base/valgrind.h"
#include "task/record.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <ucontext.h>

#define PROC "/proc/self/task/%d/"
#define MILLISECOND INT64_C(1000000)
#define ANSWER_MS 100 /* a thread that runs at all does so within this */
#define LOOP_STACK_MOST ((uintptr_t)8 << 20)

CR_RACY cr_beat cr_sample_beat_of(const crank_loop *loop)
{
    const volatile crank_loop *seen = loop;
    return (cr_beat){ seen->runner.switches, seen->polled_at, seen->runner.steps };
}

/* ---- what the kernel says */

/* The beginning of a file of the thread's in procfs, as text; 0 or a negative errno. */
static int read_text(const crank_loop *loop, const char *name, char *buf, size_t size)
{
    const cr_sys *sys = loop->base_sys;
    char path[64];
    snprintf(path, sizeof path, PROC "%s", loop->watched.thread, name);
    int fd = sys->open(sys->context, path, O_RDONLY, 0);
    if (fd < 0)
        return fd;
    ssize_t length = sys->read(sys->context, fd, buf, size - 1);
    sys->close(sys->context, fd);
    if (length < 0)
        return (int)length;
    buf[length] = '\0';
    return 0;
}

/* "running", or the number of the call, its arguments, stack pointer and program counter; -1 and no
 * arguments outside a call. */
enum cr_stance cr_sample_stance(const crank_loop *loop, long *ret_call, cr_stack_copy *ret_copy)
{
    char text[256];
    unsigned long sp, pc;
    *ret_call = -1;
    ret_copy->pc = ret_copy->fp = ret_copy->lr = ret_copy->top = ret_copy->last = 0;
    ret_copy->count = 0;
    if (read_text(loop, "syscall", text, sizeof text) < 0)
        return CR_STANCE_UNKNOWN;
    if (strncmp(text, "running", sizeof "running" - 1) == 0)
        return CR_STANCE_RUNS;
    int got = sscanf(text, "%ld %*x %*x %*x %*x %*x %*x %lx %lx", ret_call, &sp, &pc);
    if (got == 1)
        got = sscanf(text, "%ld %lx %lx", ret_call, &sp, &pc);
    if (got != 3)
        return CR_STANCE_UNKNOWN;
    ret_copy->sp = sp;
    ret_copy->pc = pc;
    return CR_STANCE_WAITS;
}

int64_t cr_sample_computed(const crank_loop *loop)
{
    const cr_sys *sys = loop->base_sys;
    return sys->thread_time(sys->context, loop->watched.self);
}

/* On a kernel without schedstat a thread that waited for a processor cannot be told from one that
 * slept. */
int64_t cr_sample_delayed(const crank_loop *loop)
{
    char text[96];
    long long delayed;
    bool known = read_text(loop, "schedstat", text, sizeof text) == 0 &&
                 sscanf(text, "%*s %lld", &delayed) == 1;
    return known ? delayed : 0;
}

/* ---- the stack to which an address belongs */

/* The slot of a task or generator, or the part of the thread's own stack on which the loop runs.
 * The slabs' list only grows, so that it may be read from a handler and from another thread. */
static void find_top(const crank_loop *loop, cr_stack_copy *copy)
{
    const cr_task_state *tasks = loop->tasks;
    uintptr_t last = (uintptr_t)loop->watched.frame;
    char *low, *high;
    copy->top = copy->last = 0;
    if (tasks && cr_stacks_find(tasks->stacks, (const void *)copy->sp, &low, &high)) {
        copy->top = (uintptr_t)high;
    } else if (copy->sp < last && last - copy->sp < LOOP_STACK_MOST) {
        copy->last = last;
        copy->top = last + 2 * sizeof(uint64_t);
    }
}

/* How many words to copy, after sp was rounded up to one. */
static size_t words_to_copy(const crank_loop *loop, cr_stack_copy *copy)
{
    copy->sp = (copy->sp + sizeof(uint64_t) - 1) & ~(uintptr_t)(sizeof(uint64_t) - 1);
    find_top(loop, copy);
    size_t count = copy->top ? (copy->top - copy->sp) / sizeof(uint64_t) : 0;
    return count < CRANK_COUNT(copy->words) ? count : CRANK_COUNT(copy->words);
}

/* ---- from outside */

/* Through the kernel and not by loads: whatever the thread does meanwhile, this cannot fault. */
void cr_sample_waiting(const crank_loop *loop, cr_stack_copy *copy)
{
    const cr_sys *sys = loop->base_sys;
    size_t count = words_to_copy(loop, copy);
    int fd = count ? sys->open(sys->context, "/proc/self/mem", O_RDONLY, 0) : -1;
    copy->count = 0;
    if (fd < 0)
        return;
    struct iovec piece = { copy->words, count * sizeof *copy->words };
    ssize_t length = sys->read_at(sys->context, fd, &piece, (int64_t)copy->sp, 0);
    sys->close(sys->context, fd);
    copy->count = length > 0 ? (size_t)length / sizeof *copy->words : 0;
}

/* ---- from inside */

enum { NOBODY_ASKS, ASKED, COPYING, COPIED };

static struct {
    atomic_int state;
    atomic_int serial; /* of the question: an answer to an earlier one is none */
    const crank_loop *loop;
    cr_beat beat; /* of the loop when it answered */
    cr_stack_copy *copy;
} question;

/* Word by word: a tool's memcpy would object to the frames of others. */
CR_RACY static void copy_words(cr_stack_copy *copy, size_t count)
{
    const volatile uint64_t *from = (const volatile uint64_t *)copy->sp;
    for (size_t i = 0; i < count; i++)
        copy->words[i] = from[i];
    copy->count = count;
    /* Frames have places that were never written, and a walk may well look at them. */
    size_t size = offsetof(cr_stack_copy, words) + count * sizeof *copy->words;
    (void)VALGRIND_MAKE_MEM_DEFINED(copy, size);
}

static void read_registers(const ucontext_t *user, cr_stack_copy *copy)
{
#if defined(__x86_64__)
    copy->pc = (uintptr_t)user->uc_mcontext.gregs[REG_RIP];
    copy->sp = (uintptr_t)user->uc_mcontext.gregs[REG_RSP];
    copy->fp = (uintptr_t)user->uc_mcontext.gregs[REG_RBP];
    copy->lr = 0;
#else
    copy->pc = user->uc_mcontext.pc;
    copy->sp = user->uc_mcontext.sp;
    copy->fp = user->uc_mcontext.regs[29];
    copy->lr = user->uc_mcontext.regs[30];
#endif
}

static void on_question(int number, siginfo_t *info, void *context)
{
    int expected = ASKED;
    (void)number;
    if (info->si_code != SI_TIMER || info->si_value.sival_int != atomic_load(&question.serial) ||
        !atomic_compare_exchange_strong(&question.state, &expected, COPYING))
        return;
    read_registers(context, question.copy);
    question.beat = cr_sample_beat_of(question.loop);
    copy_words(question.copy, words_to_copy(question.loop, question.copy));
    atomic_store(&question.state, COPIED);
}

static bool is_ours(int number)
{
    struct sigaction now;
    return sigaction(number, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) &&
           now.sa_sigaction == on_question;
}

/* From the top: programs that use these signals tend to begin at SIGRTMIN. */
static int choose_signal(void)
{
    static int chosen;
    struct sigaction action = { .sa_sigaction = on_question,
        .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK };
    if (chosen && is_ours(chosen))
        return chosen;
    for (int number = SIGRTMAX; number >= SIGRTMIN; number--) {
        struct sigaction now;
        if (sigaction(number, NULL, &now) < 0 || (now.sa_flags & SA_SIGINFO) ||
            now.sa_handler != SIG_DFL)
            continue;
        sigfillset(&action.sa_mask);
        sigaction(number, &action, NULL);
        chosen = number;
        return number;
    }
    return -EBUSY;
}

/* The answer is polled for, since a handler can wake no thread. A handler that runs too late finds
 * the question withdrawn. */
static bool wait_for_answer(const cr_sys *sys)
{
    int expected = ASKED;
    for (int waited = 0; waited < ANSWER_MS; waited++) {
        if (atomic_load(&question.state) == COPIED)
            return true;
        (void)sys->poll(sys->context, NULL, 0, MILLISECOND);
    }
    if (atomic_compare_exchange_strong(&question.state, &expected, NOBODY_ASKS))
        return false;
    while (atomic_load(&question.state) != COPIED)
        (void)sys->poll(sys->context, NULL, 0, MILLISECOND);
    return true;
}

bool cr_sample_running(const crank_loop *loop, const cr_beat *beat, cr_stack_copy *ret_copy)
{
    const cr_sys *sys = loop->base_sys;
    cr_signal asked = { .thread = loop->watched.thread, .number = choose_signal() };
    int timer;
    ret_copy->pc = 0;
    if (asked.number < 0)
        return false;
    question.loop = loop;
    question.copy = ret_copy;
    asked.value = atomic_fetch_add(&question.serial, 1) + 1;
    atomic_store(&question.state, ASKED);
    if (sys->signal_running(sys->context, &asked, &timer) < 0) {
        atomic_store(&question.state, NOBODY_ASKS);
        return false;
    }
    bool answered = wait_for_answer(sys);
    sys->signal_end(sys->context, timer);
    atomic_store(&question.state, NOBODY_ASKS);
    return answered && cr_sample_beat_same(&question.beat, beat);
}
