/* SPDX-License-Identifier: MIT */
/* client_limits.c: what a server cannot do to a client, and how long anything takes. */
#include <crank/sim.h>
#include "scripts.h"

/* An answer with a field of so many bytes and so many short ones. */
static char *head_with(size_t bytes, size_t fields)
{
    char *head = test_memory(bytes + 8 * fields + 200);
    size_t at = (size_t)sprintf(head, "HTTP/1.1 200 OK\r\nA: ");
    memset(head + at, 'x', bytes);
    at += bytes;
    for (size_t i = 0; i < fields; i++)
        at += (size_t)sprintf(head + at, "\r\nb:%zu", i % 10);
    sprintf(head + at, "\r\nContent-Length: 0\r\n\r\n");
    return head;
}

TEST_EACH_BACKEND(http_client, takes_a_large_head_and_refuses_a_larger_one)
{
    static char many[21 * 30 + 100];
    for (int i = 0; i < 21; i++)
        strcat(many, "HTTP/1.1 102 Wait\r\n\r\n");
    AUTO_SCRIPT script *s =
        SCRIPT(head_with(200 * 1024, 0), head_with(1, 250), head_with(300 * 1024, 0), head_with(1, 260), many);
    ANSWER(large, crank_http_get(s->url));
    EXPECT_EQ(strlen(crank_http_header(large, "a")), 200 * 1024);
    ANSWER(fields, crank_http_get(s->url));
    EXPECT_EQ(crank_http_fields(fields, NULL, 0), 252);
    FAILS(EMSGSIZE, "too long", crank_http_get(s->url));
    FAILS(EMSGSIZE, "too many", crank_http_get(s->url));
    FAILS(EPROTO, "more than 20 times 1xx", crank_http_get(s->url));
    return script_stop(s);
}

TEST_EACH_BACKEND(http_client, refuses_a_body_beyond_the_limit)
{
    crank_http_call call = { .limit = 4 };
    AUTO_SCRIPT script *s = SCRIPT(OK("4", "abcd"), OK("5", "abcde"), "HTTP/1.1 200 OK\r\n\r\nabcd" CLOSE,
        "HTTP/1.1 200 OK\r\n\r\nabcde" CLOSE,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n", OK("99999999999999", ""));
    for (int i = 0; i < 6; i++) {
        if (i % 2 == 0 && i < 4) {
            ANSWER(r, crank_http_fetch(&call, s->url));
            EXPECT_STR(r->body, "abcd");
        } else
            FAILS(EMSGSIZE, i < 5 ? "more than the 4 bytes" : "more than the 16777216 bytes",
                crank_http_fetch(i < 5 ? &call : NULL, s->url));
    }
    return script_stop(s);
}

TEST_EACH_BACKEND(http_client, names_what_is_wrong_with_a_call)
{
    static const char *const bad[][2] = { { "a b: c", NULL }, { "none", NULL }, { "a: b\r\nc: d", NULL },
        { "Content-Length: 3", NULL }, { "transfer-encoding: chunked", NULL } };
    const char *url = "http://localhost:1/";
    for (size_t i = 0; i < CRANK_COUNT(bad); i++)
        FAILS(EINVAL, "header \"", crank_http_fetch(&(crank_http_call){ .headers = bad[i] }, url));
    FAILS(EINVAL, "bad method \"GET\"", crank_http_fetch(&(crank_http_call){ .method = "GET /" }, url));
    FAILS(EINVAL, "bad method \"\"", crank_http_fetch(&(crank_http_call){ .method = "" }, url));
    FAILS(EINVAL, "CONNECT", crank_http_fetch(&(crank_http_call){ .method = "CONNECT" }, url));
    FAILS(EINVAL, "the type", crank_http_post(url, "a\nb", "", 0));
    FAILS(EINVAL, "the body of 3 bytes is NULL", crank_http_post(url, NULL, NULL, 3));
    FAILS(EINVAL, "stall is negative", crank_http_fetch(&(crank_http_call){ .stall = -1 }, url));
    FAILS(EINVAL, "bad URL \"http://localhost:1/a\\x0ab\" at \"\\x0ab\"", crank_http_get("http://localhost:1/a\nb"));
    FAILS(ECONNREFUSED, "localhost:1", crank_http_get("https://localhost:1/"));
    errno = ENODATA;
    EXPECT_EQ(crank_http_ok(NULL), -ENODATA);
    return 0;
}

/* ---- Time: simulated alone */

static crank_listener *silent;
/* It says nothing, but for a byte of a head, or of a body, each 50 seconds. */
static int drip(crank_stream *peer, int *what)
{
    crank_try(crank_printf(peer, "%s", *what == 2 ? "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n" : ""));
    for (int i = 0; *what > 0 && i < 4; i++) {
        crank_try(crank_sleep(50));
        crank_try(crank_printf(peer, "H"));
    }
    return crank_sleep(1000);
}
static int serve_drips(int *what) { return crank_serve(silent, drip, what); }

TEST_SIM(http_client, waits_for_a_minute_without_a_byte)
{
    static const double lasts[] = { 60, 210 + 50, 210 + 50 };
    int what;
    char url[100];
    silent = crank_try(crank_listen("127.0.0.1:0"));
    crank_task *server = crank_spawn(serve_drips, &what);
    snprintf(url, sizeof url, "http://%s/", crank_listener_address(silent, 0));
    for (what = 0; what < 3; what++) {
        double began = crank_time();
        FAILS(ETIMEDOUT, "no byte from 127.0.0.1:", crank_http_get(url));
        EXPECT_NEAR(crank_time() - began, lasts[what], 0.1);
    }
    FAILS(ETIMEDOUT, "in 1.5 s", crank_http_fetch(&(crank_http_call){ .stall = 1.5 }, url));
    FAILS(ETIMEDOUT, "timed out: GET http://127.0.0.1:", crank_within(1, crank_http_get(url)));
    FAILS(ETIMEDOUT, "/ was cut short", crank_within(1, crank_http_get(url)));
    crank_try(crank_listener_stop(silent, 0));
    crank_try(crank_await(server));
    return crank_listener_close(silent);
}

static int far_server(void)
{
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("*:80"));
    return crank_listener_wait_stop(listener);
}

