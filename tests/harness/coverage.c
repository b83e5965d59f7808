/* SPDX-License-Identifier: MIT */
/* coverage.c: in a build that counts what runs (meson -Db_coverage=true) the counts are written at exit; a process of
 * the tests has other ends too.
 *
 * Owns: _exit, abort, raise, and a fault that is given back to the default action, each of which writes the counts
 * first; and where they are written, which the environment says, and which a test may have emptied by then. The build
 * links these calls through here (--wrap); other builds do not compile this file. */
#include "internal.h"
#include <signal.h>

extern void __gcov_dump(void);
extern void __gcov_reset(void);
CRANK_NORETURN void __real__exit(int status);
CRANK_NORETURN void __wrap__exit(int status);
int __real_sigaction(int number, const struct sigaction *action, struct sigaction *before);
int __wrap_sigaction(int number, const struct sigaction *action, struct sigaction *before);
int __real_raise(int number);
int __wrap_raise(int number);

/* The variables that say where, as they were when the process began: an environment that needs no memory of the heap,
 * in which a test would seem to have left it. */
static char variables[2][512];
static char *where[] = { variables[0], variables[1], NULL };

/* The library's own destructor, which writes the counts, runs after this one. */
__attribute__((destructor)) static void say_where(void) { environ = where; }

static void write_counts(void)
{
    char **before = environ;
    say_where();
    __gcov_dump();
    __gcov_reset();
    environ = before;
}

void __wrap__exit(int status)
{
    write_counts();
    __real__exit(status);
}

/* A fault's handler, which runs on the alternate stack, is about to return to the fault when it has set the default
 * action. Where that does not end the process no count is lost: they are added to what has been written. */
int __wrap_sigaction(int number, const struct sigaction *action, struct sigaction *before)
{
    stack_t stack;
    bool fault = (number == SIGSEGV || number == SIGBUS) && action && action->sa_handler == SIG_DFL;
    if (fault && sigaltstack(NULL, &stack) == 0 && (stack.ss_flags & SS_ONSTACK))
        write_counts();
    return __real_sigaction(number, action, before);
}

/* Whoever raises a signal that nobody handles may mean to end by it. One that is handled may be raised where next to
 * nothing is left of a stack. */
int __wrap_raise(int number)
{
    struct sigaction action;
    if (__real_sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_DFL)
        write_counts();
    return __real_raise(number);
}

/* abort() raises the signal again, by default, when the handler has returned. */
static void on_abort(int number)
{
    (void)number;
    write_counts();
}

__attribute__((constructor)) static void begin(void)
{
    static const char *const names[] = { "GCOV_PREFIX", "GCOV_PREFIX_STRIP" };
    for (size_t i = 0; i < CRANK_COUNT(names); i++) {
        const char *value = getenv(names[i]);
        snprintf(variables[i], sizeof variables[i], "%s=%s", names[i], value ? value : "");
    }
    signal(SIGABRT, on_abort);
}
