/* SPDX-License-Identifier: MIT */
/* transport.c: each fallible call of copying, of streams over transports, and of being told that a peer has gone fails
 * in turn. */
#include "../behaviour/veil.h"
#include "sweep.h"

static int echo(crank_stream *peer)
{
    crank_try(crank_copy(peer, peer, -1, NULL));
    return crank_write_eof(peer);
}

static int talk(crank_stream *client)
{
    char line[20];
    crank_try(crank_printf(client, "%d words\n", 2));
    crank_try(crank_flush(client));
    ssize_t n = crank_try(crank_read_line(client, line, sizeof line));
    if (n == 0)
        return -ECONNRESET; /* its sending has failed */
    EXPECT_STR(line, "2 words\n");
    crank_try(crank_write_eof(client));
    return (int)crank_try(crank_read(client, line, 1)) == 0 ? 0 : -EPROTO;
}

static int talk_and_listen(crank_stream *client, crank_stream *peer)
{
    CRANK_GROUP(group);
    crank_group_spawn(&group, echo, peer);
    int err = talk(client);
    if (err < 0)
        crank_abort(peer);
    int ended = crank_group_wait(&group);
    return err < 0 ? err : ended;
}

/* A limit for what has failed without a word. */
static long veiled(void *arg)
{
    CRANK_TIMEOUT(limit, arg ? 0.2 : 5);
    CRANK_AUTO_STREAM crank_stream *client = NULL;
    CRANK_AUTO_STREAM crank_stream *peer = NULL;
    crank_try(crank_socket_pair(&client, &peer));
    crank_try(veil_over(&client));
    crank_try(veil_over(&peer));
    return talk_and_listen(client, peer);
}
SWEEP(transport_echo, veiled)

static int wait_long(void) { return crank_sleep(0.2); }

static long gone(void *arg)
{
    (void)arg;
    CRANK_AUTO_STREAM crank_stream *client = NULL;
    CRANK_AUTO_STREAM crank_stream *peer = NULL;
    crank_try(crank_socket_pair(&client, &peer));
    crank_task *task = crank_spawn(wait_long);
    if (!task)
        return -ENOMEM;
    int err = crank_stream_on_gone(peer, task);
    if (err == 0)
        err = crank_finish(client);
    if (err < 0)
        (void)crank_cancel(task);
    long result = crank_await(task);
    return err < 0 ? err : result == -ECANCELED ? 0 : result < 0 ? result : -EPROTO;
}
SWEEP(transport_gone, gone)
