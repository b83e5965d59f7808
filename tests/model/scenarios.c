/* SPDX-License-Identifier: MIT */
/* scenarios.c: what threads do to a loop at the same time, as small as it can be and still go wrong.
 *
 * Each body is one execution: it begins with this thread alone and ends with it alone. The loop is a real one on the
 * epoll backend. A wake-up that is lost shows as threads that all wait, or as time that must pass before anything goes
 * on: model_time_passes says then what somebody is waiting for. */
#include <crank.h>
#include <crank/loop.h>
#include "loop/wakeup.h"

static crank_loop *loop;
static int heard[3];
static int last_heard[3];
static int wanted;
static int missing; /* what ought to happen without any time passing */

/* A short look at what workers do is planned by the loop itself; beyond that nobody may have to wait. */
static const char *somebody_waits(int64_t span)
{
    return missing > 0 && span >= 1000000 ? "a wake-up is lost: all wait for time to pass, and there is work" : NULL;
}

/* ---- post: two posters and a loop that drains */

typedef struct letter {
    int from;
    int number;
} letter;

static void hear(void *arg)
{
    const letter *l = arg;
    MODEL_EXPECT(l->number == last_heard[l->from] + 1);
    last_heard[l->from] = l->number;
    heard[l->from]++;
    if (--wanted == 0)
        crank_loop_stop(loop);
}

static void *post_two(void *arg)
{
    letter *letters = arg;
    for (int i = 0; i < 2; i++)
        MODEL_EXPECT(crank_post(loop, hear, &letters[i]) == 0);
    return NULL;
}

static void *post_one(void *arg)
{
    MODEL_EXPECT(crank_post(loop, hear, arg) == 0);
    return NULL;
}

static void reset(int letters)
{
    memset(heard, 0, sizeof heard);
    memset(last_heard, 0, sizeof last_heard);
    wanted = letters;
    missing = 0;
    model_time_passes = somebody_waits;
}

static crank_loop *new_loop(void)
{
    loop = crank_loop_new(&(crank_options){ .backend = CRANK_BACKEND_EPOLL });
    MODEL_EXPECT(loop != NULL);
    return loop;
}

/* Something the loop waits for, so that it is not left for want of anything to do. */
static crank_handle *later;

static void wait_for_ever(void *arg)
{
    (void)arg;
    later = crank_call_later(loop, 1e6, wait_for_ever, NULL);
}

static void two_posters(void)
{
    letter a[2] = { { 0, 1 }, { 0, 2 } };
    letter b[1] = { { 1, 1 } };
    pthread_t first, second;
    reset(3);
    missing = 1;
    new_loop();
    wait_for_ever(NULL);
    pthread_create(&first, NULL, post_two, a);
    pthread_create(&second, NULL, post_one, b);
    crank_loop_run(loop);
    missing = 0;
    pthread_join(first, NULL);
    pthread_join(second, NULL);
    MODEL_EXPECT(heard[0] == 2 && heard[1] == 1);
    crank_handle_cancel(later);
    crank_loop_free(loop);
}

/* ---- post against the loop's end */

static int post_result;

static void *post_late(void *arg)
{
    post_result = crank_post(loop, hear, arg);
    return NULL;
}

static void post_at_the_end(void)
{
    letter one = { 0, 1 };
    pthread_t poster;
    reset(1);
    new_loop();
    pthread_create(&poster, NULL, post_late, &one);
    crank_loop_run_once(loop, 0);
    crank_loop_free(loop);
    int before = heard[0];
    pthread_join(poster, NULL);
    MODEL_EXPECT(post_result == 0 || post_result == -ESHUTDOWN);
    MODEL_EXPECT(heard[0] == before && (heard[0] == 0 || post_result == 0));
    model_outcome(post_result < 0 ? 0 : heard[0] ? 1 : 2);
}

/* ---- submissions */

static int task_began;
static pthread_t helper;
static long submit_result;
static int submit_error;

