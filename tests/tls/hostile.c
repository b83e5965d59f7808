/* SPDX-License-Identifier: MIT */
/* hostile.c: peers that stall, cut, flood, or speak no TLS. Between two ends stands a relay. */
#include "raw.h"

/* From one to the other: so many bytes, one at a time where slow, and then the end, or silence. */
typedef struct relay {
    crank_stream *from, *to;
    int64_t limit; /* negative: all */
    bool slow, ends;
} relay;

static int carry(const relay *r)
{
    int64_t n = r->limit;
    if (!r->slow)
        crank_try(crank_copy(r->from, r->to, n, NULL));
    while (r->slow && n != 0 && crank_try(crank_copy(r->from, r->to, 1, NULL)) == 0) {
        crank_try(crank_flush(r->to));
        crank_try(crank_sleep(0));
        n -= n > 0;
        if (crank_at_end(r->from))
            break;
    }
    crank_try(crank_flush(r->to));
    if (!r->ends)
        return crank_sleep(1000);
    return crank_write_eof(r->to);
}

/* A client and a server with relays between: c[0] is the client's stream, c[3] the server's. */
typedef struct way {
    crank_stream *c[4];
    relay up, down;
    crank_task *tasks[2];
} way;

static void open_way(way *w, const relay *up, const relay *down)
{
    EXPECT_EQ(crank_socket_pair(&w->c[0], &w->c[1]), 0);
    EXPECT_EQ(crank_socket_pair(&w->c[2], &w->c[3]), 0);
    w->up = *up;
    w->down = *down;
    w->up.from = w->down.to = w->c[1];
    w->up.to = w->down.from = w->c[2];
    w->tasks[0] = crank_spawn(carry, &w->up);
    w->tasks[1] = crank_spawn(carry, &w->down);
}
static void close_way(way *w)
{
    for (int i = 0; i < 2; i++) {
        crank_cancel(w->tasks[i]);
        (void)crank_await(w->tasks[i]);
    }
    crank_error_clear();
    for (int i = 0; i < 4; i++)
        (void)crank_close(w->c[i]);
}

static const relay all = { .limit = -1, .ends = true };

/* The handshake as far as so many bytes of the client's, or the server's: what both sides give, and after how long. */
static void try_cut(crank_tls *client, crank_tls *server, const relay *up, const relay *down, int expected)
{
    way w;
    int accepted;
    double begun = crank_time();
    open_way(&w, up, down);
    int err = certs_shake(client, "localhost", &w.c[0], server, &w.c[3], &accepted);
    bool whole = up->limit > 290 || down->limit > 900; /* the client is content before its last bytes arrive */
    if ((err != expected && !(whole && err == 0)) || (accepted != expected && !whole))
        test_fail(__FILE__, __LINE__, "up to %d, down to %d: %d and %d: %s", (int)up->limit, (int)down->limit, err,
            accepted, crank_error());
    if (expected == -ETIMEDOUT)
        EXPECT_NEAR(crank_time() - begun, 10, 0.001);
    close_way(&w);
}

TEST_SIM(handshake, that_stalls_or_is_cut_at_any_byte_fails_on_both_sides)
{
    CRANK_AUTO_TLS crank_tls *client = certs_client();
    CRANK_AUTO_TLS crank_tls *server = certs_server(&certs_localhost);
    for (int n = 0; n < 300; n += n < 12 ? 1 : 41)
        for (int ends = 0; ends < 2; ends++) {
            const relay cut = { .limit = n, .ends = ends };
            try_cut(client, server, &cut, &all, ends ? -EPROTO : -ETIMEDOUT);
            try_cut(client, server, &all, &cut, ends ? -EPROTO : -ETIMEDOUT);
        }
    return 0;
}

static int echo(crank_stream *s)
{
    char line[100];
    while (crank_try(crank_read_line(s, line, sizeof line)) > 0)
        crank_try(crank_printf(s, "%s", line));
    return crank_write_eof(s);
}

