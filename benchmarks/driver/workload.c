/* SPDX-License-Identifier: MIT */
/* workload.c: what can be measured, and what is to be reached.
 *
 * The targets are for the machine the project is measured on (two cores of an AMD EPYC,
 * Linux 6.18); elsewhere they are a scale, not a promise. */
#include <string.h>
#include "driver.h"

/* Many runs, for the limit is 3% above what two cores can do, and one run in four is disturbed more. */
#define PI(n) \
    { \
        "pi_" #n, "pi", "pi_" #n, 21, true, 0.4, "2^25 samples of pi in " #n " thread jobs" \
    }

const workload workloads[] = {
    { "ctxswitch", "", "ctxswitch", 5, false, 0, "two tasks of different functions yield to each other" },
    { "spawn_seq", "", "spawn_seq", 5, false, 0, "spawn a task and await it" },
    { "spawn_gather", "", "spawn_gather spawn_gather_cold", 5, false, 0,
        "100,000 spawned, then gathered; warm and cold" },
    { "spawn_eager", "", "spawn_eager", 5, false, 0, "100,000 eager tasks that end at once" },
    { "sleepers", "", "sleepers_cpu sleepers_wall sleepers_mem sleepers_tables", 5, false, 0,
        "100,000 tasks sleep 1 to 1000 ms" },
    { "sleepers_1m", "", "sleepers_1m sleepers_1m_first", 3, false, 20,
        "a million, second and first round in the process" },
    { "idle_mem", "", "idle_mem idle_mem_tables idle_put_away idle_wake", 3, false, 5,
        "100,000 tasks of ordinary functions, hibernating" },
    { "native_mem", "", "native_mem", 3, false, 0, "a sleep in flight, with no stack" },
    { "native_mem_thread", "", "native_mem_thread", 3, true, 0, "a thread job in flight, with no stack" },
    { "generator", "", "generator", 5, false, 0, "values through a generator" },
    { "pingpong", "", "pingpong", 5, false, 0, "round trip through two queues of size 1" },
    { "prodcons", "", "prodcons", 5, false, 0, "5,000,000 items through a queue of 64" },
    { "lock", "", "lock", 5, false, 0, "1,000 tasks contend for a lock and yield while they hold it" },
    { "locknoyield", "", "locknoyield", 5, false, 0, "the same, not yielding" },
    { "cancel", "", "cancel", 5, false, 0, "100,000 sleeping tasks cancelled and awaited" },
    { "thread_seq", "", "thread_seq thread_seq_cpu", 3, true, 0, "a no-op on a worker thread, awaited; CPU beside" },
    { "thread_gather", "", "thread_gather", 5, true, 0, "10,000 no-ops on worker threads, gathered" },
    PI(1),
    PI(2),
    PI(4),
    PI(8),
    PI(16),
    PI(32),
    PI(64),
    PI(128),
    PI(256),
    PI(512),
    PI(1024),
    PI(2048),
    PI(4096),
    { "startup", "", "startup_ms startup_mb", 21, false, 0.4, "an empty program: time and resident memory" },
    { "capture", "", "capture capture_many capture_large spawn_raw", 3, false, 0,
        "what call capture adds to a raw spawn" },
    { "echo_64", "echo", "echo_64_cpu echo_64_rate echo_64_p50 echo_64_p99", 3, true, 4,
        "64 connections echo 64 bytes: a server's CPU for each, their rate and delay" },
    { "echo_1000", "echo", "echo_1000_cpu echo_1000_rate echo_1000_p50 echo_1000_p99", 3, true, 4,
        "1,000 connections" },
    { "echo_10000", "echo", "echo_10000_cpu echo_10000_rate echo_10000_p50 echo_10000_p99", 3, true, 5,
        "10,000 connections" },
    { "echo_calls", "echo", "echo_calls_transfer echo_calls_wait echo_calls_register echo_calls_other", 1, true, 3,
        "its system calls for each message, among 64 connections" },
    { "echo_idle", "echo", "echo_idle echo_idle_tables", 1, true, 4,
        "memory of each of 10,000 connections that have echoed once" },
    { "echo_idle_hibernate", "echo", "echo_idle_hibernate echo_idle_hibernate_tables", 1, true, 4,
        "the same where idle tasks hibernate" },
    { "echo_idle_printf", "echo", "echo_idle_printf echo_idle_printf_tables", 1, true, 4,
        "the same where the echo is written by crank_printf" },
    { "http_hello", "http", "http_hello_cpu http_hello_rate http_hello_p50 http_hello_p99", 3, true, 4,
        "64 connections ask a web server for 14 bytes: its CPU for each request, their rate and delay" },
    { "http_1k", "http", "http_1k_cpu http_1k_rate http_1k_p50 http_1k_p99", 3, true, 4,
        "the same for a file of 1,024 bytes" },
    { "http_1m", "http", "http_1m_cpu http_1m_rate http_1m_p50 http_1m_p99", 3, true, 4,
        "16 connections, a file of 1 MiB" },
    { "https_hello", "http", "https_hello_cpu https_hello_rate https_hello_p50 https_hello_p99", 3, true, 4,
        "64 encrypted connections ask for 14 bytes" },
    { "http_client", "http", "http_client_cpu http_client_rate", 3, true, 4,
        "a client asks for 14 bytes, 64 at once: its CPU for each request" },
    { "websocket_room", "http", "websocket_room_cpu websocket_room_rate websocket_room_p50 websocket_room_p99", 3, true,
        4, "1,000 WebSockets in a room, 16 of which speak: a server's CPU for each message of 64 bytes to a member" },
    { "http_idle", "http", "http_idle http_idle_tables", 3, true, 4,
        "memory of each of 10,000 connections that have asked once" },
    { "http_idle_hibernate", "http", "http_idle_hibernate http_idle_hibernate_tables", 1, true, 5,
        "the same where idle tasks hibernate" },
    { "https_idle", "http", "https_idle https_idle_tables", 3, true, 5, "the same of 2,000 encrypted ones" },
    { "bulk_in", "bulk", "bulk_in_cpu bulk_in_rate", 3, true, 3,
        "one connection: a server's CPU for each GiB it reads and throws away" },
    { "bulk_out", "bulk", "bulk_out_cpu bulk_out_rate", 3, true, 3, "the same for what it writes" },
    { "connect_64", "net", "connect_64_cpu connect_64_rate connect_64_p50 connect_64_p99", 3, true, 4,
        "64 at a time: connect, 64 bytes there and back, close: a server's CPU for each connection" },
    { "udp_64", "net", "udp_64_cpu udp_64_rate udp_64_p50 udp_64_p99", 3, true, 4,
        "64 sockets send datagrams of 64 bytes: a server's CPU to send each back" },
    { "udp_many_64", "net", "udp_many_64_cpu udp_many_64_rate udp_many_64_p50 udp_many_64_p99", 3, true, 4,
        "the same, of which it receives and sends many by one call" },
    { "starts", "net", "starts_cpu starts_cpu_own starts_rate", 3, true, 3,
        "programs started and waited for, one after another: CPU of each with its starter's, and of the starter alone" },
    { "growth", "", "growth", 1, false, 35, "spawn, switch, sleep, cancel, wake, list among 10^3 to 10^6 tasks" },
};
const size_t workload_count = sizeof workloads / sizeof *workloads;

