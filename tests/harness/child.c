/* SPDX-License-Identifier: MIT */
/* child.c: the process that runs one test, from its start to its verdict.
 *
 * Owns the verdict, given by the exit status (internal.h), and the words behind it, on stderr. A run made beforehand
 * pays for what is allocated once per process, so that the audit after the test sees only what the test left. */
#include "failing.h"
#include "internal.h"
#include "base/base.h"
#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* Only files whose tests need a loop pull the whole library in. */
#pragma weak crank_run_raw
#pragma weak crank_error_clear
#pragma weak crank_spawn_raw
#pragma weak crank_await_
#pragma weak crank_sleep

static const test_options *asked;
static struct memory {
    struct memory *next;
    bool descriptor; /* the number of one is what it holds */
    _Alignas(16) char bytes[];
} * memories;           /* of the test's own */
static long run_result; /* of a run that was refused since a call had failed */
static uint64_t current_seed;
static bool seeded;
static const char *current_choices;
static int choices_to;
static int saved_stderr = -1;
static char *captured;
static int capture_fd = -1;

/* Straight to the descriptor: stdio would need 10 KiB of a task's stack and a lock that a stopped task may hold. */
static void say(const char *text)
{
    ssize_t written = write(STDERR_FILENO, text, strlen(text));
    (void)written;
}

static void stop_capture(void)
{
    if (saved_stderr < 0)
        return;
    fflush(stderr);
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    saved_stderr = -1;
}

void test_fail(const char *file, int line, const char *format, ...)
{
    char text[1500];
    va_list args;
    if (saved_stderr >= 0) {
        stop_capture();
        say("captured so far:\n");
        say(test_captured());
    }
    int used = snprintf(text, sizeof text, "%s:%d: ", file, line);
    va_start(args, format);
    used += vsnprintf(text + used, sizeof text - (size_t)used, format, args);
    va_end(args);
    if (used > (int)sizeof text - 64)
        used = (int)sizeof text - 64;
    if (seeded)
        used += snprintf(text + used, sizeof text - (size_t)used, " (--seed %llu)", (unsigned long long)current_seed);
    snprintf(text + used, sizeof text - (size_t)used, "\n");
    say(text);
    _exit(test_faults_happened() ? TEST_EXIT_TOLERATED : TEST_EXIT_FAILED);
}

void *test_made(void *object, const char *file, int line)
{
    if (!object && test_faults_happened())
        test_fail(file, line, "it could not be made");
    return object;
}

void *test_memory(size_t size)
{
    struct memory *memory = calloc(1, sizeof *memory + size);
    if (!memory)
        test_fail(__FILE__, __LINE__, "no memory for the test");
    memory->next = memories;
    memories = memory;
    return memory->bytes;
}

int test_descriptor(int fd)
{
    *(int *)test_memory(sizeof fd) = fd;
    memories->descriptor = true;
    return fd;
}

/* What a test has taken, and captured where it failed before it looked at that. */
static void give_back(void)
{
    if (run_result < 0 && capture_fd >= 0)
        say(test_captured());
    while (memories) {
        struct memory *memory = memories;
        memories = memory->next;
        if (memory->descriptor)
            close(*(int *)(void *)memory->bytes);
        free(memory);
    }
}

void test_skip(const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text - 1, format, args);
    va_end(args);
    stop_capture();
    say(text);
    say("\n");
    _exit(TEST_EXIT_SKIPPED);
}

void test_needs_long(void)
{
    if (!asked->long_too)
        test_skip("needs --long");
}

void test_capture(void)
{
    fflush(stderr);
    capture_fd = memfd_create("captured", MFD_CLOEXEC);
    saved_stderr = dup(STDERR_FILENO);
    if (capture_fd < 0 || saved_stderr < 0 || dup2(capture_fd, STDERR_FILENO) < 0)
        test_fail(__FILE__, __LINE__, "stderr cannot be captured");
}

const char *test_captured(void)
{
    static char text[65536];
    stop_capture();
    if (capture_fd >= 0) {
        ssize_t length = pread(capture_fd, text, sizeof text - 1, 0);
        text[length > 0 ? length : 0] = 0;
        close(capture_fd);
        capture_fd = -1;
        captured = text;
    }
    return captured ? captured : "";
}

/* The app of the run: the test's body, and what it failed with where it failed. */
static long run_body(void *arg)
{
    const test_item *item = arg;
    const test_case *test = item->test;
    const char *backend = test->runtime->backend_name();
    if (item->backend == CRANK_BACKEND_URING && strcmp(backend, "uring") != 0 && !test_faults_happened())
        test_skip("the kernel refuses io_uring: this ran on %s", backend);
    int result = test->kind == TEST_KIND_SEEDS ? test->seeded(current_seed) : test->app();
    if (result < 0)
        test->runtime->error_print();
    return result;
}

