/* SPDX-License-Identifier: MIT */
/* servers.c: the servers echo and proxy (examples/servers), whole as they stand, on a bad network that a seed decides.
 *
 * Clients on three hosts talk to echo, directly or by way of the proxy, and read slowly or fast what comes back. They
 * leave by ending their side, by waiting until the server finds them idle, by a reset, by closing at once. Links have
 * latency, jitter and a bandwidth, and are cut for seconds; connections are refused, reset, broken at one side only;
 * both servers are asked to end once, and started again. What must hold: each client reads the lines it has sent, in
 * their order, none twice and none that is another's; where it reads to an end instead of an error it has read all of
 * them, so that no torn answer looks whole; every client and server ends, and nothing is left. */
#include "../behaviour/trail.h"
#include <crank/sim.h>
#include <signal.h>
#include <unistd.h>

/* What the servers print is left out. */
CRANK_PRINTF(1, 2) static int silent(const char *format, ...)
{
    (void)format;
    return 0;
}
#define printf silent
#define puts silent
#define fprintf(file, ...) silent(__VA_ARGS__)

#define main echo_main
#define app echo_app
#define handle echo_handle
#define usage echo_usage
#include "../../examples/servers/echo.c"
#undef main
#undef app
#undef handle
#undef usage
#undef GRACE

/* tests/meson.build has a second one, with a fault. */
#ifndef PROXY_SOURCE
#define PROXY_SOURCE "../../examples/servers/proxy.c"
#endif
#define main proxy_main
#define app proxy_app
#define handle proxy_handle
#define usage proxy_usage
#define WITHOUT_TLS
#include PROXY_SOURCE
#undef main
#undef app
#undef handle
#undef usage

enum { CLIENTS = 9, HOSTS = 3, VISITS = 3, LINES_MAX = 50, LINE_MAX_BYTES = 3000 };
static const char *const client_hosts[HOSTS] = { "ada", "bob", "cem" };

static struct scene {
    uint64_t random;
    unsigned sessions, whole; /* of them those that have read all they sent, to the end */
    unsigned ends;            /* how often the servers were asked to end */
    bool over;                /* clients come no more */
} scene;

/* One connection of a client's. */
typedef struct session {
    unsigned number; /* each of its lines has it */
    unsigned said;   /* lines that were written */
    unsigned came;   /* and that came back */
    bool torn;       /* the end came amid a line */
    bool ended;      /* it came, and no error */
} session;

static unsigned dice(unsigned n) { return chance(&scene.random, n); }

/* The n-th line of a session: of all lengths, and none like another. Gives its size. */
static size_t line_of(const session *s, unsigned n, char *line)
{
    uint64_t mixed = (s->number * 1000 + n + 1) * UINT64_C(0x9e3779b97f4a7c15);
    size_t size = (size_t)snprintf(line, LINE_MAX_BYTES, "%u of %u ", n, s->number);
    size_t end = size + (mixed >> 40) % (n % 3 ? 40 : LINE_MAX_BYTES - 50);
    for (; size < end; size++)
        line[size] = (char)('a' + (mixed + size * size) % 26);
    line[size++] = '\n';
    line[size] = '\0';
    return size;
}

/* ---- Clients ---- */

static int talk(session *s, crank_stream *stream, unsigned count)
{
    char line[LINE_MAX_BYTES];
    for (unsigned n = 0; n < count; n++) {
        size_t size = line_of(s, n, line);
        s->said++; /* some of it may come back before the write has returned */
        crank_try(crank_write(stream, line, size));
        if (dice(4) == 0)
            crank_try(crank_sleep(0.01 * dice(150)));
    }
    return 0;
}

/* To the end, or an error. A slow reader stalls after some lines: then the server waits with its writing, and the
 * client with its own. */
static int read_back(session *s, crank_stream *stream, bool slow)
{
    char line[LINE_MAX_BYTES], want[LINE_MAX_BYTES];
    ssize_t n;
    while ((n = crank_try(crank_read_line(stream, line, sizeof line))) > 0) {
        size_t size = line_of(s, s->came, want);
        if (s->came >= s->said)
            test_fail(__FILE__, __LINE__, "session %u reads what it has not sent: %s", s->number, line);
        if (memcmp(line, want, (size_t)n) != 0)
            test_fail(__FILE__, __LINE__, "session %u reads: %s    and has sent: %s", s->number, line, want);
        s->torn = (size_t)n < size;
        s->came += !s->torn;
        if (slow && dice(4) == 0)
            crank_try(crank_sleep(0.01 * dice(100)));
    }
    s->ended = true;
    return 0;
}

enum leaving { BY_ITS_END, IDLE, BY_RESET, AT_ONCE };

/* Until the server has ended the connection, or it is found to be broken. */
static void depart(session *s, crank_stream *stream, crank_task *reading, enum leaving how)
{
    int err = how == BY_ITS_END ? crank_write_eof(stream) : 0;
    if (how == BY_RESET || err < 0)
        crank_abort(stream);
    else if (how == AT_ONCE)
        (void)crank_cancel(reading);
    double before = crank_time();
    (void)crank_within(1000, (int)crank_await(reading)); /* which may give -ETIMEDOUT itself */
    if (crank_time() >= before + 1000)
        test_fail(__FILE__, __LINE__, "session %u does not end", s->number);
    (void)crank_close(stream);
}

