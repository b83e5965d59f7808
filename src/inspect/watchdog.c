/* SPDX-License-Identifier: MIT */
/* watchdog.c: a loop that one task keeps from running is named while it does.
 *
 * One thread per process watches every loop that runs on a real backend. It begins with the first
 * and is joined when the last has run. At least once in the span that is allowed it looks whether
 * each loop has gone on; where none has anything to do, it sleeps until one wakes it.
 *
 * A loop stands still when it neither sleeps nor goes on. That alone is no reproach: on a loaded
 * machine a thread may wait long for a processor. What counts is the time in which the thread
 * computed, or slept in a system call; time in which it wanted a processor and had none does not,
 * nor does time for which the watchdog itself was late, as after a stop of the whole process.
 *
 * Each standstill is looked at once, without a lock: the loop cannot end meanwhile, for its thread
 * waits in cr_watchdog_leave until the look is over. Nothing here allocates or uses stdio, for the
 * thread that stands still may do so with the allocator's lock, or stdout's. */
#include "inspect/call.h"
#include "inspect/sample.h"
#include "base/place.h"
#include "task/tasks.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MILLISECOND INT64_C(1000000)
/* Between two looks, of the span that is allowed. Each costs a wake-up, and a loop that begins to
 * stand right after one is seen to at the next: so it is named within 7/4 of the span. */
#define LOOK_AFTER(limit) ((limit) / 4 * 3)
#define LOOKS_AGAIN 5        /* in that span, at one that may wait at the next and then tell more */
#define IDLE_LOOKS 4         /* then it sleeps */
#define PERIOD_MOST CR_SECOND
#define LIMIT_LEAST (5 * MILLISECOND)
#define QUIET_FIRST CR_SECOND /* between the first two reports of a run; then twice as long */
#define QUIET_MOST (3600 * CR_SECOND)
#define FRAMES 24
#define STACK_BYTES ((size_t)(CR_ANNOUNCED ? 1024 : 64) << 10)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t change; /* there is another loop to watch, or none any more */
static pthread_cond_t looked; /* examined is NULL again */
static crank_loop *watched;
static const crank_loop *examined; /* outside the lock: it must not end */
static unsigned long thread;
static unsigned generation; /* of the thread; a newer one is not its business */
static bool lives;
static pthread_once_t prepared = PTHREAD_ONCE_INIT;

static cr_stack_copy copy;
static char text[6144];

static int64_t now(void) { return cr_sys_real.now(cr_sys_real.context); }

/* ---- what is said */

static void say(size_t *used, const char *format, ...) CRANK_PRINTF(2, 3);
static void say(size_t *used, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text + *used, sizeof text - *used, format, args);
    va_end(args);
    if (length > 0)
        *used += (size_t)length < sizeof text - *used ? (size_t)length : sizeof text - *used - 1;
}

/* Who runs: as much of the task's record as is said, copied while its thread may go on. Records and
 * what hangs off them are never unmapped while the loop lives. */
typedef struct cr_culprit {
    const crank_site *site; /* NULL: a callback, or the loop itself */
    char name[64];
} cr_culprit;

CR_RACY static cr_culprit culprit_of(const crank_loop *loop)
{
    const volatile crank_loop *seen = loop;
    cr_culprit culprit = { NULL, "" };
    const volatile cr_task *task = (const volatile cr_task *)(volatile void *)seen->runner.current;
    if (!task)
        return culprit;
    const volatile cr_ext *ext = task->ext;
    culprit.site = task->site;
    for (size_t i = 0; ext && i < sizeof culprit.name - 1; i++)
        culprit.name[i] = ext->name[i];
    if (!culprit.name[0])
        snprintf(culprit.name, sizeof culprit.name, "Task-%llu",
            (unsigned long long)(task->id & CR_NUMBER_MASK));
    return culprit;
}

