/* SPDX-License-Identifier: MIT */
/* socket.h: sockets before they are connected. */
#ifndef CR_SOCKET_H
#define CR_SOCKET_H
#include "base/sys.h"
#include "net/address.h"

/* What a program may choose of a TCP connection. */
typedef struct cr_socket_manner {
    int keepalive; /* idle seconds before the first probe; 0: none is sent */
    bool nagle;
} cr_socket_manner;

/* From a field of crank_connect_options or crank_listen_options: 0 is 60, negative none. -EINVAL:
 * it is no number. */
int cr_socket_choose(double keepalive, bool nagle, cr_socket_manner *ret_manner);
/* The options of every TCP connection. What a kernel refuses is left as it is. */
void cr_socket_prepare(const cr_sys *sys, int fd, const cr_socket_manner *manner);
/* An option whose value is an int. 0 or a negative errno. */
int cr_socket_set(const cr_sys *sys, int fd, int level, int name, int value);
/* What a socket is bound to. All zeros where the kernel does not say. */
crank_address cr_socket_own_address(const cr_sys *sys, int fd);
#endif
