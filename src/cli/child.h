/* SPDX-License-Identifier: MIT */
/* child.h: a program run once under the simulator, with a time limit. */
#ifndef CR_CHILD_H
#define CR_CHILD_H
#include <crank/explore.h>

#include <signal.h>

/* The verdicts a run may end with, 0: it passed. So that a status is never a signal's number. */
enum {
    CR_VERDICT_STATUS = 0,    /* + the exit status */
    CR_VERDICT_SIGNAL = 1000, /* + the signal */
    CR_VERDICT_TIMEOUT = 2000,
};

typedef struct cr_child {
    char **command; /* NULL at its end */
    double timeout; /* seconds */
    int output;     /* a file for all it prints, emptied before each run */
    int choices;    /* a file for the choices it makes */
    int stops;      /* readable when the command is to end: each run then gives -EINTR */
    sigset_t mask;  /* before they were held back */
} cr_child;

/* Open the files and hold back the signals that end the command. 0 or a negative errno. */
int cr_child_open(cr_child *child);
/* A signal that has come meanwhile ends the process here. */
void cr_child_close(cr_child *child);
/* One run: the function of a crank_exploration; arg is the cr_child. */
int cr_child_run(void *arg, const char *choices, uint64_t seed, crank_choice_log *made);
/* The last that it printed, at most size - 1 bytes. */
void cr_child_output(const cr_child *child, char *buf, size_t size);
#endif
