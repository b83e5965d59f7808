/* SPDX-License-Identifier: MIT */
#ifndef CRANK_RUN_H
#define CRANK_RUN_H
/* Running a program on a loop. Every thread may run one loop at a time, and another after it. A child that is forked in
 * a run is outside of it: the run goes on in the parent alone. There waiting, spawning and the return of the task's
 * function are a CHECK; the child calls exec or _exit, or crank_run, which works as in any process. */
#include "base.h"
#include "call.h"
#if defined(__GNUC__)
#pragma GCC system_header
#endif

CRANK_BEGIN_DECLS

typedef enum crank_backend {
    CRANK_BACKEND_DEFAULT, /* what CRANK_BACKEND=sim|epoll|uring says, else epoll */
    CRANK_BACKEND_SIM,     /* simulated: virtual clock, decided by the seed alone */
    CRANK_BACKEND_EPOLL,
    CRANK_BACKEND_URING /* io_uring, where the kernel allows it; else epoll */
} crank_backend;

/* What becomes of tasks still alive when app has returned successfully. */
typedef enum crank_leftovers {
    CRANK_AWAIT, /* app's children are awaited */
    CRANK_CANCEL /* they are cancelled and awaited, as asyncio.run does */
} crank_leftovers;

enum crank_report_kind {
    CRANK_REPORT_UNAWAITED,  /* a failure nobody awaited, or that nobody could be given: a CRANK_AUTO_STREAM's */
    CRANK_REPORT_DEADLOCK,   /* tasks wait and nothing can wake them */
    CRANK_REPORT_SWALLOWED,  /* a cancelled task has not ended within the grace period */
    CRANK_REPORT_UNCLAIMED,  /* many ended tasks of one place whose handles were not given up */
    CRANK_REPORT_LEFTOVER,   /* a generator was left open; debug: a task has returned and its children have not ended */
    CRANK_REPORT_NOTE,       /* anything else worth a line */
    CRANK_REPORT_OVERFLOW,   /* a task's stack is full; the process dies of it after the report */
    CRANK_REPORT_BLOCKED,    /* a task has kept its loop from running for options.blocked_after */
    CRANK_REPORT_HELD        /* debug: a task ended while it held a lock, which nobody can release any more */
};

/* A report as given to an error hook; valid during the call only. */
typedef struct crank_report {
    enum crank_report_kind kind;
    int error;        /* negative errno, or 0 */
    const char *task; /* the name of the task it is about, or NULL */
    const char *text; /* the whole message as it would be printed, without colour, ending in a newline */
} crank_report;

/* One open choice of a simulated run: which of how many, from 0. Of none where a loop begins. */
typedef struct crank_choice {
    uint32_t chosen;
    uint32_t options;
} crank_choice;

