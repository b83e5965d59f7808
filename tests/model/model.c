/* SPDX-License-Identifier: MIT */
/* model.c: the threads of an execution, and who runs.
 *
 * Each thread has a semaphore of its own and sleeps on it unless it has the baton. Whoever has it comes to a point,
 * makes the decision who goes on, and hands over. What another thread waits for is asked as a function, by whoever
 * decides: nobody need be told of anything. */
#include "model.h"
#include <errno.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { STEPS_MAX = 200000 };

typedef struct thread {
    pthread_t real;
    sem_t turn;
    void *(*fn)(void *);
    void *arg;
    bool (*ready)(const void *about); /* NULL: it can go on */
    const void *about;
    int64_t deadline;
    bool timed_out;
    bool spun; /* it has let others go first and written nothing since */
    bool over;
} thread;

model_shared *model_shared_;
const char *(*model_time_passes)(int64_t span);

static thread threads[MODEL_THREADS_MAX];
static size_t thread_count;
static size_t running;
static bool active;
static int64_t now;
static int64_t tick_span;
static long steps;
static uint8_t (*chooser)(size_t at, const model_decision *decision);
static __thread thread *self;

void model_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(model_shared_->why, sizeof model_shared_->why, format, args);
    va_end(args);
    model_shared_->failed = true;
    _exit(1);
}

void model_outcome(int which) { model_shared_->outcomes |= 1u << which; }

int64_t model_now(void) { return active ? (now += tick_span) : 0; }

/* ---- Deciding */

static bool can_go_on(const thread *t) { return !t->over && (!t->ready || t->deadline <= now || t->ready(t->about)); }

static bool can_time_out(const thread *t) { return !t->over && t->ready && t->deadline != INT64_MAX; }

/* One of the options, the first so many of which are free. */
static uint8_t decide(uint8_t options, uint8_t free)
{
    model_shared *shared = model_shared_;
    if (options <= 1)
        return 0;
    if (shared->count == MODEL_DECISIONS_MAX)
        model_fail("more than %d decisions in an execution", MODEL_DECISIONS_MAX);
    model_decision *decision = &shared->decisions[shared->count];
    *decision = (model_decision){ .options = options, .free = free };
    decision->chosen = chooser(shared->count++, decision);
    return decision->chosen;
}

/* What it waits for has come, or its time has. */
static void end_wait(thread *t)
{
    if (!t->ready || t->ready(t->about))
        return;
    if (t->deadline > now)
        now = t->deadline;
    t->timed_out = true;
}

static void hand_to(thread *next)
{
    thread *from = self;
    running = (size_t)(next - threads);
    end_wait(next);
    next->ready = NULL;
    if (next == from)
        return;
    bool over = from->over;
    sem_post(&next->turn);
    if (!over)
        while (sem_wait(&from->turn) < 0 && errno == EINTR)
            continue;
}

/* Nobody can go on: the one whose deadline comes first does. */
static thread *first_to_time_out(void)
{
    thread *first = NULL;
    for (size_t i = 0; i < thread_count; i++)
        if (can_time_out(&threads[i]) && (!first || threads[i].deadline < first->deadline))
            first = &threads[i];
    if (!first)
        model_fail("every thread waits and nobody can wake one");
    const char *why = model_time_passes ? model_time_passes(first->deadline - now) : NULL;
    if (why)
        model_fail("%s", why);
    return first;
}

/* In the order of their numbers, beginning behind the one that runs. */
static size_t list_threads(thread **list, bool (*wanted)(const thread *), const thread *except)
{
    size_t count = 0;
    for (size_t i = 1; i <= thread_count; i++) {
        thread *t = &threads[(running + i) % thread_count];
        if (t != except && wanted(t))
            list[count++] = t;
    }
    return count;
}

static bool only_by_time(const thread *t) { return can_time_out(t) && !can_go_on(t); }

