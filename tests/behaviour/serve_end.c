/* SPDX-License-Identifier: MIT */
/* serve_end.c: how a server closes a connection: what it wrote last arrives, whatever the peer still sends, and no peer
 * holds it for long. */
#include <sys/wait.h>
#include <unistd.h>
#include "nets.h"

enum { UPLOAD = 200 * 1024, HUGE_UPLOAD = 20 * 1024 * 1024, LINGERED = 256 * 1024 };

static int refuse(crank_stream *peer)
{
    char line[100];
    crank_try(crank_read_line(peer, line, sizeof line));
    return crank_printf(peer, "too large\n");
}
static int serve_refusing(crank_listener *l, double linger)
{
    crank_serve_options options = { .linger = linger };
    int err = crank_serve_with(&options, l, refuse);
    (void)crank_listener_stop(l, 0); /* where it has failed no one else ends those that wait */
    return err;
}

/* A server that refuses, and a client of it that has sent one line. */
struct scene {
    crank_listener *listener;
    crank_task *server;
    crank_stream *client;
};
static int begin(struct scene *s, double linger)
{
    s->listener = crank_try(crank_listen("127.0.0.1:0"));
    s->server = crank_spawn(serve_refusing, s->listener, linger);
    s->client = nets_connect(s->listener);
    crank_try(crank_printf(s->client, "upload\n"));
    return crank_flush(s->client);
}
static int await_server(struct scene *s)
{
    crank_task *server = s->server;
    s->server = NULL;
    return (int)crank_await(server);
}
static int end(struct scene *s)
{
    (void)crank_finish(s->client);
    crank_try(crank_listener_stop(s->listener, 0));
    EXPECT_EQ(await_server(s), 0);
    EXPECT_EQ(crank_listener_connections(s->listener), 0);
    return crank_finish(s->listener);
}
/* What a test that ends early has left. */
static void drop(struct scene *s)
{
    crank_cancel(s->server);
    (void)await_server(s);
    (void)crank_finish(s->client);
    (void)crank_finish(s->listener);
}
#define SCENE(s) CRANK_CLEANUP_(drop) struct scene s = { 0 }
static int await_no_connection(const struct scene *s)
{
    for (double until = crank_time() + nets_patience(); crank_listener_connections(s->listener) > 0;) {
        EXPECT(crank_time() < until);
        crank_try(crank_sleep(0.001));
    }
    return 0;
}

TEST_EACH_BACKEND(serve, answers_a_peer_whose_upload_it_does_not_read)
{
    SCENE(s);
    crank_try(begin(&s, 0));
    char *upload = test_memory(UPLOAD);
    for (int i = 0; i < 10; i++) { /* in pieces: some come when the handler has returned */
        crank_try(crank_write(s.client, upload, UPLOAD / 10));
        crank_try(crank_flush(s.client));
        crank_try(crank_sleep(0));
    }
    EXPECT_STR(nets_line(s.client), "too large");
    nets_expect_end(s.client);
    return end(&s);
}

TEST_EACH_BACKEND(serve, waits_for_no_peer_that_has_ended)
{
    SCENE(s);
    crank_try(begin(&s, 1000));
    EXPECT_STR(nets_line(s.client), "too large");
    crank_try(crank_finish(s.client));
    crank_try(await_no_connection(&s));
    return end(&s);
}

TEST_SIM(serve, lingers_for_2_seconds_with_a_peer_that_does_not_end)
{
    static const double lingers[] = { 0, 5, 0.5 };
    for (size_t i = 0; i < CRANK_COUNT(lingers); i++) {
        SCENE(s);
        crank_try(begin(&s, lingers[i]));
        EXPECT_STR(nets_line(s.client), "too large");
        nets_expect_end(s.client);
        double before = crank_time(), expected = lingers[i] > 0 ? lingers[i] : 2;
        EXPECT_EQ(crank_listener_connections(s.listener), 1);
        crank_try(await_no_connection(&s));
        EXPECT_NEAR(crank_time() - before, expected, 0.01);
        crank_try(end(&s));
    }
    return 0;
}

TEST_EACH_BACKEND(serve, lingers_for_256_kib)
{
    SCENE(s);
    crank_try(begin(&s, 1000));
    char *upload = test_memory(HUGE_UPLOAD);
    int err = crank_write(s.client, upload, HUGE_UPLOAD);
    EXPECT(err == -ECONNRESET || err == -EPIPE);
    uint64_t sent = cr_connection_of(s.client)->socket.sent;
    EXPECT(sent >= LINGERED);
    if (strcmp(crank_backend_name(), "sim") == 0) /* with what the kernels of both have room for */
        EXPECT(sent < 2 * LINGERED);
    crank_try(await_no_connection(&s));
    return end(&s);
}

TEST_EACH_BACKEND(serve, with_a_negative_linger_closes_at_once)
{
    SCENE(s);
    crank_try(begin(&s, -1));
    EXPECT_STR(nets_line(s.client), "too large");
    crank_try(crank_sleep(0.001));
    EXPECT_EQ(crank_listener_connections(s.listener), 0);
    return end(&s);
}

TEST_EACH_BACKEND(serve, that_is_stopped_or_cancelled_lingers_no_longer)
{
    for (int cancelled = 0; cancelled < 2; cancelled++) {
        SCENE(s);
        crank_try(begin(&s, 1000));
        EXPECT_STR(nets_line(s.client), "too large");
        nets_expect_end(s.client);
        EXPECT_EQ(crank_listener_connections(s.listener), 1);
        crank_try(cancelled ? crank_cancel(s.server) : crank_listener_stop(s.listener, 0));
        EXPECT_EQ(await_server(&s), cancelled ? -ECANCELED : 0);
        EXPECT_EQ(crank_listener_connections(s.listener), 0);
        crank_try(crank_finish(s.client));
        crank_try(crank_finish(s.listener));
    }
    return 0;
}

