/* SPDX-License-Identifier: MIT */
/* process.h: a program that was started, until it is closed. */
#ifndef CR_PROCESS_H
#define CR_PROCESS_H
#include <crank/process.h>
#include "task/wait.h"

/* Its standard input, output and error. */
#define CR_PROCESS_STREAMS 3

/* From before its start to crank_process_close. All of it is the loop's thread's; a worker that
 * starts it knows only a cr_spawn. */
struct crank_process {
    crank_loop *loop;
    pid_t id;
    int pidfd;
    int status;      /* once it has ended: as crank_process_wait gives it, or -ECHILD */
    bool ended;      /* and has been reaped */
    bool session;    /* signals go to its group */
    bool polling;    /* poll is with the backend */
    bool timing;     /* the closer's timer runs */
    double grace;    /* seconds */
    cr_op poll;      /* of pidfd, while a task waits */
    cr_task *closer; /* the task that ends it; NULL */
    cr_waitq waiters;
    crank_stream *streams[CR_PROCESS_STREAMS]; /* our ends of its pipes; NULL */
    char name[];                               /* for messages: argv[0] */
};

/* One that does not run yet; NULL when memory is short. */
crank_process *cr_process_new(crank_loop *loop, const char *name);
/* It runs, and may be waited for. */
void cr_process_started(crank_process *p, pid_t id, int pidfd);
/* Forget one that was never started, or has ended: its descriptors are closed. */
void cr_process_free(crank_process *p);
/* End it and wait for that, whatever is requested of the task meanwhile. */
void cr_process_finish(const cr_caller *w, crank_process *p);
/* Its input ends here: what is written to it and not sent is dropped. */
void cr_process_close_streams(const cr_caller *w, crank_process *p);
/* A failed call's message, naming the program; gives err. */
int cr_process_failed(const crank_process *p, const char *verb, int err);
#endif
