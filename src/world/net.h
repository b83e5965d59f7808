/* SPDX-License-Identifier: MIT */
/* net.h: the simulated network, as the simulator and its table of OS calls see it.
 *
 * Sockets are records here and no descriptors of the kernel's; their numbers begin where no real
 * descriptor is. TCP and UDP over IPv4 and IPv6, and stream sockets and pairs of
 * AF_UNIX. Each call gives
 * what Linux gives for the same call, errors included. */
#ifndef CR_NET_H
#define CR_NET_H
#include "base/sys.h"

typedef struct cr_world cr_world;

/* ---- the table's entries: see cr_sys ---- */

int cr_net_socket(cr_world *world, int family, int type, int protocol);
int cr_net_pair(cr_world *world, int family, int type, int ret_fds[2]);
int cr_net_bind(cr_world *world, int fd, const struct sockaddr *address, unsigned size);
int cr_net_listen(cr_world *world, int fd, int backlog);
int cr_net_accept(cr_world *world, int fd, struct sockaddr *address, unsigned *size);
int cr_net_connect(cr_world *world, int fd, const struct sockaddr *address, unsigned size);
ssize_t cr_net_recv(cr_world *world, int fd, void *buf, size_t size, int flags);
ssize_t cr_net_send(cr_world *world, int fd, const void *buf, size_t size, int flags);
/* A stream's has its first piece alone. Sockets of AF_UNIX pass descriptors (rights.h); any other
 * control message is -ENOTSUP. */
ssize_t cr_net_receive_message(cr_world *world, int fd, struct msghdr *message, int flags);
ssize_t cr_net_send_message(cr_world *world, int fd, const struct msghdr *message, int flags);
int cr_net_receive_messages(
    cr_world *world, int fd, struct mmsghdr *messages, unsigned n, int flags);
int cr_net_send_messages(cr_world *world, int fd, struct mmsghdr *messages, unsigned n, int flags);
int cr_net_shutdown(cr_world *world, int fd, int how);
int cr_net_set_option(cr_world *world, int fd, const cr_socket_option *option);
int cr_net_get_option(cr_world *world, int fd, cr_socket_option *option);
int cr_net_own_name(cr_world *world, int fd, struct sockaddr *address, unsigned *size);
int cr_net_peer_name(cr_world *world, int fd, struct sockaddr *address, unsigned *size);
int cr_net_stat(cr_world *world, int fd, struct stat *ret_stat);
/* Another number for the same socket, which is open until all of them are closed. */
int cr_net_duplicate(cr_world *world, int fd);
int cr_net_close(cr_world *world, int fd);

/* ---- for the simulator's turn ---- */

/* What epoll would report of it: EPOLLIN, OUT, RDHUP, HUP, ERR. -EBADF: it is not open. */
int64_t cr_net_events(cr_world *world, int fd);
/* When the next arrival is due; CR_NEVER: nothing is on its way. */
int64_t cr_net_next(const cr_world *world);
/* Let what is due arrive, or a part of it. */
void cr_net_deliver(cr_world *world);
/* What is sent in this direction does not arrive until it is healed. */
void cr_net_cut(cr_world *world, int from, int to);
/* What was cut off from one host to another (hosts.h) arrives, with all that is sent from now
 * on. */
void cr_net_heal(cr_world *world, int from, int to);
/* Power off: nothing that a host has sent arrives any more, its peers are told nothing, its sockets
 * are of no use. */
void cr_net_kill(cr_world *world, int host);
/* And on again: what peers still send to what is gone is answered by resets. */
void cr_net_start(cr_world *world, int host);
/* All connections from sockets of one host to another (CR_HOST_EVERY: to every other) are reset, at
 * both sides. */
void cr_net_reset(cr_world *world, int a, int b);
/* Close all that is open. */
void cr_net_deinit(cr_world *world);
#endif
