/* SPDX-License-Identifier: MIT */
/* world_names.c: ports, addresses and options on the simulated network, beside the same programs on the kernel's. */
#include "nets.h"

static int bind_to(net *n, int fd, const address *at)
{
    return CALL(n, bind, fd, &at->any, address_size(at->any.sa_family));
}

EACH_NET(names, a_port_is_had_by_one)
{
    int first = listen_tcp(n, AF_INET, 1);
    address at = loopback(AF_INET, port_of(n, first)), any = at;
    any.v4.sin_addr.s_addr = htonl(INADDR_ANY);
    int second = open_tcp(n, AF_INET);
    EXPECT_EQ(bind_to(n, second, &at), -EADDRINUSE);
    EXPECT_EQ(bind_to(n, second, &any), -EADDRINUSE);
    EXPECT_EQ(set_option(n, second, SOL_SOCKET, SO_REUSEADDR, 1), 0);
    EXPECT_EQ(bind_to(n, second, &at), -EADDRINUSE);
    at.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    EXPECT_EQ(bind_to(n, second, &at), 0);
    EXPECT_EQ(bind_to(n, second, &at), -EINVAL);
    EXPECT_EQ(CALL(n, close, second), 0);
    EXPECT_EQ(CALL(n, close, first), 0);
}

/* Also while a connection that was accepted has it: SO_REUSEADDR is for that. */
EACH_NET(names, a_port_is_had_again_beside_its_connections)
{
    int first = open_tcp(n, AF_INET);
    address at = loopback(AF_INET, 0);
    EXPECT_EQ(set_option(n, first, SOL_SOCKET, SO_REUSEADDR, 1), 0);
    EXPECT_EQ(bind_to(n, first, &at), 0);
    EXPECT_EQ(CALL(n, listen, first, 1), 0);
    at = loopback(AF_INET, port_of(n, first));
    int client = open_tcp(n, AF_INET);
    EXPECT_EQ(call_tcp(n, client, AF_INET, port_of(n, first)), -EINPROGRESS);
    await_events(n, first, EPOLLIN);
    int server = CALL(n, accept, first, NULL, NULL);
    EXPECT_EQ(CALL(n, close, first), 0);
    first = open_tcp(n, AF_INET);
    EXPECT_EQ(bind_to(n, first, &at), -EADDRINUSE);
    EXPECT_EQ(set_option(n, first, SOL_SOCKET, SO_REUSEADDR, 1), 0);
    EXPECT_EQ(bind_to(n, first, &at), 0);
    EXPECT_EQ(CALL(n, listen, first, 1), 0);
    drop(n, client);
    EXPECT_EQ(CALL(n, close, server), 0);
    EXPECT_EQ(CALL(n, close, first), 0);
}

EACH_NET(names, two_that_reuse_an_address_do_not_both_listen)
{
    address at = loopback(AF_INET, 0);
    int first = open_tcp(n, AF_INET), second = open_tcp(n, AF_INET);
    EXPECT_EQ(set_option(n, first, SOL_SOCKET, SO_REUSEADDR, 1), 0);
    EXPECT_EQ(set_option(n, second, SOL_SOCKET, SO_REUSEADDR, 1), 0);
    EXPECT_EQ(bind_to(n, first, &at), 0);
    at = loopback(AF_INET, port_of(n, first));
    EXPECT_EQ(bind_to(n, second, &at), 0);
    EXPECT_EQ(CALL(n, listen, first, 1), 0);
    EXPECT_EQ(CALL(n, listen, second, 1), -EADDRINUSE);
    EXPECT_EQ(CALL(n, close, first), 0);
    EXPECT_EQ(CALL(n, close, second), 0);
}

EACH_NET(names, two_that_reuse_a_port_both_listen)
{
    address at = loopback(AF_INET, 0);
    int fds[2], clients[8], accepted = 0;
    for (int i = 0; i < 2; i++) {
        fds[i] = open_tcp(n, AF_INET);
        EXPECT_EQ(set_option(n, fds[i], SOL_SOCKET, SO_REUSEPORT, 1), 0);
        EXPECT_EQ(bind_to(n, fds[i], &at), 0);
        EXPECT_EQ(CALL(n, listen, fds[i], 8), 0);
        at = loopback(AF_INET, port_of(n, fds[0]));
    }
    for (int i = 0; i < 8; i++) {
        clients[i] = open_tcp(n, AF_INET);
        EXPECT_EQ(call_tcp(n, clients[i], AF_INET, port_of(n, fds[0])), -EINPROGRESS);
        await_events(n, clients[i], EPOLLOUT);
    }
    settle_net(n);
    for (int i = 0; i < 2; i++)
        for (int fd; (fd = CALL(n, accept, fds[i], NULL, NULL)) >= 0; accepted++)
            EXPECT_EQ(CALL(n, close, fd), 0);
    EXPECT_EQ(accepted, 8);
    for (int i = 0; i < 8; i++)
        EXPECT_EQ(CALL(n, close, clients[i]), 0);
    EXPECT_EQ(CALL(n, close, fds[0]), 0);
    EXPECT_EQ(CALL(n, close, fds[1]), 0);
}

