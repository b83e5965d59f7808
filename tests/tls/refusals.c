/* SPDX-License-Identifier: MIT */
/* refusals.c: which servers a client takes, and what is said of the others; files that cannot be used. */
#include <fcntl.h>
#include "raw.h"

/* ---- Names and times ---- */

static const certs_wanted other_authority = { .name = "another authority", .is_authority = true };

typedef struct row {
    certs_wanted certificate; /* by the tests' authority where no issuer is named */
    const char *name;         /* that is wanted */
    int expected;
    const char *says;
    enum { BY_US, BY_ITSELF, BY_OTHER } signer;
} row;

static const row rows[] = {
    { { .hosts = "DNS:localhost" }, "localhost", 0, NULL, BY_US },
    { { .hosts = "DNS:localhost" }, "localhost.", 0, NULL, BY_US },
    { { .hosts = "DNS:*.example.com" }, "a.example.com", 0, NULL, BY_US },
    { { .hosts = "DNS:*.example.com" }, "wrong.example", -EKEYREJECTED,
        "the certificate is for *.example.com, not wrong.example", BY_US },
    { { .hosts = "DNS:*.example.com" }, "a.b.example.com", -EKEYREJECTED, "not a.b.example.com", BY_US },
    { { .hosts = "DNS:w*.example.com" }, "www.example.com", -EKEYREJECTED, "is for w*.example.com, not", BY_US },
    { { .hosts = "DNS:a,DNS:b,DNS:c,DNS:d,DNS:e" }, "f", -EKEYREJECTED, "is for a, b, c and 2 others, not f", BY_US },
    { { .hosts = "IP:10.0.0.1,IP:::1" }, "::1", 0, NULL, BY_US },
    { { .hosts = "IP:10.0.0.1,IP:::1" }, "10.0.0.2", -EKEYREJECTED, "is for 10.0.0.1, ::1, not 10.0.0.2", BY_US },
    { { .hosts = "DNS:10.0.0.1" }, "10.0.0.1", -EKEYREJECTED, "not 10.0.0.1", BY_US },
    { { .hosts = NULL }, "localhost", -EKEYREJECTED, "no subjectAltName", BY_US },
    { { .hosts = "DNS:localhost", .until = "20251231235959Z" }, "localhost", -EKEYEXPIRED,
        "CN=localhost has expired on 2025-12-31 23:59:59 UTC; it is 2026-01-01", BY_US },
    { { .hosts = "DNS:localhost", .from = "20260102000000Z" }, "localhost", -EKEYEXPIRED,
        "CN=localhost is valid from 2026-01-02 00:00:00 UTC", BY_US },
    { { .hosts = "DNS:localhost" }, "localhost", -EKEYREJECTED, "signed by itself", BY_ITSELF },
    { { .hosts = "DNS:localhost" }, "localhost", -EKEYREJECTED, "signed by \"another authority\"", BY_OTHER },
};

static int try_row(const row *r, crank_tls *client, const certs_pem *other)
{
    certs_pem pem;
    certs_wanted wanted = r->certificate;
    crank_stream *a, *b;
    int accepted;
    wanted.name = "localhost";
    wanted.issuer = r->signer == BY_ITSELF ? NULL : r->signer == BY_OTHER ? other : &certs_authority;
    certs_make(&wanted, &pem);
    CRANK_AUTO_TLS crank_tls *server = certs_server(&pem);
    CERTS_OK(crank_socket_pair(&a, &b));
    int err = certs_shake(client, r->name, &a, server, &b, &accepted);
    if (err != r->expected || (r->says && !strstr(certs_said, r->says)))
        test_fail(__FILE__, __LINE__, "row %d, for %s: %d %s", (int)(r - rows), r->name, err, certs_said);
    EXPECT_EQ(accepted < 0, err < 0);
    EXPECT_EQ(a == NULL, err < 0);
    (void)crank_close(a);
    (void)crank_close(b);
    return 0;
}