static int answer(int number)
{
    task_began++;
    int err = crank_sleep(0);
    return err < 0 ? err : number + 1;
}

static void *submit_and_wait(void *arg)
{
    (void)arg;
    crank_submission *s = crank_submit(loop, answer, 1);
    submit_error = s ? crank_submission_wait(s, CRANK_FOREVER, &submit_result) : -errno;
    return NULL;
}

static void *submit_and_cancel(void *arg)
{
    (void)arg;
    crank_submission *s = crank_submit(loop, answer, 1);
    if (s)
        crank_submission_cancel(s);
    submit_error = s ? crank_submission_wait(s, CRANK_FOREVER, &submit_result) : -errno;
    return NULL;
}

static void *submit_and_drop(void *arg)
{
    (void)arg;
    crank_submission *s = crank_submit(loop, answer, 1);
    submit_error = s ? 0 : -errno;
    crank_submission_drop(s);
    return NULL;
}

/* Longer than the clock takes to be read, shorter than anybody waits in vain. */
#define SHORT 0.0005

/* The loop sleeps twice: whoever is outside may come before, amid or after. */
static int sleep_twice(void)
{
    crank_try(crank_sleep(SHORT));
    return crank_sleep(SHORT);
}

static long start_helper(void *arg)
{
    void *(*fn)(void *);
    memcpy(&fn, arg, sizeof fn);
    loop = crank_current_loop();
    pthread_create(&helper, NULL, fn, NULL);
    return crank_sleep(SHORT); /* the helper may come before, amid or after */
}

static void with_helper(void *(*fn)(void *))
{
    reset(0);
    task_began = 0;
    submit_result = 99;
    submit_error = 99;
    crank_options options = { .backend = CRANK_BACKEND_EPOLL };
    MODEL_EXPECT(crank_run_raw(&options, start_helper, &fn) == 0);
    pthread_join(helper, NULL);
    crank_error_clear();
}

static void submit_waits(void)
{
    with_helper(submit_and_wait);
    MODEL_EXPECT(submit_error == -ESHUTDOWN || submit_error == 0);
    if (submit_error == 0)
        MODEL_EXPECT((submit_result == 2 && task_began == 1) || (submit_result == -ESHUTDOWN && task_began == 0));
    model_outcome(submit_error < 0 ? 0 : submit_result == 2 ? 1 : 2);
}

static void submit_cancels(void)
{
    with_helper(submit_and_cancel);
    MODEL_EXPECT(submit_error == -ESHUTDOWN || submit_error == 0);
    if (submit_error == 0)
        MODEL_EXPECT(submit_result == 2 || submit_result == -ESHUTDOWN || submit_result == -ECANCELED);
    model_outcome(submit_error < 0 ? 0 : submit_result == 2 ? 1 : submit_result == -ECANCELED ? 3 : 2);
}

static void submit_drops(void)
{
    with_helper(submit_and_drop);
    MODEL_EXPECT(submit_error == -ESHUTDOWN || submit_error == 0);
    MODEL_EXPECT(task_began <= 1);
    model_outcome(submit_error < 0 ? 0 : 1 + task_began);
}

/* ---- a post against the end of a program: accepted is called */

static int program_heard;

static void hear_in_program(void *arg)
{
    (void)arg;
    program_heard++;
}

static void *post_to_program(void *arg)
{
    (void)arg;
    submit_error = crank_post(loop, hear_in_program, NULL);
    return NULL;
}

static void post_to_a_program(void)
{
    program_heard = 0;
    with_helper(post_to_program);
    MODEL_EXPECT(submit_error == 0 || submit_error == -ESHUTDOWN);
    MODEL_EXPECT(program_heard == (submit_error == 0));
    model_outcome(program_heard);
}

/* ---- jobs */

static int job_ran;

static int job(int number)
{
    job_ran++;
    return number;
}

