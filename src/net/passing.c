/* SPDX-License-Identifier: MIT */
/* passing.c: descriptors that have come over a unix socket.
 *
 * A descriptor travels with a byte and has its place among the bytes: crank_receive_fd gives it
 * when that byte is next. Since reading ahead would take both, unix sockets are read by recvmsg,
 * and what has come is kept with its place. The kernel lets a transfer end with the piece that had
 * a descriptor: so its place is the transfer's last byte, for crank_send_fd sends one byte with it.
 *
 * Owns the descriptors until they are taken; at most 32, then further ones are closed. One whose
 * byte was read as a byte is closed with the next transfer, or with the stream. */
#include "net/passing.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { KEPT_MAX = 32 };

typedef struct cr_passed {
    struct cr_passed *next;
    uint64_t place; /* of its byte, among all that are received */
    int fd;
} cr_passed;

/* ---- What has come ---- */

static void close_fd(const cr_socketlike *s, int fd)
{
    const cr_sys *sys = s->loop->sys;
    (void)sys->close(sys->context, fd);
}

/* The oldest is the caller's. */
static int take_first(const cr_socketlike *s, cr_passing *p)
{
    cr_passed *first = p->first;
    int fd = first->fd;
    p->first = first->next;
    cr_free(s->loop->sys, first);
    return fd;
}

void cr_passing_close_all(const cr_socketlike *s, cr_passing *p)
{
    while (p->first)
        close_fd(s, take_first(s, p));
}

/* The place of the byte that is read next. */
static uint64_t next_place(const cr_socketlike *s, const cr_passing *p)
{
    return p->received - cr_buffer_held(&s->stream.in);
}

static void close_passed_over(const cr_socketlike *s, cr_passing *p)
{
    while (p->first && p->first->place < next_place(s, p))
        close_fd(s, take_first(s, p));
}

/* Only the last one is remembered: those before are taken for plain bytes. */
static void lose(cr_passing *p, int why)
{
    p->lost_place = p->received - 1;
    p->lost = why;
}

/* Behind the others; closed where there are too many, or no memory. */
static void keep(const cr_socketlike *s, cr_passing *p, int fd)
{
    size_t count = 0;
    cr_passed **at = &p->first;
    for (; *at; at = &(*at)->next)
        count++;
    cr_passed *passed = count < KEPT_MAX ? cr_alloc(s->loop->sys, sizeof *passed) : NULL;
    if (!passed) {
        close_fd(s, fd);
        lose(p, count < KEPT_MAX ? -ENOMEM : -EMFILE);
        return;
    }
    *passed = (cr_passed){ .place = p->received - 1, .fd = fd };
    *at = passed;
}

/* Of several with one byte the first is kept. */
static void keep_all(const cr_socketlike *s, cr_passing *p, struct msghdr *message)
{
    int first = -1;
    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at; at = CMSG_NXTHDR(message, at)) {
        if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(at) + i * sizeof fd, sizeof fd);
            if (first < 0)
                first = fd;
            else
                close_fd(s, fd);
        }
    }
    if (first >= 0)
        keep(s, p, first);
    else if (message->msg_flags & MSG_CTRUNC)
        lose(p, -EMFILE);
}

long cr_passing_receive(const cr_socketlike *s, cr_passing *p, void *buf, size_t size)
{
    union {
        struct cmsghdr first;
        char bytes[CMSG_SPACE(KEPT_MAX * sizeof(int))];
    } control;
    struct iovec piece = { buf, p->single ? 1 : size };
    struct msghdr message = { .msg_iov = &piece,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control };
    close_passed_over(s, p);
    ssize_t n = s->loop->sys->receive_message(s->loop->sys->context, s->receiving.fd, &message, 0);
    if (n > 0) {
        p->received += (uint64_t)n;
        keep_all(s, p, &message);
    }
    return n;
}

/* The byte goes with its descriptor, also with one that was lost: the next call is about the
 * next. */
int cr_passing_take(cr_socketlike *s, cr_passing *p)
{
    close_passed_over(s, p);
    uint64_t place = next_place(s, p);
    bool kept = p->first && p->first->place == place;
    if (cr_buffer_held(&s->stream.in) == 0 || !(kept || (p->lost && p->lost_place == place)))
        return -ENODATA;
    cr_reading_take(&s->stream, 1);
    return kept ? take_first(s, p) : p->lost;
}
