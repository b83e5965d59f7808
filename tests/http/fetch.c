/* SPDX-License-Identifier: MIT */
/* fetch.c: the program's own get.c retrieves forty URLs from four hosts that misbehave, under the simulator.
 *
 * The servers are written by hand. They answer well, redirect to each other and in rings, answer 503, cut bodies,
 * reset, stall, and end connections that are idle at an instant that chance chooses; besides, chance refuses and
 * resets. What must hold: each URL is reported once; one that is called good has all its bytes; one that is not was
 * tried as often as may help; and nothing is left. */
#include <crank/http.h>
#include <crank/sim.h>
#include "fetch.h"
#include "test.h"

enum { HOSTS = 4, URLS = 40, RETRIES = 2 };
enum kind { WELL, IN_CHUNKS, TO_THE_END, FLAKY, AWAY, RING, MISSING, SILENT, REFUSED, KINDS };

static struct scene {
    uint64_t random;
    struct url {
        enum kind kind;
        size_t size; /* of its body */
        int asked;   /* how often */
        int ended;   /* how often it was reported */
        char text[64];
    } urls[URLS];
    char *texts[URLS + 1];
} scene;

static uint64_t dice(uint64_t sides)
{
    scene.random ^= scene.random << 13;
    scene.random ^= scene.random >> 7;
    scene.random ^= scene.random << 17;
    return scene.random % sides;
}

/* ---- The servers ---- */

static int send_bytes(crank_stream *peer, size_t size)
{
    static const char bytes[1000];
    for (size_t n; size > 0; size -= n) {
        n = size < sizeof bytes ? size : sizeof bytes;
        crank_try(crank_write(peer, bytes, n));
    }
    return 0;
}

