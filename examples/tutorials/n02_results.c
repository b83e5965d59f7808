/* SPDX-License-Identifier: MIT */
/* N02: results and failures: ask, settle, wait for the first error, take them as they end.
 *
 * task.result() and task.exception() are one call here: crank_result gives -EAGAIN while the task
 * runs, then its result, which is a negative errno where it failed. */
#include <crank.h>
#include <stdio.h>

static long answers(double seconds, long value)
{
    crank_try(crank_sleep(seconds));
    return value;
}

static long fails(double seconds)
{
    crank_try(crank_sleep(seconds));
    return crank_fail(EIO, "the disk is on fire");
}

static int ask(void)
{
    crank_task *task = crank_spawn(answers, 0.1, 42);
    long value = 0;

    printf("asked too early: %s\n", crank_errno_name(crank_result(task, &value)));
    crank_try(crank_await_shared(task)); /* keeps the handle, so that we may ask */
    crank_try(crank_result(task, &value));
    printf("asked again: %ld\n", value);
    crank_drop(task);

    long err = crank_await(crank_spawn(fails, 0.1));
    printf("awaiting a failure gives %s: %s\n", crank_errno_name((int)err), crank_error());
    return 0;
}

static int settle(void) /* gather(..., return_exceptions=True) */
{
    crank_outcome outcomes[3];
    crank_task *cancelled = crank_spawn(answers, 60.0, 2);

    crank_cancel(cancelled);
    crank_try(crank_gather_settled(outcomes, crank_spawn(answers, 0.2, 1), crank_spawn(fails, 0.1), cancelled));
    for (int i = 0; i < 3; i++) {
        if (outcomes[i].error == 0)
            printf("%d: %ld\n", i, outcomes[i].value);
        else
            printf("%d: %s %s\n", i, crank_errno_name(outcomes[i].error), outcomes[i].message);
    }
    return 0;
}

static int wait_for_the_first_error(void)
{
    crank_task *tasks[] = { crank_spawn(answers, 60.0, 1), crank_spawn(answers, 0.1, 2), crank_spawn(fails, 0.2) };
    double started = crank_time();

    ssize_t ended = crank_try(crank_wait(tasks, 3, CRANK_FIRST_ERROR, CRANK_FOREVER));
    printf("%zd have ended after %.1f seconds\n", ended, crank_time() - started);
    for (int i = 0; i < 3; i++) { /* the ended ones stand in front */
        crank_cancel(tasks[i]);
        printf("%s\n", i < ended ? "ended" : "cancelled");
        crank_await(tasks[i]);
    }
    return 0;
}

static int take_them_as_they_end(void)
{
    crank_task *tasks[] = { crank_spawn(answers, 0.3, 3), crank_spawn(answers, 0.1, 1), crank_spawn(answers, 0.2, 2) };

    crank_foreach_completed(task, tasks, 3) printf("%ld\n", crank_await(task));
    return 0;
}

static int app(void)
{
    puts("-- ask");
    crank_try(ask());
    puts("-- settle");
    crank_try(settle());
    puts("-- wait for the first error");
    crank_try(wait_for_the_first_error());
    puts("-- take them as they end");
    crank_try(take_them_as_they_end());
    return 0;
}

int main(void) { return crank_run(app); }
