/* SPDX-License-Identifier: MIT */
/* faults.h: an OS table whose k-th fallible call fails, once or from then on.
 *
 * Counted over all threads of the run. What cannot fail in the real world (free, unmap, close, the clock) is not
 * counted. */
#ifndef FAULTS_H
#define FAULTS_H
#include "base/sys.h"
#include <stdatomic.h>
#include <sys/socket.h>
#include "test.h"

typedef struct faults {
    cr_sys sys;
    atomic_long calls;
    long fail_at;   /* the first call to fail, from 1; 0: none */
    bool from_then; /* and all after it */
    atomic_long failed;
} faults;

static inline bool fault_now(void *context)
{
    faults *f = context;
    long call = atomic_fetch_add(&f->calls, 1) + 1;
    bool fails = f->fail_at && (call == f->fail_at || (f->from_then && call > f->fail_at));
    if (fails)
        atomic_fetch_add(&f->failed, 1);
    return fails;
}

#define REAL(entry, ...) cr_sys_real.entry(cr_sys_real.context, __VA_ARGS__)
static inline void *fault_alloc(void *c, size_t size) { return fault_now(c) ? NULL : REAL(alloc, size); }
static inline void *fault_alloc_zero(void *c, size_t size) { return fault_now(c) ? NULL : REAL(alloc_zero, size); }
static inline void *fault_resize(void *c, void *m, size_t size) { return fault_now(c) ? NULL : REAL(resize, m, size); }
static inline void *fault_map(void *c, size_t size) { return fault_now(c) ? NULL : REAL(map, size); }
static inline int fault_advise(void *c, void *m, size_t size, int advice)
{
    if (advice == 103) /* MADV_GUARD_REMOVE gives back what was there: it needs nothing */
        return REAL(advise, m, size, advice);
    return fault_now(c) ? -ENOMEM : REAL(advise, m, size, advice);
}
static inline ssize_t fault_advise_many(void *c, const struct iovec *ranges, size_t n, int advice)
{
    return fault_now(c) ? -ENOMEM : REAL(advise_many, ranges, n, advice);
}
static inline int fault_thread_start(void *c, unsigned long *ret, void *(*fn)(void *), void *arg, size_t size)
{
    return fault_now(c) ? -EAGAIN : REAL(thread_start, ret, fn, arg, size);
}
static inline int fault_eventfd(void *c, unsigned value, int flags)
{
    return fault_now(c) ? -EMFILE : REAL(eventfd, value, flags);
}
static inline int fault_timerfd(void *c) { return fault_now(c) ? -EMFILE : cr_sys_real.timerfd(cr_sys_real.context); }
static inline int fault_interface_index(void *c, const char *name)
{
    return fault_now(c) ? -EMFILE : REAL(interface_index, name);
}
static inline int fault_resolve(void *c, const char *name, struct sockaddr_in6 *ret_addresses, unsigned max)
{
    return fault_now(c) ? -EAGAIN : REAL(resolve, name, ret_addresses, max);
}
static inline int fault_path_stat(void *c, const char *path, struct stat *ret_stat)
{
    return fault_now(c) ? -EACCES : REAL(path_stat, path, ret_stat);
}
static inline int fault_path_mode(void *c, const char *path, unsigned mode)
{
    return fault_now(c) ? -EPERM : REAL(path_mode, path, mode);
}
static inline int fault_lock(void *c, int fd) { return fault_now(c) ? -ENOLCK : REAL(lock, fd); }
static inline int fault_epoll_create(void *c, int flags) { return fault_now(c) ? -EMFILE : REAL(epoll_create, flags); }
static inline int fault_epoll_ctl(void *c, int epfd, int op, int fd, struct epoll_event *event)
{
    return fault_now(c) ? -ENOMEM : REAL(epoll_ctl, epfd, op, fd, event);
}
static inline int fault_open(void *c, const char *path, int flags, unsigned mode)
{
    return fault_now(c) ? -EMFILE : REAL(open, path, flags, mode);
}
static inline int fault_pipe(void *c, int ret_fds[2], enum cr_pipe_end childs)
{
    return fault_now(c) ? -EMFILE : REAL(pipe, ret_fds, childs);
}
static inline int fault_spawn(void *c, const cr_spawn *asked, int *ret_pidfd)
{
    return fault_now(c) ? -EAGAIN : REAL(spawn, asked, ret_pidfd);
}
static inline ssize_t fault_read_at(void *c, int fd, const struct iovec *piece, int64_t offset, int flags)
{
    return fault_now(c) ? -EIO : REAL(read_at, fd, piece, offset, flags);
}
static inline ssize_t fault_write_at(void *c, int fd, const struct iovec *piece, int64_t offset, int flags)
{
    return fault_now(c) ? -EIO : REAL(write_at, fd, piece, offset, flags);
}
static inline int fault_socket(void *c, int family, int type, int protocol)
{
    return fault_now(c) ? -EMFILE : REAL(socket, family, type, protocol);
}
static inline int fault_socket_pair(void *c, int family, int type, int ret_fds[2])
{
    return fault_now(c) ? -EMFILE : REAL(socket_pair, family, type, ret_fds);
}
static inline int fault_bind(void *c, int fd, const struct sockaddr *address, unsigned size)
{
    return fault_now(c) ? -EADDRINUSE : REAL(bind, fd, address, size);
}
static inline int fault_listen(void *c, int fd, int backlog)
{
    return fault_now(c) ? -EADDRINUSE : REAL(listen, fd, backlog);
}
static inline int fault_connect(void *c, int fd, const struct sockaddr *address, unsigned size)
{
    return fault_now(c) ? -ENETUNREACH : REAL(connect, fd, address, size);
}
static inline ssize_t fault_recv(void *c, int fd, void *buf, size_t size, int flags)
{
    return fault_now(c) ? -ENOMEM : REAL(recv, fd, buf, size, flags);
}
/* A connection of which send fails is no more: recv finds its end then. */
static inline ssize_t fault_send(void *c, int fd, const void *buf, size_t size, int flags)
{
    if (!fault_now(c))
        return REAL(send, fd, buf, size, flags);
    (void)REAL(shutdown, fd, SHUT_RDWR);
    return -ETIMEDOUT;
}

