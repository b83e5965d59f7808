/* SPDX-License-Identifier: MIT */
/* world_local.c: sockets of AF_UNIX on the simulated network, beside the same programs on the kernel's. */
#include <stddef.h>
#include <unistd.h>
#include "nets.h"

static void open_pair(net *n, int fds[2]) { EXPECT_EQ(CALL(n, socket_pair, AF_UNIX, SOCK_STREAM, fds), 0); }
static void close_both(net *n, const int fds[2])
{
    EXPECT_EQ(CALL(n, close, fds[0]), 0);
    EXPECT_EQ(CALL(n, close, fds[1]), 0);
}

EACH_NET(local, a_pair_carries_bytes_at_once)
{
    int fds[2];
    open_pair(n, fds);
    EXPECT_EQ(events_now(n, fds[0]), EPOLLOUT);
    EXPECT_EQ(CALL(n, recv, fds[0], n->buf, 1, 0), -EAGAIN);
    send_all(n, fds[0], "hello");
    EXPECT_EQ(events_now(n, fds[1]), EPOLLIN | EPOLLOUT);
    EXPECT_EQ(CALL(n, recv, fds[1], n->buf, 2, MSG_PEEK), 2);
    EXPECT_EQ(CALL(n, recv, fds[1], n->buf, 64, 0), 5);
    EXPECT(memcmp(n->buf, "hello", 5) == 0);
    EXPECT_EQ(CALL(n, write, fds[1], "abc", 3), 3);
    EXPECT_EQ(CALL(n, read, fds[0], n->buf, 64), 3);
    close_both(n, fds);
}

