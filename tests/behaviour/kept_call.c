/* SPDX-License-Identifier: MIT */
/* kept_call.c: a library beside the core makes a macro like crank_serve: a call captured once is made for each request,
 * in tasks of its own or of others, with the request as its first argument. */
#include "test.h"

/* ---- The library ---- */

struct request {
    int number;
    double answer;
};
struct requests {
    struct request *all;
    size_t count;
};

static int handle_one(crank_kept_call *call, struct request *request)
{
    long result = crank_kept_call_make_(call, request);
    return result < 0 ? (int)result : 0;
}

static long last_result; /* of the handler, as the library was given it */
static int serve_requests_(struct requests requests, crank_function_ *handler, const crank_site *site)
{
    crank_kept_call *call = crank_kept_call_new_(handler, site);
    if (!call)
        return -ENOMEM;
    EXPECT_EQ(crank_kept_call_site_(call), site);
    int err = 0;
    {
        CRANK_GROUP(tasks);
        for (size_t i = 1; i < requests.count; i++)
            crank_group_spawn(&tasks, handle_one, call, &requests.all[i]);
        last_result = crank_kept_call_make_(call, &requests.all[0]);
        err = crank_group_wait(&tasks);
    }
    crank_kept_call_free_(call);
    return err;
}
#define serve_requests(requests, ...) CRANK_CAT_(SERVE_REQUESTS_, CRANK_HAS_ARGS_(__VA_ARGS__))(requests, __VA_ARGS__)
#define SERVE_REQUESTS_0(requests, handler) \
    CRANK_CAPTURE_(__COUNTER__, serve_requests_, requests, handler, (struct request *)0)
#define SERVE_REQUESTS_1(requests, handler, ...) \
    CRANK_CAPTURE_(__COUNTER__, serve_requests_, requests, handler, (struct request *)0, __VA_ARGS__)

/* ---- Its user ---- */

static int plain(struct request *request)
{
    request->answer = request->number;
    return -request->number;
}
static short add(struct request *request, double x, float y)
{
    if (crank_sleep(0.001 * (3 - request->number)) < 0)
        return -ECANCELED;
    request->answer = request->number + x + (double)y;
    return (short)(request->number + 5);
}
static void add_many(
    struct request *request, char a, short b, int c, long d, double e, float f, const char *g, bool h, unsigned i)
{
    (void)crank_sleep(0.001 * (3 - request->number));
    request->answer = request->number + a + b + c + (double)d + e + (double)f + *g + h + i;
}

TEST_EACH_BACKEND(kept_call, is_made_for_each_request_with_it_and_the_extra_arguments)
{
    struct request all[4] = { { 0, 0 }, { 1, 0 }, { 2, 0 }, { 3, 0 } };
    struct requests requests = { all, CRANK_COUNT(all) };
    crank_try(serve_requests(requests, add, 0.25, 2));
    for (int i = 0; i < 4; i++)
        EXPECT_NEAR(all[i].answer, i + 2.25, 0);
    EXPECT_EQ(last_result, 5);
    crank_try(serve_requests(requests, add_many, 1, 2, 3, 4, 5.5, 6.25F, "\7", true, 8));
    for (int i = 0; i < 4; i++)
        EXPECT_NEAR(all[i].answer, i + 37.75, 0);
    EXPECT_EQ(last_result, 0);
    return 0;
}

TEST_EACH_BACKEND(kept_call, gives_what_its_function_has_failed_with)
{
    struct request all[2] = { { 7, 0 }, { EIO, 0 } };
    EXPECT_EQ(serve_requests(((struct requests){ all, 2 }), plain), -EIO);
    EXPECT_EQ(last_result, -7);
    crank_kept_call_free_(NULL);
    return 0;
}
