/* SPDX-License-Identifier: MIT */
/* network.c: each fallible call of connecting, listening, passing descriptors and sending datagrams fails in turn. */
#include "../behaviour/scratch.h"
#include "sweep.h"

static int greet(crank_listener *listener, const char *address)
{
    char line[16];
    CRANK_AUTO_STREAM crank_stream *client = crank_try(crank_connect(address));
    CRANK_AUTO_STREAM crank_stream *peer = crank_try(crank_accept(listener));
    crank_try(crank_printf(client, "hello\n"));
    if (crank_try(crank_read_line(peer, line, sizeof line)) == 0)
        return -ECONNRESET; /* its sending has failed */
    EXPECT_STR(line, "hello\n");
    return 0;
}

static long by_number(void *arg)
{
    (void)arg;
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    return greet(l, crank_listener_address(l, 0));
}
SWEEP(network_by_number, by_number)

/* The first address of the name refuses. */
static long by_name(void *arg)
{
    char address[64];
    crank_address found[2];
    (void)arg;
    CRANK_AUTO_LISTENER crank_listener *both = crank_try(crank_listen("localhost:0"));
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    snprintf(address, sizeof address, "localhost%s", strrchr(crank_listener_address(l, 0), ':'));
    crank_try(greet(l, address));
    snprintf(address, sizeof address, "localhost%s", strrchr(crank_listener_address(both, 0), ':'));
    crank_try(greet(both, address));
    EXPECT_EQ(crank_try(crank_resolve("localhost", 1, found, 2)), 2);
    return 0;
}
SWEEP(network_by_name, by_name)

static long by_path(void *arg)
{
    char address[100];
    (void)arg;
    EXPECT(snprintf(address, sizeof address, "unix:%.90s", scratch("socket")) < 96);
    CRANK_AUTO_LISTENER crank_listener *l =
        crank_try(crank_listen_with(&(crank_listen_options){ .replace = true, .mode = 0640 }, address));
    return greet(l, address);
}
SWEEP(network_by_path, by_path)

static long descriptors(void *arg)
{
    (void)arg;
    CRANK_AUTO_STREAM crank_stream *ours = NULL;
    CRANK_AUTO_STREAM crank_stream *peers = NULL;
    crank_try(crank_socket_pair(&ours, &peers));
    crank_try(crank_send_fd(peers, 0));
    int fd = crank_try(crank_receive_fd(ours));
    return close(fd);
}
SWEEP(network_descriptors, descriptors)

/* A datagram may be lost where a call has failed, so none is waited for without a limit. */
static long datagrams(void *arg)
{
    char bytes[2][8];
    crank_datagram two[] = { { .buf = bytes[0], .size = 8 }, { .buf = bytes[1], .size = 8 } };
    (void)arg;
    CRANK_TIMEOUT(limit, 0.2);
    CRANK_AUTO_UDP crank_udp *a = crank_try(crank_udp_open("127.0.0.1:0", NULL));
    CRANK_AUTO_UDP crank_udp *b = crank_try(crank_udp_open("localhost:0", crank_udp_address(a)));
    crank_try(crank_udp_send(b, "one", 3, NULL));
    crank_try(crank_udp_receive(a, bytes, 8, &two[0].peer));
    two[1].peer = two[0].peer;
    crank_try(crank_udp_send_many(a, two, 2));
    return crank_try(crank_udp_receive_many(b, two, 2)) > 0 ? 0 : -EPROTO;
}
SWEEP(network_datagrams, datagrams)
