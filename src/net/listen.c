/* SPDX-License-Identifier: MIT */
/* listen.c: from an address to listening sockets.
 *
 * "*" and a name may mean several sockets: all of them, or none. Left out is only a family that
 * this machine does not have. Port 0 is one port for all: the kernel chooses it for the first
 * socket, and where it is taken in the other family, all begin again.
 *
 * Owns the sockets until the listener has them. */
#include <crank/net.h>

#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/check.h"
#include "net/listener.h"
#include "net/resolve.h"
#include "net/socket.h"
#include "task/error.h"

enum { BACKLOG = 4096, PORT_TRIES = 32 };

typedef struct manner {
    cr_socket_manner socket;
    cr_path_manner local; /* its backlog is every socket's */
    bool reuse_port;
    bool only_v6; /* an IPv6 socket leaves IPv4 to another */
} manner;

/* ---- One socket ---- */

/* A server that is started again takes its port at once, whatever connections of the last one
 * linger; a port that the kernel is to choose is a new one. */
static int bind_internet(
    const cr_sys *sys, int fd, const struct sockaddr *at, socklen_t size, const manner *how)
{
    bool any_port = ((const struct sockaddr_in *)at)->sin_port == 0;
    int err = any_port ? 0 : cr_socket_set(sys, fd, SOL_SOCKET, SO_REUSEADDR, 1);
    cr_socket_prepare(sys, fd, &how->socket);
    if (err == 0 && how->reuse_port)
        err = cr_socket_set(sys, fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (err == 0 && how->only_v6 && at->sa_family == AF_INET6)
        err = cr_socket_set(sys, fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (err == 0)
        err = sys->bind(sys->context, fd, at, size);
    return err < 0 ? err : sys->listen(sys->context, fd, how->local.backlog);
}

/* Until it listens the descriptor is this function's to close. */
static int open_socket(
    const cr_sys *sys, const crank_address *address, const manner *how, cr_path *ret_path)
{
    socklen_t size;
    const struct sockaddr *at = cr_address_sockaddr(address, &size);
    int fd = sys->socket(sys->context, at->sa_family, SOCK_STREAM, 0);
    if (fd < 0)
        return fd;
    cr_path_manner local = how->local;
    local.address = at;
    local.size = size;
    int err = at->sa_family == AF_UNIX ? cr_path_listen(sys, fd, &local, ret_path)
                                       : bind_internet(sys, fd, at, size, how);
    if (err == 0)
        return fd;
    (void)sys->close(sys->context, fd);
    return err;
}

/* What a socket is bound to, as text; NULL when memory is short. */
static char *bound_name(const cr_sys *sys, int fd)
{
    char text[CR_ADDRESS_ROOM];
    crank_address address = cr_socket_own_address(sys, fd);
    size_t length = crank_address_format(&address, text, sizeof text);
    char *name = cr_alloc(sys, length + 1);
    return name && length < sizeof text ? memcpy(name, text, length + 1) : name;
}

/* From here on the socket is the record's. */
static cr_listening *listening_new(crank_loop *loop, int fd, int family)
{
    cr_listening *one = cr_alloc_zero(loop->sys, sizeof *one);
    if (!one)
        return NULL;
    *one = (cr_listening){ .loop = loop, .family = family, .name = bound_name(loop->sys, fd) };
    if (one->name && loop->backend->type->attach(loop->backend, fd, CR_FD_OTHER, &one->fd) == 0) {
        one->poll = (cr_op){ .code = CR_OP_POLL,
            .fd = fd,
            .generation = one->fd.generation,
            .events = EPOLLIN,
            .completed = cr_listener_polled,
            .arg = one };
        return one;
    }
    cr_listener_free_record(one);
    return NULL;
}

/* ---- All of them ---- */

/* With room for so many sockets, and none of them yet. */
static crank_listener *listener_new(crank_loop *loop, size_t max)
{
    crank_listener *l = cr_alloc_zero(loop->sys, sizeof *l + max * sizeof *l->sockets);
    if (l)
        l->loop = loop;
    return l;
}

/* It is the listener's from now on, and closed with it. */
static void add(crank_listener *l, cr_listening *one)
{
    one->listener = l;
    l->sockets[l->count++] = one;
}

static int listen_at(crank_listener *l, const crank_address *address, const manner *how)
{
    const cr_sys *sys = l->loop->sys;
    cr_path path = { 0 };
    int fd = open_socket(sys, address, how, &path);
    if (fd < 0)
        return fd;
    cr_listening *one = listening_new(l->loop, fd, cr_address_family(address));
    if (!one) {
        cr_path_remove(sys, &path); /* before the socket, as in cr_listener_close_socket */
        (void)sys->close(sys->context, fd);
        return -ENOMEM;
    }
    one->path = path;
    add(l, one);
    return 0;
}

static void close_all(crank_listener *l)
{
    while (l->count > 0)
        cr_listener_close_socket(l->sockets[--l->count]);
}

/* Does it say that this machine has not the family, of which "*" and "localhost" have an
 * address? */
static bool lacks_family(const crank_address *address, int err)
{
    socklen_t size;
    const struct sockaddr *at = cr_address_sockaddr(address, &size);
    if (err == -EAFNOSUPPORT)
        return true;
    if (err != -EADDRNOTAVAIL || at->sa_family != AF_INET6)
        return false;
    const struct in6_addr *host = &((const struct sockaddr_in6 *)at)->sin6_addr;
    return IN6_IS_ADDR_UNSPECIFIED(host) || IN6_IS_ADDR_LOOPBACK(host);
}

/* *ret_failed: the address at which it failed. */
static int listen_at_each(
    crank_listener *l, const cr_resolved *at, const manner *how, const crank_address **ret_failed)
{
    int lacking = 0;
    for (size_t i = 0; i < at->count; i++) {
        crank_address address = at->addresses[i];
        bool follows = l->count > 0 && cr_address_family(&address) != AF_UNIX;
        if (follows) {
            crank_address first = cr_socket_own_address(l->loop->sys, l->sockets[0]->fd.number);
            address = cr_address_with_port(&address, cr_address_port(&first));
        }
        int err = listen_at(l, &address, how);
        *ret_failed = &at->addresses[i];
        if (err < 0 && !lacks_family(&address, err))
            return err;
        lacking = err < 0 ? err : lacking;
    }
    return l->count > 0 ? 0 : lacking;
}

/* All have the same port: the first one tells. */
static bool any_port(const cr_resolved *at)
{
    const crank_address *first = &at->addresses[0];
    return cr_address_family(first) != AF_UNIX && cr_address_port(first) == 0;
}

/* All or none. A port that the kernel has chosen may be taken in the other family: then another one
 * is chosen, until there is one that is free in both. */
static int listen_at_all(
    crank_listener *l, const cr_resolved *at, const manner *how, const crank_address **ret_failed)
{
    int err, tries = any_port(at) && at->count > 1 ? PORT_TRIES : 1;
    do {
        err = listen_at_each(l, at, how, ret_failed);
        if (err < 0)
            close_all(l);
    } while (err == -EADDRINUSE && --tries > 0);
    return err;
}

/* ---- What is listened on, and how ---- */

/* Before the address is looked up: a mistake in the options is told without a wait. */
static int choose(const crank_listen_options *options, manner *ret_manner)
{
    const crank_listen_options none = { 0 };
    if (!options)
        options = &none;
    if (options->backlog < 0)
        return cr_error_set(-EINVAL, "crank_listen_with: the backlog is negative");
    *ret_manner = (manner){ .reuse_port = options->reuse_port,
        .local = { .backlog = options->backlog ? options->backlog : BACKLOG,
            .mode = options->mode,
            .replace = options->replace } };
    if (cr_socket_choose(options->keepalive, options->nagle, &ret_manner->socket) < 0)
        return cr_error_set(-EINVAL, "crank_listen_with: keepalive is no number");
    return 0;
}

/* IPv4 beside IPv6, each with a socket of its own. */
static cr_resolved *all_interfaces(const cr_sys *sys, unsigned port)
{
    const struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((in_port_t)port) };
    const struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((in_port_t)port) };
    cr_resolved *all = cr_alloc(sys, sizeof *all + 2 * sizeof *all->addresses);
    if (!all)
        return NULL;
    all->count = 2;
    all->named = true;
    cr_address_from_sockaddr(&all->addresses[0], (const struct sockaddr *)&v6, sizeof v6);
    cr_address_from_sockaddr(&all->addresses[1], (const struct sockaddr *)&v4, sizeof v4);
    return all;
}

