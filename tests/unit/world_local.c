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