TEST_SIM(http_client, gives_a_host_up_that_does_not_answer)
{
    crank_task *server = crank_sim_host("far", far_server);
    crank_try(crank_sleep(1));
    crank_try(crank_sim_cut("sim", "far", false));
    FAILS(ETIMEDOUT, "no connection to far:80 in 60 s", crank_http_get("http://far/"));
    crank_cancel(server);
    return crank_await(server) == -ECANCELED ? 0 : -EPROTO;
}

/* ---- Kept connections */

TEST_SIM(http_client, keeps_64_connections_for_a_minute_each)
{
    enum { MORE = 66 };
    static script *servers[MORE];
    static const char *const answers[] = { OK("1", "a"), NULL };
    size_t ended = 0, reused = 0;
    for (int i = 0; i < MORE; i++) {
        servers[i] = script_start(answers);
        ANSWER(r, crank_http_get(servers[i]->url));
        crank_try(crank_sleep(0.1));
    }
    for (int i = 0; i < MORE; i++)
        ended += servers[i]->ended;
    EXPECT_EQ(ended, 2); /* the two that were used first */
    EXPECT_EQ(servers[0]->ended + servers[1]->ended, 2);
    crank_try(crank_sleep(59 - 0.1 * MORE));
    ANSWER(used, crank_http_get(servers[2]->url));
    crank_try(crank_sleep(8));
    for (int i = 0; i < MORE; i++) {
        reused += !servers[i]->ended;
        EXPECT_EQ(servers[i]->ended, i != 2);
        crank_try(script_stop(servers[i]));
    }
    EXPECT_EQ(reused, 1);
    return 0;
}

TEST_EACH_BACKEND(http_client, keeps_its_own_connections_apart)
{
    CRANK_AUTO_HTTP_CLIENT crank_http_client *client = crank_http_client_new(1, 0);
    crank_http_call call = { .client = client };
    AUTO_SCRIPT script *s = SCRIPT(OK("1", "a"));
    for (int i = 0; i < 2; i++) {
        ANSWER(shared, crank_http_get(s->url));
        ANSWER(own, crank_http_fetch(&call, s->url));
        EXPECT_EQ(shared->reused, i == 1);
        EXPECT_EQ(own->reused, i == 1);
    }
    /* By another way to the same server, in place of the one that is kept. */
    call.address = s->address;
    ANSWER(there, crank_http_fetch(&call, "http://elsewhere/"));
    EXPECT(there->reused); /* it is the same address */
    EXPECT_CONTAINS(s->heads[4], "\r\nhost: elsewhere\r\n");
    EXPECT_EQ(s->connections, 2);
    return script_stop(s);
}

/* A task that is cancelled resets its connection, wherever it waits, and the next call works. */
static int get_whole(const char *url)
{
    CRANK_AUTO_HTTP crank_http_response *r = crank_http_get(url);
    return r ? 0 : -errno;
}

TEST_SIM(http_client, resets_its_connection_when_it_is_cancelled)
{
    static const char *const answers[] = { "", "HTTP/1.1 200 OK\r\nContent",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx",
        "HTTP/1.1 302 Go\r\nLocation: /\r\nContent-Length: 9\r\n\r\nx" };
    for (size_t i = 0; i < CRANK_COUNT(answers); i++) {
        for (double after = 0; after < 3; after++) {
            AUTO_SCRIPT script *s = SCRIPT(answers[i], OK("1", "a"));
            crank_task *task = crank_spawn(get_whole, (const char *)s->url);
            crank_try(crank_sleep(after * 1e-6));
            crank_cancel(task);
            EXPECT_EQ(crank_await(task), -ECANCELED);
            crank_try(crank_sleep(0.01));
            EXPECT_EQ(s->ended, s->connections);
            EXPECT(s->saw_reset || s->requests == 0);
            s->requests = 1;
            ANSWER(r, crank_http_get(s->url));
            EXPECT(!r->reused);
            crank_try(script_stop(s));
        }
    }
    return 0;
}
