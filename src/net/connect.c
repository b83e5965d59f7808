/* SPDX-License-Identifier: MIT */
/* connect.c: making connections.
 *
 * A name may mean several addresses, of which some answer late or never. They are tried as RFC 8305
 * says (Happy Eyeballs): families take turns, the next address is tried when one has failed, or
 * after a quarter of a second beside those under way; none of these is given up before one has won.
 * One address is the same with nothing beside it.
 *
 * Owns the sockets until one is connected; then that is the stream's. The task itself runs the
 * race: each attempt is a socket and a POLL, and there are no tasks for them. The call returns when
 * the backend has no operation of it any more, so that cancelled or won there is no socket but the
 * one given.
 *
 * Invariant: while the task is parked in the race at least one poll is pending, and race->task is
 * it. */
#include <crank/net.h>

#include <math.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>

#include <crank/task.h>
#include "base/check.h"
#include "base/text.h"
#include "net/connection.h"
#include "net/resolve.h"
#include "net/socket.h"
#include "task/error.h"

#define ATTEMPT_DELAY 0.25
/* A unix socket's full backlog is tried again after so many seconds, then twice as many. */
#define BACKLOG_DELAY 0.001
#define BACKLOG_DELAY_MAX 0.05
enum { LIST_ROOM = 320 };

typedef struct race race;

enum attempt_state {
    ATTEMPT_FRESH,
    ATTEMPT_WAITING,  /* its poll is pending */
    ATTEMPT_ANSWERED, /* the poll has ended, and the task has not looked */
    ATTEMPT_OPEN,
    ATTEMPT_FAILED /* it has no socket */
};

typedef struct attempt {
    race *race;
    crank_address to;
    enum attempt_state state;
    cr_connection *connection;
    cr_op poll;
    int error; /* why it has failed */
} attempt;

/* Heap memory: completions reach it while the task's stack may hibernate. */
struct race {
    crank_loop *loop;
    cr_task *task; /* it is parked; NULL */
    size_t pending;
    bool leaving;   /* woken only when nothing is pending */
    bool cancelled; /* and then with -ECANCELED */
    bool timed;     /* the task's timer runs */
    bool hurries;   /* one has failed since the last was begun */
    int64_t next_at;
    int error; /* of the last that has failed */
    size_t begun;
    /* how */
    cr_socket_manner manner;
    const crank_address *local; /* NULL: any */
    int64_t delay;
    size_t count;
    attempt attempts[];
};

/* ---- One attempt ---- */

/* Its socket is closed; the next address need not wait any longer. */
static void failed(attempt *a, int err)
{
    if (a->connection)
        cr_connection_discard(a->connection);
    a->connection = NULL;
    a->state = ATTEMPT_FAILED;
    a->error = a->race->error = err;
    a->race->hurries = true;
}

/* The kernel connects a socket to itself where the port it chooses is the one that is asked for and
 * no listener is there (tokio#3405): refused, as one port later it would have been. */
static bool is_own_address(const cr_connection *c, const crank_address *to)
{
    crank_address mine = cr_socket_own_address(c->socket.loop->sys, c->socket.receiving.fd);
    return crank_address_equal(&mine, to);
}

/* It is connected. */
static void succeeded(attempt *a)
{
    socklen_t size;
    cr_connection *c = a->connection;
    const struct sockaddr *to = cr_address_sockaddr(&a->to, &size);
    a->state = ATTEMPT_OPEN;
    if (to->sa_family == AF_UNIX)
        return;
    if (is_own_address(c, &a->to)) {
        failed(a, -ECONNREFUSED);
        return;
    }
    memcpy(&c->peer, to, size);
    c->peer_size = size;
}

/* The task's timer is one of many uses: it is stopped before the task goes on. */
static void wake(race *r)
{
    cr_task *task = r->task;
    r->task = NULL;
    if (r->timed)
        cr_timer_stop(r->loop, &task->timer);
    r->timed = false;
    cr_wake(r->loop, task, r->cancelled ? -ECANCELED : 0);
}

/* The first answer wakes the task, which looks at all attempts then. A task that leaves the race is
 * woken by the last. */
static void completed(cr_op *op, void *arg)
{
    attempt *a = arg;
    race *r = a->race;
    (void)op;
    a->state = ATTEMPT_ANSWERED;
    r->pending--;
    if (r->task && (!r->leaving || r->pending == 0))
        wake(r);
}

