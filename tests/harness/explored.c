/* SPDX-License-Identifier: MIT */
/* explored.c: a test run through its schedules.
 *
 * A worker process makes one run after another in itself and says after each that it has passed; one that fails,
 * crashes or hangs takes the worker with it, whose end is the verdict, and the next run gets a new one. So runs are
 * cheap, and a failure of any kind can be shrunk. What the failing run printed is shown once, with the line that
 * repeats it. */
#include "internal.h"
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Only files with such a test pull it in. */
#pragma weak crank_explore_result_free

enum { RUN_PATIENCE_MS = 5000, VERDICT_SIGNAL = 1000, VERDICT_HANGS = 2000, VERDICT_SKIPPED = 3000 };

typedef struct exploration {
    const test_item *item;
    const test_options *asked;
    pid_t worker; /* 0: none */
    int line;     /* to it and back */
    int choices;  /* what it chose */
    int output;   /* what it printed */
} exploration;

/* What a run is asked for; the list follows. */
typedef struct demand {
    uint64_t seed;
    size_t length; /* of the list, without its end */
} demand;

static bool read_all(int fd, void *buf, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t got = read(fd, (char *)buf + at, size - at);
        if (got <= 0)
            return false;
        at += (size_t)got;
    }
    return true;
}

static bool write_all(int fd, const void *buf, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t put = send(fd, (const char *)buf + at, size - at, MSG_NOSIGNAL);
        if (put <= 0)
            return false;
        at += (size_t)put;
    }
    return true;
}

/* The worker: the first run pays for what is allocated once; what later ones leave is a leak. */
CRANK_NORETURN static void work(const exploration *e, int line)
{
    static char left[4096];
    static test_audit before;
    demand asked;
    long runs = 0;
    dup2(e->output, STDOUT_FILENO);
    dup2(e->output, STDERR_FILENO);
    while (read_all(line, &asked, sizeof asked)) {
        char *list = calloc(1, asked.length + 1);
        if (!list || !read_all(line, list, asked.length))
            _exit(TEST_EXIT_FAILED);
        test_run_choices(e->item, list, asked.seed, e->choices);
        free(list);
        fflush(stdout);
        if (runs++ == 0)
            test_audit_take(&before);
        if (!write_all(line, "P", 1))
            break;
    }
    if (runs > 0 && e->asked->audit && test_audit_compare(&before, left, sizeof left) > 0)
        test_fail(e->item->test->file, e->item->test->line, "%ld schedules left something behind\n%s", runs - 1, left);
    _exit(TEST_EXIT_PASSED);
}

static void start_worker(exploration *e)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        test_fail(__FILE__, __LINE__, "no sockets for a worker");
    fflush(stdout);
    e->worker = fork();
    if (e->worker < 0)
        test_fail(__FILE__, __LINE__, "no process for a worker");
    if (e->worker == 0) {
        close(pair[0]);
        work(e, pair[1]);
    }
    close(pair[1]);
    e->line = pair[0];
}

/* Its last word is how it ends. */
static int end_worker(exploration *e, bool hangs)
{
    int status = 0;
    if (hangs)
        kill(e->worker, SIGKILL);
    shutdown(e->line, SHUT_WR);
    waitpid(e->worker, &status, 0);
    close(e->line);
    e->worker = 0;
    if (hangs)
        return VERDICT_HANGS;
    if (WIFSIGNALED(status))
        return VERDICT_SIGNAL + WTERMSIG(status);
    if (WEXITSTATUS(status) == TEST_EXIT_SKIPPED)
        return VERDICT_SKIPPED;
    return WEXITSTATUS(status) == TEST_EXIT_PASSED ? 0 : 1 + WEXITSTATUS(status);
}

static void read_choices(const exploration *e, crank_choice_log *made)
{
    off_t end = lseek(e->choices, 0, SEEK_END);
    made->count = (size_t)end / sizeof *made->choices;
    size_t known = made->count < made->room ? made->count : made->room;
    if (pread(e->choices, made->choices, known * sizeof *made->choices, 0) < 0)
        made->count = 0;
}

/* Its own offset is in the file the worker writes to: emptied, it begins again. */
static void empty(int file)
{
    if (ftruncate(file, 0) < 0 || lseek(file, 0, SEEK_SET) < 0)
        test_fail(__FILE__, __LINE__, "a worker's file cannot be emptied");
}

static int run(void *arg, const char *choices, uint64_t seed, crank_choice_log *made)
{
    exploration *e = arg;
    demand asked = { seed, strlen(choices) };
    char passed;
    empty(e->choices);
    empty(e->output);
    if (!e->worker)
        start_worker(e);
    int verdict = 0;
    struct pollfd answer = { .fd = e->line, .events = POLLIN };
    bool sent = write_all(e->line, &asked, sizeof asked) && write_all(e->line, choices, asked.length);
    if (sent && poll(&answer, 1, RUN_PATIENCE_MS) == 0)
        verdict = end_worker(e, true);
    else if (!sent || !read_all(e->line, &passed, 1))
        verdict = end_worker(e, false);
    read_choices(e, made);
    return verdict;
}

static void show_output(const exploration *e)
{
    static char text[8192];
    ssize_t length = pread(e->output, text, sizeof text - 1, 0);
    ssize_t written = length > 0 ? write(STDERR_FILENO, text, (size_t)length) : 0;
    (void)written;
}

void test_explore(const test_item *item, const test_options *options)
{
    const test_case *test = item->test;
    exploration e = { .item = item, .asked = options };
    crank_explore_result explored;
    e.choices = memfd_create("choices", MFD_CLOEXEC);
    e.output = memfd_create("output", MFD_CLOEXEC);
    crank_exploration asked = {
        .run = run, .arg = &e, .schedules = (long)test->schedules, .seeds = (long)test->schedules / 4
    };
    if (options->long_too) {
        asked.schedules *= 20;
        asked.seeds *= 20;
    }
    int err = test->explore(&asked, &explored);
    if (err < 0)
        test_fail(test->file, test->line, "cannot be explored: %s", strerror(-err));
    if (explored.failure)
        show_output(&e);
    if (explored.failure == VERDICT_SKIPPED)
        _exit(TEST_EXIT_SKIPPED);
    if (explored.failure)
        test_fail(test->file, test->line, "fails in schedule %ld, seed %ld%s; again: %s --choices %s '%s'",
            explored.schedules, explored.seeds, explored.reproducible ? "" : " (but not each time)", options->program,
            explored.choices, item->name);
    if (explored.diverged)
        test_fail(test->file, test->line, "%ld runs did not choose what they were told", explored.diverged);
    if (explored.max_choices == 0)
        test_fail(test->file, test->line, "there is nothing to choose in it");
    if (e.worker && end_worker(&e, false) != 0) {
        show_output(&e);
        test_fail(test->file, test->line, "a worker failed after its last schedule");
    }
    crank_explore_result_free(&explored);
    close(e.choices);
    close(e.output);
    printf("%ld schedules%s, %ld seeds\n", explored.schedules, explored.exhaustive ? ", which are all" : "",
        explored.seeds);
}
