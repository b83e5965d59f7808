/* SPDX-License-Identifier: MIT */
/* sys_real_sockets.c: the calls for sockets and networks, of the table that really calls the OS.
 *
 * Owns nothing. Each socket is close-on-exec and O_NONBLOCK from its first moment; no send raises
 * SIGPIPE, and no transfer waits: only the lookup of a name does. recv and send are called by
 * number: libc's are points where a thread can be cancelled, which costs as much as a hundredth of
 * the call where there are threads. */
#include "base/sys_real_sockets.h"

#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sys_result.h"

int cr_sys_real_socket(void *context, int family, int type, int protocol)
{
    (void)context;
    return cr_sys_result(socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
}

int cr_sys_real_socket_pair(void *context, int family, int type, int ret_fds[2])
{
    (void)context;
    return cr_sys_result(socketpair(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret_fds));
}

int cr_sys_real_bind(void *context, int fd, const struct sockaddr *address, unsigned size)
{
    (void)context;
    return cr_sys_result(bind(fd, address, size));
}

int cr_sys_real_listen(void *context, int fd, int backlog)
{
    (void)context;
    return cr_sys_result(listen(fd, backlog));
}

int cr_sys_real_accept(void *context, int fd, struct sockaddr *address, unsigned *size)
{
    (void)context;
    return cr_sys_result(accept4(fd, address, size, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

int cr_sys_real_connect(void *context, int fd, const struct sockaddr *address, unsigned size)
{
    (void)context;
    return cr_sys_result(connect(fd, address, size));
}

/* Calls by number: among several threads libc's own take two atomic steps more, to be points of
 * pthread_cancel. MemorySanitizer does not see what a call by number has written. */
CR_HOT ssize_t cr_sys_real_recv(void *context, int fd, void *buf, size_t size, int flags)
{
    (void)context;
    ssize_t n =
        cr_sys_result_size(syscall(SYS_recvfrom, fd, buf, size, flags | MSG_DONTWAIT, NULL, NULL));
    if (n > 0)
        cr_sys_result_written(buf, (size_t)n);
    return n;
}

CR_HOT ssize_t cr_sys_real_send(void *context, int fd, const void *buf, size_t size, int flags)
{
    (void)context;
    flags |= MSG_DONTWAIT | MSG_NOSIGNAL;
    return cr_sys_result_size(syscall(SYS_sendto, fd, buf, size, flags, NULL, 0));
}

/* One piece and nothing beside it: recvfrom and sendto, for which the kernel copies no msghdr. */
static bool is_plain(const struct msghdr *message)
{
    return message->msg_iovlen == 1 && !message->msg_control;
}

#if !CR_MSAN
/* With MSG_TRUNC it gives a datagram's whole size. */
static ssize_t receive_datagram(int fd, struct msghdr *message, int flags)
{
    const struct iovec *piece = message->msg_iov;
    ssize_t n = cr_sys_result_size(syscall(SYS_recvfrom, fd, piece->iov_base, piece->iov_len,
        flags | MSG_TRUNC, message->msg_name, &message->msg_namelen));
    bool is_cut = n > 0 && (size_t)n > piece->iov_len;
    message->msg_flags = is_cut ? MSG_TRUNC : 0;
    return is_cut ? (ssize_t)piece->iov_len : n;
}
#endif

/* A message with room for the sender's name is a datagram. */
ssize_t cr_sys_real_receive_message(void *context, int fd, struct msghdr *message, int flags)
{
    (void)context;
    flags |= MSG_DONTWAIT | MSG_CMSG_CLOEXEC;
#if CR_MSAN
    return cr_sys_result_size(recvmsg(fd, message, flags)); /* it knows what that has written */
#else
    if (message->msg_name && is_plain(message))
        return receive_datagram(fd, message, flags);
    return cr_sys_result_size(syscall(SYS_recvmsg, fd, message, flags));
#endif
}

ssize_t cr_sys_real_send_message(void *context, int fd, const struct msghdr *message, int flags)
{
    (void)context;
    flags |= MSG_DONTWAIT | MSG_NOSIGNAL;
    if (is_plain(message))
        return cr_sys_result_size(syscall(SYS_sendto, fd, message->msg_iov->iov_base,
            message->msg_iov->iov_len, flags, message->msg_name, message->msg_namelen));
    return cr_sys_result_size(syscall(SYS_sendmsg, fd, message, flags));
}

int cr_sys_real_receive_messages(
    void *context, int fd, struct mmsghdr *messages, unsigned n, int flags)
{
    (void)context;
    return cr_sys_result(recvmmsg(fd, messages, n, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL));
}

int cr_sys_real_send_messages(
    void *context, int fd, struct mmsghdr *messages, unsigned n, int flags)
{
    (void)context;
    return cr_sys_result(sendmmsg(fd, messages, n, flags | MSG_DONTWAIT | MSG_NOSIGNAL));
}

int cr_sys_real_shutdown(void *context, int fd, int how)
{
    (void)context;
    return cr_sys_result(shutdown(fd, how));
}

int cr_sys_real_set_option(void *context, int fd, const cr_socket_option *option)
{
    (void)context;
    return cr_sys_result(setsockopt(fd, option->level, option->name, option->value, option->size));
}

int cr_sys_real_get_option(void *context, int fd, cr_socket_option *option)
{
    (void)context;
    return cr_sys_result(getsockopt(fd, option->level, option->name, option->value, &option->size));
}

int cr_sys_real_own_name(void *context, int fd, struct sockaddr *address, unsigned *size)
{
    (void)context;
    return cr_sys_result(getsockname(fd, address, size));
}

int cr_sys_real_peer_name(void *context, int fd, struct sockaddr *address, unsigned *size)
{
    (void)context;
    return cr_sys_result(getpeername(fd, address, size));
}

/* libc asks by a socket of its own, which it closes: a lack of descriptors shows here too. */
int cr_sys_real_interface_index(void *context, const char *name)
{
    (void)context;
    unsigned index = if_nametoindex(name);
    return index > 0 ? (int)index : -errno;
}

/* A resolver's answer as an errno. What says that the name has no address of our families is no
 * such name; what says that a server could not answer is no answer. */
static int lookup_failed(int code)
{ /* unreached: which of these a resolver gives is the machine's; tests take them from the table */
    switch (code) {
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY: return -ENOENT;
    case EAI_MEMORY: return -ENOMEM;
    case EAI_SYSTEM: return errno ? -errno : -EAGAIN;
    default: return -EAGAIN;
    }
}

static bool is_among(const struct sockaddr_in6 *address, const struct sockaddr_in6 *all, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (memcmp(address, &all[i], sizeof *address) == 0)
            return true;
    return false;
}

/* One kind of socket, or each address would come three times; a hosts file repeats some yet. */
int cr_sys_real_resolve(
    void *context, const char *name, struct sockaddr_in6 *ret_addresses, unsigned max)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    unsigned n = 0;
    (void)context;
    int err = getaddrinfo(name, NULL, &hints, &found);
    if (err)
        return lookup_failed(err);
    for (const struct addrinfo *at = found; at && n < max; at = at->ai_next) {
        struct sockaddr_in6 address = { 0 };
        if ((at->ai_family != AF_INET && at->ai_family != AF_INET6) ||
            at->ai_addrlen > sizeof address)
            continue;
        memcpy(&address, at->ai_addr, at->ai_addrlen);
        if (!is_among(&address, ret_addresses, n))
            ret_addresses[n++] = address;
    }
    freeaddrinfo(found);
    return n > 0 ? (int)n : -ENOENT;
}

size_t cr_sys_real_descriptors_max(void *context)
{
    struct rlimit limit;
    (void)context;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024; /* what every kernel gives */
    rlim_t soft = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (soft < limit.rlim_max && setrlimit(RLIMIT_NOFILE, &limit) == 0)
        soft = limit.rlim_max;
    return soft < INT_MAX ? (size_t)soft : INT_MAX;
}