/* As for connecting, and "*" as well. */
static int find_addresses(const cr_caller *w, const char *text, cr_resolved **ret_resolved)
{
    cr_address_parts parts;
    int err = cr_address_split(text, &parts);
    if (err < 0)
        return err;
    if (parts.kind != CR_ADDRESS_ANY)
        return cr_resolve_parts(w, text, &parts, ret_resolved);
    *ret_resolved = all_interfaces(w->loop->sys, parts.port);
    return *ret_resolved ? 0 : cr_error_set(-ENOMEM, "cannot listen on %s: out of memory", text);
}

/* The file that a killed server has left refuses the next one, and no process is found that has
 * it. */
static const char *advice(const char *text, const manner *how, int err)
{
    bool is_path = strncmp(text, "unix:", 5) == 0 && text[5] != '@';
    return err == -EADDRINUSE && is_path && !how->local.replace
               ? ": where no process listens there, remove the file, or set .replace of "
                 "crank_listen_options"
               : "";
}

/* failed: which of a name's addresses it was; NULL where text is one itself. */
static int refuse(const char *text, const crank_address *failed, const manner *how, int err)
{
    char name[CR_ADDRESS_ROOM] = "";
    if (failed)
        (void)crank_address_format(failed, name, sizeof name);
    return cr_error_set(err, "cannot listen on %.160s: %s%s%s%s", text, name, failed ? ": " : "",
        cr_failure_error_words(err), advice(text, how, err));
}