/* ---- Peers that do not read ---- */

enum { PIECE = 1000 };

/* Until nothing more goes into the buffer; then it is the server's to send that. */
static int fill(crank_stream *peer, uint64_t *written)
{
    char *piece = test_memory(PIECE);
    while (crank_within(0.01, crank_write(peer, piece, PIECE)) == 0)
        *written += PIECE;
    crank_error_clear();
    return 0;
}
static int serve_filling(crank_listener *l, uint64_t *written) { return crank_serve(l, fill, written); }

TEST_SIM(serve, gives_a_peer_that_does_not_read_2_seconds)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    uint64_t written = 0, before = 1;
    CRANK_GROUP(servers);
    crank_task *server = crank_group_spawn(&servers, serve_filling, l, &written);
    CRANK_AUTO_STREAM crank_stream *client = nets_connect(l);
    while (written != before) {
        before = written;
        crank_try(crank_sleep(0.011));
    }
    EXPECT(written > 0);
    double full = crank_time();
    while (crank_listener_connections(l) > 0)
        crank_try(crank_sleep(0.001));
    EXPECT_NEAR(crank_time() - full, 2, 0.03);
    ssize_t n;
    while ((n = crank_read(client, test_memory(PIECE), PIECE)) > 0)
        ;
    EXPECT_EQ(n, -ECONNRESET);
    (void)crank_finish(client);
    crank_try(crank_listener_stop(l, 0));
    return (int)crank_await(server);
}

TEST_SIM(serve, sends_the_rest_to_a_peer_that_reads_slowly)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    uint64_t written = 0, read = 0;
    CRANK_GROUP(servers);
    crank_task *server = crank_group_spawn(&servers, serve_filling, l, &written);
    CRANK_AUTO_STREAM crank_stream *client = nets_connect(l);
    static char piece[64 * 1024];
    crank_try(crank_sleep(1));
    double before = crank_time();
    for (ssize_t n = 1; n > 0; read += (uint64_t)n) {
        n = crank_try(crank_read(client, piece, sizeof piece));
        if (read / 50000 < (read + (uint64_t)n) / 50000)
            crank_try(crank_sleep(1.5));
    }
    EXPECT(crank_time() - before > 3);
    EXPECT_EQ(read, written);
    crank_try(crank_listener_stop(l, 1));
    return (int)crank_await(server);
}

/* Until the handler writes no more, for its peer does not read. */
static int await_full(const uint64_t *written)
{
    double until = crank_time() + nets_patience();
    for (uint64_t before = 0; *written == 0 || *written != before;) {
        EXPECT(crank_time() < until);
        before = *written;
        crank_try(crank_sleep(0.02));
    }
    return 0;
}
static int fill_and_wait(crank_stream *peer, uint64_t *written)
{
    crank_try(fill(peer, written));
    return crank_sleep(CRANK_FOREVER);
}
static int serve_filling_and_waiting(crank_listener *l, uint64_t *written)
{
    return crank_serve(l, fill_and_wait, written);
}
TEST_EACH_BACKEND(serve, that_is_cancelled_resets_a_connection_whose_bytes_it_drops)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    uint64_t written = 0, read = 0;
    CRANK_GROUP(servers);
    crank_task *server = crank_group_spawn(&servers, serve_filling_and_waiting, l, &written);
    CRANK_AUTO_STREAM crank_stream *client = nets_connect(l);
    crank_try(await_full(&written));
    crank_cancel(server);
    EXPECT_EQ(crank_await(server), -ECANCELED);
    static char piece[64 * 1024];
    ssize_t n;
    while ((n = crank_read(client, piece, sizeof piece)) > 0)
        read += (uint64_t)n;
    EXPECT(read < written);
    EXPECT_EQ(n, -ECONNRESET);
    return 0;
}

TEST_EACH_BACKEND(serve, that_is_stopped_waits_for_no_peer_that_does_not_read)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    uint64_t written = 0;
    CRANK_GROUP(servers);
    crank_task *server = crank_group_spawn(&servers, serve_filling, l, &written);
    CRANK_AUTO_STREAM crank_stream *client = nets_connect(l);
    EXPECT(client);
    crank_try(await_full(&written));
    crank_try(crank_listener_stop(l, 0));
    EXPECT_EQ(crank_await(server), 0);
    EXPECT_EQ(crank_listener_connections(l), 0);
    return 0;
}

/* ---- Left open ---- */

static int leave_open(void)
{
    crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    crank_task *server = crank_try(crank_spawn(nets_serve_echo, l));
    crank_try(crank_sleep(0.001));
    crank_cancel(server);
    return crank_await(server) == -ECANCELED ? 0 : -EPROTO;
}
/* In a process of its own, for what is left open is never freed. */
TEST(run, ends_though_a_listener_that_was_waited_for_is_left_open)
{
    static const crank_backend backends[] = { CRANK_BACKEND_SIM, CRANK_BACKEND_EPOLL, CRANK_BACKEND_URING };
    for (size_t i = 0; i < CRANK_COUNT(backends); i++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            alarm(8);
            _exit(crank_run_with(CRANK_OPTIONS(.backend = backends[i]), leave_open) != 0);
        }
        EXPECT_EQ(waitpid(pid, &status, 0), pid);
        EXPECT_EQ(status, 0);
    }
}