/* Until the kernel has an answer. A poll that is done now is looked at as one that has ended. */
static void await(attempt *a)
{
    cr_fd fd = cr_socketlike_fd(&a->connection->socket);
    a->poll = (cr_op){ .code = CR_OP_POLL,
        .fd = fd.number,
        .generation = fd.generation,
        .events = EPOLLOUT,
        .completed = completed,
        .arg = a };
    a->state = ATTEMPT_ANSWERED;
    if (cr_loop_submit(a->race->loop, &a->poll) == CR_PENDING) {
        a->state = ATTEMPT_WAITING;
        a->race->pending++;
    }
}

/* Why there is no connection yet; 0: there is one. A socket that is ready without an error may not
 * be connected, for a poll may say too much: -EAGAIN. */
static int ask(const attempt *a)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    int error = 0, fd = a->connection->socket.receiving.fd;
    const cr_sys *sys = a->race->loop->sys;
    cr_socket_option option = {
        .level = SOL_SOCKET, .name = SO_ERROR, .value = &error, .size = sizeof error
    };
    if (a->poll.result < 0)
        return (int)a->poll.result;
    int err = sys->get_option(sys->context, fd, &option);
    if (err < 0 || error)
        return err < 0 ? err : -error;
    err = sys->peer_name(sys->context, fd, (struct sockaddr *)&peer, &size);
    bool over = a->poll.result & (EPOLLHUP | EPOLLERR);
    return err == -ENOTCONN && !over ? -EAGAIN : err;
}

/* The poll has ended: what has come of the attempt? */
static void judge(attempt *a)
{
    int err = ask(a);
    if (err == 0)
        succeeded(a);
    else if (err == -EAGAIN)
        await(a);
    else
        failed(a, err);
}

/* With the caller's options, bound where the caller says. */
static int open_socket(const race *r, const struct sockaddr *to)
{
    socklen_t size;
    const cr_sys *sys = r->loop->sys;
    int fd = sys->socket(sys->context, to->sa_family, SOCK_STREAM, 0);
    if (fd < 0)
        return fd;
    if (to->sa_family != AF_UNIX)
        cr_socket_prepare(sys, fd, &r->manner);
    if (!r->local)
        return fd;
    const struct sockaddr *local = cr_address_sockaddr(r->local, &size);
    int err = sys->bind(sys->context, fd, local, size);
    if (err == 0)
        return fd;
    (void)sys->close(sys->context, fd);
    return err;
}

/* A connect that is interrupted goes on in the background, as one that says EINPROGRESS. */
static void begin(attempt *a)
{
    socklen_t size;
    race *r = a->race;
    const cr_sys *sys = r->loop->sys;
    const struct sockaddr *to = cr_address_sockaddr(&a->to, &size);
    r->hurries = false;
    r->next_at = cr_after(cr_now(r->loop), r->delay);
    int fd = open_socket(r, to);
    a->connection = fd < 0 ? NULL : cr_connection_open(r->loop, fd, to->sa_family);
    if (!a->connection) {
        if (fd >= 0)
            (void)sys->close(sys->context, fd);
        failed(a, fd < 0 ? fd : -ENOMEM);
        return;
    }
    int err = sys->connect(sys->context, fd, to, size);
    if (err == 0)
        succeeded(a);
    else if (err == -EINPROGRESS || err == -EINTR || err == -EALREADY)
        await(a);
    else
        failed(a, err);
}

/* ---- Waiting ---- */

/* The operations end in the next turn. */
static void end_all(race *r)
{
    r->leaving = true;
    for (size_t i = 0; i < r->begun; i++)
        if (r->attempts[i].state == ATTEMPT_WAITING)
            cr_loop_cancel(r->loop, &r->attempts[i].poll);
}

/* The task is woken when no operation is left: then no socket is. */
static bool abort_race(cr_task *task)
{
    race *r = task->wait_object;
    r->cancelled = true;
    end_all(r);
    return false;
}

/* The next address is to be tried, unless the race is over already. */
static void next_due(crank_loop *loop, cr_task *task)
{
    race *r = task->wait_object;
    r->timed = false;
    if (r->leaving)
        return;
    r->task = NULL;
    cr_wake(loop, task, 0);
}

static size_t describe_race(const cr_task *task, char *buf, size_t size)
{
    const race *r = task->wait_object;
    return crank_address_format(&r->attempts[r->begun - 1].to, buf, size);
}

static const cr_wait_ops race_wait = {
    .what = "waits for a connection to",
    .hibernatable = true,
    .abort = abort_race,
    .on_timeout = next_due,
    .describe = describe_race,
};
/* The operations have been cancelled already. */
static const cr_wait_ops leave_wait = {
    .what = "waits for the end of a connection to",
    .hibernatable = true,
    .abort = cr_wait_abort_nothing,
    .describe = describe_race,
};

