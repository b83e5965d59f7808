/* SPDX-License-Identifier: MIT */
/* listener.h: listening sockets, and the tasks that wait for connections. */
#ifndef CR_LISTENER_H
#define CR_LISTENER_H
#include <crank/scope.h>
#include "net/connection.h"
#include "net/path.h"

/* One listening socket. It outlives its listener where the backend still has its poll. */
typedef struct cr_listening {
    cr_op poll;
    crank_loop *loop;
    crank_listener *listener; /* NULL once that is closed */
    cr_fd fd;                 /* generation 0 once it is closed */
    int family;
    bool polled; /* poll is pending */
    char *name;  /* as bound */
    cr_path path;
} cr_listening;

/* A crank_serve call on a listener, for what stopping concerns. */
typedef struct cr_server {
    crank_timeout limit; /* of its waiting for the handlers, once the listener is stopped */
    struct cr_server *next;
} cr_server;

struct crank_listener {
    crank_loop *loop;
    cr_waitq waiters;   /* tasks that wait for a connection */
    cr_waitq full;      /* servers with as many connections as they may have */
    cr_waitq stopping;  /* tasks that wait for the listener to be stopped */
    cr_server *servers; /* crank_serve calls on it */
    size_t connections; /* of those that are served */
    unsigned calls;     /* tasks in a call that goes on with the listener, also while none waits */
    bool stopped;
    int64_t stop_by; /* once it is stopped: when the grace is over */
    size_t count;
    uint64_t waited; /* so many calls have waited for a connection */
    cr_listening *sockets[];
};

/* What its poll's completion calls. */
void cr_listener_polled(cr_op *op, void *arg);
/* Close one, and remove its file; its port is free when this returns. The record goes too. */
void cr_listener_close_socket(cr_listening *one);
/* The record alone. */
void cr_listener_free_record(cr_listening *one);
/* The next connection. 0, -ECANCELED (none is lost), -ESHUTDOWN once stopped, accept's errors. */
int cr_listener_accept(
    const cr_caller *w, crank_listener *listener, cr_connection **ret_connection);
/* Accept and close what waits, as far as descriptors are left: how many. Never waits. */
size_t cr_listener_refuse(crank_listener *listener);
void cr_listener_add_server(crank_listener *listener, cr_server *server);
void cr_listener_remove_server(crank_listener *listener, cr_server *server);
/* Seconds until the grace is over; CRANK_FOREVER: never. */
double cr_listener_grace_left(const crank_listener *listener);
#endif