EACH_NET(names, an_address_that_is_not_ours_is_refused)
{
    address at = loopback(AF_INET, 0);
    at.v4.sin_addr.s_addr = htonl(0xc0000201); /* 192.0.2.1: for documentation */
    int fd = open_tcp(n, AF_INET);
    EXPECT_EQ(bind_to(n, fd, &at), -EADDRNOTAVAIL);
    EXPECT_EQ(CALL(n, close, fd), 0);
}

EACH_NET(names, a_fresh_socket_has_no_name)
{
    address seen;
    unsigned size = sizeof seen;
    int fd = open_tcp(n, AF_INET);
    memset(&seen, 0xff, sizeof seen);
    EXPECT_EQ(CALL(n, own_name, fd, &seen.any, &size), 0);
    EXPECT_EQ(size, sizeof seen.v4);
    EXPECT(seen.v4.sin_family == AF_INET && seen.v4.sin_port == 0 && seen.v4.sin_addr.s_addr == 0);
    size = 4;
    memset(&seen, 0xff, sizeof seen);
    EXPECT_EQ(CALL(n, own_name, fd, &seen.any, &size), 0);
    EXPECT_EQ(size, sizeof seen.v4);
    EXPECT_EQ(seen.v4.sin_addr.s_addr, 0xffffffff);
    EXPECT_EQ(CALL(n, listen, fd, 1), 0);
    EXPECT(port_of(n, fd) >= 1024);
    EXPECT_EQ(CALL(n, close, fd), 0);
}

/* [::] takes IPv4 as well, and shows such an address as one that is mapped. */
EACH_NET(names, any_address_of_ipv6_takes_ipv4)
{
    address at = { .v6 = { .sin6_family = AF_INET6 } }, seen;
    unsigned size = sizeof seen;
    int listener = open_tcp(n, AF_INET6);
    EXPECT_EQ(bind_to(n, listener, &at), 0);
    EXPECT_EQ(set_option(n, listener, IPPROTO_IPV6, IPV6_V6ONLY, 1), -EINVAL);
    EXPECT_EQ(CALL(n, listen, listener, 1), 0);
    int client = open_tcp(n, AF_INET);
    EXPECT_EQ(call_tcp(n, client, AF_INET, port_of(n, listener)), -EINPROGRESS);
    await_events(n, listener, EPOLLIN);
    int server = CALL(n, accept, listener, &seen.any, &size);
    EXPECT(server >= 0);
    EXPECT_EQ(size, sizeof seen.v6);
    EXPECT(IN6_IS_ADDR_V4MAPPED(&seen.v6.sin6_addr));
    EXPECT_EQ(ntohs(seen.v6.sin6_port), port_of(n, client));
    EXPECT_EQ(CALL(n, own_name, server, &seen.any, &size), 0);
    EXPECT(IN6_IS_ADDR_V4MAPPED(&seen.v6.sin6_addr));
    EXPECT_EQ(CALL(n, close, client), 0);
    EXPECT_EQ(CALL(n, close, server), 0);
    EXPECT_EQ(CALL(n, close, listener), 0);
}

/* On the real network another process may have the port of the other family just now: then with another one. */
EACH_NET(names, one_of_ipv6_alone_leaves_ipv4_to_another)
{
    int err = -EADDRINUSE;
    for (int i = 0; i < 20 && err == -EADDRINUSE; i++) {
        address at = { .v6 = { .sin6_family = AF_INET6 } };
        int six = open_tcp(n, AF_INET6), four = open_tcp(n, AF_INET), both = open_tcp(n, AF_INET6);
        EXPECT_EQ(set_option(n, six, IPPROTO_IPV6, IPV6_V6ONLY, 1), 0);
        EXPECT_EQ(bind_to(n, six, &at), 0);
        at.v6.sin6_port = htons((uint16_t)port_of(n, six));
        EXPECT_EQ(bind_to(n, both, &at), -EADDRINUSE);
        at = (address){ .v4 = { .sin_family = AF_INET, .sin_port = at.v6.sin6_port } };
        err = bind_to(n, four, &at);
        EXPECT_EQ(CALL(n, close, six), 0);
        EXPECT_EQ(CALL(n, close, four), 0);
        EXPECT_EQ(CALL(n, close, both), 0);
    }
    EXPECT_EQ(err, 0);
}

/* ---- options ---- */

