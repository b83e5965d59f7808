/* SPDX-License-Identifier: MIT */
/* streams.c: encrypted streams carry what others do, both ways at once, and end in order. */
#include <crank/sim.h>
#include "io/stream.h"
#include "raw.h"

static int echo(crank_stream *peer)
{
    char line[100];
    while (crank_try(crank_read_line(peer, line, sizeof line)) > 0)
        crank_try(crank_printf(peer, "%s", line));
    return 0;
}
static int serve(crank_listener *l, crank_tls *tls) { return crank_tls_serve(tls, l, echo); }

TEST_EACH_BACKEND(server, answers_over_tls_and_ends_in_order)
{
    char line[100];
    CRANK_AUTO_TLS crank_tls *identity = certs_server(&certs_localhost);
    CRANK_AUTO_TLS crank_tls *trust = certs_client();
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    crank_task *server = crank_spawn(serve, l, identity);
    crank_stream *s = CERTS_HAVE(crank_tls_connect(trust, crank_listener_address(l, 0)));
    EXPECT_STR(crank_tls_describe(s), "TLSv1.3 TLS_AES_256_GCM_SHA384, CN=localhost");
    EXPECT_STR(crank_tls_protocol(s), "");
    EXPECT_STR(crank_peer_name(s), crank_listener_address(l, 0));
    EXPECT_EQ(SSL_version(crank_tls_native(s)), TLS1_3_VERSION);
    CERTS_OK(crank_printf(s, "in secret\n"));
    EXPECT_EQ(crank_read_line(s, line, sizeof line), 10);
    EXPECT_STR(line, "in secret\n");
    CERTS_OK(crank_printf(s, "the last\n"));
    CERTS_OK(crank_write_eof(s));
    EXPECT_EQ(crank_read_line(s, line, sizeof line), 9);
    EXPECT_EQ(crank_read_line(s, line, sizeof line), 0);
    EXPECT_EQ(crank_write(s, "x", 1), -EPIPE);
    CERTS_OK(crank_close(s));
    CERTS_OK(crank_listener_stop(l, 1));
    EXPECT_EQ(crank_tls_failures(identity), 0);
    return (int)crank_await(server);
}

/* What must hold of a plain peer and of an encrypted one, each of its own server with that handler. */
typedef int play_peer(crank_stream *s, crank_listener *l, crank_task *server);

static int serve_either(crank_listener *l, crank_tls *tls, int (*handler)(crank_stream *peer))
{
    return tls ? crank_tls_serve(tls, l, handler) : crank_serve(l, handler);
}
static int with_either(int (*handler)(crank_stream *peer), play_peer *play)
{
    CRANK_AUTO_TLS crank_tls *identity = certs_server(&certs_localhost);
    CRANK_AUTO_TLS crank_tls *trust = certs_client();
    for (int encrypted = 0; encrypted < 2; encrypted++) {
        CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
        crank_task *server = crank_spawn(serve_either, l, encrypted ? identity : (crank_tls *)NULL, handler);
        const char *at = crank_listener_address(l, 0);
        crank_stream *s = CERTS_HAVE(encrypted ? crank_tls_connect(trust, at) : crank_connect(at));
        crank_try(play(s, l, server));
    }
    return 0;
}

static int answer_late(crank_stream *peer)
{
    char line[100];
    crank_try(crank_read_line(peer, line, sizeof line));
    crank_try(crank_sleep(1));
    return crank_printf(peer, "too late\n");
}
static int leave_before_the_answer(crank_stream *s, crank_listener *l, crank_task *server)
{
    CERTS_OK(crank_printf(s, "a question\n"));
    CERTS_OK(crank_flush(s));
    crank_try(crank_sleep(0.5));
    crank_abort(s);
    (void)crank_close(s);
    crank_try(crank_sleep(1));
    CERTS_OK(crank_listener_stop(l, 1));
    CERTS_OK(crank_await(server));
    return 0;
}

/* A handler that has to know what its peer has got flushes. */
TEST_SIM(server, says_as_little_of_an_encrypted_peer_that_has_gone_as_of_a_plain_one)
{
    test_capture();
    crank_try(with_either(answer_late, leave_before_the_answer));
    EXPECT_STR(test_captured(), "");
    return 0;
}

