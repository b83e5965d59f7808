/* SPDX-License-Identifier: MIT */
/* repeat.c: under the simulator the seed decides every byte of an encrypted connection; for real, chance. */
#include "certs.h"

typedef struct seen {
    size_t size;
    unsigned char bytes[8192];
} seen;

static int carry_all(crank_stream *from, crank_stream *to, seen *all)
{
    char bytes[1000];
    for (ssize_t n; (n = crank_try(crank_read(from, bytes, sizeof bytes))) > 0;) {
        EXPECT(all->size + (size_t)n <= sizeof all->bytes);
        memcpy(all->bytes + all->size, bytes, (size_t)n);
        all->size += (size_t)n;
        crank_try(crank_write(to, bytes, (size_t)n));
    }
    return crank_write_eof(to);
}

/* Where it fails neither side need wait for the other. */
static int carry(crank_stream *from, crank_stream *to, seen *all)
{
    int err = carry_all(from, to, all);
    if (err < 0) {
        crank_abort(from);
        crank_abort(to);
    }
    return err;
}

/* A handshake and a line, as it passes in between. */
static int talk(seen *up, seen *down)
{
    crank_stream *c[4];
    int accepted;
    char line[100];
    CRANK_AUTO_TLS crank_tls *client = certs_client();
    CRANK_AUTO_TLS crank_tls *server = certs_server(&certs_localhost);
    CERTS_OK(crank_socket_pair(&c[0], &c[1]));
    CERTS_OK(crank_socket_pair(&c[2], &c[3]));
    crank_task *going_up = crank_spawn(carry, c[1], c[2], up);
    crank_task *going_down = crank_spawn(carry, c[2], c[1], down);
    CERTS_OK(certs_shake(client, "localhost", &c[0], server, &c[3], &accepted));
    CERTS_OK(accepted);
    CERTS_OK(crank_printf(c[0], "the same\n"));
    EXPECT_EQ(crank_read_line(c[3], line, sizeof line), 9);
    CERTS_OK(crank_write_eof(c[0]));
    EXPECT_EQ(crank_read_line(c[3], line, sizeof line), 0);
    CERTS_OK(crank_close(c[3]));
    EXPECT_EQ(crank_read_line(c[0], line, sizeof line), 0);
    CERTS_OK(crank_close(c[0]));
    CERTS_OK(crank_await(going_up));
    CERTS_OK(crank_await(going_down));
    CERTS_OK(crank_close(c[1]));
    return crank_close(c[2]);
}

static void run(crank_backend backend, uint64_t seed, seen *both)
{
    const crank_options options = { .backend = backend, .seed = seed };
    both[0].size = both[1].size = 0;
    EXPECT_EQ(crank_run_with(&options, talk, &both[0], &both[1]), 0);
    EXPECT(both[0].size > 400 && both[1].size > 600);
}
static bool same(const seen *a, const seen *b)
{
    return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

TEST(handshake, is_equal_byte_by_byte_where_the_seed_is)
{
    static seen first[2], second[2];
    run(CRANK_BACKEND_SIM, 7, first);
    run(CRANK_BACKEND_SIM, 7, second);
    EXPECT(same(&first[0], &second[0]) && same(&first[1], &second[1]));
    run(CRANK_BACKEND_SIM, 8, second);
    EXPECT(!same(&first[0], &second[0]) && !same(&first[1], &second[1]));
}

TEST(handshake, for_real_is_never_the_same)
{
    static seen first[2], second[2];
    run(CRANK_BACKEND_EPOLL, 7, first);
    run(CRANK_BACKEND_EPOLL, 7, second);
    EXPECT(!same(&first[0], &second[0]) && !same(&first[1], &second[1]));
}

static crank_tls *kept;
static int keep(void)
{
    kept = certs_client();
    return 0;
}
static int use_kept(void)
{
    crank_stream *a, *b;
    CERTS_OK(crank_socket_pair(&a, &b));
    EXPECT_EQ(crank_tls_start(kept, &a, "localhost"), -EINVAL);
    EXPECT_CONTAINS(crank_error(), "simulated run");
    crank_tls_free(kept);
    return crank_close(b);
}

TEST(client, of_a_simulated_run_is_of_no_use_for_real)
{
    EXPECT_EQ(crank_run_with(CRANK_OPTIONS(.backend = CRANK_BACKEND_SIM), keep), 0);
    EXPECT_EQ(crank_run_with(CRANK_OPTIONS(.backend = CRANK_BACKEND_EPOLL), use_kept), 0);
}
