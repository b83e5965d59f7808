/* SPDX-License-Identifier: MIT */
/* floor: the least that could do the work. A stackful scheduler without errors, guards, floating
 * point state, input and output, or any care: whatever it costs is the machine's price.
 *
 * One slab of 64 KiB stacks with the control block at the top of each, a switch that is inlined and
 * jumps, a wheel of milliseconds. x86-64 only. */
#define _GNU_SOURCE
#include "../../measure.h"
#include <sys/mman.h>
#include <unistd.h>

typedef struct task task;
struct task {
    void *sp;
    task *next;
    task *waiter;
    void (*fn)(void *);
    void *arg;
    uint64_t when;
    task *timer_next, **timer_prev;
    int done, cancelled;
};

enum { STACK = 65536, STACKS = 1100000, WHEEL = 4096 };
static task *current, *ready_head, **ready_tail = &ready_head, *free_tasks, boot;
static char *slab;
static size_t slab_used;
static task *wheel[WHEEL];
static uint64_t now_ms, tick;
static long timers;

static inline __attribute__((always_inline)) void swap(void **from, void *to)
{
    __asm__ volatile("pushq %%rbp\n\tpushq %%rbx\n\tleaq 1f(%%rip), %%rax\n\tpushq %%rax\n\tmovq %%rsp, (%0)\n\t"
                     "movq %1, %%rsp\n\tpopq %%rax\n\tjmp *%%rax\n\t.p2align 4\n1:\n\tpopq %%rbx\n\tpopq %%rbp"
                     : "+D"(from), "+S"(to)
                     :
                     : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc",
                     "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
                     "xmm12", "xmm13", "xmm14", "xmm15");
}

static inline void make_ready(task *t)
{
    t->next = NULL;
    *ready_tail = t;
    ready_tail = &t->next;
}

static void timer_remove(task *t)
{
    *t->timer_prev = t->timer_next;
    if (t->timer_next)
        t->timer_next->timer_prev = t->timer_prev;
    timers--;
}

static void look_at_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    now_ms = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
    for (; tick <= now_ms; tick++)
        for (task *d = wheel[tick % WHEEL], *next; d; d = next) {
            next = d->timer_next;
            if (d->when <= now_ms) {
                timer_remove(d);
                make_ready(d);
            }
        }
}

static void idle(void)
{
    if (!timers)
        abort();
    look_at_clock();
    if (!ready_head) {
        usleep(1000);
        look_at_clock();
    }
}

/* Straight to the next that is ready. */
static inline __attribute__((always_inline)) void block(void)
{
    while (__builtin_expect(!ready_head, 0))
        idle();
    task *next = ready_head, *me = current;
    ready_head = next->next;
    if (!ready_head)
        ready_tail = &ready_head;
    if (next != me) {
        current = next;
        swap(&me->sp, next->sp);
    }
}

static inline void yield(void)
{
    make_ready(current);
    block();
}

static void __attribute__((noreturn)) entry(void)
{
    task *me = current;
    me->fn(me->arg);
    me->done = 1;
    if (me->waiter)
        make_ready(me->waiter);
    me->timer_next = free_tasks;
    free_tasks = me;
    block();
    __builtin_unreachable();
}

static task *spawn(void (*fn)(void *), void *arg)
{
    task *t = free_tasks;
    if (t)
        free_tasks = t->timer_next;
    else if (slab_used == STACKS)
        abort();
    else
        t = (task *)(void *)(slab + (slab_used++ + 1) * STACK - sizeof(task) - 16);
    t->fn = fn;
    t->arg = arg;
    t->done = t->cancelled = 0;
    t->waiter = NULL;
    uintptr_t *sp = (uintptr_t *)((uintptr_t)t & ~(uintptr_t)63) - 4;
    *sp = (uintptr_t)entry;
    t->sp = sp;
    make_ready(t);
    return t;
}