static void run_app_on(unsigned threads, long (*app)(void *))
{
    crank_options options = { .backend = CRANK_BACKEND_EPOLL, .threads_max = threads };
    reset(0);
    job_ran = 0;
    long result = crank_run_raw(&options, app, NULL);
    if (result != 0)
        model_fail("the app gave %ld", result);
    MODEL_EXPECT(missing == 0);
}

static void run_app(long (*app)(void *)) { run_app_on(2, app); }

/* A job that is cancelled has not run; one that has run gives its result. */
static long cancel_one(void *arg)
{
    (void)arg;
    missing = 1;
    crank_task *t = crank_to_thread(job, 7);
    crank_sleep(0);
    crank_cancel(t);
    long result = crank_await(t);
    missing = 0;
    MODEL_EXPECT((result == 7 && job_ran == 1) || (result == -ECANCELED && job_ran == 0));
    model_outcome(job_ran);
    return 0;
}
static void job_against_cancel(void) { run_app(cancel_one); }

/* Two jobs, the first of them cancelled while it waits in the queue: the second must run. */
static long cancel_first(void *arg)
{
    (void)arg;
    missing = 1;
    crank_task *a = crank_to_thread(job, 1);
    crank_task *b = crank_to_thread(job, 2);
    crank_cancel(a);
    long second = crank_await(b);
    long first = crank_await(a);
    missing = 0;
    MODEL_EXPECT(second == 2);
    MODEL_EXPECT((first == 1 && job_ran == 2) || (first == -ECANCELED && job_ran == 1));
    model_outcome(job_ran);
    return 0;
}
static void job_behind_a_cancelled(void) { run_app(cancel_first); }

/* The worker of the first job goes to rest, or ends, as the second is put. */
static long one_after_the_other(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2; i++) {
        missing = 1;
        MODEL_EXPECT(crank_await(crank_to_thread(job, i)) == i);
        missing = 0;
        MODEL_EXPECT(crank_sleep(SHORT) == 0);
    }
    MODEL_EXPECT(job_ran == 2);
    return 0;
}
static void job_against_rest(void) { run_app(one_after_the_other); }
static void job_for_the_only_worker(void) { run_app_on(1, one_after_the_other); }

/* Two at once: whoever has found one sees that the other is taken. */
static long both_at_once(void *arg)
{
    (void)arg;
    missing = 1;
    crank_task *a = crank_to_thread(job, 1);
    crank_task *b = crank_to_thread(job, 2);
    MODEL_EXPECT(crank_await(a) == 1);
    MODEL_EXPECT(crank_await(b) == 2);
    missing = 0;
    return 0;
}
static void jobs_at_once(void) { run_app(both_at_once); }

/* The run ends while a job that nobody waits for is at work. */
static long abandon_one(void *arg)
{
    (void)arg;
    crank_task *t = crank_to_thread(job, 1);
    crank_abandon(t);
    return 0;
}
static void job_abandoned(void) { run_app(abandon_one); }

/* ---- wakers */

static crank_waker *waker;
static int woken;
static bool waker_gone;
static pthread_mutex_t gone_lock = PTHREAD_MUTEX_INITIALIZER;

static void count_wake(void *arg)
{
    (void)arg;
    woken++;
}

static void *wake_twice(void *arg)
{
    (void)arg;
    crank_waker_wake(waker);
    crank_waker_wake(waker);
    return NULL;
}

/* The run ends while somebody wakes; the waker is freed when that one has ended. */
static long leave_waker(void *arg)
{
    (void)arg;
    loop = crank_current_loop();
    waker = crank_waker_new(loop, count_wake, NULL);
    pthread_create(&helper, NULL, wake_twice, NULL);
    return sleep_twice();
}

static void wake_at_the_end(void)
{
    crank_options options = { .backend = CRANK_BACKEND_EPOLL };
    reset(0);
    woken = 0;
    MODEL_EXPECT(crank_run_raw(&options, leave_waker, NULL) == 0);
    int before = woken;
    pthread_join(helper, NULL);
    crank_waker_free(waker);
    MODEL_EXPECT(woken == before && woken <= 2);
    model_outcome(woken);
}

