/* SPDX-License-Identifier: MIT */
/* sys_real_sockets.c: the calls for sockets and networks of the table that really calls the OS.
 *
 * Owns nothing. Each socket is close-on-exec and O_NONBLOCK from its first moment; no send raises
 * SIGPIPE, and no transfer waits. recv and send are called by number: libc's are points where a
 * thread can be cancelled, which costs as much as a hundredth of the call where there are threads.
 * */
#include "base/sys_real_sockets.h"

#include <net/if.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if CR_MSAN
#include <sanitizer/msan_interface.h>
#endif

/* libc's -1 as the kernel's negative errno. */
static inline int failed(int result) { return result < 0 ? -errno : result; }
static inline ssize_t failed_size(ssize_t result) { return result < 0 ? -errno : result; }

int cr_sys_real_socket(void *context, int family, int type, int protocol)
{
    (void)context;
    return failed(socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
}

int cr_sys_real_socket_pair(void *context, int family, int type, int ret_fds[2])
{
    (void)context;
    return failed(socketpair(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret_fds));
}

int cr_sys_real_bind(void *context, int fd, const struct sockaddr *address, unsigned size)
{
    (void)context;
    return failed(bind(fd, address, size));
}

int cr_sys_real_listen(void *context, int fd, int backlog)
{
    (void)context;
    return failed(listen(fd, backlog));
}

int cr_sys_real_accept(void *context, int fd, struct sockaddr *address, unsigned *size)
{
    (void)context;
    return failed(accept4(fd, address, size, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

int cr_sys_real_connect(void *context, int fd, const struct sockaddr *address, unsigned size)
{
    (void)context;
    return failed(connect(fd, address, size));
}

/* MemorySanitizer does not see what a call by number has written. */
ssize_t cr_sys_real_recv(void *context, int fd, void *buf, size_t size, int flags)
{
    (void)context;
    ssize_t n = failed_size(syscall(SYS_recvfrom, fd, buf, size, flags | MSG_DONTWAIT, NULL, NULL));
#if CR_MSAN
    if (n > 0)
        __msan_unpoison(buf, (size_t)n);
#endif
    return n;
}

ssize_t cr_sys_real_send(void *context, int fd, const void *buf, size_t size, int flags)
{
    (void)context;
    flags |= MSG_DONTWAIT | MSG_NOSIGNAL;
    return failed_size(syscall(SYS_sendto, fd, buf, size, flags, NULL, 0));
}

int cr_sys_real_shutdown(void *context, int fd, int how)
{
    (void)context;
    return failed(shutdown(fd, how));
}

int cr_sys_real_set_option(void *context, int fd, const cr_socket_option *option)
{
    (void)context;
    return failed(setsockopt(fd, option->level, option->name, option->value, option->size));
}

int cr_sys_real_get_option(void *context, int fd, cr_socket_option *option)
{
    (void)context;
    return failed(getsockopt(fd, option->level, option->name, option->value, &option->size));
}

int cr_sys_real_own_name(void *context, int fd, struct sockaddr *address, unsigned *size)
{
    (void)context;
    return failed(getsockname(fd, address, size));
}

int cr_sys_real_peer_name(void *context, int fd, struct sockaddr *address, unsigned *size)
{
    (void)context;
    return failed(getpeername(fd, address, size));
}

/* libc asks by a socket of its own, which it closes: a lack of descriptors shows here too. */
int cr_sys_real_interface_index(void *context, const char *name)
{
    (void)context;
    unsigned index = if_nametoindex(name);
    return index > 0 ? (int)index : -errno;
}