/* The real table behind a count; entries that take no context of ours keep the real one's, which is NULL. */
static inline void faults_init(faults *f, long fail_at, bool from_then)
{
    memset(f, 0, sizeof *f);
    f->sys = cr_sys_real;
    f->sys.context = f;
    f->sys.alloc = fault_alloc;
    f->sys.alloc_zero = fault_alloc_zero;
    f->sys.resize = fault_resize;
    f->sys.map = fault_map;
    f->sys.advise = fault_advise;
    f->sys.advise_many = fault_advise_many;
    f->sys.thread_start = fault_thread_start;
    f->sys.eventfd = fault_eventfd;
    f->sys.timerfd = fault_timerfd;
    f->sys.interface_index = fault_interface_index;
    f->sys.resolve = fault_resolve;
    f->sys.path_stat = fault_path_stat;
    f->sys.path_mode = fault_path_mode;
    f->sys.lock = fault_lock;
    f->sys.epoll_create = fault_epoll_create;
    f->sys.epoll_ctl = fault_epoll_ctl;
    f->sys.open = fault_open;
    f->sys.pipe = fault_pipe;
    f->sys.spawn = fault_spawn;
    f->sys.read_at = fault_read_at;
    f->sys.write_at = fault_write_at;
    f->sys.socket = fault_socket;
    f->sys.socket_pair = fault_socket_pair;
    f->sys.bind = fault_bind;
    f->sys.listen = fault_listen;
    f->sys.connect = fault_connect;
    f->sys.recv = fault_recv;
    f->sys.send = fault_send;
    f->fail_at = fail_at;
    f->from_then = from_then;
}
#endif