/* Every field may be zero: its default. */
typedef struct crank_options {
    crank_backend backend;
    uint64_t seed;     /* simulator: 0 follows the plain order, n > 0 perturbs every open choice; CRANK_SEED */
    /* Simulator: the choices of this run; also CRANK_CHOICES. "3:1,9:2" is the second possibility at the third choice,
     * the third at the ninth and the first at the others before; "0" the first at all. Beyond the last listed the seed
     * decides. With it more is open than with a seed alone: docs/simulator.md. */
    const char *choices;
    int choices_to;    /* a descriptor to which each choice is written, a crank_choice; 0: none; CRANK_CHOICES_TO */
    /* Simulator: the weather between all sockets of its network, "latency=0.05,jitter=0.1,reset=0.001": seconds and
     * bytes per second as in crank_sim_link, shares as there and in crank_sim_faults; also CRANK_SIM_NET. */
    const char *sim_net;
    size_t stack_size; /* bytes usable per task: 0 is 192 KiB; rounded up to 48 KiB, 192 KiB, 1 or 8 MiB: the most */
    bool debug;        /* more checks and reports; also CRANK_DEBUG=1 */
    crank_leftovers leftovers;
    double grace;          /* seconds before an ignored cancellation is named and repeated: 0 is 10 */
    /* Seconds after which the stack of a parked task is put away, 0 is never; also CRANK_HIBERNATE_AFTER. Waking brings
     * it back, and so does a touch by any task of the same loop. Another thread, or a system call, that touches the
     * stack of a parked task must then not be: except a thread job's, for the stack of the task that spawned it. */
    double hibernate_after;
    unsigned threads_max;   /* for crank_to_thread: 0 is the cores the loop's thread may use + 4, at most 32 */
    bool handle_interrupt;  /* SIGINT cancels app, a second one ends the process; crank_run sets it */
    bool print_trace_hash;  /* print the simulator's trace hash at the end; also CRANK_TRACE_HASH=1 */
    /* Seconds after which a loop that one task or callback keeps from running is reported, with that task, what it is
     * doing and a backtrace: 0 is 0.1, negative or CRANK_FOREVER is never; also CRANK_BLOCKED_AFTER. Only time that the
     * thread computed or slept counts, not time in which it had no processor. A thread of the library watches all loops
     * of the process but simulated ones and those driven by crank_loop_run_once; it costs under 0.1% of a processor.
     * The first report of a run comes at once, the next ones at least a second, then two, four ... apart; in debug mode
     * each. The hook is then called on the watchdog's thread, while the loop's goes on. */
    double blocked_after;
    /* Called instead of printing to stderr, on the loop's thread, where the report was found: amid the end of a task,
     * say. It is a callback of the loop, in no task: it must not wait (a CHECK). It may spawn (a child of app's; NULL
     * and ESHUTDOWN once app has ended), cancel, post, set events and call the _nowait kind. The task of an unawaited
     * failure has been given up by then: giving it up once more is a CHECK. For CRANK_REPORT_BLOCKED it is called on
     * the watchdog's thread, for CRANK_REPORT_OVERFLOW in a signal handler, and may call what may be called there. */
    void (*on_report)(const crank_report *report, void *arg);
    void *on_report_arg;
} crank_options;

#ifndef __cplusplus
/* Run fn(args...) as a task on a new loop and return when it and all its children have ended. For main: a failure is
 * printed with its trace and gives 1, Ctrl-C 130, a deadlock 70, else the low 8 bits of what app returned. Ctrl-C
 * cancels app; one that takes that back (crank_uncancel) has dealt with it, and what it returns counts.
 * Inside a run it is refused: a CHECK. */
#define crank_run(...) CRANK_CAPTURE_(__COUNTER__, crank_run_, 0, __VA_ARGS__)
/* Options in place: crank_run_with(CRANK_OPTIONS(.backend = CRANK_BACKEND_SIM, .seed = 7), app). The bare
 * compound literal &(crank_options){ ... } does only where it sets one field: a comma inside braces separates the
 * arguments of a macro. */
#define CRANK_OPTIONS(...) (&(const crank_options){ __VA_ARGS__ })
/* The same with options, printing nothing of app's failure, giving the raw result. Fails with -ENOMEM, -EMFILE or
 * another errno when no loop can be made, -EINVAL for an unknown backend, -EDEADLK on a deadlock (reported), -EINTR
 * when ended by Ctrl-C; else what app returned. */
#define crank_run_with(options, ...) CRANK_CAPTURE_(__COUNTER__, crank_run_with_, (options), __VA_ARGS__)
CRANK_API int crank_run_(int zero, crank_function_ *fn, const crank_site *site);
CRANK_API long crank_run_with_(const crank_options *options, crank_function_ *fn, const crank_site *site);
#endif
/* The primitive without call capture. */
CRANK_API long crank_run_raw(const crank_options *options, long (*fn)(void *), void *arg);

/* The loop running on this thread, NULL if none. */
CRANK_API crank_loop *crank_current_loop(void);
/* "sim", "epoll" or "uring": what this thread's loop runs on; NULL if none runs. */
CRANK_API const char *crank_backend_name(void);
/* The hash of everything the simulator decided so far in this thread's run; 0 elsewhere. Equal seeds, equal hashes. */
CRANK_API uint64_t crank_trace_hash(void);

CRANK_END_DECLS
#endif
