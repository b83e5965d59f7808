/* SPDX-License-Identifier: MIT */
/* handshakes.c: many handshakes with one identity: they leave nothing, and servers of two threads share it. */
#include "../http/loops.h"
#include <stdatomic.h>
#include "certs.h"

static int echo(crank_stream *peer)
{
    char line[100];
    while (crank_try(crank_read_line(peer, line, sizeof line)) > 0)
        crank_try(crank_printf(peer, "%s", line));
    return 0;
}
/* One that has failed takes no connection: clients that wait for it are reset. */
static int serve(crank_listener *l, crank_tls *tls)
{
    int err = crank_tls_serve(tls, l, echo);
    if (err < 0)
        (void)crank_listener_stop(l, 0);
    return err;
}

static void speak(crank_tls *trust, const char *address)
{
    char line[100];
    crank_stream *s = CERTS_HAVE(crank_tls_connect(trust, address));
    CERTS_OK(crank_printf(s, "in secret\n"));
    EXPECT_EQ(crank_read_line(s, line, sizeof line), 10);
    CERTS_OK(crank_close(s));
}
static void be_refused(crank_tls *doubt, const char *address)
{
    EXPECT(!crank_tls_connect(doubt, address));
    EXPECT_EQ(errno, EKEYREJECTED);
    crank_error_clear();
}
/* The server has got the end of each, too: what the heap has then. */
static size_t settle(const crank_listener *l)
{
    while (crank_listener_connections(l) > 0)
        CERTS_OK(crank_sleep(0.0001));
    return test_heap_bytes();
}

TEST_EACH_BACKEND(handshakes, of_which_there_were_three_hundred_leave_nothing)
{
    enum { FIRST = 30, ALL = FIRST + 300 };
    size_t before = 0;
    certs_pem other;
    certs_make(&(certs_wanted){ .name = "another authority", .is_authority = true }, &other);
    CRANK_AUTO_TLS crank_tls *identity = certs_server(&certs_localhost);
    CRANK_AUTO_TLS crank_tls *trust = certs_client();
    CRANK_AUTO_TLS crank_tls *doubt = crank_tls_client(certs_file(other.certificate));
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    crank_task *server = crank_spawn(serve, l, identity);
    for (int i = 0; i < ALL; i++) {
        if (i == FIRST)
            before = settle(l);
        if (i % 10 == 9)
            be_refused(doubt, crank_listener_address(l, 0));
        else
            speak(trust, crank_listener_address(l, 0));
    }
    EXPECT_EQ(settle(l), before);
    EXPECT_EQ(crank_tls_failures(identity), ALL / 10);
    CERTS_OK(crank_listener_stop(l, 1));
    return (int)crank_await(server);
}

/* ---- Servers of two threads ---- */

enum { CONNECTIONS = 32 };

static int ask_and_reload(const loops_server *servers, crank_tls *trust)
{
    int answered[2] = { 0, 0 };
    for (int i = 0; i < 4; i++) {
        crank_try(loops_ask("https", servers, trust, CONNECTIONS / 4, answered));
        CERTS_OK(crank_tls_reload(servers->options.tls));
    }
    EXPECT(answered[0] > 0 && answered[1] > 0); /* the kernel deals them by chance */
    return 0;
}
static int make(crank_tls **ret_identity, crank_tls **ret_trust)
{
    *ret_identity = certs_server(&certs_localhost);
    *ret_trust = certs_client();
    return 0;
}

TEST(servers, of_two_loops_have_one_identity_that_is_read_again_meanwhile)
{
    crank_tls *identity, *trust;
    const crank_options options = { .backend = CRANK_BACKEND_EPOLL };
    EXPECT_EQ(crank_run_with(&options, make, &identity, &trust), 0);
    loops_server servers[2] = { { .number = 0, .address = "127.0.0.1:0" }, { .number = 1 } };
    for (int i = 0; i < 2; i++) {
        servers[i].backend = CRANK_BACKEND_EPOLL;
        servers[i].options.tls = identity;
        if (i > 0)
            memcpy(servers[1].address, servers[0].address, sizeof servers[1].address);
        loops_start(&servers[i]);
    }
    EXPECT_EQ(crank_run_with(&options, ask_and_reload, (const loops_server *)servers, trust), 0);
    EXPECT_EQ(crank_tls_failures(identity), 0);
    for (int i = 0; i < 2; i++)
        loops_stop(&servers[i]);
    crank_tls_free(identity);
    crank_tls_free(trust);
}

/* ---- Certificates added by several threads ---- */

enum { ADDERS = 2, READERS = 1 }; /* of more threads OpenSSL keeps a larger list */
typedef struct changer {
    pthread_t thread;
    crank_tls *identity;
    char host[30];
    const char *certificate, *key; /* its, to be added; a reader has none */
} changer;

static atomic_int added;

static int add_or_read(const changer *c)
{
    int err = 0;
    while (!c->certificate && err == 0 && atomic_load(&added) < ADDERS)
        err = crank_tls_reload(c->identity);
    if (c->certificate)
        err = crank_tls_add(c->identity, c->certificate, c->key);
    atomic_fetch_add(&added, 1);
    return err;
}
static void *change(void *changer_given)
{
    const changer *c = changer_given;
    EXPECT_EQ(crank_run_with(&(crank_options){ .backend = CRANK_BACKEND_EPOLL }, add_or_read, c), 0);
    return NULL;
}
static int show_all(const changer *changers, crank_tls *trust)
{
    for (int i = 0; i < ADDERS; i++) {
        int accepted;
        crank_stream *a, *b;
        CERTS_OK(crank_socket_pair(&a, &b));
        CERTS_OK(certs_shake(trust, changers[i].host, &a, changers[i].identity, &b, &accepted));
        CERTS_OK(accepted);
        (void)crank_close(a);
        (void)crank_close(b);
    }
    return 0;
}

TEST(identity, to_which_several_threads_add_has_all_that_they_added)
{
    static changer changers[ADDERS + READERS];
    crank_tls *identity, *trust;
    const crank_options options = { .backend = CRANK_BACKEND_EPOLL };
    EXPECT_EQ(crank_run_with(&options, make, &identity, &trust), 0);
    for (int i = 0; i < ADDERS; i++) {
        char hosts[40];
        certs_pem pem;
        snprintf(changers[i].host, sizeof changers[i].host, "%d.example", i);
        snprintf(hosts, sizeof hosts, "DNS:%s", changers[i].host);
        certs_make(&(certs_wanted){ .name = "added", .hosts = hosts, .issuer = &certs_authority }, &pem);
        changers[i].certificate = certs_file(pem.certificate);
        changers[i].key = certs_file(pem.key);
    }
    for (int i = 0; i < ADDERS + READERS; i++) {
        changers[i].identity = identity;
        EXPECT_EQ(pthread_create(&changers[i].thread, NULL, change, &changers[i]), 0);
    }
    for (int i = 0; i < ADDERS + READERS; i++)
        EXPECT_EQ(pthread_join(changers[i].thread, NULL), 0);
    EXPECT_EQ(crank_run_with(&options, show_all, (const changer *)changers, trust), 0);
    crank_tls_free(identity);
    crank_tls_free(trust);
}
