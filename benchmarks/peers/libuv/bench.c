/* SPDX-License-Identifier: MIT */
/* libuv: callbacks, no tasks, so there is nothing to switch, spawn, queue or lock. A sleeper is a
 * timer with its callback, a thread job a work request. */
#include "../../measure.h"
#include <netinet/in.h>
#include <uv.h>

static const char *name;
static uv_loop_t *loop;
static long done, wanted;

static void timer_closed(uv_handle_t *handle) { (void)handle; }
static void timer_due(uv_timer_t *timer)
{
    done++;
    uv_close((uv_handle_t *)timer, timer_closed);
}

static uv_timer_t *timers_start(size_t n, uint64_t fixed_ms)
{
    uint64_t state = CHANCE_SEED;
    uv_timer_t *timers = malloc(n * sizeof *timers);
    for (size_t i = 0; i < n; i++) {
        uv_timer_init(loop, &timers[i]);
        uv_timer_start(&timers[i], timer_due, fixed_ms ? fixed_ms : 1 + chance(&state) % 1000, 0);
    }
    return timers;
}

static double sleepers_round(size_t n)
{
    double started = wall_seconds();
    uv_timer_t *timers = timers_start(n, 0);
    uv_run(loop, UV_RUN_DEFAULT);
    free(timers);
    return wall_seconds() - started;
}

static void sleepers(void)
{
    const size_t n = 100000;
    double memory = memory_bytes("VmHWM:"), tables = memory_bytes("VmPTE:"), cpu = cpu_seconds();
    double wall = sleepers_round(n);
    result("sleepers_cpu", "libuv", cpu_seconds() - cpu, "s");
    result("sleepers_wall", "libuv", wall, "s");
    result("sleepers_mem", "libuv", (memory_bytes("VmHWM:") - memory) / (double)n, "B");
    result("sleepers_tables", "libuv", (memory_bytes("VmPTE:") - tables) / (double)n, "B");
}

static void sleepers_1m(void)
{
    result("sleepers_1m_first", "libuv", sleepers_round(1000000), "s");
    result("sleepers_1m", "libuv", sleepers_round(1000000), "s");
}

static void native_mem(void)
{
    const size_t n = 100000;
    double memory = memory_bytes("VmRSS:");
    uv_timer_t *timers = timers_start(n, 3600000);
    uv_run(loop, UV_RUN_NOWAIT);
    result(name, "libuv", (memory_bytes("VmRSS:") - memory) / (double)n, "B");
    free(timers);
    exit(0);
}

static void cancel(void)
{
    const size_t n = 100000;
    uv_timer_t *timers = timers_start(n, 3600000);
    double started = wall_seconds();
    for (size_t i = 0; i < n; i++)
        uv_close((uv_handle_t *)&timers[i], timer_closed);
    uv_run(loop, UV_RUN_DEFAULT);
    result(name, "libuv", ns_each(started, (double)n), "ns");
}

static void do_nothing(uv_work_t *work) { (void)work; }
static void again(uv_work_t *work, int status)
{
    (void)status;
    if (++done < wanted)
        uv_queue_work(loop, work, do_nothing, again);
}
static void counted(uv_work_t *work, int status)
{
    (void)work;
    (void)status;
    done++;
}

static void work_in_turn(uv_work_t *work, long n)
{
    done = 0;
    wanted = n;
    uv_queue_work(loop, work, do_nothing, again);
    uv_run(loop, UV_RUN_DEFAULT);
}

static void thread_seq(void)
{
    const long n = 100000;
    uv_work_t work;
    work_in_turn(&work, 1);
    double cpu = cpu_seconds(), started = wall_seconds();
    work_in_turn(&work, n);
    result(name, "libuv", ns_each(started, (double)n) / 1e3, "us");
    result("thread_seq_cpu", "libuv", (cpu_seconds() - cpu) * 1e6 / (double)n, "us");
}

static void thread_gather(void)
{
    const size_t n = 10000;
    uv_work_t first, *works = malloc(n * sizeof *works);
    work_in_turn(&first, 1);
    double started = wall_seconds();
    for (size_t i = 0; i < n; i++)
        uv_queue_work(loop, &works[i], do_nothing, counted);
    uv_run(loop, UV_RUN_DEFAULT);
    result(name, "libuv", ns_each(started, (double)n) / 1e3, "us");
}

static uint64_t samples, *hits;
static void count_hits(uv_work_t *work)
{
    long job = (long)work->data;
    hits[job] = pi_hits((uint64_t)job, samples);
}

static void pi(void)
{
    size_t n = (size_t)atol(name + 3);
    uv_work_t first, *works = malloc(n * sizeof *works);
    hits = calloc(n, sizeof *hits);
    samples = PI_SAMPLES / n;
    work_in_turn(&first, 1);
    double started = wall_seconds();
    for (size_t i = 0; i < n; i++) {
        works[i].data = (void *)i;
        uv_queue_work(loop, &works[i], count_hits, counted);
    }
    uv_run(loop, UV_RUN_DEFAULT);
    result(name, "libuv", (wall_seconds() - started) * 1e3, "ms");
}

