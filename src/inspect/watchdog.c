/* SPDX-License-Identifier: MIT */
/* watchdog.c: a loop that one task keeps from running is named while it does.
 *
 * One thread per process watches every loop that runs on a real backend. It begins with the first
 * and is joined when the last has run. It waits for a timer, and each time that is due looks
 * whether each loop has gone on. To wake is nearly all that a look costs, so what goes on puts the
 * timer off: a loop that is the only one never has it come due, but where it stands still; of
 * several each is looked at at least once in the span that is allowed. Where none has anything to
 * do, the timer is stopped until one has.
 *
 * A loop stands still when it neither sleeps nor goes on. That alone is no reproach: on a loaded
 * machine a thread may wait long for a processor. What counts is the time in which the thread
 * computed, or slept in a system call; time in which it wanted a processor and had none does not,
 * nor does time for which the watchdog itself was late, as after a stop of the whole process.
 *
 * The thread has descriptors of its own, and borrows the process's stderr while it says something:
 * where threads share a table of descriptors the kernel counts the users of a file in each system
 * call, which took an echo server one to four hundredths of its time. Where a hook is told of
 * reports, which is code of the user's, it shares them.
 *
 * Each standstill is looked at once, without a lock: the loop cannot end meanwhile, for its thread
 * waits in cr_watchdog_leave until the look is over. Nothing here allocates or uses stdio, for the
 * thread that stands still may do so with the allocator's lock, or stdout's. */
#include "inspect/syscalls.h"
#include "inspect/sample.h"
#include "base/symbolize.h"
#include "task/record.h"
#include "task/report.h"
#include "base/text.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MILLISECOND INT64_C(1000000)
/* Between two looks, of the span that is allowed. A loop that begins to stand right after one is
 * seen to at the next: so it is named within 7/4 of the span. */
#define LOOK_AFTER(limit) ((limit) / 4 * 3)
/* What a loop that goes on puts the next look off to, and how often it does so: a system call each
 * time. It is then named within 3/2 of the span. */
#define POSTPONE_TO(limit) ((limit) / 2)
#define POSTPONE_EVERY(limit) ((limit) / 4)
/* How soon after one that runs and may wait at the next look, and then tell more: soon, for it may
 * sleep again and again for a moment, and then by turns later, for it may want a processor. */
#define LOOK_SOON(limit) ((limit) / 50)
#define LOOK_LATER(limit) ((limit) / 5)
#define PERIOD_MOST CR_SECOND
#define LIMIT_LEAST (5 * MILLISECOND)
#define QUIET_FIRST CR_SECOND /* between the first two reports of a run; then twice as long */
#define QUIET_MOST (3600 * CR_SECOND)
#define FRAMES 24
#define STACK_BYTES ((size_t)(CR_SWITCH_SANITIZED ? 1024 : 64) << 10)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t looked = PTHREAD_COND_INITIALIZER; /* examined is NULL again */
static crank_loop *watched;
static bool alone;                 /* one loop is watched and no other; written under the lock */
static const crank_loop *examined; /* outside the lock: it must not end */
static unsigned long thread;
static unsigned generation; /* of the thread; a newer one is not its business */
static bool lives;
static bool shares;    /* the process's descriptors; changes while no loop is examined */
static int timer = -1; /* a descriptor; the thread's, from its beginning to its end */
static int64_t due;    /* what it is set to */
static pthread_once_t prepared = PTHREAD_ONCE_INIT;

static cr_stack_copy copy;
static char text[6144];

static int64_t now(void) { return cr_sys_real.now(cr_sys_real.context); }

/* ---- what is said */

/* The task that runs: as much of its record as the report says, copied while its thread may go on.
 * Records and what hangs off them are never unmapped while the loop lives. */
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

static void say_stance(cr_text *said, enum cr_stance stance, long call)
{
    const char *name = cr_syscalls_name(call);
    if (stance != CR_STANCE_WAITS)
        cr_text_add(said, "computes");
    else if (call < 0)
        cr_text_add(said, "waits for a page of memory");
    else if (name)
        cr_text_add(said, "waits in %s", name);
    else
        cr_text_add(said, "waits in system call %ld", call);
}