static const struct {
    const char *result;
    double target;
} targets[] = {
    { "ctxswitch", 12 },
    { "spawn_seq", 35 },
    { "spawn_gather", 150 },
    { "spawn_gather_cold", 400 },
    { "spawn_eager", 36 },
    { "sleepers_cpu", 0.5 },
    { "sleepers_mem", 4300 },
    { "sleepers_1m", 5.3 },
    { "idle_mem", 1000 },
    { "native_mem", 256 },
    { "native_mem_thread", 256 },
    { "generator", 11 },
    { "pingpong", 45 },
    { "prodcons", 12 },
    { "lock", 20 },
    { "locknoyield", 6 },
    { "cancel", 287 },
    { "thread_seq", 20 },
    { "thread_gather", 0.4 },
    { "startup_ms", 2 },
    { "startup_mb", 2 },
    { "capture", 8 },
    { "capture_many", 8 },
    { "capture_large", 8 },
    { "echo_idle", 5000 },
    { "echo_idle_hibernate", 1300 },
    { "echo_idle_printf", 5000 },
    { "http_idle", 4900 },
    { "https_idle", 30000 },
};

double workload_target(const char *result)
{
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        if (!strcmp(targets[i].result, result))
            return targets[i].target;
    return !strncmp(result, "pi_", 3) && strcmp(result, "pi_1") != 0 ? 66 : 0;
}

/* Is word one of words, which blanks separate? */
static bool among(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = words; (at = strstr(at, word)) != NULL; at += length)
        if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return length > 0;
    return false;
}

bool workload_choose(const char *name, bool *chosen)
{
    bool any = false;
    for (size_t i = 0; i < workload_count; i++) {
        const workload *w = &workloads[i];
        if (!strcmp(w->name, name) || !strcmp(w->group, name) || among(w->results, name))
            chosen[i] = any = true;
    }
    return any && *name;
}

void workload_list(FILE *out)
{
    for (size_t i = 0; i < workload_count; i++) {
        const char *name = workloads[i].name;
        double target = workload_target(name);
        fprintf(out, "%-19s %s", name, workloads[i].about);
        if (target > 0)
            fprintf(out, " (target %g)", target);
        fputs(network_of(&workloads[i]) ? "; only when named\n" : "\n", out);
    }
}