static int listen_by_text(
    const crank_listen_options *options, const char *text, crank_listener **ret_listener)
{
    cr_caller w;
    manner how;
    cr_resolved *at;
    const crank_address *failed = NULL;
    int err = cr_checkpoint(&w, "crank_listen");
    if (err == 0)
        err = choose(options, &how);
    if (err == 0)
        err = find_addresses(&w, text, &at);
    if (err < 0)
        return err;
    /* A name's sockets share one port, so the IPv6 one has to leave IPv4 to its neighbour. */
    how.only_v6 = at->named;
    crank_listener *l = listener_new(w.loop, at->count);
    err = l ? listen_at_all(l, at, &how, &failed) : -ENOMEM;
    if (err < 0) {
        err = refuse(text, at->named ? failed : NULL, &how, err);
        cr_free(w.loop->sys, l);
    } else {
        *ret_listener = l;
    }
    cr_free(w.loop->sys, at);
    return err;
}

crank_listener *crank_listen_with(const crank_listen_options *options, const char *address)
{
    crank_listener *listener = NULL;
    CR_CHECK(address, "crank_listen: the address is NULL");
    int err = listen_by_text(options, address, &listener);
    if (err < 0)
        errno = -err;
    return listener;
}

crank_listener *crank_listen(const char *address) { return crank_listen_with(NULL, address); }

/* ---- Sockets that listen already ---- */

static int ask(const cr_sys *sys, int fd, int name)
{
    int value = 0;
    cr_socket_option option = {
        .level = SOL_SOCKET, .name = name, .value = &value, .size = sizeof value
    };
    int err = sys->get_option(sys->context, fd, &option);
    return err < 0 ? err : value;
}

/* What another program has opened may block: accepting would then, where a connection is gone
 * before it is accepted. */
static int check_listens(const cr_sys *sys, int fd)
{
    int listens = ask(sys, fd, SO_ACCEPTCONN);
    if (listens <= 0)
        return cr_error_set(listens < 0 ? listens : -EINVAL,
            "crank_listener_from_fds: descriptor %d does not listen", fd);
    if (ask(sys, fd, SO_TYPE) != SOCK_STREAM)
        return cr_error_set(
            -EINVAL, "crank_listener_from_fds: descriptor %d is no stream socket", fd);
    int err = sys->make_own(sys->context, fd);
    return err < 0 ? cr_error_set(err, "crank_listener_from_fds: descriptor %d: %s", fd,
                         cr_failure_error_words(err))
                   : 0;
}

/* Give the descriptors back, as they came. */
static void give_back(crank_listener *l)
{
    for (size_t i = 0; i < l->count; i++) {
        cr_listening *one = l->sockets[i];
        one->loop->backend->type->detach(one->loop->backend, one->fd);
        cr_listener_free_record(one);
    }
    cr_free(l->loop->sys, l);
}

/* All are checked before the first is taken: on failure each is still the caller's. */
static int adopt(crank_loop *loop, const int *fds, size_t n, crank_listener **ret_listener)
{
    const cr_sys *sys = loop->sys;
    for (size_t i = 0; i < n; i++) {
        int err = check_listens(sys, fds[i]);
        if (err < 0)
            return err;
    }
    crank_listener *l = listener_new(loop, n);
    while (l && l->count < n) {
        int fd = fds[l->count];
        cr_listening *one = listening_new(loop, fd, ask(sys, fd, SO_DOMAIN));
        if (!one) {
            give_back(l);
            l = NULL;
        } else {
            add(l, one);
        }
    }
    *ret_listener = l;
    return l ? 0 : cr_error_set(-ENOMEM, "crank_listener_from_fds: out of memory");
}

crank_listener *crank_listener_from_fds(const int *fds, size_t n)
{
    crank_listener *listener = NULL;
    CR_CHECK(fds && n > 0, "crank_listener_from_fds: there are no descriptors");
    int err = adopt(cr_checked_loop("crank_listener_from_fds"), fds, n, &listener);
    if (err < 0)
        errno = -err;
    return listener;
}
