/* SPDX-License-Identifier: MIT */
/* cancel_everywhere_net.c: each waiting call of the network, cancelled at every point.
 *
 * A call that is cancelled has left no socket and taken nothing: what it would have given, the next call gets. */
#include "points.h"
#include "scratch.h"
#include <fcntl.h>
#include "net/connection.h"

static struct world {
    crank_listener *listener;
    crank_listener *made;
    crank_stream *stream, *peer;
    crank_stream *held[2]; /* wait to be accepted */
    char address[400];
    crank_address found[2];
    int fd;        /* a descriptor to be sent */
    size_t unread; /* bytes written before */
} w;
static char bytes[50000];

/* Elsewhere only "localhost" has the same addresses on every machine, and it is not looked up. */
static bool is_simulated(void) { return strcmp(crank_backend_name(), "sim") == 0; }

static int clear(void)
{
    memset(&w, 0, sizeof w);
    w.fd = -1;
    return 0;
}
static int clear_all(void)
{
    crank_try(crank_close(w.stream));
    crank_try(crank_close(w.peer));
    for (size_t i = 0; i < CRANK_COUNT(w.held); i++)
        crank_try(crank_close(w.held[i]));
    crank_try(crank_listener_close(w.made));
    if (w.fd >= 0)
        close(w.fd);
    return crank_listener_close(w.listener);
}

static int listen_at(const char *address)
{
    clear();
    w.listener = crank_try(crank_listen(address));
    snprintf(w.address, sizeof w.address, "%s", crank_listener_address(w.listener, 0));
    return 0;
}
static int listen_at_a_number(void) { return listen_at("127.0.0.1:0"); }
/* Its backlog is full, until a connection is accepted. */
static int listen_at_a_busy_path(void)
{
    char address[100];
    clear();
    EXPECT(snprintf(address, sizeof address, "unix:%.90s", scratch("socket")) < 96);
    w.listener = crank_try(crank_listen_with(&(crank_listen_options){ .backlog = 1 }, address));
    memcpy(w.address, address, sizeof address);
    for (size_t i = 0; i < CRANK_COUNT(w.held); i++)
        w.held[i] = crank_try(crank_connect(address));
    return 0;
}
static int accept_one(void)
{
    crank_stream *peer = crank_try(crank_accept(w.listener));
    return crank_close(peer);
}
/* The first address of the name refuses, and the second answers. */
static int listen_at_a_name(void)
{
    crank_try(listen_at("127.0.0.1:0"));
    const char *port = strrchr(w.address, ':');
    char address[64];
    snprintf(address, sizeof address, "localhost%s", port);
    snprintf(w.address, sizeof w.address, "%s", address);
    return 0;
}

static long do_connect(void)
{
    w.stream = crank_connect(w.address);
    return w.stream ? 0 : -errno;
}
static long do_connect_with(void)
{
    w.stream = crank_connect_with(&(crank_connect_options){ .attempt_delay = CRANK_FOREVER }, w.address);
    return w.stream ? 0 : -errno;
}
/* The listener serves the next one all the same. */
static int judge_connect(const struct told *t)
{
    TOLD(t->result == 0 || t->result == -ECANCELED);
    TOLD_EQ(t->result == 0, w.stream != NULL);
    if (w.held[0])
        crank_try(accept_one());
    if (!w.stream)
        w.stream = crank_try(crank_connect(w.address));
    return clear_all();
}

static long do_listen(void)
{
    w.made = crank_listen(is_simulated() ? "sim:0" : "localhost:0");
    return w.made ? 0 : -errno;
}
static long do_listen_with(void)
{
    w.made = crank_listen_with(NULL, is_simulated() ? "sim:0" : "*:0");
    return w.made ? 0 : -errno;
}
static int judge_listen(const struct told *t)
{
    TOLD(t->result == 0 || t->result == -ECANCELED);
    TOLD_EQ(t->result == 0, w.made != NULL);
    return clear_all();
}