EACH_NET(local, an_end_is_told_at_once)
{
    int fds[2];
    open_pair(n, fds);
    send_all(n, fds[0], "ab");
    EXPECT_EQ(CALL(n, shutdown, fds[0], SHUT_WR), 0);
    EXPECT_EQ(CALL(n, shutdown, fds[0], SHUT_WR), 0);
    EXPECT_EQ(events_now(n, fds[1]), EPOLLIN | EPOLLOUT | EPOLLRDHUP);
    EXPECT_EQ(CALL(n, send, fds[0], "x", 1, 0), -EPIPE);
    EXPECT_EQ(CALL(n, recv, fds[1], n->buf, 64, 0), 2);
    EXPECT_EQ(CALL(n, recv, fds[1], n->buf, 64, 0), 0);
    send_all(n, fds[1], "c");
    EXPECT_EQ(CALL(n, recv, fds[0], n->buf, 64, 0), 1);
    EXPECT_EQ(CALL(n, shutdown, fds[1], SHUT_RDWR), 0);
    EXPECT_EQ(events_now(n, fds[0]), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
    EXPECT_EQ(CALL(n, shutdown, fds[0], SHUT_RDWR), 0);
    close_both(n, fds);
}

EACH_NET(local, one_that_reads_no_more_takes_nothing)
{
    int fds[2];
    open_pair(n, fds);
    send_all(n, fds[0], "ab");
    EXPECT_EQ(CALL(n, shutdown, fds[1], SHUT_RD), 0);
    EXPECT_EQ(CALL(n, send, fds[0], "x", 1, 0), -EPIPE);
    EXPECT_EQ(CALL(n, recv, fds[1], n->buf, 64, 0), 2);
    EXPECT_EQ(CALL(n, recv, fds[1], n->buf, 64, 0), 0);
    close_both(n, fds);
}

EACH_NET(local, a_peer_that_closes_has_ended)
{
    int fds[2];
    address peer;
    unsigned size = sizeof peer;
    open_pair(n, fds);
    send_all(n, fds[0], "ab");
    EXPECT_EQ(CALL(n, close, fds[0]), 0);
    EXPECT_EQ(events_now(n, fds[1]), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
    EXPECT_EQ(CALL(n, send, fds[1], "x", 1, 0), -EPIPE);
    EXPECT_EQ(CALL(n, recv, fds[1], n->buf, 64, 0), 2);
    EXPECT_EQ(CALL(n, recv, fds[1], n->buf, 64, 0), 0);
    EXPECT_EQ(CALL(n, peer_name, fds[1], &peer.any, &size), 0);
    EXPECT_EQ(size, sizeof peer.any.sa_family);
    EXPECT_EQ(CALL(n, close, fds[1]), 0);
}

EACH_NET(local, a_peer_that_closes_with_input_unread_resets)
{
    int fds[2];
    open_pair(n, fds);
    send_all(n, fds[0], "unread");
    send_all(n, fds[1], "ab");
    EXPECT_EQ(CALL(n, close, fds[1]), 0);
    EXPECT_EQ(events_now(n, fds[0]), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    EXPECT_EQ(CALL(n, send, fds[0], "x", 1, 0), -EPIPE);
    EXPECT_EQ(CALL(n, recv, fds[0], n->buf, 64, 0), 2);
    EXPECT_EQ(CALL(n, recv, fds[0], n->buf, 64, 0), -ECONNRESET);
    EXPECT_EQ(CALL(n, recv, fds[0], n->buf, 64, 0), 0);
    EXPECT_EQ(CALL(n, close, fds[0]), 0);
}

EACH_NET(local, a_full_one_has_room_again_when_it_was_read)
{
    static char block[10000];
    int fds[2];
    open_pair(n, fds);
    for (int i = 0; i < 3; i++) {
        ssize_t more;
        size_t sent = 0;
        while ((more = CALL(n, send, fds[0], block, sizeof block, 0)) > 0)
            sent += (size_t)more;
        EXPECT_EQ(more, -EAGAIN);
        EXPECT(!(events_now(n, fds[0]) & EPOLLOUT));
        while ((more = CALL(n, recv, fds[1], n->buf, sizeof n->buf, 0)) > 0)
            sent -= (size_t)more;
        EXPECT_EQ(more, -EAGAIN);
        EXPECT_EQ(sent, 0);
        EXPECT_EQ(events_now(n, fds[0]), EPOLLOUT);
    }
    close_both(n, fds);
}

/* ---- descriptors between the bytes ---- */

static ssize_t pass(net *n, int fd, const char *text, const int *fds, size_t count)
{
    static union {
        struct cmsghdr first;
        char bytes[CMSG_SPACE(300 * sizeof(int))];
    } control;
    struct iovec piece = { (void *)(uintptr_t)text, strlen(text) };
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(count * sizeof *fds)
    };
    control.first.cmsg_level = SOL_SOCKET;
    control.first.cmsg_type = SCM_RIGHTS;
    control.first.cmsg_len = CMSG_LEN(count * sizeof *fds);
    memcpy(CMSG_DATA(&control.first), fds, count * sizeof *fds);
    return CALL(n, send_message, fd, &message, 0);
}

typedef struct passed {
    ssize_t size;
    int fds[8];
    size_t count;
    bool cut;
} passed;

/* Into so many bytes, with room for so many descriptors. */
static passed take(net *n, int fd, size_t size, size_t room, int flags)
{
    union {
        struct cmsghdr first;
        char bytes[CMSG_SPACE(8 * sizeof(int))];
    } control;
    struct iovec piece = { n->buf, size };
    struct msghdr message = { .msg_iov = &piece,
        .msg_iovlen = 1,
        .msg_control = room ? &control : NULL,
        .msg_controllen = room ? CMSG_LEN(room * sizeof(int)) : 0 };
    passed p = { .size = CALL(n, receive_message, fd, &message, flags) };
    if (p.size <= 0)
        return p;
    p.cut = message.msg_flags & MSG_CTRUNC;
    const struct cmsghdr *first = CMSG_FIRSTHDR(&message);
    if (first) {
        EXPECT(first->cmsg_level == SOL_SOCKET && first->cmsg_type == SCM_RIGHTS);
        p.count = (first->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        EXPECT_EQ(message.msg_controllen, CMSG_SPACE(p.count * sizeof(int)) < CMSG_LEN(room * sizeof(int))
                                              ? CMSG_SPACE(p.count * sizeof(int))
                                              : CMSG_LEN(room * sizeof(int)));
        memcpy(p.fds, CMSG_DATA(first), p.count * sizeof(int));
    } else {
        EXPECT_EQ(message.msg_controllen, 0);
    }
    return p;
}

/* What is written into one of the two comes out of the other. */
static void expect_joined(net *n, int from, int to)
{
    send_all(n, from, "through");
    EXPECT_EQ(CALL(n, recv, to, n->buf, 64, 0), 7);
    EXPECT(memcmp(n->buf, "through", 7) == 0);
}

EACH_NET(local, a_descriptor_comes_with_its_bytes_and_ends_the_transfer)
{
    int fds[2], sent[2];
    open_pair(n, fds);
    open_pair(n, sent);
    send_all(n, fds[0], "ab");
    EXPECT_EQ(pass(n, fds[0], "cdef", sent, 1), 4);
    send_all(n, fds[0], "gh");
    EXPECT_EQ(pass(n, fds[0], "i", &sent[1], 1), 1);
    passed p = take(n, fds[1], 4, 8, 0);
    EXPECT(p.size == 4 && p.count == 1 && !p.cut);
    EXPECT(p.fds[0] != sent[0]);
    expect_joined(n, p.fds[0], sent[1]);
    EXPECT_EQ(CALL(n, close, p.fds[0]), 0);
    p = take(n, fds[1], 64, 8, 0);
    EXPECT(p.size == 5 && p.count == 1);
    EXPECT(memcmp(n->buf, "efghi", 5) == 0);
    expect_joined(n, sent[0], p.fds[0]);
    EXPECT_EQ(CALL(n, close, p.fds[0]), 0);
    EXPECT_EQ(take(n, fds[1], 64, 8, 0).size, -EAGAIN);
    EXPECT_EQ(CALL(n, close, fds[0]), 0);
    EXPECT_EQ(take(n, fds[1], 64, 8, 0).size, 0);
    EXPECT_EQ(CALL(n, close, fds[1]), 0);
    close_both(n, sent);
}

EACH_NET(local, a_descriptor_under_way_is_open_until_the_receiver_closes)
{
    int fds[2], sent[2];
    open_pair(n, fds);
    open_pair(n, sent);
    EXPECT_EQ(pass(n, fds[0], "a", &sent[1], 1), 1);
    EXPECT_EQ(CALL(n, close, sent[1]), 0);
    EXPECT_EQ(events_now(n, sent[0]), EPOLLOUT);
    send_all(n, sent[0], "early");
    passed p = take(n, fds[1], 1, 8, MSG_PEEK);
    EXPECT(p.size == 1 && p.count == 1);
    EXPECT_EQ(CALL(n, recv, p.fds[0], n->buf, 64, 0), 5);
    EXPECT_EQ(CALL(n, close, p.fds[0]), 0);
    EXPECT_EQ(events_now(n, sent[0]), EPOLLOUT);
    EXPECT_EQ(CALL(n, close, fds[1]), 0);
    EXPECT_EQ(events_now(n, sent[0]), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
    EXPECT_EQ(CALL(n, close, fds[0]), 0);
    EXPECT_EQ(CALL(n, close, sent[0]), 0);
}

EACH_NET(local, a_descriptor_without_room_is_closed)
{
    int fds[2], sent[2], both[2];
    if (getenv("TEST_EMULATED"))
        test_skip("an emulator's room for descriptors is another");
    open_pair(n, fds);
    open_pair(n, sent);
    both[0] = both[1] = sent[1];
    EXPECT_EQ(pass(n, fds[0], "a", both, 2), 1);
    EXPECT_EQ(pass(n, fds[0], "b", both, 2), 1);
    EXPECT_EQ(pass(n, fds[0], "c", both, 2), 1);
    EXPECT_EQ(pass(n, fds[0], "", both, 2), 0);
    EXPECT_EQ(CALL(n, close, sent[1]), 0);
    passed p = take(n, fds[1], 64, 1, 0);
    EXPECT(p.size == 1 && p.count == 1 && p.cut);
    EXPECT_EQ(CALL(n, close, p.fds[0]), 0);
    p = take(n, fds[1], 64, 0, 0);
    EXPECT(p.size == 1 && p.count == 0 && p.cut);
    EXPECT_EQ(CALL(n, recv, fds[1], n->buf, 64, MSG_PEEK), 1);
    EXPECT_EQ(events_now(n, sent[0]), EPOLLOUT);
    EXPECT_EQ(CALL(n, recv, fds[1], n->buf, 64, 0), 1);
    EXPECT(events_now(n, sent[0]) & EPOLLHUP);
    EXPECT_EQ(CALL(n, recv, fds[1], n->buf, 64, 0), -EAGAIN);
    close_both(n, fds);
    EXPECT_EQ(CALL(n, close, sent[0]), 0);
}

EACH_NET(local, what_is_no_descriptor_is_not_sent)
{
    int fds[2], many[254];
    open_pair(n, fds);
    for (size_t i = 0; i < 254; i++)
        many[i] = fds[0];
    EXPECT_EQ(pass(n, fds[0], "a", many, 254), -EINVAL);
    many[1] = CALL(n, socket, AF_UNIX, SOCK_STREAM, 0);
    EXPECT_EQ(CALL(n, close, many[1]), 0);
    EXPECT_EQ(pass(n, fds[0], "a", many, 2), -EBADF);
    EXPECT_EQ(CALL(n, recv, fds[1], n->buf, 64, 0), -EAGAIN);
    EXPECT_EQ(pass(n, fds[0], "a", many, 1), 1); /* itself */
    passed p = take(n, fds[1], 64, 8, 0);
    EXPECT_EQ(p.count, 1);
    expect_joined(n, fds[1], p.fds[0]);
    EXPECT_EQ(CALL(n, close, p.fds[0]), 0);
    EXPECT_EQ(CALL(n, shutdown, fds[1], SHUT_RD), 0);
    EXPECT_EQ(pass(n, fds[0], "a", many, 1), -EPIPE);
    close_both(n, fds);
}

EACH_NET(local, descriptors_that_are_not_received_stop_the_sender)
{
    int fds[2], sent = 0;
    open_pair(n, fds);
    while (pass(n, fds[0], "a", &fds[0], 1) == 1)
        sent++;
    EXPECT_EQ(pass(n, fds[0], "a", &fds[0], 1), -EAGAIN);
    EXPECT(sent > 50 && sent < 1000);
    EXPECT(!(events_now(n, fds[0]) & EPOLLOUT));
    for (int i = 0; i < sent; i++)
        EXPECT_EQ(CALL(n, recv, fds[1], n->buf, 64, 0), 1);
    EXPECT_EQ(events_now(n, fds[0]), EPOLLOUT);
    close_both(n, fds);
}

/* Found once, however many numbers it has. */
EACH_NET(local, a_listener_that_was_passed_listens)
{
    int fds[2], listener = listen_tcp(n, AF_INET, 8), client = open_tcp(n, AF_INET);
    unsigned port = port_of(n, listener);
    open_pair(n, fds);
    EXPECT_EQ(pass(n, fds[0], "a", &listener, 1), 1);
    EXPECT_EQ(CALL(n, close, listener), 0);
    EXPECT_EQ(call_tcp(n, client, AF_INET, port), -EINPROGRESS);
    await_events(n, client, EPOLLOUT);
    passed p = take(n, fds[1], 1, 8, 0);
    EXPECT_EQ(p.count, 1);
    await_events(n, p.fds[0], EPOLLIN);
    int server = CALL(n, accept, p.fds[0], NULL, NULL);
    EXPECT(server >= 0);
    EXPECT_EQ(CALL(n, close, p.fds[0]), 0);
    EXPECT_EQ(CALL(n, close, client), 0);
    EXPECT_EQ(CALL(n, close, server), 0);
    settle_net(n);
    client = open_tcp(n, AF_INET);
    EXPECT_EQ(call_tcp(n, client, AF_INET, port), -EINPROGRESS);
    await_events(n, client, EPOLLERR);
    EXPECT_EQ(error_of(n, client), ECONNREFUSED);
    EXPECT_EQ(CALL(n, close, client), 0);
    close_both(n, fds);
}

/* A socket that is under way over itself is closed with the network: the kernel has a collector for that. */
static void passes_itself(net *n)
{
    int fds[2];
    open_pair(n, fds);
    EXPECT_EQ(pass(n, fds[0], "a", &fds[1], 1), 1);
    EXPECT_EQ(CALL(n, close, fds[0]), 0);
    EXPECT_EQ(CALL(n, close, fds[1]), 0);
    EXPECT_EQ(n->world->net.open, 1);
    cr_net_deinit(n->world);
}
TEST(local, a_socket_under_way_over_itself_is_closed_with_the_network) { run_net(passes_itself, 0); }

/* ---- names ---- */

static unsigned name_it(address *a, const char *name, size_t length)
{
    memset(a, 0, sizeof *a);
    a->local.sun_family = AF_UNIX;
    memcpy(a->local.sun_path, name, length);
    return (unsigned)(offsetof(struct sockaddr_un, sun_path) + length);
}

/* The kernel's paths are files, and stay: they are in the test's own folder, which is where it stands. */
static void enter_folder(void) { EXPECT_EQ(chdir(getenv("TMPDIR")), 0); }
static void forget(net *n, const char *path)
{
    if (!n->world)
        EXPECT_EQ(unlink(path), 0);
}

EACH_NET(local, a_listener_at_a_path_is_called)
{
    address at, seen;
    unsigned size = name_it(&at, "listener", 8), seen_size = sizeof seen;
    enter_folder();
    int listener = CALL(n, socket, AF_UNIX, SOCK_STREAM, 0);
    int fd = CALL(n, socket, AF_UNIX, SOCK_STREAM, 0);
    EXPECT_EQ(events_now(n, fd), EPOLLOUT | EPOLLHUP);
    EXPECT_EQ(CALL(n, listen, listener, 1), -EINVAL);
    EXPECT_EQ(CALL(n, connect, fd, &at.any, size), -ENOENT);
    EXPECT_EQ(CALL(n, bind, listener, &at.any, size), 0);
    EXPECT_EQ(CALL(n, bind, listener, &at.any, size), -EADDRINUSE);
    EXPECT_EQ(CALL(n, bind, listener, &at.any, size - 1), -EINVAL);
    EXPECT_EQ(CALL(n, bind, fd, &at.any, size), -EADDRINUSE);
    EXPECT_EQ(CALL(n, connect, fd, &at.any, size), -ECONNREFUSED);
    EXPECT_EQ(CALL(n, accept, listener, NULL, NULL), -EINVAL);
    EXPECT_EQ(CALL(n, listen, listener, 0), 0);
    EXPECT_EQ(CALL(n, accept, listener, NULL, NULL), -EAGAIN);
    EXPECT_EQ(CALL(n, connect, fd, &at.any, size), 0);
    EXPECT_EQ(CALL(n, connect, fd, &at.any, size), -EAGAIN);
    EXPECT_EQ(events_now(n, listener), EPOLLIN);
    EXPECT_EQ(CALL(n, peer_name, fd, &seen.any, &seen_size), 0);
    EXPECT_EQ(seen_size, size + 1);
    EXPECT_STR(seen.local.sun_path, "listener");
    int second = CALL(n, socket, AF_UNIX, SOCK_STREAM, 0);
    EXPECT_EQ(CALL(n, connect, second, &at.any, size), -EAGAIN);
    send_all(n, fd, "early");
    seen_size = sizeof seen;
    int accepted = CALL(n, accept, listener, &seen.any, &seen_size);
    EXPECT(accepted >= 0);
    EXPECT_EQ(seen_size, sizeof seen.any.sa_family);
    EXPECT_EQ(CALL(n, recv, accepted, n->buf, 64, 0), 5);
    EXPECT_EQ(CALL(n, connect, fd, &at.any, size), -EISCONN);
    EXPECT_EQ(CALL(n, connect, second, &at.any, size), 0);
    EXPECT_EQ(CALL(n, close, listener), 0);
    EXPECT_EQ(CALL(n, recv, second, n->buf, 1, 0), -ECONNRESET);
    EXPECT_EQ(CALL(n, recv, second, n->buf, 1, 0), 0);
    send_all(n, fd, "late");
    EXPECT_EQ(CALL(n, recv, accepted, n->buf, 64, 0), 4);
    EXPECT_EQ(CALL(n, close, accepted), 0);
    EXPECT_EQ(CALL(n, close, second), 0);
    EXPECT_EQ(CALL(n, close, fd), 0);
    forget(n, "listener");
}

EACH_NET(local, an_abstract_name_is_all_its_bytes)
{
    static const char bytes[] = "\0crank\0world\0local";
    address at, seen;
    unsigned size = name_it(&at, bytes, sizeof bytes - 1), seen_size = sizeof seen;
    int first = CALL(n, socket, AF_UNIX, SOCK_STREAM, 0);
    int second = CALL(n, socket, AF_UNIX, SOCK_STREAM, 0);
    EXPECT_EQ(CALL(n, connect, first, &at.any, size), -ECONNREFUSED);
    EXPECT_EQ(CALL(n, bind, first, &at.any, size), 0);
    EXPECT_EQ(CALL(n, bind, second, &at.any, size), -EADDRINUSE);
    EXPECT_EQ(CALL(n, bind, first, &at.any, size), -EINVAL);
    EXPECT_EQ(CALL(n, bind, second, &at.any, size - 1), 0);
    EXPECT_EQ(CALL(n, own_name, first, &seen.any, &seen_size), 0);
    EXPECT_EQ(seen_size, size);
    EXPECT(memcmp(seen.local.sun_path, bytes, sizeof bytes - 1) == 0);
    EXPECT_EQ(CALL(n, close, first), 0);
    first = CALL(n, socket, AF_UNIX, SOCK_STREAM, 0);
    EXPECT_EQ(CALL(n, bind, first, &at.any, size), 0);
    EXPECT_EQ(CALL(n, close, first), 0);
    EXPECT_EQ(CALL(n, close, second), 0);
}

EACH_NET(local, a_fresh_one_is_not_connected)
{
    address seen;
    unsigned size = sizeof seen;
    int fd = CALL(n, socket, AF_UNIX, SOCK_STREAM, 0);
    EXPECT_EQ(CALL(n, recv, fd, n->buf, 1, 0), -EINVAL);
    EXPECT_EQ(CALL(n, send, fd, "x", 1, 0), -ENOTCONN);
    EXPECT_EQ(CALL(n, peer_name, fd, &seen.any, &size), -ENOTCONN);
    EXPECT_EQ(CALL(n, own_name, fd, &seen.any, &size), 0);
    EXPECT_EQ(size, sizeof seen.any.sa_family);
    EXPECT_EQ(seen.any.sa_family, AF_UNIX);
    EXPECT_EQ(CALL(n, shutdown, fd, SHUT_WR), 0);
    EXPECT_EQ(CALL(n, close, fd), 0);
}

EACH_NET(local, a_name_of_another_kind_is_refused)
{
    address at = loopback(AF_INET, 0), local;
    unsigned size = name_it(&local, "x", 1);
    int fd = CALL(n, socket, AF_UNIX, SOCK_STREAM, 0);
    EXPECT_EQ(CALL(n, bind, fd, &at.any, sizeof at.v4), -EINVAL);
    EXPECT_EQ(CALL(n, bind, fd, &local.any, sizeof local.local + 1), -EINVAL);
    EXPECT_EQ(CALL(n, connect, fd, &local.any, 2), -EINVAL);
    EXPECT_EQ(CALL(n, close, fd), 0);
    fd = CALL(n, socket, AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(CALL(n, bind, fd, &local.any, size), -EINVAL);
    EXPECT_EQ(CALL(n, bind, fd, &local.any, sizeof local), -EAFNOSUPPORT);
    EXPECT_EQ(CALL(n, connect, fd, &local.any, sizeof local), -EAFNOSUPPORT);
    EXPECT_EQ(CALL(n, close, fd), 0);
}
