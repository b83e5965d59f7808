/* SPDX-License-Identifier: MIT */
/* network.c: what is measured from outside a server, and beside which plain C.
 *
 * Each row of the table is a workload of workload.c. Its run is a run of the program load, which starts the
 * server: crank's, a plain one, or a peer's. A further kind of load is a row here, a row there, and a kind of
 * load's. Plain C takes part in every such session: it is the bar. */
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include "driver.h"

static const network table[] = {
    { "bulk_in", "fill", "sink", 1 },
    { "bulk_out", "drain", "source", 1 },
    { "connect_64", "connect", "echo", 64 },
    { "echo_64", "echo", "echo", 64 },
    { "echo_1000", "echo", "echo", 1000 },
    { "echo_10000", "echo", "echo", 10000 },
    { "echo_calls", "calls", "echo", 64 },
    { "echo_idle", "idle", "echo", 10000 },
    { "echo_idle_hibernate", "idle", "echo_hibernate", 10000 },
    { "echo_idle_printf", "idle", "echo_printf", 10000 },
    { "http_hello", "http", "http", 64 },
    { "starts", "starts", "starts", 1 },
    { "udp_64", "udp", "udp", 64 },
    { "udp_many_64", "udp", "udp_many", 64 },
    { "http_1k", "file_1k", "files", 64 },
    { "http_1m", "file_1m", "files", 16 },
    { "https_hello", "https", "https", 64 },
    { "http_client", "client", "client", 64 },
    { "websocket_room", "room", "room", 1000 },
    { "http_idle", "idle_http", "http", 10000 },
    { "http_idle_hibernate", "idle_http", "http_hibernate", 10000 },
    { "https_idle", "idle_https", "https", 2000 },
};

const network *network_of(const workload *w)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i].workload, w->name))
            return &table[i];
    return NULL;
}

static const struct {
    const char *name, *release, *serves;
    const char *probe; /* the argument with which it only says whether it can run */
} plain[] = {
    { "plain_epoll", "C, edge-triggered epoll", "echo sink source udp udp_many starts", NULL },
    { "plain_uring", "C, io_uring: multishot, provided buffers", "echo", "probe" },
};

size_t network_plain(const char *programs, contender *ret_plain, size_t max)
{
    static char paths[sizeof plain / sizeof *plain][1024];
    size_t n = 0;
    for (size_t i = 0; i < sizeof plain / sizeof *plain && n < max; i++) {
        process_run run;
        snprintf(paths[i], sizeof paths[i], "%s/%s", programs, plain[i].name);
        char *probe[] = { paths[i], (char *)(intptr_t)plain[i].probe, NULL };
        if (plain[i].probe && (process_measure(probe, false, 10, &run) < 0 || run.status != 0)) {
            fprintf(stderr, "bench: %s takes no part: this kernel does not let it\n", plain[i].name);
            continue;
        }
        contender *one = &ret_plain[n++];
        *one = (contender){ .folder = paths[i], .bar = true, .argv = { paths[i] }, .argc = 1 };
        one->workloads = (char *)(intptr_t)plain[i].serves;
        snprintf(one->name, sizeof one->name, "%s", plain[i].name);
        snprintf(one->release, sizeof one->release, "%s", plain[i].release);
    }
    return n;
}

char **network_command(const network *n, const contender *who, const char *programs, double seconds)
{
    static char load[1024], own[1024], connections[16], span[32];
    static char *argv[ARGV_MAX + 8];
    size_t argc = 0;
    snprintf(load, sizeof load, "%s/load", programs);
    snprintf(own, sizeof own, "%s/crank_server", programs);
    snprintf(connections, sizeof connections, "%d", n->connections);
    snprintf(span, sizeof span, "%g", seconds);
    char *first[] = { load, (char *)(intptr_t)n->workload, (char *)(intptr_t)n->kind, connections, span };
    for (size_t i = 0; i < sizeof first / sizeof *first; i++)
        argv[argc++] = first[i];
    for (size_t i = 0; who->folder && i < who->argc; i++)
        argv[argc++] = who->argv[i];
    if (!who->folder)
        argv[argc++] = own;
    argv[argc++] = (char *)(intptr_t)n->serves;
    argv[argc] = NULL;
    return argv;
}

/* As load does it: one for each connection and 64 besides. */
static void warn_of_descriptors(int connections)
{
    struct rlimit limit;
    rlim_t need = (rlim_t)connections + 64;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max >= need)
        return;
    struct rlimit more = { .rlim_cur = limit.rlim_cur, .rlim_max = need };
    if (setrlimit(RLIMIT_NOFILE, &more) < 0)
        fprintf(stderr, "bench: this machine allows %ld descriptors: %ld connections stand for %d\n",
            (long)limit.rlim_max, (long)limit.rlim_max - 64, connections);
}

void network_warn(const bool *chosen)
{
    cpu_set_t all;
    int most = 0;
    for (size_t i = 0; i < workload_count; i++) {
        const network *n = network_of(&workloads[i]);
        if (chosen[i] && n && n->connections > most)
            most = n->connections;
    }
    if (most == 0)
        return;
    warn_of_descriptors(most);
    if (sched_getaffinity(0, sizeof all, &all) == 0 && CPU_COUNT(&all) < 2)
        fputs("bench: one core for server and load: their times disturb each other\n", stderr);
}
