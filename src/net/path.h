/* SPDX-License-Identifier: MIT */
/* path.h: unix sockets that listen, and the files of their paths. */
#ifndef CR_PATH_H
#define CR_PATH_H
#include <sys/socket.h>
#include <sys/types.h>
#include "base/sys.h"

/* The file that a socket has made. All zeros: none. */
typedef struct cr_path {
    char *path; /* NULL: an abstract name, an internet address, a simulated socket */
    dev_t device;
    ino_t inode;
    unsigned forks; /* cr_forks of the process that has made it */
} cr_path;

typedef struct cr_path_manner {
    const struct sockaddr *address;
    socklen_t size;
    int backlog;
    unsigned mode; /* of the file, from before the first connect on; 0: 0600 */
    bool replace;  /* take the place of a socket's file at which no process listens */
} cr_path_manner;

/* Bind a socket to a unix address and listen. 0 with *ret_path, or bind's and listen's errors. */
int cr_path_listen(const cr_sys *sys, int fd, const cr_path_manner *manner, cr_path *ret_path);
/* Remove the file, if it is still the one, and this process has made it. */
void cr_path_remove(const cr_sys *sys, cr_path *path);
#endif
