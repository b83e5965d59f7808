/* SPDX-License-Identifier: MIT */
/* listener.h: listening sockets, and the tasks that wait for connections. */
#ifndef CR_LISTENER_H
#define CR_LISTENER_H
#include "net/connection.h"
#include "net/path.h"

/* One listening socket. It outlives its listener where the backend still has its poll. */
typedef struct cr_listening {
    cr_op poll;
    crank_loop *loop;
    crank_listener *listener; /* NULL once that is closed */
    cr_fd fd;
    int family;
    bool polled; /* poll is pending */
    char *name;  /* as bound */
    cr_path path;
} cr_listening;

struct crank_listener {
    crank_loop *loop;
    cr_waitq waiters;   /* tasks that wait for a connection */
    unsigned serving;   /* crank_serve calls on it */
    size_t connections; /* of those that are served */
    bool stopped;
    double grace; /* once it is stopped */
    size_t count;
    cr_listening *sockets[];
};

/* What its poll's completion calls. */
void cr_listener_polled(cr_op *op, void *arg);
/* Close one whose poll is not pending. */
void cr_listener_free_socket(cr_listening *one);
/* The next connection. 0, -ECANCELED (none is lost), -ESHUTDOWN once stopped, accept's errors. */
int cr_listener_accept(
    const cr_caller *w, crank_listener *listener, cr_connection **ret_connection);
#endif
