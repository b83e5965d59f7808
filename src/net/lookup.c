/* SPDX-License-Identifier: MIT */
/* lookup.c: the threads that look names up.
 *
 * getaddrinfo blocks, for half a minute where no server answers, and cannot be ended early. On the
 * workers of a loop such calls would hold up files, and the end of the run would wait for them. So
 * lookups have threads of their own, of the process and not of a loop: at most 16, made when a name
 * waits and none rests, detached. A cancelled lookup is abandoned: its task goes on at once, and
 * what the resolver says later is dropped.
 *
 * Owns the questions, the threads, and the lock of both. A question belongs to the lookups that ask
 * it and to the thread that is at it; the last of them frees it. A loop is reached by a post, and
 * only while the registry knows it.
 *
 * A thread that rests ends after five seconds, or at once when the last loop that has asked is
 * closed: a program whose runs are over has no thread of crank's but those that getaddrinfo still
 * holds up.
 *
 * Invariant: a question that no thread has taken has lookups, and then 16 threads are at others or
 * a resting one has been signalled. */
#include "net/lookup.h"

#include <pthread.h>
#include <string.h>
#include <strings.h>

#include "base/fork.h"
#include "loop/registry.h"
#include "task/wait.h"
#include "thread/workers.h"

enum { THREADS_MAX = 16, STACK_BYTES = 256 * 1024 };
#define IDLE_NS (5 * CR_SECOND)

/* All of it is under the lock. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t asked;
    cr_question *first; /* oldest first */
    unsigned threads;
    unsigned resting;
    unsigned untaken; /* questions that no thread has taken */
    unsigned loops;   /* that have asked and are not closed */
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* One for each loop that has asked. */
typedef struct user {
    cr_closer closer;
    const cr_sys *sys;
} user;

/* ---- Questions: under the lock ---- */

/* The list is short: as many questions as are asked at a time. */
static cr_question **end_of_questions(void)
{
    cr_question **at = &pool.first;
    while (*at)
        at = &(*at)->next;
    return at;
}

static void unlink_question(const cr_question *question)
{
    for (cr_question **at = &pool.first; *at; at = &(*at)->next) {
        if (*at == question) {
            *at = question->next;
            return;
        }
    }
}

/* Its table outlives it: lookups have the real table, or one that a test keeps. */
static void unref(cr_question *question)
{
    if (--question->refs > 0)
        return;
    const cr_sys *sys = question->sys;
    cr_free(sys, question);
}

/* Names are the same whatever their case. */
static cr_question *find(const cr_sys *sys, const char *name)
{
    for (cr_question *at = pool.first; at; at = at->next)
        if (at->sys == sys && strcasecmp(at->name, name) == 0)
            return at;
    return NULL;
}

/* It has no thread and no reference yet: ask finds a thread for it, or takes it back. */
static cr_question *question_new(const cr_sys *sys, const char *name)
{
    cr_question *question = cr_alloc_zero(sys, sizeof *question);
    if (!question)
        return NULL;
    question->sys = sys;
    memcpy(question->name, name, strlen(name) + 1);
    *end_of_questions() = question;
    pool.untaken++;
    return question;
}

/* It is in no question's list any more. */
static void forget(cr_lookup *lookup)
{
    cr_question *question = lookup->question;
    unref(question);
    cr_free(lookup->loop->sys, lookup);
}

/* ---- The answer ---- */

/* In the loop's thread. */
static void arrived(cr_post *post)
{
    cr_lookup *lookup = cr_container_of(post, cr_lookup, arrival);
    lookup->loop->external_refs--;
    if (lookup->task)
        cr_wake(lookup->loop, lookup->task, 0);
    else
        cr_lookup_end(lookup);
}

/* A lookup that is linked here has a task that waits, and that task's loop is alive: a run ends
 * after its tasks. The registry is asked all the same, as by every thread that is none of the
 * loop's. */
static void answer(cr_question *question)
{
    cr_lookup *lookup = question->lookups;
    unlink_question(question);
    question->lookups = NULL;
    while (lookup) {
        cr_lookup *next = lookup->next;
        lookup->posted = true;
        if (cr_registry_hold(lookup->loop)) {
            (void)cr_loop_post(lookup->loop, &lookup->arrival);
            cr_registry_release();
        }
        lookup = next;
    }
    unref(question);
}

/* ---- The threads ---- */

/* The oldest that waits for a thread; it is the calling one's now. */
static cr_question *take(void)
{
    for (cr_question *at = pool.first; at; at = at->next) {
        if (at->taken)
            continue;
        at->taken = true;
        at->refs++;
        pool.untaken--;
        return at;
    }
    return NULL;
}

/* Until there is a question. False: for too long there was none, or no loop is left to ask. The
 * clock is the real table's: a thread outlives loops, and so their tables. */
static bool rest(void)
{
    struct timespec until = cr_timespec(cr_after(cr_sys_real.now(cr_sys_real.context), IDLE_NS));
    int err = 0;
    pool.resting++;
    while (pool.untaken == 0 && pool.loops > 0 && err != ETIMEDOUT)
        err = pthread_cond_timedwait(&pool.asked, &pool.lock, &until);
    pool.resting--;
    return pool.untaken > 0;
}

/* The lock is given up around the resolver alone, which may block for half a minute. answer drops
 * the reference that take has taken. */