/* As cr_describe_task writes a task. */
static void say_culprit(cr_text *said, const cr_culprit *culprit)
{
    const crank_site *site = culprit->site;
    if (!site)
        return;
    const char *slash = strrchr(site->file, '/');
    cr_text_add(said, "  <Task running name='%s' fn=%s", culprit->name, site->function);
    if (site->line > 0)
        cr_text_add(said, " spawned at %s:%d", slash ? slash + 1 : site->file, site->line);
    cr_text_add(said, ">\n");
}

static void say_frames(cr_text *said)
{
    cr_frame frames[FRAMES];
    char place[160];
    size_t count = cr_walk(&copy, frames, FRAMES);
    for (size_t i = 0; i < count; i++) {
        (void)cr_symbolize_print(frames[i].address, place, sizeof place);
        cr_text_add(said, "  #%zu %s%s\n", i, frames[i].sure ? "" : "? ", place);
    }
    if (count == 0)
        cr_text_add(said, "  (it went on before its stack could be copied)\n");
}

static void report(crank_loop *loop, const cr_culprit *culprit, enum cr_stance stance, long call)
{
    cr_watched *w = &loop->watched;
    cr_text said = { text, sizeof text, 0 };
    said.length = cr_report_head(CRANK_REPORT_BLOCKED, text, sizeof text);
    cr_text_add(&said, "nothing else has run for %lld ms, since ",
        (long long)((now() - w->since) / MILLISECOND));
    if (culprit->site)
        cr_text_add(&said, "task '%s' ", culprit->name);
    else
        cr_text_add(&said, "a callback ");
    say_stance(&said, stance, call);
    if (w->untold)
        cr_text_add(&said, " (and %u times before)", w->untold);
    cr_text_add(&said, "\n");
    say_culprit(&said, culprit);
    say_frames(&said);
    cr_text_add(
        &said, "  what waits outside crank or computes for long belongs in crank_to_thread\n");
    bool borrows = !shares && !loop->options.on_report && timer != STDERR_FILENO;
    if (borrows)
        (void)cr_sys_real.descriptor_borrow(
            cr_sys_real.context, STDERR_FILENO, loop->watched.thread);
    cr_report_plainly(loop, &(crank_report){ .kind = CRANK_REPORT_BLOCKED,
                                .task = culprit->site ? culprit->name : NULL,
                                .text = text });
    if (borrows)
        (void)cr_sys_real.close(cr_sys_real.context, STDERR_FILENO);
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
static int64_t stall_time(const crank_loop *loop, enum cr_stance stance, int64_t at)
{
    const cr_watched *w = &loop->watched;
    if (stance != CR_STANCE_WAITS)
        return cr_sample_computed(loop) - w->computed;
    int64_t delayed = cr_sample_delayed(loop);
    int64_t all = at - w->since - (delayed - w->before.sum);
    int64_t later = w->after.at ? at - w->after.at - (delayed - w->after.sum) : 0;
    return all > later ? all : later;
}

/* For how long to leave a loop alone which, as far as is sure, must stand still for missing more
 * before it is reported. */
static int64_t patience(cr_watched *w, enum cr_stance stance, int64_t missing)
{
    int64_t later = LOOK_LATER(w->limit);
    if (stance == CR_STANCE_WAITS || missing < later)
        return missing;
    w->doubted = !w->doubted;
    return w->doubted ? LOOK_SOON(w->limit) : later;
}

/* Without the lock. What was found holds only if the loop has not gone on meanwhile. */
static void examine(crank_loop *loop)
{
    cr_watched *w = &loop->watched;
    long call;
    enum cr_stance stance = cr_sample_stance(loop, &call, &copy);
    int64_t at = now();
    int64_t missing = w->limit - stall_time(loop, stance, at);
    if (missing > w->limit / 20) { /* the kernel counts in ticks */
        w->again = cr_after(at, patience(w, stance, missing));
        return;
    }
    cr_culprit culprit = culprit_of(loop);
    cr_beat beat = cr_sample_beat_of(loop);
    if (!cr_sample_beat_same(&beat, &w->beat))
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
    w->told = w->doubted = false;
}

/* How far a loop is: has it something to do, and has it stood for as long as is allowed? */
static bool look_at(crank_loop *loop, int64_t at, int64_t late, bool *ret_stands)
{
    cr_watched *w = &loop->watched;
    if (cr_wakeup_asleep(loop->wakeup)) {
        w->since = 0;
        return false;
    }
    cr_beat beat = cr_sample_beat_of(loop);
    if (w->since == 0 || !cr_sample_beat_same(&beat, &w->beat)) {
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

static void set_timer(int64_t at)
{
    __atomic_store_n(&due, at, __ATOMIC_RELAXED);
    (void)cr_sys_real.timerfd_set(cr_sys_real.context, timer, at);
}

/* Where it does not come earlier anyhow. */
static void look_soon(void)
{
    int64_t at = cr_after(now(), period());
    if (at < __atomic_load_n(&due, __ATOMIC_RELAXED))
        set_timer(at);
}

/* Not later than one may have stood for too long: at once, where that was while another was
 * examined. */
static void look_again(void)
{
    int64_t at = now(), next = cr_after(at, period());
    for (const crank_loop *loop = watched; loop; loop = loop->watched.next) {
        const cr_watched *w = &loop->watched;
        if (w->since && !w->told && w->again < next)
            next = w->again;
    }
    set_timer(next > at ? next : at);
}

/* In the loop's thread, without the lock: where the watchdog sets the timer at the same moment, the
 * look comes within LOOK_AFTER all the same. Never earlier than it would, so that looks are no more
 * frequent for this. Where other loops are watched too, one of them may stand while this goes on:
 * then it is left as it is. */
void cr_watchdog_postpone(crank_loop *loop, int64_t at)
{
    cr_watched *w = &loop->watched;
    int64_t until = cr_after(at, POSTPONE_TO(w->limit));
    w->postpone_at = cr_after(at, POSTPONE_EVERY(w->limit));
    if (__atomic_load_n(&alone, __ATOMIC_RELAXED) &&
        __atomic_load_n(&due, __ATOMIC_RELAXED) < until)
        set_timer(until);
}

/* In a loop's thread, which has just woken. */
static void wake(void)
{
    if (!__atomic_exchange_n(&cr_watchdog_sleeps, NULL, __ATOMIC_SEQ_CST))
        return;
    pthread_mutex_lock(&lock);
    look_soon();
    pthread_mutex_unlock(&lock);
}

/* Stops the timer where every loop sleeps. A loop that wakes after the first store calls wake; one
 * that woke before it is seen by the walk. */
static void sleep_with_the_loops(void)
{
    __atomic_store_n(&cr_watchdog_sleeps, wake, __ATOMIC_SEQ_CST);
    bool all_asleep = true;
    for (const crank_loop *loop = watched; loop; loop = loop->watched.next)
        all_asleep &= cr_wakeup_asleep(loop->wakeup);
    if (all_asleep) {
        set_timer(CR_NEVER);
        return;
    }
    __atomic_store_n(&cr_watchdog_sleeps, NULL, __ATOMIC_SEQ_CST);
    look_again();
}

/* False: the program has closed the descriptor, as it has the loops' own. */
static bool wait_for(int fd)
{
    uint64_t times;
    ssize_t length = cr_sys_real.read(cr_sys_real.context, fd, &times, sizeof times);
    return length > 0 || length == -EINTR;
}

static void *watch(void *arg)
{
    unsigned mine = (unsigned)(uintptr_t)arg;
    pthread_mutex_lock(&lock);
    if (generation == mine && !shares)
        shares = cr_sys_real.descriptors_leave(cr_sys_real.context, timer) < 0;
    while (generation == mine) {
        int fd = timer;
        pthread_mutex_unlock(&lock);
        if (!wait_for(fd))
            return NULL;
        pthread_mutex_lock(&lock);
        if (generation != mine)
            break;
        int64_t at = now(), span = period(), planned = __atomic_load_n(&due, __ATOMIC_RELAXED);
        bool busy = look(at, at - planned > span ? at - planned : 0);
        if (generation != mine)
            break;
        if (busy)
            look_again();
        else
            sleep_with_the_loops();
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* ---- beginning and end */

static void count(void)
{
    __atomic_store_n(&alone, watched && !watched->watched.next, __ATOMIC_RELAXED);
}

static void close_timer(void)
{
    if (timer >= 0)
        cr_sys_real.close(cr_sys_real.context, timer);
    timer = -1;
}

/* In the child of a fork there is no thread, and the loops are the parent's. */
static void forget(void)
{
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    static const pthread_cond_t unused = PTHREAD_COND_INITIALIZER;
    lock = unlocked;
    looked = unused;
    watched = NULL;
    count();
    examined = NULL;
    lives = false;
    cr_watchdog_sleeps = NULL;
    close_timer();
}

static void prepare(void) { (void)pthread_atfork(NULL, NULL, forget); }

/* Is a function of the user's told of what one of them reports? */
static bool is_hooked(void)
{
    const crank_loop *loop = watched;
    while (loop && !loop->options.on_report)
        loop = loop->watched.next;
    return loop;
}

/* A timer or thread that cannot be had is no reason not to run: the next loop tries again. A small
 * stack may be too small for a program's thread-locals; then it is one of the usual size. */
static void start(const cr_sys *sys)
{
    void *mine = (void *)(uintptr_t)++generation;
    timer = sys->timerfd(sys->context);
    if (timer < 0)
        return;
    shares = is_hooked() || cr_sys_real.descriptors_may_leave(cr_sys_real.context, timer) < 0;
    set_timer(cr_after(now(), period()));
    int err = sys->thread_start(sys->context, &thread, watch, mine, STACK_BYTES);
    if (err == -EINVAL)
        err = sys->thread_start(sys->context, &thread, watch, mine, 0);
    lives = err == 0;
    if (!lives)
        close_timer();
}

/* A thread that is to end, and its timer. */
typedef struct ending {
    unsigned long thread;
    int timer;
} ending;

/* Under the lock. */
static ending stop(void)
{
    ending it = { thread, timer };
    lives = false;
    generation++;
    cr_watchdog_sleeps = NULL;
    set_timer(0);
    timer = -1;
    return it;
}

/* Without it. */
static void join(const ending *it)
{
    (void)cr_sys_real.thread_join(cr_sys_real.context, it->thread);
    cr_sys_real.close(cr_sys_real.context, it->timer);
}

/* Less than LIMIT_LEAST is no use where the kernel counts in ticks. */
void cr_watchdog_watch(crank_loop *loop, void *frame)
{
    const cr_sys *sys = loop->base_sys;
    int64_t limit = cr_loop_nanoseconds(loop->options.blocked_after);
    if (loop->simulated || limit == 0 || limit == CR_NEVER)
        return;
    loop->watched = (cr_watched){ .thread = sys->thread_id(sys->context),
        .self = (unsigned long)pthread_self(),
        .frame = frame,
        .limit = limit < LIMIT_LEAST ? LIMIT_LEAST : limit,
        .postpone_at = CR_NEVER,
        .beat = { .polled_at = -1 } };
    pthread_once(&prepared, prepare);
    pthread_mutex_lock(&lock);
    while (loop->options.on_report && !shares && examined)
        pthread_cond_wait(&looked, &lock);
    loop->watched.next = watched;
    watched = loop;
    count();
    ending before = { 0, -1 }; /* one that has left what a hook needs */
    if (lives && loop->options.on_report && !shares)
        before = stop();
    if (lives)
        look_soon();
    else
        start(sys);
    if (lives)
        loop->watched.postpone_at = now();
    pthread_mutex_unlock(&lock);
    if (before.timer >= 0)
        join(&before);
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
    count();
    while (examined == loop)
        pthread_cond_wait(&looked, &lock);
    bool last = !watched && lives;
    ending it = { 0, -1 };
    if (last)
        it = stop();
    pthread_mutex_unlock(&lock);
    loop->watched.thread = 0;
    loop->watched.postpone_at = CR_NEVER;
    if (last)
        join(&it);
}