/* Nobody wakes one that is freed, but a wake may still be on its way. */
static void *wake_while_there(void *arg)
{
    for (int i = 0; i < 2; i++) {
        pthread_mutex_lock(&gone_lock);
        if (!waker_gone)
            crank_waker_wake(arg);
        pthread_mutex_unlock(&gone_lock);
    }
    return NULL;
}

static long free_waker(void *arg)
{
    (void)arg;
    loop = crank_current_loop();
    waker = crank_waker_new(loop, count_wake, NULL);
    waker_gone = false;
    pthread_create(&helper, NULL, wake_while_there, waker);
    int err = sleep_twice();
    pthread_mutex_lock(&gone_lock);
    waker_gone = true;
    pthread_mutex_unlock(&gone_lock);
    crank_waker_free(waker);
    return err;
}

static void wake_against_free(void)
{
    crank_options options = { .backend = CRANK_BACKEND_EPOLL };
    reset(0);
    woken = 0;
    MODEL_EXPECT(crank_run_raw(&options, free_waker, NULL) == 0);
    pthread_join(helper, NULL);
    MODEL_EXPECT(woken <= 2);
    model_outcome(woken);
}

/* The loop waits for nothing but the wake: it must come. */
static crank_future *future;

static void fulfil(void *arg)
{
    (void)arg;
    woken++;
    (void)crank_set_result(future, 5);
}

static void *wake_once(void *arg)
{
    crank_waker_wake(arg);
    return NULL;
}

static long await_wake(void *arg)
{
    (void)arg;
    loop = crank_current_loop();
    future = crank_future_new();
    waker = crank_waker_new(loop, fulfil, NULL);
    pthread_create(&helper, NULL, wake_once, waker);
    long value = crank_await(future);
    crank_waker_free(waker);
    return value == 5 ? 0 : -EPROTO;
}

static void wake_wakes(void)
{
    crank_options options = { .backend = CRANK_BACKEND_EPOLL };
    reset(0);
    woken = 0;
    missing = 1;
    MODEL_EXPECT(crank_run_raw(&options, await_wake, NULL) == 0);
    missing = 0;
    pthread_join(helper, NULL);
    MODEL_EXPECT(woken == 1);
}

/* A reading of the clock takes longer than anybody searches or spins; where jobs come in a burst, less than that. */
enum { SLOW_CLOCK = 26000, QUICK_CLOCK = 4000 };

const model_scenario model_scenarios[] = {
    { "two_posters", two_posters, SLOW_CLOCK, 0 },
    { "post_at_the_end", post_at_the_end, SLOW_CLOCK, 7 },
    { "submit_waits", submit_waits, SLOW_CLOCK, 7 },
    { "submit_cancels", submit_cancels, SLOW_CLOCK, 15 },
    { "submit_drops", submit_drops, SLOW_CLOCK, 7 },
    { "post_to_a_program", post_to_a_program, SLOW_CLOCK, 3 },
    { "job_against_cancel", job_against_cancel, SLOW_CLOCK, 3 },
    { "job_behind_a_cancelled", job_behind_a_cancelled, SLOW_CLOCK, 6 },
    { "job_against_rest", job_against_rest, SLOW_CLOCK, 0 },
    { "job_for_the_only_worker", job_for_the_only_worker, SLOW_CLOCK, 0 },
    { "jobs_at_once", jobs_at_once, SLOW_CLOCK, 0 },
    { "jobs_in_a_burst", jobs_at_once, QUICK_CLOCK, 0 },
    { "job_abandoned", job_abandoned, SLOW_CLOCK, 0 },
    { "wake_at_the_end", wake_at_the_end, SLOW_CLOCK, 7 },
    { "wake_against_free", wake_against_free, SLOW_CLOCK, 7 },
    { "wake_wakes", wake_wakes, SLOW_CLOCK, 0 },
};
const size_t model_scenario_count = sizeof model_scenarios / sizeof *model_scenarios;