EACH_NET(options, are_remembered_and_handed_to_what_is_accepted)
{
    static const int switches[][2] = { { SOL_SOCKET, SO_KEEPALIVE }, { IPPROTO_TCP, TCP_NODELAY },
        { SOL_SOCKET, SO_REUSEADDR } };
    static const int numbers[][2] = { { IPPROTO_TCP, TCP_KEEPIDLE }, { IPPROTO_TCP, TCP_KEEPINTVL },
        { IPPROTO_TCP, TCP_KEEPCNT } };
    int listener = listen_tcp(n, AF_INET, 1);
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(option_of(n, listener, switches[i][0], switches[i][1]), 0);
        EXPECT_EQ(set_option(n, listener, switches[i][0], switches[i][1], 7), 0);
        EXPECT_EQ(set_option(n, listener, numbers[i][0], numbers[i][1], 20 + i), 0);
    }
    int client = open_tcp(n, AF_INET);
    EXPECT_EQ(call_tcp(n, client, AF_INET, port_of(n, listener)), -EINPROGRESS);
    await_events(n, listener, EPOLLIN);
    int server = CALL(n, accept, listener, NULL, NULL);
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(option_of(n, server, switches[i][0], switches[i][1]), 1);
        EXPECT_EQ(option_of(n, server, numbers[i][0], numbers[i][1]), 20 + i);
    }
    EXPECT_EQ(CALL(n, close, client), 0);
    EXPECT_EQ(CALL(n, close, server), 0);
    EXPECT_EQ(CALL(n, close, listener), 0);
}

EACH_NET(options, tell_what_a_socket_is)
{
    int fd = open_tcp(n, AF_INET), local = CALL(n, socket, AF_UNIX, SOCK_STREAM, 0);
    EXPECT_EQ(option_of(n, fd, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
    EXPECT_EQ(option_of(n, fd, SOL_SOCKET, SO_DOMAIN), AF_INET);
    EXPECT_EQ(option_of(n, fd, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
    EXPECT_EQ(option_of(n, local, SOL_SOCKET, SO_DOMAIN), AF_UNIX);
    EXPECT_EQ(option_of(n, local, SOL_SOCKET, SO_PROTOCOL), 0);
    EXPECT_EQ(option_of(n, fd, SOL_SOCKET, SO_ACCEPTCONN), 0);
    EXPECT_EQ(CALL(n, listen, fd, 1), 0);
    EXPECT_EQ(option_of(n, fd, SOL_SOCKET, SO_ACCEPTCONN), 1);
    EXPECT_EQ(set_option(n, local, IPPROTO_TCP, TCP_NODELAY, 1), -EOPNOTSUPP);
    EXPECT_EQ(set_option(n, fd, IPPROTO_TCP, 12345, 1), -ENOPROTOOPT);
    EXPECT_EQ(CALL(n, close, fd), 0);
    EXPECT_EQ(CALL(n, close, local), 0);
}

EACH_NET(options, are_as_long_as_they_are)
{
    struct linger asked = { 1, 30 }, seen = { 0, 0 };
    short cut = 0;
    int fd = open_tcp(n, AF_INET);
    cr_socket_option option = { SOL_SOCKET, SO_LINGER, &asked, sizeof asked };
    EXPECT_EQ(CALL(n, set_option, fd, &option), 0);
    option = (cr_socket_option){ SOL_SOCKET, SO_LINGER, &seen, sizeof seen };
    EXPECT_EQ(CALL(n, get_option, fd, &option), 0);
    EXPECT(seen.l_onoff == 1 && seen.l_linger == 30);
    option = (cr_socket_option){ SOL_SOCKET, SO_REUSEADDR, &cut, sizeof cut };
    EXPECT_EQ(CALL(n, set_option, fd, &option), -EINVAL);
    option = (cr_socket_option){ SOL_SOCKET, SO_TYPE, &cut, sizeof cut };
    EXPECT_EQ(CALL(n, get_option, fd, &option), 0);
    EXPECT_EQ(option.size, sizeof cut);
    EXPECT_EQ(cut, SOCK_STREAM);
    option = (cr_socket_option){ SOL_SOCKET, SO_LINGER, &asked, 4 };
    EXPECT_EQ(CALL(n, set_option, fd, &option), -EINVAL);
    EXPECT_EQ(CALL(n, close, fd), 0);
}

EACH_NET(names, a_kind_of_socket_that_is_none_is_refused)
{
    int fds[2];
    EXPECT_EQ(CALL(n, socket, 12345, SOCK_STREAM, 0), -EAFNOSUPPORT);
    EXPECT_EQ(CALL(n, socket, AF_INET, SOCK_STREAM, IPPROTO_UDP), -EPROTONOSUPPORT);
    EXPECT_EQ(CALL(n, socket, AF_UNIX, SOCK_STREAM, 77), -EPROTONOSUPPORT);
    EXPECT_EQ(CALL(n, socket_pair, AF_INET, SOCK_STREAM, fds), -EOPNOTSUPP);
}
