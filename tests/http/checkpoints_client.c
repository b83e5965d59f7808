/* SPDX-License-Identifier: MIT */
/* checkpoints_client.c: the waiting calls of the client are checkpoints, as those in checkpoints.c: they deliver a
 * request that is pending, and let others run. */
#include "scripts.h"
#include "task/record.h"

static long status_of(crank_http_response *response)
{
    CRANK_AUTO_HTTP crank_http_response *r = response;
    return r ? r->status : -errno;
}
static long do_get(const script *s) { return status_of(crank_http_get(s->url)); }
static long do_post(const script *s) { return status_of(crank_http_post(s->url, NULL, "x", 1)); }
static long do_fetch(const script *s) { return status_of(crank_http_fetch(NULL, s->url)); }
static long do_open(const script *s) { return status_of(crank_http_open(NULL, s->url)); }

static const struct row {
    const char *prototype;
    long (*call)(const script *s);
} rows[] = {
    { "crank_http_get", do_get },
    { "crank_http_post", do_post },
    { "crank_http_fetch", do_fetch },
    { "crank_http_open", do_open },
};

static int count_turns(unsigned *turns)
{
    for (;;) {
        crank_try(crank_sleep(0));
        ++*turns;
    }
}

TEST_EACH_BACKEND(checkpoint, of_the_client_delivers_a_pending_cancellation_and_lets_others_run)
{
    static const char *const answers[] = { OK("0", ""), NULL };
    for (size_t i = 0; i < CRANK_COUNT(rows); i++) {
        AUTO_SCRIPT script *s = script_start(answers);
        unsigned turns = 0;
        EXPECT_EQ(rows[i].call(s), 200);
        crank_cancel(crank_self());
        long result = rows[i].call(s);
        if (result != -ECANCELED)
            test_fail(__FILE__, __LINE__, "%s gave %ld with a request pending", rows[i].prototype, result);
        EXPECT_EQ(crank_sleep(0), 0);
        EXPECT_EQ(crank_uncancel(NULL), 0);
        {
            CRANK_GROUP(beside);
            crank_group_spawn(&beside, count_turns, &turns);
            EXPECT_EQ(rows[i].call(s), 200);
        }
        EXPECT(turns > 0);
        crank_try(script_stop(s));
    }
    return 0;
}
