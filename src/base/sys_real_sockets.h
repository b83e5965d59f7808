/* SPDX-License-Identifier: MIT */
/* sys_real_sockets.h: the socket entries of cr_sys_real; sys.h says what each does. */
#ifndef CR_SYS_REAL_SOCKETS_H
#define CR_SYS_REAL_SOCKETS_H
#include "base/sys.h"

int cr_sys_real_socket(void *context, int family, int type, int protocol);
int cr_sys_real_socket_pair(void *context, int family, int type, int ret_fds[2]);
int cr_sys_real_bind(void *context, int fd, const struct sockaddr *address, unsigned size);
int cr_sys_real_listen(void *context, int fd, int backlog);
int cr_sys_real_accept(void *context, int fd, struct sockaddr *address, unsigned *size);
int cr_sys_real_connect(void *context, int fd, const struct sockaddr *address, unsigned size);
ssize_t cr_sys_real_recv(void *context, int fd, void *buf, size_t size, int flags);
ssize_t cr_sys_real_send(void *context, int fd, const void *buf, size_t size, int flags);
ssize_t cr_sys_real_receive_message(void *context, int fd, struct msghdr *message, int flags);
ssize_t cr_sys_real_send_message(void *context, int fd, const struct msghdr *message, int flags);
int cr_sys_real_receive_messages(
    void *context, int fd, struct mmsghdr *messages, unsigned n, int flags);
int cr_sys_real_send_messages(
    void *context, int fd, struct mmsghdr *messages, unsigned n, int flags);
int cr_sys_real_shutdown(void *context, int fd, int how);
int cr_sys_real_set_option(void *context, int fd, const cr_socket_option *option);
int cr_sys_real_get_option(void *context, int fd, cr_socket_option *option);
int cr_sys_real_own_name(void *context, int fd, struct sockaddr *address, unsigned *size);
int cr_sys_real_peer_name(void *context, int fd, struct sockaddr *address, unsigned *size);
int cr_sys_real_interface_index(void *context, const char *name);
int cr_sys_real_resolve(
    void *context, const char *name, struct sockaddr_in6 *ret_addresses, unsigned max);
size_t cr_sys_real_descriptors_max(void *context);
#endif