/* From here on completions wake the task, until one has. */
static int park(const cr_caller *w, race *r, const cr_wait_ops *wait)
{
    r->task = w->self;
    w->self->wait_object = r;
    return cr_park_int(w, wait);
}

/* Until one has an answer, or the next is to begin. 0 or a negative errno. */
static int await_any(const cr_caller *w, race *r)
{
    int err = cr_checkpoint_again(w);
    bool timed = r->begun < r->count && r->next_at != CR_NEVER;
    if (err == 0 && timed)
        err = cr_timer_start(r->loop, &w->self->timer, CR_TIMER_TASK, r->next_at);
    if (err < 0)
        return err;
    r->timed = timed;
    err = park(w, r, &race_wait);
    if (err == -ECANCELED)
        (void)cr_checkpoint_again(w);
    return err;
}

/* ---- The race ---- */

/* The first of those that are connected, in the order of the addresses; NULL. */
static attempt *find_open(race *r)
{
    attempt *first = NULL;
    for (size_t i = r->begun; i-- > 0;) {
        if (r->attempts[i].state == ATTEMPT_ANSWERED)
            judge(&r->attempts[i]);
        if (r->attempts[i].state == ATTEMPT_OPEN)
            first = &r->attempts[i];
    }
    return first;
}

/* Without one under way there is nothing to wait beside. */
static bool next_is_due(const race *r)
{
    return r->begun < r->count && (r->pending == 0 || r->hurries || cr_now(r->loop) >= r->next_at);
}

/* 0 with *ret_won; or why there is none, with others perhaps pending. */
static int find_winner(const cr_caller *w, race *r, attempt **ret_won)
{
    for (;;) {
        int err = 0;
        if (next_is_due(r))
            begin(&r->attempts[r->begun++]);
        else if (r->pending > 0)
            err = await_any(w, r);
        else
            return r->error;
        if (err < 0)
            return err;
        *ret_won = find_open(r);
        if (*ret_won)
            return 0;
    }
}

/* Nothing of the race is left but its memory, and the socket that has won. */
static void end_race(const cr_caller *w, race *r, const attempt *won)
{
    end_all(r);
    if (r->pending > 0)
        (void)park(w, r, &leave_wait);
    for (size_t i = 0; i < r->begun; i++)
        if (r->attempts[i].connection && &r->attempts[i] != won)
            cr_connection_discard(r->attempts[i].connection);
}

static int run_race(const cr_caller *w, race *r, cr_connection **ret_connection)
{
    attempt *won = NULL;
    int err = find_winner(w, r, &won);
    end_race(w, r, won);
    if (won)
        *ret_connection = won->connection;
    return err;
}

/* A unix socket whose backlog is full says so at once, and polls writable all the same
 * (mio#1560). */
static int connect_local(const cr_caller *w, race *r, cr_connection **ret_connection)
{
    double delay = BACKLOG_DELAY;
    for (;;) {
        int err = run_race(w, r, ret_connection);
        if (err != -EAGAIN)
            return err;
        err = crank_sleep(delay);
        if (err < 0)
            return err;
        delay = 2 * delay < BACKLOG_DELAY_MAX ? 2 * delay : BACKLOG_DELAY_MAX;
        r->begun = 0;
        r->leaving = false;
    }
}

/* ---- What is tried, and how ---- */

/* The next of the addresses that is of a family, or, with other, is not; NULL. Those that have been
 * taken are all zeros. */
static crank_address *next_of(cr_resolved *from, int family, bool other)
{
    for (size_t i = 0; i < from->count; i++) {
        int its = cr_address_family(&from->addresses[i]);
        if (its != AF_UNSPEC && (its == family) != other)
            return &from->addresses[i];
    }
    return NULL;
}

/* The resolver's first one first, then the families by turns. */
static void add_attempts(race *r, cr_resolved *from)
{
    int family = cr_address_family(&from->addresses[0]);
    for (bool other = false;; other = !other) {
        crank_address *at = next_of(from, family, other);
        if (!at)
            at = next_of(from, family, !other);
        if (!at)
            return;
        r->attempts[r->count++] = (attempt){ .race = r, .to = *at };
        *at = (crank_address){ 0 };
    }
}