TEST_SIM(stream, works_byte_by_byte)
{
    way w;
    char line[100];
    int accepted;
    const relay slow = { .limit = -1, .slow = true, .ends = true };
    CRANK_AUTO_TLS crank_tls *client = certs_client();
    CRANK_AUTO_TLS crank_tls *server = certs_server(&certs_localhost);
    open_way(&w, &slow, &slow);
    CERTS_OK(certs_shake(client, "localhost", &w.c[0], server, &w.c[3], &accepted));
    CERTS_OK(accepted);
    crank_task *echoing = crank_spawn(echo, w.c[3]);
    CERTS_OK(crank_printf(w.c[0], "slowly\n"));
    EXPECT_EQ(crank_read_line(w.c[0], line, sizeof line), 7);
    CERTS_OK(crank_write_eof(w.c[0]));
    EXPECT_EQ(crank_read_line(w.c[0], line, sizeof line), 0);
    CERTS_OK(crank_await(echoing));
    close_way(&w);
    return 0;
}

/* ---- What is no TLS ---- */

static int expect_plain(crank_tls *tls, const char *name, const char *sent, const char *says)
{
    crank_stream *s, *plain;
    CERTS_OK(crank_socket_pair(&s, &plain));
    CERTS_OK(crank_write(plain, sent, strlen(sent)));
    CERTS_OK(crank_write_eof(plain));
    EXPECT_EQ(crank_tls_start(tls, &s, name), -EPROTO);
    EXPECT_CONTAINS(crank_error(), says);
    (void)crank_close(plain);
    return 0;
}

TEST_SIM(peer, that_speaks_no_tls_is_told_apart)
{
    CRANK_AUTO_TLS crank_tls *client = certs_client();
    CRANK_AUTO_TLS crank_tls *server = certs_server(&certs_localhost);
    crank_try(expect_plain(server, NULL, "GET / HTTP/1.1\r\n\r\n", "an HTTP request without TLS"));
    crank_try(expect_plain(client, "localhost", "HTTP/1.1 400 Bad Request\r\n\r\n", "speaks HTTP without TLS"));
    crank_try(expect_plain(client, "localhost", "220 mail\r\n", "it speaks no TLS"));
    crank_try(expect_plain(server, NULL, "\x16\x03\x01\x02\x01garbage", "the peer has ended"));
    return expect_plain(server, NULL, "\x80\x2e\x01\x03\x01", "something else than TLS");
}

/* As an attacker would between the plain "STARTTLS" and the handshake. */
TEST_SIM(bytes, slipped_in_before_the_handshake_fail_it)
{
    crank_stream *s, *plain;
    char line[100];
    CRANK_AUTO_TLS crank_tls *server = certs_server(&certs_localhost);
    CERTS_OK(crank_socket_pair(&s, &plain));
    CERTS_OK(crank_printf(plain, "STARTTLS\nEVIL\n"));
    EXPECT_EQ(crank_read_line(s, line, sizeof line), 9);
    EXPECT_EQ(crank_tls_start(server, &s, NULL), -EPROTO);
    return crank_close(plain);
}

/* ---- New keys ---- */

static int ask_for_keys(raw *peer, int times)
{
    for (int i = 1; i <= times; i++) {
        certs_need(SSL_key_update(peer->ssl, SSL_KEY_UPDATE_REQUESTED), "new keys are asked for");
        SSL_do_handshake(peer->ssl);
        if (i % 20 == 0 && raw_send(peer) < 0)
            return 0; /* the server has closed */
    }
    return 0;
}

static crank_stream *with_raw_client(raw *peer, crank_stream **ret_plain)
{
    crank_stream *s;
    CRANK_AUTO_TLS crank_tls *server = certs_server(&certs_localhost);
    EXPECT_EQ(crank_socket_pair(&s, ret_plain), 0);
    raw_set_context(peer, false);
    raw_open(peer, *ret_plain, false);
    crank_task *shaking = crank_spawn(raw_shake, peer);
    EXPECT_EQ(crank_tls_start(server, &s, NULL), 0);
    EXPECT_EQ(crank_await(shaking), 0);
    return s;
}