enum { MUCH = 8 << 20 };
static int answer_much(crank_stream *peer)
{
    static const char bytes[MUCH];
    crank_set_write_limit(peer, MUCH);
    return crank_write(peer, bytes, sizeof bytes);
}
static int stop_unread(crank_stream *s, crank_listener *l, crank_task *server)
{
    crank_try(crank_sleep(1));
    double since = crank_time();
    CERTS_OK(crank_listener_stop(l, 1000));
    CERTS_OK(crank_await(server));
    EXPECT(crank_time() - since < 5);
    crank_abort(s);
    (void)crank_close(s);
    return 0;
}

/* The handler has returned: two seconds without progress are the server's patience with either. */
TEST_SIM(server, waits_no_longer_for_an_encrypted_peer_that_does_not_read_than_for_a_plain_one)
{
    return with_either(answer_much, stop_unread);
}

TEST_SIM(plain_stream, is_described_as_nothing)
{
    crank_stream *a, *b;
    CERTS_OK(crank_socket_pair(&a, &b));
    EXPECT_STR(crank_tls_describe(a), "");
    EXPECT_STR(crank_tls_protocol(a), "");
    EXPECT(!crank_tls_native(a));
    CERTS_OK(crank_close(a));
    return crank_close(b);
}

/* ---- Both ways at once ---- */

enum { LINES = 20, LINE = 7000, LARGE = 200000, WRITERS = 4 };

/* Lines of one letter, and one that is above the mark at which writers wait. */
static int write_lines(crank_stream *s, char letter)
{
    char *line = test_memory(LARGE);
    memset(line, letter, LARGE);
    line[LINE - 1] = '\n';
    for (int i = 0; i < LINES; i++)
        crank_try(crank_write(s, line, LINE));
    line[LINE - 1] = letter;
    line[LARGE - 1] = '\n';
    return crank_write(s, line, LARGE);
}
static int write_all(crank_stream *s)
{
    CRANK_GROUP(writers);
    for (int i = 0; i < WRITERS; i++)
        crank_group_spawn(&writers, write_lines, s, (char)('a' + i));
    crank_try(crank_group_wait(&writers));
    return crank_write_eof(s);
}
/* The bytes of each line are one letter: how many lines. */
static int read_lines(crank_stream *s)
{
    char *bytes = test_memory(LARGE);
    char letter = '\n';
    int lines = 0;
    for (ssize_t n; (n = crank_try(crank_read(s, bytes, LARGE))) > 0;)
        for (ssize_t i = 0; i < n; i++) {
            EXPECT(letter == '\n' || bytes[i] == letter || bytes[i] == '\n');
            letter = bytes[i];
            lines += letter == '\n';
        }
    return lines;
}

TEST_EACH_BACKEND(stream, is_read_while_several_tasks_write_whose_calls_stay_together)
{
    crank_stream *a, *b;
    certs_pair(&a, &b);
    crank_task *tasks[] = { crank_spawn(write_all, a), crank_spawn(write_all, b), crank_spawn(read_lines, a),
        crank_spawn(read_lines, b) };
    CERTS_OK(crank_await(tasks[0]));
    CERTS_OK(crank_await(tasks[1]));
    EXPECT_EQ(crank_await(tasks[2]), WRITERS * (LINES + 1));
    EXPECT_EQ(crank_await(tasks[3]), WRITERS * (LINES + 1));
    CERTS_OK(crank_close(a));
    return crank_close(b);
}

/* A stream over a stream over a stream. */
/* Each writes more than both sides' buffers hold, and reads behind that. */
static int write_first(crank_stream *s)
{
    enum { SIZE = 2 << 20 };
    static const char bytes[SIZE];
    char *read = memset(test_memory(SIZE), 1, SIZE);
    crank_task *writer = crank_try(crank_spawn(crank_write, s, bytes, sizeof bytes));
    CERTS_OK(crank_sleep(0.01));
    EXPECT_EQ(crank_read_exactly(s, read, SIZE), SIZE);
    EXPECT(memcmp(read, bytes, SIZE) == 0);
    return (int)crank_await(writer);
}
TEST_EACH_BACKEND(stream, of_which_both_sides_write_much_before_they_read_goes_on)
{
    crank_stream *here, *there;
    certs_pair(&here, &there);
    crank_task *other = CERTS_HAVE(crank_spawn(write_first, there));
    CERTS_OK(write_first(here));
    CERTS_OK(crank_await(other));
    CERTS_OK(crank_close(here));
    return crank_close(there);
}