static void say_stance(size_t *used, enum cr_stance stance, long call)
{
    const char *name = cr_call_name(call);
    if (stance != CR_STANCE_WAITS)
        say(used, "computes");
    else if (call < 0)
        say(used, "waits for a page of memory");
    else if (name)
        say(used, "waits in %s", name);
    else
        say(used, "waits in system call %ld", call);
}

/* As cr_task_describe writes a task. */
static void say_culprit(size_t *used, const cr_culprit *culprit)
{
    const crank_site *site = culprit->site;
    if (!site)
        return;
    const char *slash = strrchr(site->file, '/');
    say(used, "  <Task running name='%s' fn=%s", culprit->name, site->function);
    if (site->line > 0)
        say(used, " spawned at %s:%d", slash ? slash + 1 : site->file, site->line);
    say(used, ">\n");
}

static void say_frames(size_t *used)
{
    cr_frame frames[FRAMES];
    char place[160];
    size_t count = cr_walk(&copy, frames, FRAMES);
    for (size_t i = 0; i < count; i++) {
        (void)cr_place_print(frames[i].address, place, sizeof place);
        say(used, "  #%zu %s%s\n", i, frames[i].sure ? "" : "? ", place);
    }
    if (count == 0)
        say(used, "  (it went on before its stack could be copied)\n");
}

static void report(crank_loop *loop, const cr_culprit *culprit, enum cr_stance stance, long call)
{
    cr_watched *w = &loop->watched;
    size_t used = cr_report_head(CRANK_REPORT_BLOCKED, text, sizeof text);
    say(&used, "nothing else has run for %lld ms, since ",
        (long long)((now() - w->since) / MILLISECOND));
    if (culprit->site)
        say(&used, "task '%s' ", culprit->name);
    else
        say(&used, "a callback ");
    say_stance(&used, stance, call);
    if (w->untold)
        say(&used, " (and %u times before)", w->untold);
    say(&used, "\n");
    say_culprit(&used, culprit);
    say_frames(&used);
    say(&used, "  what waits outside crank or computes for long belongs in crank_to_thread\n");
    cr_report_plainly(loop, &(crank_report){ .kind = CRANK_REPORT_BLOCKED,
        .task = culprit->site ? culprit->name : NULL, .text = text });
}

/* ---- a standstill */

/* In debug mode each is worth a report; else a program that means it so is not flooded. */
static bool is_quiet(const crank_loop *loop, int64_t at)
{
    return !loop->options.debug && at < loop->watched.quiet;
}

static void be_quiet(cr_watched *w)
{
    w->span = w->span == 0 ? QUIET_FIRST : w->span < QUIET_MOST ? 2 * w->span : QUIET_MOST;
    w->quiet = cr_after(now(), w->span);
    w->untold = 0;
}

/* For how long it has stood through its own fault, at least. A thread that waits has had all its
 * delays counted, of which too many are taken off where they are counted from before it stood: that
 * is a second long, and what was measured since it was seen to stand may say more. One that runs
 * may wait for a processor at this moment, and only what it computed is sure. */
static int64_t stood(const crank_loop *loop, enum cr_stance stance, int64_t at)
{
    const cr_watched *w = &loop->watched;
    if (stance != CR_STANCE_WAITS)
        return cr_sample_computed(loop) - w->computed;
    int64_t delayed = cr_sample_delayed(loop);
    int64_t all = at - w->since - (delayed - w->before.sum);
    int64_t later = w->after.at ? at - w->after.at - (delayed - w->after.sum) : 0;
    return all > later ? all : later;
}

