/* SPDX-License-Identifier: MIT */
/* checkpoints_udp.c: the waiting calls on datagrams are checkpoints, as those in checkpoints.c: they deliver a request
 * that is pending, also where they need not wait, and let others run. */
#include <crank/net.h>
#include "task/record.h"
#include "test.h"

struct world {
    crank_udp *udp; /* has one datagram */
    crank_address self;
};

static long do_open(struct world *w)
{
    (void)w;
    crank_udp *made = crank_udp_open("127.0.0.1:0", NULL);
    int err = made ? 0 : -errno;
    (void)crank_close(made);
    return err;
}
static long do_send(struct world *w) { return crank_udp_send(w->udp, "a", 1, &w->self); }
static long do_send_many(struct world *w)
{
    const crank_datagram one = { .buf = "a", .size = 1, .peer = w->self };
    return crank_udp_send_many(w->udp, &one, 1);
}
/* What they take is put back, so that there is always one. */
static long do_receive(struct world *w)
{
    char byte;
    long n = crank_udp_receive(w->udp, &byte, 1, NULL);
    return n < 0 ? n : do_send(w);
}
static long do_receive_many(struct world *w)
{
    char byte;
    crank_datagram one = { .buf = &byte, .size = 1 };
    long n = crank_udp_receive_many(w->udp, &one, 1);
    return n < 0 ? n : do_send(w);
}

static const struct row {
    const char *prototype;
    long (*call)(struct world *w);
} rows[] = {
    { "crank_udp_open", do_open },
    { "crank_udp_send", do_send },
    { "crank_udp_send_many", do_send_many },
    { "crank_udp_receive", do_receive },
    { "crank_udp_receive_many", do_receive_many },
};

static int cancelled(const struct row *row, struct world *w)
{
    crank_cancel(crank_self());
    long result = row->call(w);
    if (result != -ECANCELED)
        test_fail(__FILE__, __LINE__, "%s gave %ld with a request pending", row->prototype, result);
    EXPECT_EQ(crank_sleep(0), 0);
    EXPECT_EQ(crank_uncancel(NULL), 0);
    char bytes[2];
    EXPECT_EQ(crank_udp_receive(w->udp, bytes, sizeof bytes, NULL), 1); /* it is there still */
    return 0;
}

static int count_turns(unsigned *turns)
{
    for (;;) {
        crank_try(crank_sleep(0));
        ++*turns;
    }
}

static int called_often(const struct row *row, struct world *w)
{
    unsigned turns = 0;
    CRANK_GROUP(beside);
    crank_group_spawn(&beside, count_turns, &turns);
    for (int i = 0; i < 3 * CR_BUDGET && turns < 2; i++) {
        long result = row->call(w);
        if (result < 0)
            test_fail(__FILE__, __LINE__, "%s gave %ld", row->prototype, result);
    }
    if (turns < 2)
        test_fail(__FILE__, __LINE__, "%s lets no other task run", row->prototype);
    return 0;
}

static int try_rows(int (*judge)(const struct row *, struct world *))
{
    for (size_t i = 0; i < CRANK_COUNT(rows); i++) {
        CRANK_AUTO_UDP crank_udp *udp = crank_try(crank_udp_open("127.0.0.1:0", NULL));
        struct world w = { .udp = udp };
        crank_try(crank_address_parse(crank_udp_address(udp), &w.self));
        crank_try(do_send(&w));
        crank_try(judge(&rows[i], &w));
    }
    return 0;
}

TEST_EACH_BACKEND(checkpoint, of_datagrams_delivers_a_pending_cancellation_though_it_need_not_wait)
{
    return try_rows(cancelled);
}
TEST_EACH_BACKEND(checkpoint, of_datagrams_lets_others_run_though_it_need_not_wait) { return try_rows(called_often); }