static int visit(bool by_proxy)
{
    session s = { .number = ++scene.sessions };
    unsigned ends = scene.ends;
    crank_stream *stream = crank_within(30, crank_connect(by_proxy ? "proxy:8000" : "echo:7000"));
    if (!stream)
        return 0; /* the server is not there, or a link is cut */
    crank_task *reading = crank_spawn(read_back, &s, stream, dice(2) == 0);
    enum leaving how = (enum leaving)dice(4);
    int err = talk(&s, stream, dice(LINES_MAX));
    depart(&s, stream, reading, err < 0 ? IDLE : how);
    if (s.ended && ends == scene.ends && (s.came < s.said || s.torn))
        test_fail(__FILE__, __LINE__, "session %u%s has sent %u lines, and reads the end after %u%s", s.number,
            by_proxy ? " of the proxy" : "", s.said, s.came, s.torn ? " and a part of one" : "");
    scene.whole += s.ended && s.came == s.said && s.said > 0;
    return 0;
}

static int client(unsigned i)
{
    for (unsigned n = 0; n < VISITS; n++) {
        crank_try(crank_sleep(dice(8)));
        crank_try(visit(i % 2));
    }
    return 0;
}

/* ---- Servers ---- */

static int run_echo(void) { return echo_app("*:7000", (limits){ 1000, 60 }); }
static int run_proxy(void)
{
    proxy p = { .address = "*:8000", .target = "echo:7000" };
    return proxy_app(&p);
}

static int run_servers(void)
{
    for (bool last = false; !last; last = scene.over) {
        crank_task *servers[] = { crank_sim_host("echo", run_echo), crank_sim_host("proxy", run_proxy) };
        double end = crank_time() + 30 + dice(40);
        while (!scene.over && (scene.ends > 0 || crank_time() < end))
            crank_try(crank_sleep(0.5));
        scene.ends++;
        EXPECT(!crank_done(servers[0]) && !crank_done(servers[1])); /* or the signal would end this process */
        EXPECT_EQ(raise(SIGTERM), 0);
        for (size_t i = 0; i < CRANK_COUNT(servers); i++)
            EXPECT_EQ(crank_await(servers[i]), 0);
        crank_try(crank_sleep(dice(5)));
    }
    return 0;
}

/* ---- The network ---- */

static void set_link(const char *from, const char *to)
{
    EXPECT_EQ(crank_sim_set_link(from, to,
                  &(crank_sim_link){ .latency = 0.001 * (1 + dice(80)),
                      .jitter = 0.001 * dice(40),
                      .tail = 0.001 * dice(400),
                      .bandwidth = dice(2) ? 0 : 20000 + dice(1000000) }),
        0);
}

/* Two hosts between which something goes: a client's and a server's, or the servers'. */
static void some_link(const char **ret_a, const char **ret_b)
{
    unsigned which = dice(2 * HOSTS + 1);
    *ret_a = which < 2 * HOSTS ? client_hosts[which / 2] : "proxy";
    *ret_b = which < 2 * HOSTS && which % 2 ? "proxy" : "echo";
}

static int disturb(void)
{
    const char *a, *b;
    while (!scene.over) {
        crank_try(crank_sleep(2 + dice(8)));
        some_link(&a, &b);
        if (dice(4) == 0) {
            EXPECT_EQ(crank_sim_reset(a, b), 0);
            continue;
        }
        bool back = dice(2) == 0;
        EXPECT_EQ(crank_sim_cut(back ? b : a, back ? a : b, dice(3) > 0), 0);
        crank_try(crank_sleep(0.1 * dice(60)));
        EXPECT_EQ(crank_sim_heal(a, b), 0);
    }
    return 0;
}

/* ---- The scene ---- */

static int play(uint64_t seed)
{
    crank_task *clients[CLIENTS];
    scene = (struct scene){ .random = seed };
    crank_task *servers = crank_spawn(run_servers);
    EXPECT_EQ(crank_sleep(0), 0);
    for (unsigned i = 0; i < CLIENTS; i++)
        clients[i] = crank_sim_host(client_hosts[i % HOSTS], client, i);
    for (int i = 0; i < HOSTS; i++)
        for (int server = 0; server < 2; server++) {
            set_link(client_hosts[i], server ? "proxy" : "echo");
            set_link(server ? "proxy" : "echo", client_hosts[i]);
        }
    set_link("echo", "proxy");
    set_link("proxy", "echo");
    EXPECT_EQ(crank_sim_set_faults(
                  &(crank_sim_faults){ .refuse = 0.04, .reset = 0.04, .half = 0.02, .accept = 0.02, .lookup = 0.02 }),
        0);
    crank_task *trouble = crank_spawn(disturb);
    int err = crank_gather_n(clients, CLIENTS, NULL);
    scene.over = true; /* however they ended: the others wait for it */
    EXPECT_EQ(crank_await(trouble), 0);
    EXPECT_EQ(crank_await(servers), 0);
    crank_try(err);
    EXPECT(scene.whole > 0); /* something was to be seen */
    return 0;
}

TEST_SEEDS(servers, send_each_line_back_once_and_in_order, 12) { return play(seed); }