static long do_resolve(void) { return crank_resolve(is_simulated() ? "sim" : "localhost", 80, w.found, 2); }
static int judge_resolve(const struct told *t)
{
    TOLD(t->result == 2 || t->result == -ECANCELED);
    return clear_all();
}

/* ---- descriptors: the simulated network passes none, so they say so at once there */

static int open_pair(void)
{
    clear();
    w.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    TOLD(w.fd >= 0);
    return crank_socket_pair(&w.stream, &w.peer);
}
/* So much that the kernel takes no more. */
static int open_full_pair(void)
{
    crank_try(open_pair());
    cr_socketlike *socket = &cr_connection_of(w.stream)->socket;
    for (; cr_sending_unsent(socket) == 0; w.unread += sizeof bytes) {
        crank_try(crank_write(w.stream, bytes, sizeof bytes));
        cr_sending_start(socket);
    }
    return 0;
}
static int read_all(void)
{
    static char seen[2048 * 1024];
    TOLD(w.unread <= sizeof seen);
    ssize_t n = crank_read_exactly(w.peer, seen, w.unread);
    w.unread = 0;
    return n < 0 ? (int)n : 0;
}
static long do_send_fd(void) { return crank_send_fd(w.stream, w.fd); }
static int take_descriptors(int *ret_count)
{
    crank_try(crank_close(w.stream));
    w.stream = NULL;
    for (int fd; (fd = crank_receive_fd(w.peer)) != -ENODATA; ++*ret_count)
        close(crank_try(fd));
    return 0;
}
static int judge_send_fd(const struct told *t)
{
    int count = 0;
    TOLD(t->result == 0 || t->result == -ECANCELED);
    crank_try(read_all());
    crank_try(take_descriptors(&count));
    TOLD_EQ(count, t->result == 0);
    return clear_all();
}

static long do_receive_fd(void) { return crank_receive_fd(w.peer); }
static int send_one(void) { return crank_send_fd(w.stream, w.fd); }
static int judge_receive_fd(const struct told *t)
{
    int count = 0;
    TOLD(t->result >= 0 || t->result == -ECANCELED);
    if (t->result >= 0)
        close((int)t->result);
    crank_try(take_descriptors(&count));
    TOLD(count + (t->result >= 0) <= 1);
    return clear_all();
}

static const struct row rows[] = {
    { "crank_connect", "to a number", listen_at_a_number, do_connect, { 0 }, NULL, judge_connect, 0, NULL },
    { "crank_connect", "to a busy path", listen_at_a_busy_path, do_connect, { accept_one }, NULL, judge_connect, 0,
        NULL },
    { "crank_connect", "to a name of two addresses", listen_at_a_name, do_connect, { 0 }, NULL, judge_connect, 0,
        NULL },
    { "crank_connect_with", "to a name", listen_at_a_name, do_connect_with, { 0 }, NULL, judge_connect, 0, NULL },
    { "crank_listen", "on a name", clear, do_listen, { 0 }, NULL, judge_listen, 0, NULL },
    { "crank_listen_with", "on a name, or all interfaces", clear, do_listen_with, { 0 }, NULL, judge_listen, 0, NULL },
    { "crank_resolve", "a name", clear, do_resolve, { 0 }, NULL, judge_resolve, 0, NULL },
    { "crank_send_fd", "behind bytes", open_full_pair, do_send_fd, { read_all }, NULL, judge_send_fd, 0, NULL },
    { "crank_receive_fd", "from a pair", open_pair, do_receive_fd, { send_one }, NULL, judge_receive_fd, 0, NULL },
};

TEST_EACH_BACKEND(cancel, at_many_points_of_connecting_and_listening_leaves_no_socket)
{
    return try_rows(rows, CRANK_COUNT(rows), false);
}

TEST_SEEDS(cancel, at_every_point_of_connecting_and_listening_leaves_no_socket, 10)
{
    test_needs_long();
    return try_rows(rows, CRANK_COUNT(rows), true);
}