static void *run_lookups(void *arg)
{
    pthread_mutex_lock(&pool.lock);
    do {
        cr_question *question;
        while ((question = take())) {
            pthread_mutex_unlock(&pool.lock);
            question->result = question->sys->resolve(
                question->sys->context, question->name, question->addresses, CR_LOOKUP_MAX);
            pthread_mutex_lock(&pool.lock);
            answer(question);
        }
    } while (rest());
    pool.threads--;
    pthread_mutex_unlock(&pool.lock);
    return arg;
}

/* 0 where some thread will take the newest question: one that rests, or, where none can be made,
 * one that is at another. */
static int call_thread(const cr_sys *sys)
{
    unsigned long thread;
    if (pool.resting >= pool.untaken) {
        pthread_cond_signal(&pool.asked);
        return 0;
    }
    if (pool.threads == THREADS_MAX)
        return 0;
    int err = sys->thread_start(sys->context, &thread, run_lookups, NULL, STACK_BYTES);
    if (err < 0)
        return pool.threads > 0 ? 0 : err;
    pool.threads++;
    (void)sys->thread_detach(sys->context, thread);
    return 0;
}

/* ---- Lookups of a loop ---- */

/* The loop's tasks have ended: none of its lookups is left. */
static void close_user(crank_loop *loop, cr_closer *closer)
{
    user *one = cr_container_of(closer, user, closer);
    (void)loop;
    pthread_mutex_lock(&pool.lock);
    if (--pool.loops == 0)
        pthread_cond_broadcast(&pool.asked);
    pthread_mutex_unlock(&pool.lock);
    cr_free(one->sys, one);
}

/* A loop has few closers, and lookups are rare. */
static bool is_user(const crank_loop *loop)
{
    const cr_closer *closer = loop->closers;
    while (closer && closer->close != close_user)
        closer = closer->next;
    return closer;
}

/* In the child of a fork no thread of these is there, and the parent's loops are none. */
static void forget_all(void)
{
    memset(&pool, 0, sizeof pool);
    pthread_mutex_init(&pool.lock, NULL);
    cr_cond_init(&pool.asked);
}

/* Once in a process, before its first lookup. */
static void prepare(void)
{
    cr_cond_init(&pool.asked);
    cr_fork_prepare(forget_all);
}

/* With a loop's first lookup, so that its end lets the threads go. */
static int register_user(crank_loop *loop)
{
    static pthread_once_t prepared = PTHREAD_ONCE_INIT;
    if (is_user(loop))
        return 0;
    (void)pthread_once(&prepared, prepare);
    user *one = cr_alloc(loop->sys, sizeof *one);
    if (!one)
        return -ENOMEM;
    *one = (user){ .sys = loop->sys, .closer.close = close_user };
    cr_loop_at_close(loop, &one->closer);
    pthread_mutex_lock(&pool.lock);
    pool.loops++;
    pthread_mutex_unlock(&pool.lock);
    return 0;
}

/* Under the lock. A question for which there is no thread is taken back. */
static int ask(cr_lookup *lookup, const char *name)
{
    const cr_sys *sys = lookup->loop->sys;
    cr_question *question = find(sys, name);
    bool is_new = !question;
    if (is_new)
        question = question_new(sys, name);
    if (!question)
        return -ENOMEM;
    int err = is_new ? call_thread(sys) : 0;
    if (err < 0) {
        unlink_question(question);
        pool.untaken--;
        cr_free(sys, question);
        return err;
    }
    lookup->question = question;
    lookup->next = question->lookups;
    question->lookups = lookup;
    question->refs++;
    return 0;
}

int cr_lookup_begin(crank_loop *loop, cr_task *task, const char *name, cr_lookup **ret_lookup)
{
    int err = register_user(loop);
    if (err < 0)
        return err;
    cr_lookup *lookup = cr_alloc_zero(loop->sys, sizeof *lookup);
    if (!lookup)
        return -ENOMEM;
    lookup->arrival.deliver = arrived;
    lookup->loop = loop;
    lookup->task = task;
    pthread_mutex_lock(&pool.lock);
    err = ask(lookup, name);
    pthread_mutex_unlock(&pool.lock);
    if (err < 0) {
        cr_free(loop->sys, lookup);
        return err;
    }
    loop->external_refs++;
    *ret_lookup = lookup;
    return 0;
}

/* Under the lock. Where no lookup is left, a question that has no thread yet is not asked. */
static void leave(cr_lookup *lookup)
{
    cr_question *question = lookup->question;
    cr_lookup **at = &question->lookups;
    while (*at != lookup)
        at = &(*at)->next;
    *at = lookup->next;
    if (!question->lookups && !question->taken) {
        unlink_question(question);
        pool.untaken--;
    }
}

/* Where the post is under way, what it reaches is freed by it. */
void cr_lookup_abandon(cr_lookup *lookup)
{
    crank_loop *loop = lookup->loop;
    pthread_mutex_lock(&pool.lock);
    lookup->task = NULL;
    if (!lookup->posted) {
        loop->external_refs--;
        leave(lookup);
        forget(lookup);
    }
    pthread_mutex_unlock(&pool.lock);
}

void cr_lookup_end(cr_lookup *lookup)
{
    pthread_mutex_lock(&pool.lock);
    forget(lookup);
    pthread_mutex_unlock(&pool.lock);
}