/* Who goes on. mine: the running one may, and is the first option (a point), or the last resort (it spins). */
static void schedule(bool mine, bool spins)
{
    thread *options[2 * MODEL_THREADS_MAX];
    size_t count = 0;
    if (++steps > STEPS_MAX)
        model_fail("no end after %d steps", STEPS_MAX);
    if (mine && !spins)
        options[count++] = self;
    size_t others = list_threads(options + count, can_go_on, mine ? self : NULL);
    size_t free = mine ? 1 : others;
    count += others;
    if (mine && spins && count == 0)
        options[count++] = self;
    thread *first = count == 0 ? first_to_time_out() : NULL;
    if (first) {
        options[count++] = first;
        free = 1;
    }
    thread *except = first ? first : mine ? self : NULL;
    count += list_threads(options + count, only_by_time, except);
    uint8_t chosen = decide((uint8_t)count, (uint8_t)free);
    hand_to(options[chosen]);
}

void model_point(const volatile void *about, bool writes)
{
    if (!active || !self)
        return;
    model_check_alive(about);
    if (thread_count == 1 || (self->spun && !writes))
        return;
    self->spun = false;
    schedule(true, false);
    model_check_alive(about);
}

/* A loop that waits for another thread by looking: that one goes first. */
int model_yield(void)
{
    if (active && self)
        schedule(true, true);
    return 0;
}

/* A loop that looks for a while lets the others go first once; looking again shows nothing new before one of them has
 * run again, so that further looks are no points. */
void model_relax(void)
{
    if (!active || !self || self->spun)
        return;
    self->spun = true;
    schedule(true, true);
}

bool model_wait(bool (*ready)(const void *about), const void *about, int64_t deadline)
{
    if (!active || !self)
        return ready(about);
    self->spun = false;
    if (ready(about))
        return true;
    self->ready = ready;
    self->about = about;
    self->deadline = deadline;
    self->timed_out = false;
    schedule(false, false);
    return !self->timed_out;
}

/* ---- Threads */

static void *begin(void *arg)
{
    thread *t = arg;
    self = t;
    while (sem_wait(&t->turn) < 0 && errno == EINTR)
        continue;
    t->fn(t->arg);
    t->over = true;
    t->ready = NULL;
    schedule(false, false);
    self = NULL;
    return NULL;
}

int model_thread_create(pthread_t *ret, const pthread_attr_t *attributes, void *(*fn)(void *), void *arg)
{
    if (thread_count == MODEL_THREADS_MAX)
        model_fail("more than %d threads in an execution", MODEL_THREADS_MAX);
    thread *t = &threads[thread_count];
    memset(t, 0, sizeof *t);
    sem_init(&t->turn, 0, 0);
    t->fn = fn;
    t->arg = arg;
    int err = pthread_create(&t->real, attributes, begin, t);
    if (err)
        return err;
    *ret = t->real;
    thread_count++;
    model_point(NULL, true);
    return 0;
}

static bool is_over(const void *about) { return ((const thread *)about)->over; }

/* Places are not used again, so a number names one thread of the execution. */
int model_thread_join(pthread_t real, void **ret)
{
    for (size_t i = 1; i < thread_count; i++)
        if (threads[i].real && pthread_equal(threads[i].real, real)) {
            (void)model_wait(is_over, &threads[i], INT64_MAX);
            int err = pthread_join(real, ret);
            threads[i].real = 0;
            sem_destroy(&threads[i].turn);
            return err;
        }
    model_fail("a thread is joined that is none");
}

void model_execute(void (*body)(void), int64_t tick, uint8_t (*choose)(size_t at, const model_decision *decision))
{
    memset(&threads[0], 0, sizeof threads[0]);
    sem_init(&threads[0].turn, 0, 0);
    threads[0].real = pthread_self();
    thread_count = 1;
    running = 0;
    steps = 0;
    now = 1000000000;
    tick_span = tick;
    chooser = choose;
    model_shared_->count = 0;
    model_time_passes = NULL;
    self = &threads[0];
    active = true;
    body();
    for (size_t i = 1; i < thread_count; i++)
        if (!threads[i].over || threads[i].real)
            model_fail("a thread was left behind");
    active = false;
    self = NULL;
    sem_destroy(&threads[0].turn);
    model_world_end();
    model_shared_->executions++;
    if ((long)model_shared_->count > model_shared_->points_max)
        model_shared_->points_max = (long)model_shared_->count;
}