/* Only what can be reached from the local address. */
static int keep_family(cr_resolved *resolved, const crank_address *local, const char *text)
{
    size_t kept = 0;
    for (size_t i = 0; i < resolved->count; i++)
        if (cr_address_family(&resolved->addresses[i]) == cr_address_family(local))
            resolved->addresses[kept++] = resolved->addresses[i];
    resolved->count = kept;
    return kept > 0
               ? 0
               : cr_error_set(-EAFNOSUPPORT,
                     "cannot connect to %s: it has no address of the local one's family", text);
}

typedef struct manner {
    cr_socket_manner socket;
    crank_address local; /* where it is given */
    bool bound;
    int64_t delay;
} manner;

/* What options say, with the defaults. 0 or -EINVAL, of which crank_error tells. */
static int choose(const crank_connect_options *options, manner *ret_manner)
{
    const crank_connect_options none = { 0 };
    if (!options)
        options = &none;
    double delay = options->attempt_delay > 0 ? options->attempt_delay : ATTEMPT_DELAY;
    if (isnan(options->attempt_delay) || options->attempt_delay < 0)
        return cr_error_set(-EINVAL, "crank_connect_with: attempt_delay is negative or no number");
    *ret_manner = (manner){ .delay = cr_loop_nanoseconds(delay), .bound = options->local };
    if (cr_socket_choose(options->keepalive, options->nagle, &ret_manner->socket) < 0)
        return cr_error_set(-EINVAL, "crank_connect_with: keepalive is no number");
    return options->local ? crank_address_parse(options->local, &ret_manner->local) : 0;
}

/* ---- What is said of a failure ---- */

/* Of a name each address with its own reason; a list that is too long is cut. */
static int refuse(const race *r, const char *text, bool named, int err)
{
    char tried[LIST_ROOM];
    cr_text list = { tried, sizeof tried, 0 };
    if (err == -ECANCELED)
        return err;
    for (size_t i = 0; i < r->begun && named; i++) {
        char name[CR_ADDRESS_ROOM];
        const attempt *a = &r->attempts[i];
        (void)crank_address_format(&a->to, name, sizeof name);
        cr_text_add(&list, "%s%s: %s", i > 0 ? "; " : "", name,
            cr_failure_error_words(a->error ? a->error : err));
    }
    return cr_error_set(err, "cannot connect to %.160s: %s", text,
        list.length > 0 ? tried : cr_failure_error_words(err));
}

/* ---- The calls ---- */

/* The race's memory lives as long as the call: no completion comes later. */
static int connect_to_any(const cr_caller *w, const char *text, const manner *how,
    cr_resolved *resolved, cr_connection **ret_connection)
{
    const cr_sys *sys = w->loop->sys;
    race *r = cr_alloc_zero(sys, sizeof *r + resolved->count * sizeof *r->attempts);
    if (!r)
        return cr_error_set(-ENOMEM, "cannot connect to %s: out of memory", text);
    r->loop = w->loop;
    r->manner = how->socket;
    r->local = how->bound ? &how->local : NULL;
    r->delay = how->delay;
    add_attempts(r, resolved);
    bool local = cr_address_family(&r->attempts[0].to) == AF_UNIX;
    int err = local ? connect_local(w, r, ret_connection) : run_race(w, r, ret_connection);
    if (err < 0)
        err = refuse(r, text, resolved->named, err);
    cr_free(sys, r);
    return err;
}

static int connect_by_text(
    const crank_connect_options *options, const char *text, cr_connection **ret_connection)
{
    cr_caller w;
    manner how;
    cr_address_parts parts;
    cr_resolved *resolved;
    int err = cr_checkpoint(&w, "crank_connect");
    if (err == 0)
        err = cr_address_split(text, &parts);
    if (err == 0)
        err = choose(options, &how);
    if (err == 0)
        err = cr_resolve_parts(&w, text, &parts, &resolved);
    if (err < 0)
        return err;
    if (how.bound)
        err = keep_family(resolved, &how.local, text);
    if (err == 0)
        err = connect_to_any(&w, text, &how, resolved, ret_connection);
    cr_free(w.loop->sys, resolved);
    return err;
}

crank_stream *crank_connect_with(const crank_connect_options *options, const char *address)
{
    cr_connection *connection = NULL;
    CR_CHECK(address, "crank_connect: the address is NULL");
    int err = connect_by_text(options, address, &connection);
    if (err == 0)
        return cr_connection_stream(connection);
    if (err == -ECANCELED)
        (void)cr_error_set_cut("connecting to %.160s was cut short", address);
    errno = -err;
    return NULL;
}

crank_stream *crank_connect(const char *address) { return crank_connect_with(NULL, address); }
