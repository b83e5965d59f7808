/* SPDX-License-Identifier: MIT */
/* cancel_everywhere_udp.c: each waiting call on datagrams, cancelled at every point.
 *
 * A cancelled receive leaves the datagram to the next; a cancelled send has sent none. */
#include "points.h"
#include <crank/net.h>
#include <sys/socket.h>
#include "loop/loop.h"

enum { LARGE = 30000 };

static struct world {
    crank_udp *udp, *peer;
    crank_udp *made;
    crank_address to;
    char buf[2][16];
    crank_datagram many[2];
    size_t unread; /* sent and not received */
} w;
static char bytes[LARGE];

/* Elsewhere only "localhost" is a name on every machine; it is not looked up. */
static bool is_simulated(void) { return strcmp(crank_backend_name(), "sim") == 0; }

static int open_both(void)
{
    memset(&w, 0, sizeof w);
    w.udp = crank_try(crank_udp_open("127.0.0.1:0", NULL));
    w.peer = crank_try(crank_udp_open("127.0.0.1:0", crank_udp_address(w.udp)));
    for (int i = 0; i < 2; i++)
        w.many[i] = (crank_datagram){ .buf = w.buf[i], .size = sizeof w.buf[i] };
    return crank_address_parse(crank_udp_address(w.peer), &w.to);
}
static int close_both(void)
{
    crank_try(crank_close(w.made));
    crank_try(crank_close(w.peer));
    return crank_close(w.udp);
}
static int send_one(void) { return crank_udp_send(w.peer, "ab", 2, NULL); }

static long do_open(void)
{
    w.made = crank_udp_open(is_simulated() ? "sim:0" : "localhost:0", NULL);
    return w.made ? 0 : -errno;
}
static int judge_open(const struct told *t)
{
    TOLD(t->result == 0 || t->result == -ECANCELED);
    TOLD_EQ(t->result == 0, w.made != NULL);
    return close_both();
}

/* One datagram was sent: the call has it, or the next one gets it. */
static int judge_taken(bool taken)
{
    char buf[16];
    if (!taken)
        TOLD_EQ(crank_udp_receive(w.udp, buf, sizeof buf, NULL), 2);
    crank_try(crank_udp_send(w.peer, "c", 1, NULL));
    TOLD_EQ(crank_udp_receive(w.udp, buf, sizeof buf, NULL), 1);
    return close_both();
}
static long do_receive(void) { return crank_udp_receive(w.udp, w.buf[0], sizeof w.buf[0], NULL); }
static int judge_receive(const struct told *t)
{
    TOLD(t->result == 2 || t->result == -ECANCELED);
    TOLD_EQ(memcmp(w.buf[0], "ab", 2) == 0, t->result == 2);
    return judge_taken(t->result == 2);
}
static long do_receive_many(void) { return crank_udp_receive_many(w.udp, w.many, 2); }
static int judge_receive_many(const struct told *t)
{
    TOLD(t->result == 1 || t->result == -ECANCELED);
    TOLD_EQ(w.many[0].length, t->result == 1 ? 2 : 0);
    return judge_taken(t->result == 1);
}

/* Under the simulator so much is on its way that a send waits; the machine's loopback takes what comes. */
static int open_busy(void)
{
    int room = 1 << 20;
    const cr_socket_option option = { .level = SOL_SOCKET, .name = SO_RCVBUF, .value = &room, .size = sizeof room };
    crank_try(open_both());
    crank_try(cr_loop_here->sys->set_option(cr_loop_here->sys->context, crank_udp_fd(w.peer), &option));
    for (int i = 0; i < 3; i++)
        crank_try(crank_udp_send(w.udp, bytes, sizeof bytes, &w.to));
    w.unread = 3;
    return 0;
}
/* What was sent before has come, then what the call has sent, and no more. */
static int judge_sent(size_t sent)
{
    for (; w.unread > 0; w.unread--)
        TOLD_EQ(crank_udp_receive(w.peer, bytes, sizeof bytes, NULL), LARGE);
    for (; sent > 0; sent--)
        TOLD_EQ(crank_udp_receive(w.peer, bytes, sizeof bytes, NULL), 2);
    crank_try(crank_udp_send(w.udp, "end", 3, &w.to));
    TOLD_EQ(crank_udp_receive(w.peer, bytes, sizeof bytes, NULL), 3);
    return close_both();
}
static long do_send(void) { return crank_udp_send(w.udp, "ab", 2, &w.to); }
static int judge_send(const struct told *t)
{
    TOLD(t->result == 0 || t->result == -ECANCELED);
    return judge_sent(t->result == 0);
}
static long do_send_many(void)
{
    const crank_datagram both[] = { { .buf = "ab", .size = 2, .peer = w.to },
        { .buf = "cd", .size = 2, .peer = w.to } };
    return crank_udp_send_many(w.udp, both, 2);
}
static int judge_send_many(const struct told *t)
{
    TOLD(t->result == 1 || t->result == 2 || t->result == -ECANCELED);
    return judge_sent(t->result < 0 ? 0 : (size_t)t->result);
}

static const struct row rows[] = {
    { "crank_udp_open", "at a name", open_both, do_open, { 0 }, NULL, judge_open, 0, NULL },
    { "crank_udp_receive", "from a peer", open_both, do_receive, { send_one }, NULL, judge_receive, 0, NULL },
    { "crank_udp_receive_many", "from a peer", open_both, do_receive_many, { send_one }, NULL, judge_receive_many, 0,
        NULL },
    { "crank_udp_send", "behind others", open_busy, do_send, { 0 }, NULL, judge_send, 0, NULL },
    { "crank_udp_send_many", "behind others", open_busy, do_send_many, { 0 }, NULL, judge_send_many, 0, NULL },
};

TEST_EACH_BACKEND(cancel, at_many_points_of_sending_and_receiving_loses_no_datagram)
{
    return try_rows(rows, CRANK_COUNT(rows), false);
}

/* At one instant datagrams arrive in any order: the calls that receive have one. */
TEST_SEEDS(cancel, at_every_point_of_receiving_loses_no_datagram, 10)
{
    test_needs_long();
    return try_rows(rows, 3, true);
}
