/* SPDX-License-Identifier: MIT */
/* passing.c: descriptors between the bytes of unix sockets, and the peer's credentials. */
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "nets.h"
#include "scratch.h"
#include "veil.h"

#define PAIR \
    CRANK_AUTO_STREAM crank_stream *ours = NULL; \
    CRANK_AUTO_STREAM crank_stream *peers = NULL; \
    crank_try(crank_socket_pair(&ours, &peers))

/* A file with one letter. */
static int open_letter(char letter)
{
    char name[2] = { letter, 0 };
    return test_descriptor(open(scratch_file(name, name, 1), O_RDONLY | O_CLOEXEC));
}

/* The next descriptor is such a file, another than the one that was sent, and close-on-exec. */
static int expect_letter(crank_stream *stream, char letter)
{
    char found = 0;
    int fd = crank_try(crank_receive_fd(stream));
    EXPECT_EQ(pread(fd, &found, 1, 0), 1);
    EXPECT_EQ(found, letter);
    EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    return close(fd);
}

static int expect_text(crank_stream *stream, const char *text)
{
    char found[16];
    size_t size = strlen(text);
    crank_try(crank_read_exactly(stream, found, size));
    EXPECT_EQ(memcmp(found, text, size), 0);
    return 0;
}

TEST_EACH_BACKEND(passing, keeps_a_descriptors_place_among_the_bytes)
{
    PAIR;
    crank_try(crank_write(peers, "abc", 3));
    crank_try(crank_send_fd(peers, open_letter('x')));
    crank_try(crank_write(peers, "def", 3));
    crank_try(crank_send_fd(peers, open_letter('y')));
    crank_try(crank_send_fd(peers, open_letter('z')));
    crank_try(crank_write(peers, "ghi", 3));
    crank_try(crank_flush(peers));
    crank_try(expect_text(ours, "abc"));
    crank_try(expect_letter(ours, 'x'));
    crank_try(expect_text(ours, "def"));
    crank_try(expect_letter(ours, 'y'));
    crank_try(expect_letter(ours, 'z'));
    crank_try(expect_text(ours, "ghi"));
    return 0;
}

TEST_EACH_BACKEND(passing, leaves_a_byte_that_brings_no_descriptor)
{
    PAIR;
    crank_try(crank_write(peers, "ab", 2));
    crank_try(crank_send_fd(peers, open_letter('x')));
    EXPECT_EQ(crank_receive_fd(ours), -ENODATA);
    crank_try(expect_text(ours, "a"));
    EXPECT_EQ(crank_receive_fd(ours), -ENODATA);
    crank_try(expect_text(ours, "b"));
    crank_try(expect_letter(ours, 'x'));
    crank_try(crank_finish(peers));
    EXPECT_EQ(crank_receive_fd(ours), -ENODATA);
    return 0;
}

TEST_EACH_BACKEND(passing, tells_the_end_from_a_byte_that_brings_no_descriptor)
{
    PAIR;
    crank_try(crank_write(peers, "a", 1));
    crank_try(crank_finish(peers));
    EXPECT_EQ(crank_receive_fd(ours), -ENODATA);
    EXPECT(!crank_at_end(ours));
    crank_try(expect_text(ours, "a"));
    EXPECT_EQ(crank_receive_fd(ours), -ENODATA);
    EXPECT(crank_at_end(ours));
    return 0;
}

/* The peer's byte is none of crank_send_fd's. */
TEST_EACH_BACKEND(passing, gives_a_descriptor_that_comes_first_whatever_comes_with_it)
{
    char control[CMSG_SPACE(2 * sizeof(int))] = { 0 };
    struct iovec piece = { (void *)(uintptr_t) "hello", 5 };
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
    };
    const int fds[2] = { open_letter('x'), open_letter('y') };
    struct cmsghdr *first = CMSG_FIRSTHDR(&message);
    *first = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fds) };
    memcpy(CMSG_DATA(first), fds, sizeof fds);
    PAIR;
    const cr_sys *sys = cr_loop_here->sys;
    EXPECT_EQ(sys->send_message(sys->context, cr_connection_of(peers)->socket.receiving.fd, &message, 0), 5);
    crank_try(expect_letter(ours, 'x')); /* the second is closed */
    crank_try(expect_text(ours, "ello"));
    return 0;
}

TEST_EACH_BACKEND(passing, closes_what_is_read_as_a_byte)
{
    PAIR;
    for (int i = 0; i < 40; i++)
        crank_try(crank_send_fd(peers, open_letter('x')));
    char bytes[40];
    crank_try(crank_read_exactly(ours, bytes, sizeof bytes));
    crank_try(crank_send_fd(peers, open_letter('y')));
    crank_try(expect_letter(ours, 'y'));
    crank_try(crank_write(peers, "abc", 3));
    crank_try(crank_send_fd(peers, open_letter('z')));
    crank_try(expect_text(ours, "a")); /* the others are read ahead, and closed with the stream */
    return 0;
}

TEST_EACH_BACKEND(passing, tells_of_a_descriptor_that_was_lost_for_want_of_a_place)
{
    struct rlimit before, none;
    PAIR;
    crank_try(crank_send_fd(peers, open_letter('x')));
    crank_try(crank_write(peers, "a", 1));
    crank_try(crank_flush(peers));
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    int fd = crank_receive_fd(ours);
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_EQ(fd, -EMFILE);
    crank_try(expect_text(ours, "a"));
    return 0;
}