static int send_chunks(crank_stream *peer, size_t size)
{
    crank_try(crank_printf(peer, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"));
    for (size_t n; size > 0; size -= n) {
        n = 1 + dice(size);
        crank_try(crank_printf(peer, "%zx\r\n", n));
        crank_try(send_bytes(peer, n));
        crank_try(crank_printf(peer, "\r\n"));
        crank_try(crank_sleep(0.001 * (double)dice(20)));
    }
    return crank_printf(peer, "0\r\n\r\n");
}

/* One way or another it fails, and trying again may help. -EPIPE: the connection is over. */
static int fail_somehow(crank_stream *peer)
{
    switch (dice(6)) {
    case 0:
        return crank_printf(peer, "HTTP/1.1 503 Busy\r\nretry-after: %d\r\ncontent-length: 0\r\n\r\n", (int)dice(5));
    case 1: return crank_printf(peer, "HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\noops");
    case 2: crank_abort(peer); return -EPIPE;
    case 3: (void)crank_printf(peer, "HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\nhalf"); return -EPIPE;
    case 4: (void)crank_printf(peer, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhal"); return -EPIPE;
    default: return -EPIPE;
    }
}

static int answer(crank_stream *peer, struct url *url)
{
    switch (url->kind) {
    case FLAKY:
        if (url->asked <= RETRIES && dice(3) > 0)
            return fail_somehow(peer);
        /* fall through */
    case WELL:
        crank_try(crank_printf(peer, "HTTP/1.1 200 OK\r\ncontent-length: %zu\r\n\r\n", url->size));
        return send_bytes(peer, url->size);
    case IN_CHUNKS: return send_chunks(peer, url->size);
    case TO_THE_END:
        crank_try(crank_printf(peer, "HTTP/1.0 200 OK\r\n\r\n"));
        crank_try(send_bytes(peer, url->size));
        return -EPIPE;
    case RING: return crank_printf(peer, "HTTP/1.1 302 Go\r\nlocation: %s\r\ncontent-length: 0\r\n\r\n", url->text);
    case SILENT: crank_try(crank_sleep(1000)); return -EPIPE;
    default: return crank_printf(peer, "HTTP/1.1 404 None\r\ncontent-length: 4\r\n\r\nnone");
    }
}

/* "/7" is the seventh URL's; "/7/away" sends there, by way of another host. */
static int answer_next(crank_stream *peer)
{
    char head[1000], location[64];
    double idle = dice(4) == 0 ? 0.01 * (double)dice(50) : 100;
    ssize_t n = crank_within(idle, crank_read_until(peer, "\r\n\r\n", head, sizeof head));
    if (n <= 0)
        return -EPIPE;
    char *end;
    unsigned long i = strtoul(head + strlen("GET /"), &end, 10);
    EXPECT(strncmp(head, "GET /", 5) == 0 && i < URLS);
    if (strncmp(end, "/away", 5) != 0) {
        scene.urls[i].asked++;
        return answer(peer, &scene.urls[i]);
    }
    snprintf(location, sizeof location, "http://h%d/%lu", (int)dice(HOSTS), i);
    return crank_printf(peer, "HTTP/1.1 %d Go\r\nlocation: %s\r\ncontent-length: 2\r\n\r\ngo", dice(2) ? 301 : 307,
        dice(2) ? location : location + strlen("http://h0"));
}

static int serve_peer(crank_stream *peer)
{
    int err = 0;
    while (err == 0)
        err = answer_next(peer);
    return err == -ECANCELED ? err : 0;
}

static int serve_host(void)
{
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("*:80"));
    return crank_serve(listener, serve_peer);
}

/* ---- What must hold ---- */

static void note_end(job *j, void *arg)
{
    (void)arg;
    scene.urls[j->number].ended++;
}

static bool is_retried(int error)
{
    return error == -ECONNREFUSED || error == -ECONNRESET || error == -ENODATA || error == -ETIMEDOUT ||
           error == -EPIPE;
}

static void judge(const job *j)
{
    const struct url *url = &scene.urls[j->number];
    bool good = job_is_good(j);
    EXPECT_EQ(url->ended, 1);
    EXPECT(j->tries >= 1 && j->tries <= RETRIES + 1);
    if (good)
        EXPECT_EQ(j->bytes, url->size);
    /* Its kind fails always, or nothing but chance has failed it, each time. */
    if (url->kind == RING && !is_retried(j->error))
        EXPECT_EQ(j->error, -ELOOP);
    else if (url->kind == MISSING && !is_retried(j->error))
        EXPECT_EQ(j->status, 404);
    else if (!good && (j->tries <= RETRIES || !(is_retried(j->error) || j->status >= 500)))
        test_fail(__FILE__, __LINE__, "%s, kind %d: %d tries, %s: %s", j->url, url->kind, j->tries,
            crank_errno_name(j->error), j->message);
    if (url->kind == REFUSED || url->kind == SILENT)
        EXPECT(!good);
}

static void choose_urls(void)
{
    static const char *const paths[KINDS] = { [AWAY] = "/away", [REFUSED] = "" };
    for (size_t i = 0; i < URLS; i++) {
        struct url *url = &scene.urls[i];
        enum kind kind = (enum kind)dice(KINDS);
        url->size = dice(8) == 0 ? 100000 + dice(100000) : 1 + dice(3000);
        snprintf(url->text, sizeof url->text, "http://h%d%s/%zu%s", (int)dice(HOSTS), kind == REFUSED ? ":81" : "", i,
            paths[kind] ? paths[kind] : "");
        url->kind = kind == AWAY ? WELL : kind;
        scene.texts[i] = url->text;
    }
}

static int play(uint64_t seed)
{
    fetch f;
    crank_task *hosts[HOSTS];
    const fetch_options options = {
        .at_once = 10, .per_host = 4, .timeout = 5, .total = CRANK_FOREVER, .retries = RETRIES, .ended = note_end
    };
    memset(&scene, 0, sizeof scene);
    scene.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    choose_urls();
    for (int i = 0; i < HOSTS; i++) {
        const char name[3] = { 'h', (char)('0' + i), '\0' };
        hosts[i] = crank_sim_host(name, serve_host);
    }
    crank_try(crank_sim_set_link(NULL, NULL,
        &(crank_sim_link){ .latency = 0.001 * (double)dice(40), .jitter = 0.001 * (double)dice(40), .tail = 0.3 }));
    crank_try(crank_sleep(1));
    crank_try(crank_sim_set_faults(&(crank_sim_faults){ .refuse = 0.02, .reset = 0.05, .accept = 0.01 }));
    crank_try(fetch_begin(&f, &options));
    EXPECT_EQ(fetch_all(&f, scene.texts, NULL), 0);
    EXPECT_EQ(f.count, URLS);
    EXPECT_EQ(f.finished, URLS);
    for (const job *j = f.first; j; j = j->next)
        judge(j);
    EXPECT(f.failed < URLS); /* something was to be had */
    fetch_end(&f);
    for (int i = 0; i < HOSTS; i++) {
        crank_cancel(hosts[i]);
        EXPECT_EQ(crank_await(hosts[i]), -ECANCELED);
    }
    return 0;
}

TEST_SEEDS(fetch, gets_what_can_be_had_from_hosts_that_misbehave, 20) { return play(seed); }