TEST_SIM(new_keys, asked_for_amid_writing_are_given)
{
    crank_stream *plain;
    char line[100];
    raw peer;
    crank_stream *s = with_raw_client(&peer, &plain);
    crank_task *echoing = crank_spawn(echo, s);
    for (int i = 0; i < 3; i++) {
        CERTS_OK(ask_for_keys(&peer, 20));
        SSL_write(peer.ssl, "on\n", 3);
        CERTS_OK(raw_send(&peer));
        EXPECT_EQ(raw_read(&peer, line, sizeof line), 3);
    }
    SSL_shutdown(peer.ssl);
    CERTS_OK(raw_send(&peer));
    EXPECT_EQ(crank_await(echoing), 0);
    raw_close(&peer);
    (void)crank_close(s);
    return crank_close(plain);
}

TEST_SIM(new_keys, asked_for_by_a_peer_that_reads_no_answer_end_the_connection)
{
    crank_stream *plain;
    char byte;
    raw peer;
    crank_stream *s = with_raw_client(&peer, &plain);
    crank_task *flooding = crank_spawn(ask_for_keys, &peer, 100000);
    EXPECT_EQ(crank_read(s, &byte, 1), -EPROTO);
    EXPECT_CONTAINS(crank_error(), "reads none of them");
    EXPECT(crank_unsent(s) <= 128 * 1024);
    crank_abort(s);
    (void)crank_close(s);
    CERTS_OK(crank_await(flooding));
    raw_close(&peer);
    return crank_close(plain);
}

/* ---- Half a message of TLS's own ---- */

/* A ticket that is longer than a record. */
static int fill_ticket(SSL *ssl, void *arg)
{
    static const char bytes[2000];
    (void)arg;
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), bytes, sizeof bytes);
}
static SSL_TICKET_RETURN keep_ticket(
    SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t size, SSL_TICKET_STATUS status, void *arg)
{
    (void)ssl, (void)session, (void)name, (void)size, (void)status, (void)arg;
    return SSL_TICKET_RETURN_IGNORE;
}

TEST_SIM(write, amid_half_a_ticket_goes_out_behind_the_other_half)
{
    static char flight[8192];
    crank_stream *s, *plain;
    char line[100];
    raw peer;
    CRANK_AUTO_TLS crank_tls *trust = certs_client();
    CERTS_OK(crank_socket_pair(&s, &plain));
    raw_set_context(&peer, true);
    SSL_CTX_set_num_tickets(peer.context, 0);
    SSL_CTX_set_session_ticket_cb(peer.context, fill_ticket, keep_ticket, NULL);
    SSL_CTX_set_max_send_fragment(peer.context, 512);
    raw_open(&peer, plain, true);
    crank_task *shaking = crank_spawn(raw_shake, &peer);
    CERTS_OK(crank_tls_start(trust, &s, "localhost"));
    CERTS_OK(crank_await(shaking));
    certs_need(SSL_new_session_ticket(peer.ssl) && SSL_do_handshake(peer.ssl) == 1, "a ticket");
    int size = BIO_read(peer.out, flight, sizeof flight);
    EXPECT(size > 1100);
    CERTS_OK(crank_write(plain, flight, 600));
    crank_task *echoing = crank_spawn(echo, s);
    CERTS_OK(crank_sleep(1));
    CERTS_OK(crank_printf(s, "delayed\n"));
    CERTS_OK(crank_sleep(1));
    EXPECT_EQ(crank_within(1, raw_receive(&peer)), -ETIMEDOUT);
    CERTS_OK(crank_write(plain, flight + 600, (size_t)size - 600));
    EXPECT_EQ(raw_read(&peer, line, sizeof line), 8);
    SSL_shutdown(peer.ssl);
    CERTS_OK(raw_send(&peer));
    EXPECT_EQ(crank_await(echoing), 0);
    raw_close(&peer);
    (void)crank_close(s);
    return crank_close(plain);
}
