/* SPDX-License-Identifier: MIT */
/* lookup.h: lookups of names, done by threads of the process. */
#ifndef CR_LOOKUP_H
#define CR_LOOKUP_H
#include <netinet/in.h>
#include "loop/wakeup.h"
#include "net/address.h"
#include "task/task.h"

/* No more addresses of one name are told of. */
enum { CR_LOOKUP_MAX = 64 };

/* The name, and what the resolver said of it: for all lookups of that name at a time. */
typedef struct cr_question cr_question;
struct cr_question {
    cr_question *next; /* among those that are not answered */
    const cr_sys *sys;
    struct cr_lookup *lookups; /* not told yet */
    size_t refs;               /* lookups that hold it, and the thread that asks */
    bool taken;                /* a thread asks */
    int result;                /* how many addresses, or a negative errno */
    char name[CR_HOST_NAME_MAX + 1];
    struct sockaddr_in6 addresses[CR_LOOKUP_MAX];
};

/* One task's wait for an answer. Heap memory: a post to the loop may be under way when the task has
 * gone on. */
typedef struct cr_lookup {
    cr_post arrival;
    crank_loop *loop;
    cr_task *task; /* woken with 0 when the answer is there; NULL: it was cancelled */
    cr_question *question;
    struct cr_lookup *next; /* of its question's */
    bool posted;
} cr_lookup;

/* Ask for the loop's running task, which then waits. 0, -ENOMEM, or thread_start's error where no
 * thread is there to ask. */
int cr_lookup_begin(crank_loop *loop, cr_task *task, const char *name, cr_lookup **ret_lookup);
/* The task does not wait any more. The lookup is gone. */
void cr_lookup_abandon(cr_lookup *lookup);
/* The task has been told, and has read the answer. */
void cr_lookup_end(cr_lookup *lookup);
#endif