/* One breaks TLS's rules while another goes on, in one turn: what OpenSSL says is each one's own. */
static int read_alone(crank_stream *s, ssize_t *ret_result, char *ret_why, size_t size)
{
    char byte;
    *ret_result = crank_read(s, &byte, 1);
    snprintf(ret_why, size, "%s", *ret_result < 0 ? crank_error() : "");
    return 0;
}
TEST_SIM(failure, of_one_connection_is_not_told_to_another_of_the_same_turn)
{
    crank_stream *s[2], *plain[2];
    raw peers[2];
    crank_task *readers[2];
    ssize_t results[2];
    static char why[2][300];
    CRANK_AUTO_TLS crank_tls *server = certs_server(&certs_localhost);
    for (int i = 0; i < 2; i++) {
        EXPECT_EQ(crank_socket_pair(&s[i], &plain[i]), 0);
        raw_set_context(&peers[i], false);
        raw_open(&peers[i], plain[i], false);
        crank_task *shaking = crank_spawn(raw_shake, &peers[i]);
        CERTS_OK(crank_tls_start(server, &s[i], NULL));
        CERTS_OK(crank_await(shaking));
        readers[i] = CERTS_HAVE(crank_spawn(read_alone, s[i], &results[i], &why[i][0], sizeof why[i]));
    }
    CERTS_OK(crank_sleep(0.1));
    CERTS_OK(crank_write(plain[0],
        "\x17\x03\x03\x00\x11"
        "no record of TLS's",
        5 + 17));
    SSL_write(peers[1].ssl, "x", 1);
    CERTS_OK(raw_send(&peers[1]));
    CERTS_OK(crank_flush(plain[0]));
    for (int i = 0; i < 2; i++)
        CERTS_OK(crank_await(readers[i]));
    EXPECT_EQ(results[0], -EPROTO);
    EXPECT_CONTAINS(why[0], "breaks TLS's rules");
    EXPECT_EQ(results[1], 1);
    for (int i = 0; i < 2; i++) {
        raw_close(&peers[i]);
        (void)crank_close(s[i]);
        (void)crank_close(plain[i]);
    }
    return 0;
}

TEST_SIM(stream, stands_on_another_encrypted_one)
{
    char line[100];
    int accepted;
    crank_stream *a, *b;
    certs_pair(&a, &b);
    CRANK_AUTO_TLS crank_tls *identity = certs_server(&certs_localhost);
    CRANK_AUTO_TLS crank_tls *trust = certs_client();
    CERTS_OK(certs_shake(trust, "localhost", &a, identity, &b, &accepted));
    CERTS_OK(accepted);
    crank_task *echoing = crank_spawn(echo, b);
    CERTS_OK(crank_printf(a, "twice\n"));
    EXPECT_EQ(crank_read_line(a, line, sizeof line), 6);
    EXPECT_STR(line, "twice\n");
    CERTS_OK(crank_close(a));
    EXPECT_EQ(crank_await(echoing), 0);
    return crank_close(b);
}

/* ---- How it ends ---- */

/* The bytes that were sent before the client left, unread by it what the server has sent. */
TEST_EACH_BACKEND(client, that_sends_and_leaves_is_read_to_its_end)
{
    char line[100];
    CRANK_AUTO_TLS crank_tls *trust = certs_client();
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_AUTO_STREAM crank_stream *plain = crank_try(crank_connect(crank_listener_address(l, 0)));
    crank_stream *s = crank_try(crank_accept(l));
    raw peer;
    raw_set_context(&peer, true);
    raw_open(&peer, plain, true);
    crank_task *shaking = crank_spawn(raw_shake, &peer); /* sends two tickets, which are not read */
    CERTS_OK(crank_tls_start(trust, &s, "localhost"));
    CERTS_OK(crank_await(shaking));
    CERTS_OK(crank_printf(s, "all of it\n"));
    CERTS_OK(crank_close(s));
    EXPECT_EQ(raw_read(&peer, line, sizeof line), 10);
    EXPECT_EQ(raw_read(&peer, line, sizeof line), 0);
    EXPECT_EQ(crank_read(plain, line, sizeof line), 0);
    raw_close(&peer);
    return 0;
}

static int abort_below(crank_stream *plain, raw *peer)
{
    crank_try(raw_shake(peer));
    SSL_write(peer->ssl, "half\nof", 7);
    crank_try(raw_send(peer));
    return crank_write_eof(plain);
}

