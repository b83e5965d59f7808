/* SPDX-License-Identifier: MIT */
/* scene.c: eight URLs of servers that answer slowly, redirect, fail and reset.
 *
 * fetch --scene: three hosts under the simulator, where a minute takes no time and each run prints the same. fetch
 * --live: the same pages from a server on this machine, for real, in some seconds. Both are web servers of crank's own,
 * and get.c is that of every fetch. */
#define _POSIX_C_SOURCE 200809L
#include <crank/http.h>
#include <crank/sim.h>
#include <string.h>

#include "fetch.h"

enum { HOSTS = 3, PAGES = 7, PAGE_BYTES = 40000 };

/* How slow and how moody the servers are. */
typedef struct temper {
    double pause;      /* seconds before a slow page */
    int refusals;      /* of the busy page, before it is given */
    const char *later; /* Retry-After of those */
    int asked;
} temper;
typedef int site(crank_http_request *request, temper *t);

/* ---- Servers ---- */

static int quick(crank_http_request *request, temper *t)
{
    (void)t;
    if (crank_http_is(request, "GET", "/"))
        return crank_http_print(request, 200, "text/plain", "hello\n");
    if (crank_http_is(request, "GET", "/old"))
        return crank_http_redirect(request, 301, "/");
    return 0; /* 404 */
}

static int slow(crank_http_request *request, temper *t)
{
    static const char page[PAGE_BYTES];
    if (crank_http_is(request, "GET", "/never"))
        return crank_sleep(1000);
    crank_try(crank_sleep(t->pause));
    return crank_http_respond(request, 200, "text/plain", page, sizeof page);
}

static int moody(crank_http_request *request, temper *t)
{
    if (crank_http_is(request, "GET", "/busy")) {
        if (++t->asked > t->refusals)
            return crank_http_print(request, 200, "text/plain", "at last\n");
        crank_try(crank_http_set(request, "Retry-After", t->later));
        return crank_http_print(request, 503, "text/plain", "not now\n");
    }
    crank_stream *body = crank_try(crank_http_begin(request, 200, "text/plain"));
    crank_try(crank_printf(body, "half of it\n"));
    return -EIO; /* the server resets the connection, so that the half is not taken for the whole */
}

/* All pages at one address. */
static int any(crank_http_request *request, temper *t)
{
    if (crank_http_is(request, "GET", "/page") || crank_http_is(request, "GET", "/never"))
        return slow(request, t);
    if (crank_http_is(request, "GET", "/busy") || crank_http_is(request, "GET", "/cut"))
        return moody(request, t);
    return quick(request, t);
}

static void ignore(const crank_http_request *request, int error, void *arg)
{
    (void)request;
    (void)error;
    (void)arg;
}

static int serve(crank_listener *listener, site *pages, temper *t)
{
    crank_http_options options = { .on_failure = ignore }; /* it fails as it should */
    return crank_http_serve_with(&options, listener, pages, t);
}

static int serve_host(site *pages, temper *t)
{
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("*:80"));
    return serve(listener, pages, t);
}

/* ---- Retrieving ---- */

static int fetch_and_draw(fetch *f, char *const *urls, bool draws)
{
    CRANK_GROUP(beside);
    if (draws)
        crank_group_spawn(&beside, progress_draw, (const fetch *)f);
    int err = fetch_all(f, urls, NULL);
    crank_group_cancel(&beside);
    return err;
}

/* The table at the end, wherever it is printed. */
static int fetch_urls(char *const *urls, const fetch_options *options, bool draws)
{
    fetch f;
    crank_try(fetch_begin(&f, options));
    int err = fetch_and_draw(&f, urls, draws);
    show_table(&f);
    show_sum(&f, stdout);
    fetch_end(&f);
    return err;
}

static int scene(void)
{
    static char *const urls[] = { "http://quick/", "http://quick/old", "http://quick/none", "http://slow/page",
        "http://slow/never", "http://moody/busy", "http://moody/cut", "http://nowhere/", NULL };
    const fetch_options options = { .at_once = 10, .per_host = 6, .timeout = 10, .total = CRANK_FOREVER, .retries = 2 };
    temper t = { .pause = 4, .refusals = 2, .later = "3" };
    crank_task *hosts[HOSTS] = { crank_sim_host("quick", serve_host, quick, &t),
        crank_sim_host("slow", serve_host, slow, &t), crank_sim_host("moody", serve_host, moody, &t) };
    crank_try(crank_sim_set_link(NULL, NULL, &(crank_sim_link){ .latency = 0.02 }));
    crank_try(crank_sleep(0.1)); /* they listen */
    int err = fetch_urls(urls, &options, false);
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

static int live(bool draws)
{
    static const char *const paths[PAGES] = { "/", "/old", "/none", "/page", "/never", "/busy", "/cut" };
    const fetch_options options = {
        .at_once = 10, .per_host = 10, .timeout = 1.5, .total = CRANK_FOREVER, .retries = 1
    };
    temper t = { .pause = 1, .refusals = 1, .later = "1" };
    char text[PAGES][64], *urls[PAGES + 2] = { [PAGES] = "http://127.0.0.1:1/" }; /* where no server listens */
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_GROUP(group); /* declared after what its child uses */

    crank_group_spawn(&group, serve, listener, any, &t);
    for (int i = 0; i < PAGES; i++) {
        snprintf(text[i], sizeof text[i], "http://%s%s", crank_listener_address(listener, 0), paths[i]);
        urls[i] = text[i];
    }
    return fetch_urls(urls, &options, draws);
}

int fetch_live(bool draws) { return crank_run(live, draws); }
