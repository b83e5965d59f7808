/* SPDX-License-Identifier: MIT */
/* load.c: measure a server: load RESULT KIND CONNECTIONS SECONDS SERVER [ARGUMENT...]
 *
 * Starts the server on the first core, itself uses the last, and prints a line for each value: RESULT with
 * a suffix, `load`, value, unit. Everything goes over 127.0.0.1. A further kind of load is a function and a
 * line of the table. */
#include <errno.h>
#include <sched.h>
#include <unistd.h>
#include "../measure.h"
#include "load.h"

typedef struct request {
    const char *result;
    size_t connections;
    int64_t span; /* of what is measured, in nanoseconds */
} request;

static void say(const request *r, const char *suffix, double value, const char *unit)
{
    char name[64];
    snprintf(name, sizeof name, "%s%s", r->result, suffix);
    result(name, "load", value, unit);
}

/* Connected, every client's first messages echoed, and nothing counted yet. */
static bool warm_up(clients *c, const request *r, const server *s, enum first_echo first)
{
    if (!clients_open(c, s, r->connections, first) || !clients_begin(c) ||
        !clients_run(c, now_ns() + r->span / 4, 2 * r->connections))
        return false;
    clients_forget(c);
    return true;
}

/* The server's processor time for each message that has come back, or to a member, since it had taken cpu and it was
 * started; the rate, and how long a message takes. */
static void say_messages(const clients *c, const request *r, const server *s, double cpu, double started)
{
    double messages = (double)c->echoed, spent = server_cpu(s) - cpu;
    say(r, "_cpu", spent * 1e6 / messages, "us");
    say(r, "_rate", messages / (wall_seconds() - started), "/s");
    say(r, "_p50", clients_latency(c, 0.5) / 1e3, "us");
    say(r, "_p99", clients_latency(c, 0.99) / 1e3, "us");
}

static bool load_messages(clients *c, const request *r, const server *s, enum first_echo first)
{
    if (!warm_up(c, r, s, first))
        return false;
    double cpu = server_cpu(s), started = wall_seconds();
    if (!clients_run(c, now_ns() + r->span, 1))
        return false;
    say_messages(c, r, s, cpu, started);
    return true;
}

static bool load_echo(clients *c, const request *r, const server *s) { return load_messages(c, r, s, SOME_ECHO); }
static bool load_http(clients *c, const request *r, const server *s) { return load_messages(c, r, s, SOME_ANSWER); }

static bool load_udp(clients *c, const request *r, const server *s) { return load_messages(c, r, s, DATAGRAMS); }
/* A message is a connection here: made, one line there and back, ended by both. */
static bool load_connect(clients *c, const request *r, const server *s) { return load_messages(c, r, s, SOME_ANEW); }

/* Processor time of server and programs together for each program that the server starts and waits for. */
static bool load_starts(clients *c, const request *r, const server *s)
{
    struct timespec span = { .tv_sec = r->span / second_ns, .tv_nsec = r->span % second_ns };
    c->epoll = -1;
    double count = server_count(s), own = server_cpu(s), all = own + server_cpu_children(s), started = wall_seconds();
    nanosleep(&span, NULL);
    double more = server_count(s) - count;
    double own_spent = server_cpu(s) - own, spent = server_cpu(s) + server_cpu_children(s) - all;
    if (count < 0 || more < 1)
        return false;
    say(r, "_cpu", spent * 1e6 / more, "us");
    say(r, "_cpu_own", own_spent * 1e6 / more, "us");
    say(r, "_rate", more / (wall_seconds() - started), "/s");
    return true;
}

static bool load_https(clients *c, const request *r, const server *s)
{
    clients_encrypt();
    return load_messages(c, r, s, SOME_ANSWER);
}

/* Of an answer that is a file. */
static bool load_file(clients *c, const request *r, const server *s, const char *path, size_t size)
{
    clients_ask(path, size);
    return load_messages(c, r, s, SOME_ANSWER);
}
static bool load_1k(clients *c, const request *r, const server *s) { return load_file(c, r, s, "/1k", 1024); }
static bool load_1m(clients *c, const request *r, const server *s) { return load_file(c, r, s, "/1m", 1 << 20); }

/* The other way round: a client's processor time for each request, of which so many are under way, and the rate. */
static bool load_client(clients *c, const request *r, const server *s)
{
    uint64_t answers = 0;
    c->epoll = -1;
    if (!answers_run(now_ns() + r->span / 4, r->connections, &answers))
        return false;
    answers = 0;
    double cpu = server_cpu(s), started = wall_seconds();
    if (!answers_run(now_ns() + r->span, r->connections, &answers))
        return false;
    double spent = server_cpu(s) - cpu;
    say(r, "_cpu", spent * 1e6 / (double)answers, "us");
    say(r, "_rate", (double)answers / (wall_seconds() - started), "/s");
    return true;
}

enum { SPEAKERS = 16 };

/* A message takes as long as it takes to come back to its speaker. */
static bool load_room(clients *c, const request *r, const server *s)
{
    if (!clients_open(c, s, r->connections, NONE_ECHOES) || !room_enter(c, SPEAKERS) ||
        !room_run(c, now_ns() + r->span / 4))
        return false;
    clients_forget(c);
    double cpu = server_cpu(s), started = wall_seconds();
    if (!room_run(c, now_ns() + r->span))
        return false;
    say_messages(c, r, s, cpu, started);
    return true;
}

