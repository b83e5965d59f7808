/* SPDX-License-Identifier: MIT */
/* wait.c: how the parts of the load wait for sockets, and say what has failed. */
#include <errno.h>
#include <sys/epoll.h>
#include "../measure.h"
#include "load.h"

bool load_failed(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    return false;
}

bool load_refused(const char *what)
{
    errno = EBADMSG;
    return load_failed(what);
}

int load_wait(int epoll, struct epoll_event *events, int most, const char *what)
{
    int n = epoll_wait(epoll, events, most, 1000 * STALLED_SECONDS);
    if (n < 0 && errno == EINTR)
        return 0;
    if (n == 0)
        errno = ETIMEDOUT;
    return n > 0 || load_failed(what) ? n : -1;
}