static inline void join(task *t)
{
    if (!t->done) {
        t->waiter = current;
        block();
    }
}

static void sleep_ms(uint64_t ms)
{
    task *me = current, **slot;
    me->when = now_ms + ms;
    slot = &wheel[me->when % WHEEL];
    me->timer_next = *slot;
    if (*slot)
        (*slot)->timer_prev = &me->timer_next;
    *slot = me;
    me->timer_prev = slot;
    timers++;
    block();
}

/* ---- workloads ---- */

static const char *name;

static void nothing(void *arg) { (void)arg; }
static void yields(void *n)
{
    for (long i = 0; i < (long)n; i++)
        yield();
}
static void sleeps(void *ms) { sleep_ms((uint64_t)(long)ms); }

static void ctxswitch(void)
{
    const long n = 20000000;
    task *a = spawn(yields, (void *)n), *b = spawn(yields, (void *)n);
    double started = wall_seconds();
    join(a);
    join(b);
    result(name, "floor", ns_each(started, 2.0 * (double)n), "ns");
}

static void spawn_seq(void)
{
    const long n = 5000000;
    double started = wall_seconds();
    for (long i = 0; i < n; i++)
        join(spawn(nothing, NULL));
    result(name, "floor", ns_each(started, (double)n), "ns");
}

static void spawn_gather(void)
{
    enum { N = 100000 };
    static task *tasks[N];
    for (int warm = 0; warm < 2; warm++) {
        double started = wall_seconds();
        for (int i = 0; i < N; i++)
            tasks[i] = spawn(nothing, NULL);
        for (int i = 0; i < N; i++)
            join(tasks[i]);
        result(warm ? "spawn_gather" : "spawn_gather_cold", "floor", ns_each(started, N), "ns");
    }
}

static double sleepers_round(task **tasks, size_t n)
{
    uint64_t state = CHANCE_SEED;
    double started = wall_seconds();
    look_at_clock();
    for (size_t i = 0; i < n; i++)
        tasks[i] = spawn(sleeps, (void *)(long)(1 + chance(&state) % 1000));
    for (size_t i = 0; i < n; i++)
        join(tasks[i]);
    return wall_seconds() - started;
}

static void sleepers(void)
{
    const size_t n = 100000;
    task **tasks = malloc(n * sizeof(task *));
    double memory = memory_bytes("VmHWM:"), tables = memory_bytes("VmPTE:"), cpu = cpu_seconds();
    double wall = sleepers_round(tasks, n);
    result("sleepers_cpu", "floor", cpu_seconds() - cpu, "s");
    result("sleepers_wall", "floor", wall, "s");
    result("sleepers_mem", "floor", (memory_bytes("VmHWM:") - memory) / (double)n, "B");
    result("sleepers_tables", "floor", (memory_bytes("VmPTE:") - tables) / (double)n, "B");
}

static void sleepers_1m(void)
{
    const size_t n = 1000000;
    task **tasks = malloc(n * sizeof(task *));
    result("sleepers_1m_first", "floor", sleepers_round(tasks, n), "s");
    result("sleepers_1m", "floor", sleepers_round(tasks, n), "s");
}

static task *producer, *consumer;
static uint64_t produced;
static void naturals(void *arg)
{
    (void)arg;
    for (uint64_t i = 0;; i++) {
        produced = i;
        swap(&producer->sp, consumer->sp);
    }
}

static void generator(void)
{
    const long n = 50000000;
    uint64_t sum = 0;
    consumer = current;
    producer = spawn(naturals, NULL);
    ready_head = NULL;
    ready_tail = &ready_head;
    current = producer;
    double started = wall_seconds();
    for (long i = 0; i < n; i++) {
        swap(&consumer->sp, producer->sp);
        sum += produced;
    }
    result(name, "floor", ns_each(started, (double)n), "ns");
    if (!sum)
        abort();
}

