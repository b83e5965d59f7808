/* SPDX-License-Identifier: MIT */
/* pool.c: connections that are kept open between calls.
 *
 * A connection belongs to one loop, and under the simulator to one host; so a client has a pool for
 * each of the two that it was used on. A pool owns its connections and a detached task, its keeper,
 * which closes those that were idle for long enough, ends when none is left, and is cancelled at
 * the run's end or with its host: then it closes them all. No task waits for a kept connection's
 * end: that is seen when the connection is taken.
 *
 * Invariant: a pool is in its client's list as long as its keeper lives, and is freed by it; a
 * client that is freed leaves its pools to their keepers. A connection is out of the list before it
 * is closed, for closing may let other tasks run. */
#include "http/client/pool.h"

#include <crank/error.h>
#include <crank/net.h>
#include <crank/run.h>
#include <crank/scope.h>
#include <crank/sim.h>
#include <crank/task.h>
#include <string.h>

#include "http/memory.h"

enum { IDLE_MAX = 64 };
#define IDLE_SECONDS 60.0

typedef struct kept {
    struct kept *older, *newer;
    crank_stream *stream;
    double until; /* of crank_time: then it is closed */
    char address[];
} kept;

typedef struct pool {
    struct pool *next;         /* of the client's */
    crank_http_client *client; /* NULL once it was freed */
    crank_loop *loop;
    int host;
    crank_task *keeper;
    kept *oldest, *newest;
    size_t count;
} pool;

struct crank_http_client {
    size_t idle_max;
    double idle;
    pool *pools;
};

/* What the calls of this thread's loops share. */
static _Thread_local crank_http_client shared = { .idle_max = IDLE_MAX, .idle = IDLE_SECONDS };

/* Unshielded, crank_close would deliver a request to cancel by a result that is dropped here. */
void cr_http_pool_end(crank_stream *stream) { (void)crank_shield(crank_close(stream)); }

/* ---- One pool ---- */

static void link_kept(pool *p, kept *k)
{
    k->older = p->newest;
    if (p->newest)
        p->newest->newer = k;
    else
        p->oldest = k;
    p->newest = k;
    p->count++;
}

static crank_stream *unlink_kept(pool *p, kept *k)
{
    crank_stream *stream = k->stream;
    if (k->older)
        k->older->newer = k->newer;
    else
        p->oldest = k->newer;
    if (k->newer)
        k->newer->older = k->older;
    else
        p->newest = k->older;
    p->count--;
    crank_release(k);
    return stream;
}

static void close_oldest(pool *p) { cr_http_pool_end(unlink_kept(p, p->oldest)); }

static void close_until(pool *p, double time)
{
    while (p->oldest && p->oldest->until <= time)
        close_oldest(p);
}

static void remove_pool(pool *p)
{
    if (!p->client)
        return;
    pool **at = &p->client->pools;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
}

/* The pool's oldest connection is the first to be idle for long enough. */
static int keep(pool *p)
{
    int err = 0;
    while (err == 0 && p->oldest) {
        err = crank_sleep_until(p->oldest->until);
        close_until(p, err == 0 ? crank_time() : CRANK_FOREVER);
    }
    close_until(p, CRANK_FOREVER);
    remove_pool(p);
    crank_release(p);
    return err;
}

/* ---- The pools of a client ---- */

static pool *find_pool(crank_http_client *client)
{
    crank_loop *loop = crank_current_loop();
    int host = crank_sim_host_id();
    for (pool *p = client->pools; p; p = p->next)
        if (p->loop == loop && p->host == host)
            return p;
    return NULL;
}

/* With its first connection. The keeper is eager, so that it has run, and will free the pool, when
 * it is cancelled. */
static bool make_pool(crank_http_client *client, kept *first)
{
    pool *p = cr_http_alloc_zero(sizeof *p);
    if (!p)
        return false;
    *p = (pool){ .next = client->pools,
        .client = client,
        .loop = crank_current_loop(),
        .host = crank_sim_host_id() };
    link_kept(p, first);
    p->keeper = crank_spawn_eager(keep, p);
    if (!p->keeper) {
        crank_release(p);
        return false;
    }
    client->pools = p;
    crank_set_name(p->keeper, "http connections");
    crank_detach(p->keeper);
    return true;
}

static bool add(crank_http_client *client, kept *k)
{
    pool *p = find_pool(client);
    if (!p)
        return make_pool(client, k);
    link_kept(p, k);
    if (p->count > client->idle_max)
        close_oldest(p);
    return true;
}

void cr_http_pool_give(crank_http_client *client, const char *address, crank_stream *stream)
{
    size_t size = strlen(address) + 1;
    if (!client)
        client = &shared;
    kept *k = crank_alloc(sizeof *k + size);
    if (k) {
        *k = (kept){ .stream = stream, .until = crank_time() + client->idle };
        memcpy(k->address, address, size);
    }
    if (k && add(client, k))
        return;
    crank_release(k);
    cr_http_pool_end(stream);
}

/* Under a limit that has passed a call looks, and waits for one turn at most. */
static int look(crank_stream *stream, bool *ret_alive)
{
    const char *bytes;
    int err = crank_stream_limit(stream, crank_time());
    ssize_t n = err < 0 ? err : crank_peek(stream, 1, &bytes);
    if (n == -ECANCELED)
        return -ECANCELED;
    *ret_alive = n == -ETIMEDOUT;
    return 0;
}

/* Bytes that came after the last answer belong to none. */
static int check(crank_stream *stream, bool thoroughly, bool *ret_alive)
{
    const char *bytes;
    *ret_alive = crank_peek(stream, 0, &bytes) == 0;
    return *ret_alive && thoroughly ? look(stream, ret_alive) : 0;
}

/* The one that was used last is the likeliest to live. While the check waits the list may change:
 * so the search begins anew. */
int cr_http_pool_take(
    crank_http_client *client, const char *address, bool thoroughly, crank_stream **ret_stream)
{
    *ret_stream = NULL;
    for (;;) {
        pool *p = find_pool(client ? client : &shared);
        kept *k = p ? p->newest : NULL;
        while (k && strcmp(k->address, address) != 0)
            k = k->older;
        if (!k)
            return 0;
        bool alive = false;
        crank_stream *stream = unlink_kept(p, k);
        int err = check(stream, thoroughly, &alive);
        if (err == 0 && alive) {
            *ret_stream = stream;
            return 0;
        }
        cr_http_pool_end(stream);
        if (err < 0)
            return err;
    }
}

/* ---- Clients ---- */

crank_http_client *crank_http_client_new(size_t idle_max, double idle)
{
    crank_http_client *client = cr_http_alloc_zero(sizeof *client);
    if (!client)
        return NULL;
    client->idle_max = idle_max > 0 ? idle_max : IDLE_MAX;
    client->idle = idle > 0 ? idle : IDLE_SECONDS;
    return client;
}

/* The keepers close what there is: a closing here could let them run, and end, meanwhile. Outside a
 * run no keeper lives, and so there is no pool. */
void crank_http_client_free(crank_http_client *client)
{
    if (!client)
        return;
    for (pool *p = client->pools; p; p = p->next) {
        p->client = NULL;
        (void)crank_cancel(p->keeper);
    }
    crank_release(client);
}