TEST_SIM(certificate, is_taken_for_its_names_in_its_time_from_those_trusted)
{
    certs_pem other;
    CRANK_AUTO_TLS crank_tls *client = certs_client();
    certs_make(&other_authority, &other);
    for (size_t i = 0; i < CRANK_COUNT(rows); i++)
        crank_try(try_row(&rows[i], client, &other));
    EXPECT_EQ(crank_tls_failures(client), 11);
    return 0;
}

TEST_EACH_BACKEND(certificate, of_another_name_is_refused_and_the_server_is_told)
{
    crank_stream *a, *b;
    int accepted;
    CRANK_AUTO_TLS crank_tls *server = certs_server(&certs_localhost);
    CRANK_AUTO_TLS crank_tls *client = certs_client();
    CERTS_OK(crank_socket_pair(&a, &b));
    EXPECT_EQ(certs_shake(client, "elsewhere", &a, server, &b, &accepted), -EKEYREJECTED);
    EXPECT_EQ(accepted, -EPROTO);
    EXPECT(!a && !b);
    return 0;
}

TEST_SIM(certificate, that_signed_itself_is_taken_where_it_is_trusted_or_nothing_is_checked)
{
    certs_pem pem;
    crank_stream *a, *b;
    int accepted;
    certs_make(&(certs_wanted){ .name = "mine", .hosts = "DNS:mine" }, &pem);
    CRANK_AUTO_TLS crank_tls *server = certs_server(&pem);
    CRANK_AUTO_TLS crank_tls *trusting = crank_try(crank_tls_client(certs_file(pem.certificate)));
    CRANK_AUTO_TLS crank_tls *careless = crank_try(crank_tls_with(&(crank_tls_options){ .insecure = true }));
    CERTS_OK(crank_socket_pair(&a, &b));
    CERTS_OK(certs_shake(trusting, "mine", &a, server, &b, &accepted));
    CERTS_OK(accepted);
    (void)crank_close(a);
    (void)crank_close(b);
    CERTS_OK(crank_socket_pair(&a, &b));
    CERTS_OK(certs_shake(careless, "theirs", &a, server, &b, &accepted));
    CERTS_OK(accepted);
    EXPECT_STR(crank_tls_describe(a), "TLSv1.3 TLS_AES_256_GCM_SHA384, CN=mine, not checked");
    (void)crank_close(a);
    (void)crank_close(b);
    return 0;
}

/* ---- What the two agree on ---- */

static int try_protocols(const char *serves, const char *asks, const char *expected)
{
    crank_stream *a, *b;
    int accepted;
    const crank_tls_options server_options = { .certificate = certs_file(certs_localhost.certificate),
        .key = certs_file(certs_localhost.key),
        .protocols = serves,
        .only_13 = true };
    const crank_tls_options client_options = { .trust = certs_file(certs_authority.certificate), .protocols = asks };
    CRANK_AUTO_TLS crank_tls *server = crank_try(crank_tls_with(&server_options));
    CRANK_AUTO_TLS crank_tls *client = crank_try(crank_tls_with(&client_options));
    CERTS_OK(crank_socket_pair(&a, &b));
    int err = certs_shake(client, "localhost", &a, server, &b, &accepted);
    if (expected) {
        CERTS_OK(err);
        CERTS_OK(accepted);
        EXPECT_STR(crank_tls_protocol(a), expected);
        EXPECT_STR(crank_tls_protocol(b), expected);
    } else {
        EXPECT_EQ(err, -EPROTO);
        EXPECT_CONTAINS(certs_said, "takes none of the protocols \"h3\"");
        EXPECT_EQ(accepted, -EPROTO);
    }
    (void)crank_close(a);
    (void)crank_close(b);
    return 0;
}

TEST_SIM(protocol, is_the_servers_first_that_the_client_has_too)
{
    crank_try(try_protocols("h2,http/1.1", "http/1.1,h2", "h2"));
    crank_try(try_protocols("h2,http/1.1", NULL, ""));
    crank_try(try_protocols(NULL, "h2", ""));
    crank_try(try_protocols("h2", "h3", NULL));
    EXPECT_EQ(try_protocols("h2,,h3", NULL, ""), -EINVAL);
    return 0;
}

