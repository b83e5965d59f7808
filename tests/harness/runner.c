/* SPDX-License-Identifier: MIT */
/* runner.c: chooses tests, starts each in a process of its own, judges and counts.
 *
 * Owns the list of tests, the processes and their time limits. A test is started by executing this program again with
 * its number, so that nothing of one test reaches another, and under a wrapper (an emulator) where asked. Where a
 * process takes long to begin, as under Valgrind (a second), a test is a mere fork of the runner.
 * Its output is collected and shown only when it fails. The last line is "N passed, N failed, N skipped". */
#include "internal.h"
#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ITEMS_MAX = 4096, JOBS_MAX = 64, FILTERS_MAX = 256 };

typedef struct running {
    pid_t pid;
    int output;
    unsigned folder;
    double started_at;
    const test_item *item;
    bool timed_out;
} running;

static test_case *first_case;
static test_case **last_case = &first_case;
static test_item items[ITEMS_MAX];
static int item_count;
static running jobs[JOBS_MAX];
static int passed;
static int failed;
static int skipped;
static int stopped_by; /* a signal that ends the runner: no test is started any more */

void test_register(test_case *test)
{
    *last_case = test;
    last_case = &test->next;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void add_item(const test_case *test, crank_backend backend)
{
    static const char *const backends[] = { "", " [sim]", " [epoll]", " [uring]" };
    if (item_count == ITEMS_MAX) {
        fprintf(stderr, "more than %d tests in one file\n", ITEMS_MAX);
        exit(2);
    }
    test_item *item = &items[item_count++];
    item->test = test;
    item->backend = backend;
    int used = snprintf(item->name, sizeof item->name, "%s: %s%s", test->subject, test->sentence, backends[backend]);
    for (int i = 0; i < used && i < (int)sizeof item->name; i++)
        if (item->name[i] == '_')
            item->name[i] = ' ';
}

static void make_items(void)
{
    for (const test_case *test = first_case; test; test = test->next) {
        if (test->kind == TEST_KIND_PLAIN || test->backend != CRANK_BACKEND_DEFAULT) {
            add_item(test, test->backend);
            continue;
        }
        add_item(test, CRANK_BACKEND_SIM);
        add_item(test, CRANK_BACKEND_EPOLL);
        add_item(test, CRANK_BACKEND_URING);
    }
}

/* Is text part of name, where a space matches an underscore? */
static bool contains(const char *name, const char *text)
{
    for (; *name; name++) {
        size_t i = 0;
        while (text[i] && (name[i] == text[i] || (name[i] == ' ' && text[i] == '_')))
            i++;
        if (!text[i])
            return true;
    }
    return false;
}

static bool wanted(const test_item *item, const test_options *options)
{
    static const char *const backends[] = { "", "sim", "epoll", "uring" };
    if (options->backend && item->backend && strcmp(options->backend, backends[item->backend]) != 0)
        return false;
    if (options->audited && item->test->says)
        return false;
    for (int i = 0; i < options->filter_count; i++)
        if (contains(item->name, options->filters[i]) || contains(options->short_name, options->filters[i]))
            return true;
    return options->filter_count == 0;
}

/* What a test begins with: a process group of its own, no signal ignored or blocked, its output. */
static void enter_process(int output)
{
    sigset_t none;
    setpgid(0, 0);
    /* Whoever started us may ignore signals: a shell does so for what it runs in the background. */
    for (int sig = 1; sig < SIGRTMAX; sig++)
        signal(sig, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
}

static void execute(const test_item *item, const test_options *options)
{
    char number[16];
    char *command[32];
    char seed[48];
    char sites[16];
    char site[32];
    int n = 0;
    for (int i = 0; options->wrap[i]; i++)
        command[n++] = options->wrap[i];
    snprintf(number, sizeof number, "%d", (int)(item - items));
    snprintf(seed, sizeof seed, "%llu:%llu", (unsigned long long)options->seed, (unsigned long long)options->seeds_end);
    command[n++] = (char *)(uintptr_t)options->program;
    command[n++] = (char *)"--one";
    command[n++] = number;
    if (options->long_too)
        command[n++] = (char *)"--long";
    if (!options->audit)
        command[n++] = (char *)"--no-audit";
    if (options->stalled)
        command[n++] = (char *)"--stalled";
    if (options->failing) {
        snprintf(sites, sizeof sites, "%d", options->failing_sites);
        snprintf(site, sizeof site, "%llx", (unsigned long long)options->only_site);
        command[n++] = (char *)"--failing";
        command[n++] = sites;
        command[n++] = (char *)"--site";
        command[n++] = site;
    }
    if (options->seed_given) {
        command[n++] = (char *)"--seed";
        command[n++] = seed;
    }
    if (options->choices) {
        command[n++] = (char *)"--choices";
        command[n++] = (char *)(uintptr_t)options->choices;
    }
    command[n] = NULL;
    execvp(command[0], command);
    dprintf(STDERR_FILENO, "cannot execute %s\n", command[0]);
    _exit(TEST_EXIT_FAILED);
}

static void start(running *job, const test_item *item, const test_options *options)
{
    *job = (running){
        .item = item, .started_at = now(), .output = memfd_create("output", MFD_CLOEXEC), .folder = test_folder_make()
    };
    fflush(NULL);
    job->pid = fork();
    if (job->pid < 0 || job->output < 0) {
        perror("cannot start a test");
        exit(2);
    }
    if (job->pid == 0) {
        enter_process(job->output);
        test_folder_enter(job->folder);
        if (options->fork) {
            close_range(3, ~0U, 0);
            test_child(item, options);
        }
        execute(item, options);
    }
    setpgid(job->pid, job->pid);
}

static char *read_output(int fd)
{
    static char text[1 << 16];
    off_t end = lseek(fd, 0, SEEK_END);
    off_t from = end > (off_t)sizeof text - 1 ? end - (off_t)sizeof text + 1 : 0;
    ssize_t length = pread(fd, text, sizeof text - 1, from);
    text[length > 0 ? length : 0] = 0;
    return text;
}

static void show(const char *verdict, const running *job, const char *why, const char *output)
{
    printf("%s %s (%.2f s)%s%s\n", verdict, job->item->name, now() - job->started_at, why[0] ? ": " : "", why);
    while (*output) {
        size_t length = strcspn(output, "\n");
        printf("    %.*s\n", (int)length, output);
        output += length + (output[length] == '\n');
    }
    fflush(stdout);
}

/* Why the test did not pass, "" if it did. */
static const char *judge(const running *job, int status, const char *output, bool failing)
{
    static char why[256];
    const char *says = failing ? NULL : job->item->test->says; /* what fails judges its runs itself */
    if (job->timed_out)
        return "took too long and was killed";
    if (says && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) {
        snprintf(why, sizeof why, "aborted without saying \"%s\"", says);
        return strstr(output, says) ? "" : why;
    }
    if (WIFSIGNALED(status)) {
        snprintf(why, sizeof why, "killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
        return why;
    }
    if (WEXITSTATUS(status) == TEST_EXIT_PASSED && !says)
        return "";
    if (WEXITSTATUS(status) == TEST_EXIT_FAILED)
        return "failed";
    snprintf(why, sizeof why, "left with status %d", WEXITSTATUS(status));
    return why;
}

static void finish(running *job, int status, const test_options *options)
{
    bool judged = options->audit && WIFEXITED(status) && WEXITSTATUS(status) == TEST_EXIT_PASSED;
    kill(-job->pid, SIGKILL);
    int left = test_folder_remove(job->folder, judged ? job->output : -1);
    const char *output = read_output(job->output);
    if (WIFEXITED(status) && WEXITSTATUS(status) == TEST_EXIT_SKIPPED) {
        skipped++;
        if (options->verbose)
            show("skip", job, "", output);
    } else {
        const char *why = judge(job, status, output, options->failing);
        if (judged && left && !why[0])
            why = "left files in its temporary folder";
        if (why[0]) {
            failed++;
            show("FAIL", job, why, output);
            printf("    again: %s '%s'\n", options->program, job->item->name);
        } else {
            passed++;
            if (options->verbose)
                show("ok  ", job, "", options->failing || job->item->test->kind == TEST_KIND_EXPLORED ? output : "");
        }
    }
    fflush(stdout);
    close(job->output);
    job->pid = 0;
}

/* Wait for a child's end, a time limit or a signal to stop, and deal with a job that has ended. */
static void reap(const test_options *options, const sigset_t *signals)
{
    int status;
    for (int i = 0; i < options->jobs; i++) {
        if (jobs[i].pid && waitpid(jobs[i].pid, &status, WNOHANG) == jobs[i].pid) {
            finish(&jobs[i], status, options);
            return;
        }
        if (jobs[i].pid && !jobs[i].timed_out && now() - jobs[i].started_at > options->timeout) {
            jobs[i].timed_out = true;
            kill(-jobs[i].pid, SIGKILL);
        }
    }
    int number = sigtimedwait(signals, NULL, &(struct timespec){ .tv_nsec = 50000000 });
    if (number > 0 && number != SIGCHLD)
        stopped_by = number;
}

static running *free_job(const test_options *options)
{
    for (int i = 0; i < options->jobs; i++)
        if (!jobs[i].pid)
            return &jobs[i];
    return NULL;
}

static bool any_running(const test_options *options)
{
    for (int i = 0; i < options->jobs; i++)
        if (jobs[i].pid)
            return true;
    return false;
}

/* Those that still run when nobody wants to know any more. */
static void end_running(const test_options *options)
{
    for (int i = 0; i < options->jobs; i++) {
        if (!jobs[i].pid)
            continue;
        kill(-jobs[i].pid, SIGKILL);
        waitpid(jobs[i].pid, NULL, 0);
        close(jobs[i].output);
        jobs[i].pid = 0;
    }
}

/* The tests are in process groups of their own: what a terminal sends to the runner does not reach them. */
static void stop_by_signal(void)
{
    sigset_t all;
    test_folders_close();
    signal(stopped_by, SIG_DFL);
    raise(stopped_by);
    sigfillset(&all);
    sigprocmask(SIG_UNBLOCK, &all, NULL);
}

static bool enough(const test_options *options) { return stopped_by || (options->stop && failed > 0); }

/* The end of a child and what asks the runner to stop, unless whoever started it has that ignored. */
static void block_signals(sigset_t *ret_signals)
{
    static const int stopping[] = { SIGHUP, SIGINT, SIGTERM };
    struct sigaction present;
    sigemptyset(ret_signals);
    sigaddset(ret_signals, SIGCHLD);
    for (size_t i = 0; i < CRANK_COUNT(stopping); i++)
        if (sigaction(stopping[i], NULL, &present) == 0 && present.sa_handler != SIG_IGN)
            sigaddset(ret_signals, stopping[i]);
    sigprocmask(SIG_BLOCK, ret_signals, NULL);
}

static void run_all(const test_item **order, int count, const test_options *options)
{
    sigset_t signals;
    block_signals(&signals);
    for (int i = 0; i < count && !enough(options); i++) {
        running *job;
        while (!(job = free_job(options)))
            reap(options, &signals);
        start(job, order[i], options);
    }
    while (!enough(options) && any_running(options))
        reap(options, &signals);
    end_running(options);
    if (stopped_by)
        stop_by_signal();
}

static void shuffle(const test_item **order, int count, uint64_t seed)
{
    for (int i = count - 1; i > 0; i--) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        int other = (int)((seed >> 33) % (uint64_t)(i + 1));
        const test_item *held = order[i];
        order[i] = order[other];
        order[other] = held;
    }
}

static int run_chosen(const test_options *options)
{
    static const test_item *order[ITEMS_MAX];
    int count = 0;
    double started_at = now();
    for (int i = 0; i < item_count; i++)
        if (wanted(&items[i], options))
            order[count++] = &items[i];
    for (int i = 0; options->list && i < count; i++)
        printf("%s: %s\n", options->short_name, order[i]->name);
    if (options->list)
        return 0;
    test_folders_open();
    for (int i = 0; i < options->repeat && !enough(options); i++) {
        if (options->shuffle)
            shuffle(order, count, options->seed + (uint64_t)i + 1);
        run_all(order, count, options);
    }
    test_folders_close();
    if (options->verbose || failed)
        printf("%s: %.1f s\n", options->short_name, now() - started_at);
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed ? 1 : 0;
}

CRANK_NORETURN static void usage(const char *word)
{
    fprintf(stderr,
        "%s: known are --list --verbose --long --shuffle --stop --no-audit --audited --fork --stalled "
        "-j N --backend sim|epoll|uring --repeat N --seed N[:END] --choices LIST --failing SITES --site HEX "
        "--timeout SECONDS --wrap COMMAND and parts of names\n",
        word);
    exit(2);
}

static void split_wrap(test_options *options, char *command)
{
    int n = 0;
    for (char *word = strtok(command, " "); word && n < 15; word = strtok(NULL, " "))
        options->wrap[n++] = word;
}

/* The value of an option, counted on. */
static char *value_of(int argc, char **argv, int *at)
{
    if (*at + 1 >= argc)
        usage(argv[*at]);
    return argv[++*at];
}

/* One seed, or with a ':' those from one to below another. */
static void take_seeds(test_options *options, const char *text)
{
    char *end;
    options->seed = strtoull(text, &end, 10);
    options->seeds_end = *end == ':' ? strtoull(end + 1, NULL, 10) : options->seed + 1;
    options->seed_given = true;
}

static bool take_flag(test_options *options, const char *word)
{
    if (strcmp(word, "--list") == 0)
        options->list = true;
    else if (strcmp(word, "--verbose") == 0 || strcmp(word, "-v") == 0)
        options->verbose = true;
    else if (strcmp(word, "--long") == 0)
        options->long_too = true;
    else if (strcmp(word, "--shuffle") == 0)
        options->shuffle = true;
    else if (strcmp(word, "--stop") == 0)
        options->stop = true;
    else if (strcmp(word, "--no-audit") == 0)
        options->audit = false;
    else if (strcmp(word, "--stalled") == 0)
        options->stalled = true;
    else if (strcmp(word, "--audited") == 0)
        options->audited = true;
    else if (strcmp(word, "--fork") == 0)
        options->fork = true;
    else
        return false;
    return true;
}

/* Gives the number of the one test to run in this process, -1 for the runner's part. */
static int take_options(test_options *options, int argc, char **argv)
{
    int one = -1;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (take_flag(options, word))
            continue;
        if (word[0] != '-' && options->filter_count < FILTERS_MAX)
            options->filters[options->filter_count++] = argv[i];
        else if (strcmp(word, "--one") == 0)
            one = atoi(value_of(argc, argv, &i));
        else if (strcmp(word, "-j") == 0)
            options->jobs = atoi(value_of(argc, argv, &i));
        else if (strcmp(word, "--repeat") == 0)
            options->repeat = atoi(value_of(argc, argv, &i));
        else if (strcmp(word, "--timeout") == 0)
            options->timeout = atof(value_of(argc, argv, &i));
        else if (strcmp(word, "--backend") == 0)
            options->backend = value_of(argc, argv, &i);
        else if (strcmp(word, "--choices") == 0)
            options->choices = value_of(argc, argv, &i);
        else if (strcmp(word, "--wrap") == 0)
            split_wrap(options, value_of(argc, argv, &i));
        else if (strcmp(word, "--failing") == 0) {
            options->failing = true;
            options->failing_sites = atoi(value_of(argc, argv, &i));
        } else if (strcmp(word, "--site") == 0)
            options->only_site = strtoull(value_of(argc, argv, &i), NULL, 16);
        else if (strcmp(word, "--seed") == 0) {
            take_seeds(options, value_of(argc, argv, &i));
        } else
            usage(word);
    }
    if (options->jobs < 1 || options->jobs > JOBS_MAX)
        options->jobs = 2;
    return one;
}

int main(int argc, char **argv)
{
    static const char *const unset[] = { "CRANK_BACKEND", "CRANK_SEED", "CRANK_DEBUG", "CRANK_TRACE_HASH",
        "CRANK_BLOCKED_AFTER", "CRANK_CHOICES", "CRANK_SIM_NET" };
    static char *filters[FILTERS_MAX];
    test_options options = { .jobs = 2, .repeat = 1, .timeout = 10, .audit = true };
    const char *slash = strrchr(argv[0], '/');
    options.program = argv[0];
    options.short_name = slash ? slash + 1 : argv[0];
    options.filters = filters;
    for (size_t i = 0; i < CRANK_COUNT(unset); i++)
        unsetenv(unset[i]);
    setenv("GLIBC_TUNABLES", "glibc.pthread.stack_cache_size=0", 1);
    /* What a sanitizer reports ends the test at once, even one that aborts later, with a status of no verdict (the one
     * that MemorySanitizer chooses itself means skipped). */
    setenv("TSAN_OPTIONS", "halt_on_error=1:exitcode=86:atexit_sleep_ms=0", 0);
    setenv("MSAN_OPTIONS", "exitcode=86", 0);
    int one = take_options(&options, argc, argv);
    make_items();
    if (one >= 0 && one < item_count)
        test_child(&items[one], &options);
    return run_chosen(&options);
}