typedef struct queue {
    long items[64];
    unsigned head, tail, capacity;
    task *reader, *writer;
} queue;
static queue there, back;

static void put(queue *q, long value)
{
    while (q->head - q->tail == q->capacity) {
        q->writer = current;
        block();
    }
    q->items[q->head++ & 63] = value;
    if (q->reader) {
        make_ready(q->reader);
        q->reader = NULL;
    }
}

static long get(queue *q)
{
    while (q->head == q->tail) {
        q->reader = current;
        block();
    }
    long value = q->items[q->tail++ & 63];
    if (q->writer) {
        make_ready(q->writer);
        q->writer = NULL;
    }
    return value;
}

static void return_each(void *n)
{
    for (long i = 0; i < (long)n; i++)
        put(&back, get(&there));
}

static void pingpong(void)
{
    const long n = 10000000;
    there.capacity = back.capacity = 1;
    task *a = spawn(return_each, (void *)n);
    double started = wall_seconds();
    for (long i = 0; i < n; i++) {
        put(&there, i);
        get(&back);
    }
    result(name, "floor", ns_each(started, (double)n), "ns");
    join(a);
}

static void produce(void *n)
{
    for (long i = 0; i < (long)n; i++)
        put(&there, i);
}

static void prodcons(void)
{
    const long n = 5000000;
    there.capacity = 64;
    task *a = spawn(produce, (void *)n);
    double started = wall_seconds();
    for (long i = 0; i < n; i++)
        get(&there);
    result(name, "floor", ns_each(started, (double)n), "ns");
    join(a);
}

static int locked;
static task *line_head, **line_tail = &line_head;
static long count;
static void contender(void *yielding)
{
    for (int i = 0; i < 1000; i++) {
        if (!locked) {
            locked = 1;
        } else {
            current->timer_next = NULL;
            *line_tail = current;
            line_tail = &current->timer_next;
            block();
        }
        count++;
        if (yielding)
            yield();
        task *first = line_head;
        if (!first) {
            locked = 0;
            continue;
        }
        line_head = first->timer_next;
        if (!line_head)
            line_tail = &line_head;
        make_ready(first);
    }
}

static void contend(int yielding)
{
    task *tasks[1000];
    double started = wall_seconds();
    for (int i = 0; i < 1000; i++)
        tasks[i] = spawn(contender, yielding ? &count : NULL);
    for (int i = 0; i < 1000; i++)
        join(tasks[i]);
    result(name, "floor", ns_each(started, (double)count), "ns");
}

static void lock(void) { contend(1); }
static void locknoyield(void) { contend(0); }

static void cancel(void)
{
    enum { N = 100000 };
    static task *tasks[N];
    for (int i = 0; i < N; i++)
        tasks[i] = spawn(sleeps, (void *)4000L);
    yield();
    double started = wall_seconds();
    for (int i = 0; i < N; i++) {
        tasks[i]->cancelled = 1;
        timer_remove(tasks[i]);
        make_ready(tasks[i]);
    }
    for (int i = 0; i < N; i++)
        join(tasks[i]);
    result(name, "floor", ns_each(started, N), "ns");
}

static const struct {
    const char *name;
    void (*run)(void);
} table[] = {
    { "ctxswitch", ctxswitch },
    { "spawn_seq", spawn_seq },
    { "spawn_gather", spawn_gather },
    { "sleepers", sleepers },
    { "sleepers_1m", sleepers_1m },
    { "generator", generator },
    { "pingpong", pingpong },
    { "prodcons", prodcons },
    { "lock", lock },
    { "locknoyield", locknoyield },
    { "cancel", cancel },
};

int main(int argc, char **argv)
{
    name = argc > 1 ? argv[1] : "";
    slab =
        mmap(NULL, (size_t)STACKS * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (slab == MAP_FAILED)
        return 1;
    current = &boot;
    look_at_clock();
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(name, table[i].name))
            return table[i].run(), 0;
    return 2;
}
