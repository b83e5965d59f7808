/* SPDX-License-Identifier: MIT */
/* sims.h: what tests of the simulated hosts share: a host that echoes, and what is found under a name. */
#ifndef SIMS_H
#define SIMS_H
#include <crank/sim.h>
#include "nets.h"

static inline int echo_server(void)
{
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("*:7"));
    return crank_serve(listener, nets_echo);
}

/* A host with an echo server, called "server". */
static inline crank_task *server(void) { return crank_sim_host("server", echo_server); }
static inline int stop(crank_task *task)
{
    crank_cancel(task);
    int err = (int)crank_await(task);
    return err == -ECANCELED ? 0 : err;
}

static inline int exchange(crank_stream *s, const char *line)
{
    char answer[200] = "";
    crank_try(crank_write(s, line, strlen(line)));
    crank_try(crank_read_line(s, answer, sizeof answer));
    EXPECT_STR(answer, line);
    return 0;
}

static inline void link_all(double latency)
{
    EXPECT_EQ(crank_sim_set_link(NULL, NULL, &(crank_sim_link){ .latency = latency }), 0);
}

static inline int resolves(const char *name, const char *first, const char *second)
{
    crank_address found[4];
    char text[100];
    EXPECT_EQ(crank_try(crank_resolve(name, 80, found, 4)), 2);
    crank_address_format(&found[0], text, sizeof text);
    EXPECT_STR(text, first);
    crank_address_format(&found[1], text, sizeof text);
    EXPECT_STR(text, second);
    return 0;
}
#endif