static int send_many(crank_stream *stream, int *ret_sent)
{
    int fd = open_letter('x');
    for (; *ret_sent < 2000; ++*ret_sent)
        crank_try(crank_send_fd(stream, fd));
    return 0;
}

static int receive_many(crank_stream *stream)
{
    for (int i = 0; i < 2000; i++)
        crank_try(expect_letter(stream, 'x'));
    return 0;
}

TEST_EACH_BACKEND(passing, waits_for_room_and_for_what_comes)
{
    int sent = 0;
    PAIR;
    CRANK_GROUP(group);
    crank_group_spawn(&group, send_many, peers, &sent);
    crank_group_spawn(&group, receive_many, ours);
    return crank_group_wait(&group);
}

TEST_EACH_BACKEND(passing, cancelled_has_sent_nothing)
{
    int sent = 0, received = 0;
    PAIR;
    CRANK_GROUP(group);
    crank_group_spawn(&group, send_many, peers, &sent);
    for (int i = 0; i < 50; i++)
        crank_try(crank_sleep(0));
    crank_group_cancel(&group);
    crank_try(crank_group_wait(&group));
    EXPECT(sent < 2000);
    crank_try(crank_finish(peers));
    for (int fd; (fd = crank_receive_fd(ours)) != -ENODATA; received++)
        close(crank_try(fd));
    EXPECT_EQ(received, sent);
    return 0;
}

TEST_EACH_BACKEND(passing, reads_while_another_task_sends_and_waits_for_a_descriptor_that_can_be_cancelled)
{
    PAIR;
    crank_task *receiver = crank_spawn(crank_receive_fd, ours);
    crank_try(crank_sleep(0));
    crank_cancel(receiver);
    EXPECT_EQ(crank_await(receiver), -ECANCELED);
    CRANK_GROUP(group);
    crank_group_spawn(&group, expect_letter, ours, 'x');
    crank_try(crank_sleep(0));
    crank_try(crank_write(ours, "echo", 4));
    crank_try(crank_send_fd(peers, open_letter('x')));
    crank_try(crank_group_wait(&group));
    crank_try(expect_text(peers, "echo"));
    return 0;
}

TEST_EACH_BACKEND(passing, of_no_descriptor_is_refused_and_breaks_nothing)
{
    PAIR;
    EXPECT_EQ(crank_send_fd(peers, 999), -EBADF);
    crank_try(crank_write(peers, "a", 1));
    crank_try(crank_flush(peers));
    crank_try(expect_text(ours, "a"));
    crank_try(crank_finish(ours));
    int err = crank_send_fd(peers, open_letter('x'));
    EXPECT(err == -EPIPE || err == -ECONNRESET);
    return 0;
}

TEST_EACH_BACKEND(passing, is_for_unix_sockets_alone)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect(crank_listener_address(l, 0)));
    EXPECT_EQ(crank_send_fd(s, 0), -ENOTSUP);
    EXPECT_EQ(crank_receive_fd(s), -ENOTSUP);
    EXPECT_EQ(crank_peer_credentials(s, NULL, NULL, NULL), -ENOTSUP);
    return 0;
}

TEST_EACH_BACKEND(passing, gives_a_listener_that_goes_on_when_its_sender_has_closed_its_own)
{
    PAIR;
    CRANK_AUTO_LISTENER crank_listener *sent = crank_try(crank_listen("127.0.0.1:0"));
    const char *address = nets_at_port("127.0.0.1", nets_port(sent, 0));
    crank_try(crank_send_fd(peers, crank_listener_fd(sent, 0)));
    crank_try(crank_finish(sent));
    int fd = crank_try(crank_receive_fd(ours));
    CRANK_AUTO_LISTENER crank_listener *received = crank_listener_from_fds(&fd, 1);
    if (!received) {
        int err = -errno;
        cr_loop_here->sys->close(cr_loop_here->sys->context, fd); /* it has stayed the caller's */
        return err;
    }
    EXPECT_STR(crank_listener_address(received, 0), address);
    CRANK_AUTO_STREAM crank_stream *client = crank_try(crank_connect(address));
    CRANK_AUTO_STREAM crank_stream *server = crank_try(crank_accept(received));
    crank_try(crank_printf(client, "hello\n"));
    EXPECT_STR(nets_line(server), "hello");
    return 0;
}

TEST_EACH_BACKEND(unix_socket, tells_who_its_peer_is_through_a_transport_as_well)
{
    pid_t pid = 0;
    uid_t uid = 0;
    gid_t gid = 0;
    PAIR;
    crank_try(crank_peer_credentials(ours, &pid, &uid, &gid));
    EXPECT_EQ(pid, getpid());
    EXPECT_EQ(uid, getuid());
    EXPECT_EQ(gid, getgid());
    pid = 0;
    crank_try(veil_over(&ours));
    crank_try(crank_peer_credentials(ours, &pid, NULL, NULL));
    EXPECT_EQ(pid, getpid());
    return 0;
}
