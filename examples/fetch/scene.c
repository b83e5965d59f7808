/* SPDX-License-Identifier: MIT */
/* scene.c: eight URLs from three simulated hosts, which answer slowly, redirect, fail and reset: fetch --scene.
 *
 * The same get.c under the simulator, where a minute takes no time and each run prints the same. The hosts are web
 * servers of crank's own. */
#define _POSIX_C_SOURCE 200809L
#include <crank/http.h>
#include <crank/sim.h>
#include <string.h>

#include "fetch.h"

enum { HOSTS = 3, PAGE_BYTES = 40000 };

static int quick(crank_http_request *request)
{
    if (crank_http_is(request, "GET", "/"))
        return crank_http_print(request, 200, "text/plain", "hello\n");
    if (crank_http_is(request, "GET", "/old"))
        return crank_http_redirect(request, 301, "/");
    return 0; /* 404 */
}

static int slow(crank_http_request *request)
{
    static const char page[PAGE_BYTES];
    if (crank_http_is(request, "GET", "/never"))
        return crank_sleep(1000);
    crank_try(crank_sleep(4));
    return crank_http_respond(request, 200, "text/plain", page, sizeof page);
}

static int moody(crank_http_request *request)
{
    static int asked;
    if (crank_http_is(request, "GET", "/busy")) {
        if (++asked == 3)
            return crank_http_print(request, 200, "text/plain", "at last\n");
        crank_try(crank_http_set(request, "Retry-After", "3"));
        return crank_http_print(request, 503, "text/plain", "not now\n");
    }
    crank_stream *body = crank_try(crank_http_begin(request, 200, "text/plain"));
    crank_try(crank_printf(body, "half of it\n"));
    return -EIO; /* the server resets the connection, so that the half is not taken for the whole */
}

static void ignore(const crank_http_request *request, int error, void *arg)
{
    (void)request;
    (void)error;
    (void)arg;
}

static int serve(int (*site)(crank_http_request *))
{
    crank_http_options options = { .on_failure = ignore }; /* it fails as it should */
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("*:80"));
    return crank_http_serve_with(&options, listener, site);
}

static int scene(void)
{
    static char *const urls[] = { "http://quick/", "http://quick/old", "http://quick/none", "http://slow/page",
        "http://slow/never", "http://moody/busy", "http://moody/cut", "http://nowhere/", NULL };
    const fetch_options options = { .at_once = 10, .per_host = 6, .timeout = 10, .total = CRANK_FOREVER, .retries = 2 };
    crank_task *hosts[HOSTS] = { crank_sim_host("quick", serve, quick), crank_sim_host("slow", serve, slow),
        crank_sim_host("moody", serve, moody) };
    fetch f;
    crank_try(crank_sim_set_link(NULL, NULL, &(crank_sim_link){ .latency = 0.02 }));
    crank_try(crank_sleep(0.1)); /* they listen */
    crank_try(fetch_begin(&f, &options));
    int err = fetch_all(&f, urls, NULL);
    show_table(&f);
    show_sum(&f, stdout);
    fetch_end(&f);
    for (int i = 0; i < HOSTS; i++) {
        crank_cancel(hosts[i]);
        if (crank_await(hosts[i]) == -ECANCELED)
            crank_error_clear();
    }
    return err;
}

int fetch_scene(void)
{
    long result = crank_run_with(CRANK_OPTIONS(.backend = CRANK_BACKEND_SIM), scene);
    if (result < 0)
        fprintf(stderr, "fetch: the scene failed: %s\n", crank_errno_name((int)result));
    return result < 0;
}