static long run_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void run_once(const test_item *item, long (*fn)(void *))
{
    const test_case *test = item->test;
    crank_options options = { .backend = item->backend,
        .seed = seeded ? current_seed : 0,
        .choices = current_choices,
        .choices_to = choices_to };
    long result = test->runtime->run(&options, fn, (void *)(uintptr_t)item);
    if (test_faults_happened())
        run_result = result;
    else if (result != 0)
        test_fail(test->file, test->line, "the app gave %ld (%s), expected 0", result,
            result < 0 ? test->runtime->errno_name((int)result) : "a value");
}

void test_run_choices(const test_item *item, const char *choices, uint64_t seed, int to)
{
    seeded = seed != 0;
    current_seed = seed;
    current_choices = choices;
    choices_to = to;
    run_once(item, run_body);
    seeded = false;
    current_choices = NULL;
    choices_to = 0;
}

static void run_test(const test_item *item)
{
    const test_case *test = item->test;
    if (test->kind == TEST_KIND_PLAIN) {
        test->plain();
        return;
    }
    if (test->kind == TEST_KIND_APP) {
        run_once(item, run_body);
        return;
    }
    if (test->kind == TEST_KIND_EXPLORED) {
        if (asked->choices || asked->failing)
            test_run_choices(item, asked->choices, asked->seed_given ? asked->seed : 0, 0);
        else
            test_explore(item, asked);
        return;
    }
    seeded = true;
    uint64_t first = asked->seed_given ? asked->seed : 0;
    uint64_t end = asked->seed_given ? asked->seeds_end : asked->failing ? 1 : test->seeds;
    for (current_seed = first; current_seed < end; current_seed++)
        run_once(item, run_body);
}

void test_run_item(const test_item *item, long *ret_result)
{
    run_result = 0;
    run_test(item);
    give_back();
    seeded = false;
    *ret_result = run_result;
}

static long doze(void *arg)
{
    int err = crank_sleep(0.0001);
    return err < 0 ? err : (long)(intptr_t)arg;
}

/* Two tasks with stacks and timers. Only files whose tests need a loop have what it takes. */
static long run_tasks(void *arg)
{
    (void)arg;
    if (!crank_spawn_raw || !crank_await_ || !crank_sleep)
        return 0;
    crank_task *first = crank_spawn_raw(doze, (void *)(intptr_t)20);
    crank_task *second = crank_spawn_raw(doze, (void *)(intptr_t)22);
    long sum = crank_await(first);
    return sum + crank_await(second) - 42;
}

long test_run_small(const test_item *item)
{
    crank_options options = { .backend = item->backend ? item->backend : CRANK_BACKEND_SIM };
    return crank_run_raw ? crank_run_raw(&options, run_tasks, NULL) : 0;
}

void test_run_nothing(const test_item *item)
{
    if (item->test->runtime)
        run_once(item, run_nothing);
}

/* ThreadSanitizer's own thread comes with the first of ours. */
static void *start_nothing(void *arg) { return arg; }

static void warm_up(const test_item *item)
{
    static char out[BUFSIZ];
    pthread_t thread;
    if (CR_TSAN && pthread_create(&thread, NULL, start_nothing, NULL) == 0)
        pthread_join(thread, NULL);
    setvbuf(stdout, out, _IOLBF, sizeof out);
    snprintf(out, sizeof out, "%f", 1.5);
    test_run_nothing(item);
    if (!item->test->runtime && crank_run_raw)
        crank_run_raw(&(crank_options){ .backend = CRANK_BACKEND_SIM }, run_nothing, NULL);
}

void test_child(const test_item *item, const test_options *options)
{
    static test_faults stalled;
    static test_audit before;
    static char left[4096];
    asked = options;
    setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
    mallopt(M_ARENA_MAX, 1);
    if (options->stalled) {
        stalled.mode = TEST_FAILING_STALLED;
        stalled.turn = (unsigned)getpid();
        if (!test_faults_set(&stalled))
            test_skip("without the table of calls nothing can be stalled");
    }
    if (options->failing) {
        warm_up(item);
        test_fail_each(item, options);
    }
    if (item->test->says) {
        run_test(item);
        test_fail(item->test->file, item->test->line, "did not abort; expected \"%s\"", item->test->says);
    }
    warm_up(item);
    unsigned mark = test_heap_mark();
    test_audit_take(&before);
    run_test(item);
    give_back();
    seeded = false;
    /* The thread keeps its last error, as errno keeps its number: that is no leak. */
    if (item->test->runtime)
        item->test->runtime->error_clear();
    else if (crank_error_clear)
        crank_error_clear();
    if (options->audit && test_audit_compare(&before, left, sizeof left) > 0) {
        size_t used = strlen(left);
        if (strstr(left, "heap"))
            test_heap_describe(mark, left + used, sizeof left - used);
        test_fail(item->test->file, item->test->line, "the test left something behind\n%s", left);
    }
    exit(TEST_EXIT_PASSED);
}