static int old_client(raw *r)
{
    int err = raw_shake(r);
    EXPECT(err < 0);
    return 0;
}

static int expect_refused(int version, const char *ciphers, const char *groups, const char *says)
{
    crank_stream *s, *plain;
    CRANK_AUTO_TLS crank_tls *server = certs_server(&certs_localhost);
    CERTS_OK(crank_socket_pair(&s, &plain));
    raw peer;
    raw_set_context(&peer, false);
    SSL_CTX_set_min_proto_version(peer.context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(peer.context, version);
    certs_need(SSL_CTX_set_cipher_list(peer.context, ciphers), "ciphers");
    certs_need(!groups || SSL_CTX_set1_groups_list(peer.context, groups), "groups");
    raw_open(&peer, plain, false);
    crank_task *old = crank_spawn(old_client, &peer);
    EXPECT_EQ(crank_tls_start(server, &s, NULL), -EPROTO);
    EXPECT_CONTAINS(crank_error(), says);
    CERTS_OK(crank_await(old));
    raw_close(&peer);
    return crank_close(plain);
}

TEST_SIM(client, that_has_only_tls_1_1_is_refused)
{
    return expect_refused(TLS1_1_VERSION, "DEFAULT:@SECLEVEL=0", NULL, "1.2 and 1.3 are taken here");
}

/* The modes that have been broken again and again: CBC, and keys without forward secrecy. */
TEST_SIM(client, that_has_only_old_ciphers_is_refused)
{
    crank_try(expect_refused(TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384", NULL, "no cipher"));
    return expect_refused(TLS1_2_VERSION, "AES128-GCM-SHA256", NULL, "no cipher");
}

/* A key in the group ffdhe8192 takes 136 ms of the server's loop, one of X25519 0.1 ms; the client need not make
 * one. */
TEST_SIM(client, that_wants_an_exchange_of_keys_that_costs_much_is_refused)
{
    return expect_refused(TLS1_3_VERSION, "DEFAULT", "ffdhe8192:ffdhe4096:ffdhe2048", "no suitable key share");
}

/* ---- Several certificates ---- */

static int expect_name(crank_tls *client, const char *name, crank_tls *server, const char *expected)
{
    crank_stream *a, *b;
    int accepted;
    CERTS_OK(crank_socket_pair(&a, &b));
    CERTS_OK(certs_shake(client, name, &a, server, &b, &accepted));
    CERTS_OK(accepted);
    EXPECT_CONTAINS(crank_tls_describe(a), expected);
    CERTS_OK(crank_printf(a, "x\n"));
    (void)crank_close(a);
    (void)crank_close(b);
    return 0;
}

TEST_SIM(server, with_two_certificates_shows_that_of_the_name_asked_for)
{
    certs_pem second;
    CRANK_AUTO_TLS crank_tls *server = certs_server(&certs_localhost);
    CRANK_AUTO_TLS crank_tls *client = certs_client();
    certs_make(&(certs_wanted){ .name = "two", .hosts = "DNS:*.two.example", .issuer = &certs_authority }, &second);
    crank_try(crank_tls_add(server, certs_file(second.certificate), certs_file(second.key)));
    CERTS_OK(expect_name(client, "b.two.example", server, "CN=two"));
    CERTS_OK(expect_name(client, "localhost", server, "CN=localhost"));
    CERTS_OK(expect_name(client, "127.0.0.1", server, "CN=localhost"));
    EXPECT_EQ(crank_tls_add(client, certs_file(second.certificate), NULL), -EINVAL);
    return 0;
}

static void rewrite(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    EXPECT(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

TEST_SIM(reload, is_for_handshakes_to_come_and_changes_nothing_where_it_fails)
{
    certs_pem next;
    char line[10];
    int accepted;
    crank_stream *a, *b;
    const char *certificate = certs_file(certs_localhost.certificate), *key = certs_file(certs_localhost.key);
    CRANK_AUTO_TLS crank_tls *server = crank_try(crank_tls_server(certificate, key));
    CRANK_AUTO_TLS crank_tls *client = certs_client();
    CERTS_OK(crank_socket_pair(&a, &b));
    CERTS_OK(certs_shake(client, "localhost", &a, server, &b, &accepted));
    CERTS_OK(accepted);
    certs_make(&(certs_wanted){ .name = "next", .hosts = "DNS:localhost", .issuer = &certs_authority }, &next);
    rewrite(certificate, next.certificate);
    EXPECT_EQ(crank_tls_reload(server), -EINVAL);
    EXPECT_CONTAINS(crank_error(), "is not that of the certificate");
    CERTS_OK(expect_name(client, "localhost", server, "CN=localhost"));
    rewrite(key, next.key);
    CERTS_OK(crank_tls_reload(server));
    CERTS_OK(expect_name(client, "localhost", server, "CN=next"));
    CERTS_OK(crank_printf(a, "on\n"));
    EXPECT_EQ(crank_read_line(b, line, sizeof line), 3);
    (void)crank_close(a);
    (void)crank_close(b);
    return 0;
}

static int add(crank_tls *server, const char *name, const char *hosts)
{
    certs_pem pem;
    certs_make(&(certs_wanted){ .name = name, .hosts = hosts, .issuer = &certs_authority }, &pem);
    return crank_tls_add(server, certs_file(pem.certificate), certs_file(pem.key));
}
/* They wait for their files, and so come between each other. */
TEST_SEEDS(add, loses_none_where_another_add_or_a_reload_goes_on, 10)
{
    (void)seed;
    const char *certificate = certs_file(certs_localhost.certificate), *key = certs_file(certs_localhost.key);
    CRANK_AUTO_TLS crank_tls *server = crank_try(crank_tls_server(certificate, key));
    CRANK_AUTO_TLS crank_tls *client = certs_client();
    int results[4];
    CERTS_OK(
        crank_gather(results, crank_spawn(add, server, "one", "DNS:one.example"), crank_spawn(crank_tls_reload, server),
            crank_spawn(add, server, "two", "DNS:two.example"), crank_spawn(crank_tls_reload, server)));
    CERTS_OK(expect_name(client, "one.example", server, "CN=one"));
    CERTS_OK(expect_name(client, "two.example", server, "CN=two"));
    CERTS_OK(expect_name(client, "localhost", server, "CN=localhost"));
    CERTS_OK(crank_tls_reload(server));
    CERTS_OK(expect_name(client, "one.example", server, "CN=one"));
    return 0;
}

/* ---- Limits ---- */

static int shake_with_nobody(crank_tls *tls, const char *name, crank_stream **end)
{
    int err = crank_within(1, crank_tls_start(tls, end, name));
    EXPECT(!*end);
    return err;
}
TEST_SIM(handshake, that_a_limit_ends_is_named)
{
    CRANK_AUTO_TLS crank_tls *server = certs_server(&certs_localhost);
    CRANK_AUTO_TLS crank_tls *client = certs_client();
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:7"));
    crank_stream *near = crank_try(crank_connect("127.0.0.1:7")), *far = crank_try(crank_accept(l));
    EXPECT_EQ(shake_with_nobody(client, "localhost", &near), -ETIMEDOUT);
    EXPECT_STR(crank_error(), "timed out: the TLS handshake with 127.0.0.1:7 was cut short");
    (void)crank_close(far);
    near = crank_try(crank_connect("127.0.0.1:7"));
    far = crank_try(crank_accept(l));
    EXPECT_EQ(shake_with_nobody(server, NULL, &far), -ETIMEDOUT);
    EXPECT_CONTAINS(crank_error(), "timed out: the TLS handshake with 127.0.0.1:");
    EXPECT(!crank_within(1, crank_tls_connect(client, "127.0.0.1:7")));
    EXPECT_STR(crank_error(), "timed out: the TLS handshake with 127.0.0.1:7 was cut short");
    return crank_close(near);
}

/* ---- Files ---- */

static void expect_no_server(const char *certificate, const char *key, int expected, const char *says)
{
    crank_tls *tls = crank_tls_server(certificate, key);
    EXPECT(!tls);
    EXPECT_EQ(errno, expected);
    EXPECT_CONTAINS(crank_error(), says);
}

static char under_a_phrase[CERTS_PEM_MAX];

static int know_none(char *buf, int size, int writes, void *arg)
{
    (void)buf, (void)size, (void)writes, (void)arg;
    return -1;
}
/* Before the audit looks: OpenSSL keeps what it has needed for that. */
__attribute__((constructor)) static void put_under_a_phrase(void)
{
    BIO *bio = BIO_new(BIO_s_mem());
    EVP_PKEY *key = certs_read_key(certs_localhost.key);
    PEM_write_bio_PKCS8PrivateKey(bio, key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL);
    int n = BIO_read(bio, under_a_phrase, sizeof under_a_phrase - 1);
    certs_need(n > 0, "a key under a pass phrase");
    BIO_free(bio);
    bio = BIO_new_mem_buf(under_a_phrase, n);
    certs_need(!PEM_read_bio_PrivateKey(bio, NULL, know_none, NULL), "no key without its phrase");
    BIO_free(bio);
    ERR_clear_error();
    EVP_PKEY_free(key);
}

TEST_SIM(file, that_cannot_be_used_is_named_with_what_to_do)
{
    const char *certificate = certs_file(certs_localhost.certificate), *key = certs_file(certs_localhost.key);
    const char *nothing = certs_file("nothing\n");
    const char *broken = certs_file("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    const char *foreign = certs_file(certs_authority.key);
    expect_no_server("/nowhere.pem", key, ENOENT, "/nowhere.pem");
    expect_no_server(nothing, key, EINVAL, "has no certificate");
    expect_no_server(broken, key, EINVAL, "has a certificate that cannot be used");
    expect_no_server(certificate, nothing, EINVAL, "has no key");
    expect_no_server(certificate, NULL, EINVAL, "has no key");
    expect_no_server(certificate, foreign, EINVAL, "is not that of the certificate in");
    expect_no_server(certificate, certs_file(under_a_phrase), EINVAL, "openssl pkey -in");
    expect_no_server(NULL, key, EINVAL, "no certificate");
    EXPECT(!crank_tls_client(nothing));
    EXPECT_CONTAINS(crank_error(), "has no certificate");
    const crank_tls_options bad[] = { { .key = key }, { .certificate = certificate, .key = key, .trust = key },
        { .trust = key, .insecure = true }, { .handshake = -1 }, { .protocols = "" } };
    for (size_t i = 0; i < CRANK_COUNT(bad); i++) {
        EXPECT(!crank_tls_with(&bad[i]));
        EXPECT_EQ(errno, EINVAL);
    }
    return 0;
}

/* ---- Calls that do not fit ---- */

static int expect_misfit(crank_tls *tls, const char *name)
{
    crank_stream *a, *b;
    CERTS_OK(crank_socket_pair(&a, &b));
    EXPECT_EQ(crank_tls_start(tls, &a, name), -EINVAL);
    EXPECT(!a);
    return crank_close(b);
}

TEST_SIM(start, refuses_a_role_that_is_not_its_own_and_closes_the_stream)
{
    CRANK_AUTO_TLS crank_tls *server = certs_server(&certs_localhost);
    CRANK_AUTO_TLS crank_tls *client = certs_client();
    crank_try(expect_misfit(server, "localhost"));
    crank_try(expect_misfit(client, NULL));
    crank_try(expect_misfit(client, ""));
    crank_try(expect_misfit(NULL, NULL));
    EXPECT(!crank_tls_connect(client, "unix:/nowhere"));
    EXPECT_EQ(errno, EINVAL);
    return 0;
}