/* Without the lock. What was found holds only if the loop has not gone on meanwhile. */
static void examine(crank_loop *loop)
{
    cr_watched *w = &loop->watched;
    long call;
    enum cr_stance stance = cr_sample_stance(loop, &call, &copy);
    int64_t at = now();
    int64_t missing = w->limit - stood(loop, stance, at);
    if (missing > w->limit / 20) { /* the kernel counts in ticks */
        bool sure = stance == CR_STANCE_WAITS || missing < w->limit / LOOKS_AGAIN;
        w->again = cr_after(at, sure ? missing : w->limit / LOOKS_AGAIN);
        return;
    }
    cr_culprit culprit = culprit_of(loop);
    cr_beat beat = cr_beat_of(loop);
    if (!cr_beat_same(&beat, &w->beat))
        return;
    w->told = true;
    if (is_quiet(loop, at)) {
        w->untold++;
        return;
    }
    if (stance == CR_STANCE_WAITS)
        cr_sample_waiting(loop, &copy);
    else if (!cr_sample_running(loop, &w->beat, &copy))
        copy.pc = 0;
    report(loop, &culprit, stance, call);
    be_quiet(w);
}

/* ---- one look at all of them */

/* It has gone on, or is new. Delays are asked for seldom, for they cost as much as the rest. */
static void begin(crank_loop *loop, const cr_beat *beat, int64_t at)
{
    cr_watched *w = &loop->watched;
    if (w->after.at)
        w->before = w->after;
    if (!w->before.at || at - w->before.at >= CR_SECOND)
        w->before = (cr_delays){ at, cr_sample_delayed(loop) };
    w->after.at = 0;
    w->beat = *beat;
    w->computed = cr_sample_computed(loop);
    w->since = at;
    w->again = cr_after(at, w->limit);
    w->told = false;
}

/* How far a loop is: has it something to do, and has it stood for as long as is allowed? */
static bool look_at(crank_loop *loop, int64_t at, int64_t late, bool *ret_stands)
{
    cr_watched *w = &loop->watched;
    if (cr_wakeup_asleep(loop->wakeup)) {
        w->since = 0;
        return false;
    }
    cr_beat beat = cr_beat_of(loop);
    if (w->since == 0 || !cr_beat_same(&beat, &w->beat)) {
        begin(loop, &beat, at);
        return true;
    }
    if (w->told)
        return true;
    if (w->after.at)
        w->after.at += late;
    else
        w->after = (cr_delays){ at, cr_sample_delayed(loop) };
    w->since += late;
    w->again += late;
    *ret_stands = at >= w->again;
    return true;
}

/* Under the lock, which it gives away while it examines one; the list may be another after that.
 * Gives whether any loop has something to do. */
static bool look(int64_t at, int64_t late)
{
    bool busy = false;
    for (crank_loop *loop = watched; loop; loop = loop->watched.next) {
        bool stands = false;
        busy |= look_at(loop, at, late, &stands);
        if (!stands)
            continue;
        examined = loop;
        pthread_mutex_unlock(&lock);
        examine(loop);
        pthread_mutex_lock(&lock);
        examined = NULL;
        pthread_cond_broadcast(&looked);
        return true;
    }
    return busy;
}

/* Between two looks, where no loop stands still. */
static int64_t period(void)
{
    int64_t shortest = PERIOD_MOST;
    for (const crank_loop *loop = watched; loop; loop = loop->watched.next)
        if (LOOK_AFTER(loop->watched.limit) < shortest)
            shortest = LOOK_AFTER(loop->watched.limit);
    return shortest;
}

/* The instant of the next look: not later than one may have stood for too long. */
static int64_t next_look(int64_t span)
{
    int64_t at = now(), due = cr_after(at, span);
    for (const crank_loop *loop = watched; loop; loop = loop->watched.next) {
        const cr_watched *w = &loop->watched;
        if (w->since && !w->told && w->again > at && w->again < due)
            due = w->again;
    }
    return due;
}

/* In a loop's thread, which has just woken. */
static void wake(void)
{
    if (!__atomic_exchange_n(&cr_watchdog_sleeps, NULL, __ATOMIC_SEQ_CST))
        return;
    pthread_mutex_lock(&lock);
    pthread_cond_signal(&change);
    pthread_mutex_unlock(&lock);
}

