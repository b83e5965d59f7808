/* SPDX-License-Identifier: MIT */
/* locks.c: mutexes, conditions and read-write locks of the model, in the memory of the real ones.
 *
 * One thread runs at a time, so they are plain words. Zeroed memory is one that is free, as with the real ones. A
 * condition wakes the one that has waited longest; there are no wake-ups without a reason. */
#include "model.h"
#include <errno.h>
#include <string.h>

typedef struct mutex {
    bool held;
} mutex;
typedef struct rwlock {
    int readers;
    bool writer;
} rwlock;
/* On the stack of who waits. */
typedef struct waiter {
    struct waiter *next;
    bool called;
} waiter;
typedef struct cond {
    waiter *first;
} cond;
_Static_assert(sizeof(mutex) <= sizeof(pthread_mutex_t) && sizeof(rwlock) <= sizeof(pthread_rwlock_t) &&
                   sizeof(cond) <= sizeof(pthread_cond_t),
    "they fit");

static bool mutex_free(const void *about) { return !((const mutex *)about)->held; }
static bool may_read(const void *about) { return !((const rwlock *)about)->writer; }
static bool may_write(const void *about)
{
    const rwlock *lock = about;
    return !lock->writer && lock->readers == 0;
}
static bool was_called(const void *about) { return ((const waiter *)about)->called; }

int model_mutex_init(pthread_mutex_t *real)
{
    memset(real, 0, sizeof *real);
    return 0;
}

int model_mutex_destroy(pthread_mutex_t *real)
{
    model_point(real, true);
    if (((mutex *)(void *)real)->held)
        model_fail("a mutex that is held is destroyed");
    return 0;
}

int model_mutex_lock(pthread_mutex_t *real)
{
    mutex *m = (mutex *)(void *)real;
    model_point(real, true);
    (void)model_wait(mutex_free, m, INT64_MAX);
    model_check_alive(real);
    m->held = true;
    return 0;
}

int model_mutex_unlock(pthread_mutex_t *real)
{
    model_check_alive(real);
    ((mutex *)(void *)real)->held = false;
    model_point(NULL, true);
    return 0;
}

int model_cond_init(pthread_cond_t *real)
{
    memset(real, 0, sizeof *real);
    return 0;
}

int model_cond_destroy(pthread_cond_t *real)
{
    model_check_alive(real);
    return 0;
}

/* True: it stood in the line. */
static bool leave_line(cond *c, waiter *mine)
{
    for (waiter **at = &c->first; *at; at = &(*at)->next)
        if (*at == mine) {
            *at = mine->next;
            return true;
        }
    return false;
}

static bool call_first(cond *c)
{
    waiter *first = c->first;
    if (!first)
        return false;
    c->first = first->next;
    first->called = true;
    return true;
}

static int wait_called(pthread_cond_t *real, pthread_mutex_t *lock, int64_t deadline)
{
    cond *c = (cond *)(void *)real;
    waiter mine = { 0 };
    waiter **last = &c->first;
    while (*last)
        last = &(*last)->next;
    *last = &mine;
    ((mutex *)(void *)lock)->held = false;
    bool called = model_wait(was_called, &mine, deadline);
    if (!called)
        called = !leave_line(c, &mine);
    (void)model_wait(mutex_free, lock, INT64_MAX);
    model_check_alive(lock);
    ((mutex *)(void *)lock)->held = true;
    return called ? 0 : ETIMEDOUT;
}

int model_cond_wait(pthread_cond_t *condition, pthread_mutex_t *lock)
{
    return wait_called(condition, lock, INT64_MAX);
}

int model_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *lock, const struct timespec *until)
{
    return wait_called(condition, lock, (int64_t)until->tv_sec * 1000000000 + until->tv_nsec);
}

int model_cond_signal(pthread_cond_t *real)
{
    model_point(real, true);
    (void)call_first((cond *)(void *)real);
    return 0;
}

int model_cond_broadcast(pthread_cond_t *real)
{
    model_point(real, true);
    while (call_first((cond *)(void *)real))
        continue;
    return 0;
}

int model_read_lock(pthread_rwlock_t *real)
{
    rwlock *lock = (rwlock *)(void *)real;
    model_point(real, true);
    (void)model_wait(may_read, lock, INT64_MAX);
    lock->readers++;
    return 0;
}

int model_write_lock(pthread_rwlock_t *real)
{
    rwlock *lock = (rwlock *)(void *)real;
    model_point(real, true);
    (void)model_wait(may_write, lock, INT64_MAX);
    lock->writer = true;
    return 0;
}

int model_rwlock_unlock(pthread_rwlock_t *real)
{
    rwlock *lock = (rwlock *)(void *)real;
    if (lock->writer)
        lock->writer = false;
    else
        lock->readers--;
    model_point(NULL, true);
    return 0;
}