typedef struct peer {
    uv_tcp_t tcp;
    char buf[4096];
} peer;
typedef struct rest {
    uv_write_t write;
    char bytes[];
} rest;

static void peer_closed(uv_handle_t *handle) { free(handle); }
static void rest_written(uv_write_t *write, int status)
{
    (void)status;
    free(write);
}

static void give_buffer(uv_handle_t *handle, size_t wanted, uv_buf_t *ret)
{
    peer *p = (peer *)handle;
    (void)wanted;
    *ret = uv_buf_init(p->buf, sizeof p->buf);
}

/* uv_try_write is the fast way; what it leaves goes the common one. */
static void echo_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    if (got < 0)
        uv_close((uv_handle_t *)stream, peer_closed);
    if (got <= 0)
        return;
    uv_buf_t out = uv_buf_init(buf->base, (unsigned)got);
    int written = uv_try_write(stream, &out, 1);
    if (written == got)
        return;
    size_t from = written > 0 ? (size_t)written : 0, left = (size_t)got - from;
    rest *r = malloc(sizeof *r + left);
    memcpy(r->bytes, buf->base + from, left);
    out = uv_buf_init(r->bytes, (unsigned)left);
    uv_write(&r->write, stream, &out, 1, rest_written);
}

/* One connection at a time has all its bytes read, or written, 64 KiB a call. */
static char block[65536];
static uv_write_t block_write;

static void give_block(uv_handle_t *handle, size_t wanted, uv_buf_t *ret)
{
    (void)handle;
    (void)wanted;
    *ret = uv_buf_init(block, sizeof block);
}

static void sink_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    (void)buf;
    if (got < 0)
        uv_close((uv_handle_t *)stream, peer_closed);
}

static void write_block(uv_write_t *write, int status)
{
    uv_stream_t *stream = write->handle;
    uv_buf_t out = uv_buf_init(block, sizeof block);
    if (status < 0 || uv_write(write, stream, &out, 1, write_block) < 0)
        uv_close((uv_handle_t *)stream, peer_closed);
}

static peer *accept_peer(uv_stream_t *listener, int status)
{
    peer *p = status < 0 ? NULL : malloc(sizeof *p);
    if (!p)
        return NULL;
    uv_tcp_init(loop, &p->tcp);
    if (uv_accept(listener, (uv_stream_t *)p) < 0) {
        uv_close((uv_handle_t *)p, peer_closed);
        return NULL;
    }
    return p;
}

static void echo_accept(uv_stream_t *listener, int status)
{
    peer *p = accept_peer(listener, status);
    if (!p)
        return;
    uv_tcp_nodelay(&p->tcp, 1);
    uv_read_start((uv_stream_t *)p, give_buffer, echo_read);
}

static void sink_accept(uv_stream_t *listener, int status)
{
    peer *p = accept_peer(listener, status);
    if (p)
        uv_read_start((uv_stream_t *)p, give_block, sink_read);
}

static void source_accept(uv_stream_t *listener, int status)
{
    peer *p = accept_peer(listener, status);
    if (!p)
        return;
    block_write.handle = (uv_stream_t *)p;
    write_block(&block_write, 0);
}

static void serve(uv_connection_cb accept)
{
    uv_tcp_t listener;
    struct sockaddr_in at;
    int size = sizeof at;
    uv_tcp_init(loop, &listener);
    uv_ip4_addr("127.0.0.1", 0, &at);
    uv_tcp_bind(&listener, (struct sockaddr *)&at, 0);
    if (uv_listen((uv_stream_t *)&listener, 4096, accept) < 0)
        exit(1);
    uv_tcp_getsockname(&listener, (struct sockaddr *)&at, &size);
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    uv_run(loop, UV_RUN_DEFAULT);
}

static void echo(void) { serve(echo_accept); }
static void sink(void) { serve(sink_accept); }
static void source(void) { serve(source_accept); }

static void startup(void) { uv_run(loop, UV_RUN_DEFAULT); }

static const struct {
    const char *name;
    void (*run)(void);
} table[] = {
    { "sleepers", sleepers },
    { "sleepers_1m", sleepers_1m },
    { "native_mem", native_mem },
    { "cancel", cancel },
    { "thread_seq", thread_seq },
    { "thread_gather", thread_gather },
    { "echo", echo },
    { "sink", sink },
    { "source", source },
    { "startup", startup },
};

int main(int argc, char **argv)
{
    name = argc > 1 ? argv[1] : "";
    loop = uv_default_loop();
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(name, table[i].name))
            return table[i].run(), 0;
    return strncmp(name, "pi_", 3) ? 2 : (pi(), 0);
}
