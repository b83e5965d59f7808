/* SPDX-License-Identifier: MIT */
/* rights.c: descriptors that simulated unix sockets pass with their bytes (SCM_RIGHTS).
 *
 * A descriptor that is on its way is a duplicate of the sender's: another number for the same open
 * file, a real one or a socket's of the network, which the program does not know. So what it stands
 * for stays open when the sender closes its own; the receiver gets a duplicate of that duplicate,
 * and has no place for it when it would have none for real.
 *
 * Owns those duplicates until the bytes of their message are taken, by whatever call, or the
 * receiver closes. They come with the first byte of their message, and a call that reads takes
 * nothing behind that message (unix_stream_read_generic). */
#include "world/rights.h"

#include <string.h>
#include <sys/stat.h>

#define COUNT_MAX 253 /* SCM_MAX_FD */

struct cr_rights {
    cr_rights *next;
    uint64_t from, until; /* the bytes of their message, as positions in the sender's flow */
    size_t count;
    int fds[];
};

/* ---- Sending ---- */

static size_t count_in(const struct cmsghdr *control)
{
    return (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
}

/* CMSG_NXTHDR believes the length of the one before, so each is looked at before the next. What is
 * not for sockets in general is not looked at, as in the kernel. */
static ssize_t count_all(struct msghdr *message)
{
    const char *end = (const char *)message->msg_control + message->msg_controllen;
    size_t count = 0;
    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at; at = CMSG_NXTHDR(message, at)) {
        if (at->cmsg_len < CMSG_LEN(0) || at->cmsg_len > (size_t)(end - (const char *)at))
            return -EINVAL;
        if (at->cmsg_level != SOL_SOCKET)
            continue;
        if (at->cmsg_type != SCM_RIGHTS)
            return -ENOTSUP;
        count += count_in(at);
    }
    return count > COUNT_MAX ? -EINVAL : (ssize_t)count;
}

/* Call one for each descriptor of a message, until it fails. */
static int for_each(cr_world *world, cr_rights *rights, struct msghdr *message,
    int (*one)(cr_world *world, cr_rights *rights, int fd))
{
    int err = 0;
    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at; at = CMSG_NXTHDR(message, at)) {
        size_t count = at->cmsg_level == SOL_SOCKET ? count_in(at) : 0;
        for (size_t i = 0; i < count && err == 0; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(at) + i * sizeof fd, sizeof fd);
            err = one(world, rights, fd);
        }
    }
    return err;
}

/* All are looked at before the first is duplicated: that may have the number of one that is
 * closed. */
static int check_one(cr_world *world, cr_rights *rights, int fd)
{
    struct stat status;
    (void)rights;
    return world->table.stat(world, fd, &status);
}

/* The kernel counts what is on its way against the process's limit of descriptors, and says
 * ETOOMANYREFS. Here it has numbers, and finds none. */
static int take_one(cr_world *world, cr_rights *rights, int fd)
{
    int copy = world->table.duplicate(world, fd);
    if (copy < 0)
        return copy == -EMFILE ? -ETOOMANYREFS : copy;
    rights->fds[rights->count++] = copy;
    return 0;
}

int cr_rights_take(cr_world *world, const struct msghdr *message, cr_rights **ret_rights)
{
    struct msghdr walked = *message; /* the macros want one that they could write */
    ssize_t count = count_all(&walked);
    *ret_rights = NULL;
    if (count <= 0)
        return (int)count;
    cr_rights *rights = cr_alloc_zero(world->real, sizeof *rights + (size_t)count * sizeof(int));
    if (!rights)
        return -ENOMEM;
    int err = for_each(world, rights, &walked, check_one);
    if (err == 0)
        err = for_each(world, rights, &walked, take_one);
    if (err < 0)
        cr_rights_drop(world, rights);
    else
        *ret_rights = rights;
    return err;
}

void cr_rights_send(cr_endpoint *sender, cr_rights *rights, size_t n)
{
    cr_rights **at = &sender->rights;
    while (*at)
        at = &(*at)->next;
    rights->from = sender->out.written - n;
    rights->until = sender->out.written;
    *at = rights;
    sender->passing++;
}

void cr_rights_drop(cr_world *world, cr_rights *rights)
{
    for (size_t i = 0; rights && i < rights->count; i++)
        (void)world->table.close(world, rights->fds[i]);
    cr_free(world->real, rights);
}

/* ---- Receiving ---- */

size_t cr_rights_limit(const cr_endpoint *sender, size_t size)
{
    const cr_rights *first = sender->rights;
    size_t limit = first ? (size_t)(first->until - sender->out.taken) : size;
    return limit < size ? limit : size;
}

/* As scm_detach_fds: how many; fewer where the message or the process has no room for more. */
static size_t give_each(cr_world *world, const cr_rights *rights, struct msghdr *message)
{
    size_t count = 0;
    struct cmsghdr *control = CMSG_FIRSTHDR(message);
    size_t room = control ? (message->msg_controllen - CMSG_LEN(0)) / sizeof(int) : 0;
    while (count < rights->count && count < room) {
        int fd = world->table.duplicate(world, rights->fds[count]);
        if (fd < 0)
            break;
        memcpy(CMSG_DATA(control) + count++ * sizeof fd, &fd, sizeof fd);
    }
    return count;
}

void cr_rights_give(cr_world *world, const cr_endpoint *sender, struct msghdr *message, size_t n)
{
    const cr_rights *first = sender->rights;
    size_t count = 0, room = message->msg_controllen;
    if (first && first->from < sender->out.taken + n) {
        count = give_each(world, first, message);
        message->msg_flags |= count < first->count ? MSG_CTRUNC : 0;
    }
    message->msg_controllen = 0;
    if (count == 0)
        return;
    struct cmsghdr *control = message->msg_control;
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(count * sizeof(int));
    size_t used = CMSG_SPACE(count * sizeof(int));
    message->msg_controllen = used < room ? used : room;
}

/* Closing one may close other sockets, this sender too: the list is whole before each. */
void cr_rights_pass(cr_world *world, cr_endpoint *sender)
{
    while (sender->rights && sender->rights->from < sender->out.taken) {
        cr_rights *first = sender->rights;
        sender->rights = first->next;
        sender->passing--;
        cr_rights_drop(world, first);
    }
}