/* Whoever wakes from now on says so; whoever woke before is seen. */
static void sleep_with_the_loops(void)
{
    __atomic_store_n(&cr_watchdog_sleeps, wake, __ATOMIC_SEQ_CST);
    bool all_asleep = true;
    for (const crank_loop *loop = watched; loop; loop = loop->watched.next)
        all_asleep &= cr_wakeup_asleep(loop->wakeup);
    if (all_asleep)
        pthread_cond_wait(&change, &lock);
    __atomic_store_n(&cr_watchdog_sleeps, NULL, __ATOMIC_SEQ_CST);
}

static void *watch(void *arg)
{
    unsigned mine = (unsigned)(uintptr_t)arg, idle = 0;
    pthread_mutex_lock(&lock);
    int64_t due = now();
    while (generation == mine) {
        int64_t at = now(), span = period();
        idle = look(at, at - due > span ? at - due : 0) ? 0 : idle + 1;
        if (generation == mine && idle >= IDLE_LOOKS) {
            sleep_with_the_loops();
            idle = 0;
            due = now();
            continue;
        }
        due = next_look(span);
        struct timespec until = { (time_t)(due / CR_SECOND), (long)(due % CR_SECOND) };
        if (generation == mine)
            pthread_cond_timedwait(&change, &lock, &until);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* ---- beginning and end */

static void make_conditions(void)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&change, &attributes);
    pthread_cond_init(&looked, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* In the child of a fork there is no thread, and the loops are the parent's. */
static void forget(void)
{
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    lock = unlocked;
    watched = NULL;
    examined = NULL;
    lives = false;
    cr_watchdog_sleeps = NULL;
    make_conditions();
}

static void prepare(void)
{
    make_conditions();
    (void)pthread_atfork(NULL, NULL, forget);
}

/* A thread that cannot be had is no reason not to run: the next loop tries again. A small stack may
 * be too small for a program's thread-locals; then it is one of the usual size. */
static void start(const cr_sys *sys)
{
    void *mine = (void *)(uintptr_t)++generation;
    int err = sys->thread_start(sys->context, &thread, watch, mine, STACK_BYTES);
    if (err == -EINVAL)
        err = sys->thread_start(sys->context, &thread, watch, mine, 0);
    lives = err == 0;
}

/* Less than LIMIT_LEAST is no use where the kernel counts in ticks. */
void cr_watchdog_watch(crank_loop *loop, void *frame)
{
    const cr_sys *sys = loop->base_sys;
    int64_t limit = cr_nanoseconds(loop->options.blocked_after);
    if (loop->simulated || limit == 0 || limit == CR_NEVER)
        return;
    loop->watched = (cr_watched){ .thread = sys->thread_id(sys->context),
        .self = (unsigned long)pthread_self(),
        .frame = frame,
        .limit = limit < LIMIT_LEAST ? LIMIT_LEAST : limit,
        .beat = { .polled_at = -1 } };
    pthread_once(&prepared, prepare);
    pthread_mutex_lock(&lock);
    loop->watched.next = watched;
    watched = loop;
    if (lives)
        pthread_cond_signal(&change);
    else
        start(sys);
    pthread_mutex_unlock(&lock);
}

void cr_watchdog_leave(crank_loop *loop)
{
    if (loop->watched.thread == 0)
        return;
    pthread_mutex_lock(&lock);
    crank_loop **at = &watched;
    while (*at && *at != loop) /* it is not there in the child of a fork */
        at = &(*at)->watched.next;
    if (*at)
        *at = loop->watched.next;
    while (examined == loop)
        pthread_cond_wait(&looked, &lock);
    bool last = !watched && lives;
    unsigned long ending = thread;
    if (last) {
        lives = false;
        generation++;
        pthread_cond_signal(&change);
    }
    pthread_mutex_unlock(&lock);
    loop->watched.thread = 0;
    if (last)
        (void)cr_sys_real.thread_join(cr_sys_real.context, ending);
}