TEST_EACH_BACKEND(stream, that_is_cut_does_not_pass_for_whole)
{
    char line[100];
    CRANK_AUTO_TLS crank_tls *trust = certs_client();
    crank_stream *s, *plain;
    CERTS_OK(crank_socket_pair(&s, &plain));
    raw peer;
    raw_set_context(&peer, true);
    raw_open(&peer, plain, true);
    crank_task *cutting = crank_spawn(abort_below, plain, &peer);
    CERTS_OK(crank_tls_start(trust, &s, "localhost"));
    EXPECT_EQ(crank_read_line(s, line, sizeof line), 5);
    EXPECT_EQ(crank_read_line(s, line, sizeof line), -EPROTO);
    EXPECT_CONTAINS(crank_error(), "close_notify");
    CERTS_OK(crank_await(cutting));
    raw_close(&peer);
    (void)crank_close(s);
    return crank_close(plain);
}

TEST_SIM(stream, of_tls_1_2_has_no_half_end)
{
    char line[100];
    CRANK_AUTO_TLS crank_tls *trust = certs_client();
    crank_stream *s, *plain;
    CERTS_OK(crank_socket_pair(&s, &plain));
    raw peer;
    raw_set_context(&peer, true);
    SSL_CTX_set_max_proto_version(peer.context, TLS1_2_VERSION);
    raw_open(&peer, plain, true);
    crank_task *shaking = crank_spawn(raw_shake, &peer);
    CERTS_OK(crank_tls_start(trust, &s, "localhost"));
    CERTS_OK(crank_await(shaking));
    EXPECT_CONTAINS(crank_tls_describe(s), "TLSv1.2 ");
    EXPECT_EQ(crank_write_eof(s), -ENOTSUP);
    CERTS_OK(crank_printf(s, "and on\n"));
    CERTS_OK(crank_close(s));
    EXPECT_EQ(raw_read(&peer, line, sizeof line), 7);
    EXPECT_EQ(raw_read(&peer, line, sizeof line), 0);
    raw_close(&peer);
    return crank_close(plain);
}

static int read_some(crank_stream *s)
{
    char byte;
    return (int)crank_read(s, &byte, 1);
}
static int write_much(crank_stream *s)
{
    static char bytes[1 << 20];
    return crank_write(s, bytes, sizeof bytes);
}

TEST_EACH_BACKEND(stream, that_is_aborted_wakes_its_reader_and_its_writers)
{
    crank_stream *a, *b;
    certs_pair(&a, &b);
    crank_task *tasks[] = { crank_spawn(read_some, a), crank_spawn(write_much, a), crank_spawn(write_much, a) };
    CERTS_OK(crank_sleep(0.01));
    crank_abort(a);
    for (size_t i = 0; i < CRANK_COUNT(tasks); i++)
        EXPECT_EQ(crank_await(tasks[i]), -ECONNABORTED);
    CERTS_OK(crank_close(a));
    (void)crank_close(b);
    return 0;
}

/* Ten thousand that wait are to cost no buffer each. */
TEST_EACH_BACKEND(stream, that_waits_for_bytes_has_no_buffer)
{
    crank_stream *a, *b;
    certs_pair(&a, &b);
    for (int i = 0; i < 3; i++) {
        crank_task *reader = crank_spawn(read_some, a);
        CERTS_OK(crank_sleep(0.01));
        EXPECT(!crank_done(reader) && !a->in.bytes && !a->below->in.bytes);
        CERTS_OK(crank_write(b, "x", 1));
        EXPECT_EQ(crank_await(reader), 1);
    }
    CERTS_OK(crank_close(a));
    return crank_close(b);
}

/* A peer that reads nothing is waited for as long as the caller allows. */
TEST_SIM(stream, whose_peer_reads_nothing_is_closed_within_the_callers_limit)
{
    static const char bytes[10000];
    crank_stream *a, *b;
    certs_pair(&a, &b);
    int err = 0;
    for (int i = 0; i < 1000 && err == 0; i++) {
        CERTS_OK(crank_sleep(1));
        err = crank_write_now(a, bytes, sizeof bytes);
    }
    EXPECT_EQ(err, -EAGAIN);
    double begun = crank_time();
    EXPECT_EQ(crank_within(2, crank_close(a)), -ETIMEDOUT);
    EXPECT_NEAR(crank_time() - begun, 2, 0.001);
    (void)crank_close(b);
    return 0;
}