/* System calls for each message. */
static bool load_calls(clients *c, const request *r, const server *s)
{
    static const char *const suffixes[CALL_KINDS] = { "_transfer", "_wait", "_register", "_other" };
    /* No message is under way at either end: a server may read many before it sends the first echo. */
    if (!warm_up(c, r, s, SOME_ECHO) || !calls_begin(s) || !clients_finish(c))
        return false;
    clients_forget(c);
    calls before = calls_now();
    if (!clients_begin(c) || !clients_run(c, now_ns() + r->span, 10 * r->connections) || !clients_finish(c))
        return false;
    calls after = calls_now();
    for (size_t i = 0; i < CALL_KINDS; i++)
        say(r, suffixes[i], (double)(after.of[i] - before.of[i]) / (double)c->echoed, "calls");
    return true;
}

/* What a connection that has echoed one message and waits for the next keeps of the server's memory. Not counted: what
 * the server takes for the first so many. */
static bool load_idle_after(clients *c, const request *r, const server *s, enum first_echo first, size_t before_count)
{
    if (!clients_prepare(c, s, r->connections, first) || !clients_connect(c, before_count, first))
        return false;
    double resident = server_resident(s), tables = server_tables(s), count = (double)(r->connections - before_count);
    if (!clients_connect(c, r->connections, first))
        return false;
    /* A server may give memory back when it has been idle for a while: look until nothing changes. */
    double before = 0, after = server_resident(s);
    for (int64_t began = now_ns(); before != after && now_ns() - began < 3 * second_ns;) {
        nanosleep(&(struct timespec){ .tv_nsec = r->span < second_ns ? (long)r->span : 500000000 }, NULL);
        before = after;
        after = server_resident(s);
    }
    say(r, "", (after - resident) / count, "B");
    say(r, "_tables", (server_tables(s) - tables) / count, "B");
    return true;
}

static bool load_idle(clients *c, const request *r, const server *s)
{
    return load_idle_after(c, r, s, EACH_ECHOES, 0);
}

/* Of a web server's connection, which has asked once. */
static bool load_idle_http(clients *c, const request *r, const server *s)
{
    return load_idle_after(c, r, s, EACH_ANSWERS, r->connections / 10);
}

static bool load_idle_https(clients *c, const request *r, const server *s)
{
    clients_encrypt();
    return load_idle_http(c, r, s);
}

/* The server's processor time for each GiB that move brings over one connection, and the rate. */
static bool load_bulk(clients *c, const request *r, const server *s, bool (*move)(clients *, int64_t, uint64_t *))
{
    uint64_t bytes = 0;
    if (!clients_open(c, s, 1, NONE_ECHOES) || !move(c, now_ns() + r->span / 4, &bytes))
        return false;
    bytes = 0;
    double cpu = server_cpu(s), started = wall_seconds();
    if (!move(c, now_ns() + r->span, &bytes))
        return false;
    double spent = server_cpu(s) - cpu, took = wall_seconds() - started;
    say(r, "_cpu", spent * 1e3 * 1073741824 / (double)bytes, "ms/GiB");
    say(r, "_rate", (double)bytes / 1e6 / took, "MB/s");
    return true;
}

static bool load_fill(clients *c, const request *r, const server *s) { return load_bulk(c, r, s, clients_fill); }
static bool load_drain(clients *c, const request *r, const server *s) { return load_bulk(c, r, s, clients_drain); }

static const struct {
    const char *name;
    bool (*run)(clients *c, const request *r, const server *s);
    bool (*prepare)(void); /* before the server is started; NULL: nothing is */
} kinds[] = {
    { "echo", load_echo, NULL },
    { "http", load_http, NULL },
    { "https", load_https, files_make_certificate },
    { "connect", load_connect, NULL },
    { "udp", load_udp, NULL },
    { "starts", load_starts, NULL },
    { "file_1k", load_1k, files_make },
    { "file_1m", load_1m, files_make },
    { "client", load_client, answers_listen },
    { "room", load_room, NULL },
    { "calls", load_calls, NULL },
    { "idle", load_idle, NULL },
    { "idle_http", load_idle_http, NULL },
    { "idle_https", load_idle_https, files_make_certificate },
    { "fill", load_fill, NULL },
    { "drain", load_drain, NULL },
};

static int usage(void)
{
    fputs("load RESULT KIND CONNECTIONS SECONDS SERVER [ARGUMENT...]; kinds:", stderr);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        fprintf(stderr, " %s", kinds[i].name);
    fputc('\n', stderr);
    return 2;
}

int main(int argc, char **argv)
{
    static clients c;
    server s;
    size_t kind = 0, count = sizeof kinds / sizeof *kinds;
    while (argc > 5 && kind < count && strcmp(argv[2], kinds[kind].name) != 0)
        kind++;
    long connections = argc > 5 ? atol(argv[3]) : 0;
    double seconds = argc > 5 ? atof(argv[4]) : 0;
    if (kind == count || connections < 1 || !(seconds > 0 && seconds < 1000))
        return usage();
    cores_divide();
    request r = { argv[1], descriptors_raise((size_t)connections), (int64_t)(seconds * 1e9) };
    bool done = (!kinds[kind].prepare || kinds[kind].prepare()) && server_start(argv + 5, &s);
    if (done) {
        done = kinds[kind].run(&c, &r, &s);
        server_stop(&s);
        clients_close(&c);
    }
    files_remove();
    return done ? 0 : 1;
}
