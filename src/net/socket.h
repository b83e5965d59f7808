/* SPDX-License-Identifier: MIT */
/* socket.h: sockets before they are connected. */
#ifndef CR_SOCKET_H
#define CR_SOCKET_H
#include "base/sys.h"

/* The options of every TCP connection: no delay for small segments, keepalive. What a kernel
 * refuses is left as it is. */
void cr_socket_prepare(const cr_sys *sys, int fd);
/* An option whose value is an int. 0 or a negative errno. */
int cr_socket_set(const cr_sys *sys, int fd, int level, int name, int value);
#endif
