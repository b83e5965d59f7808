/* SPDX-License-Identifier: MIT */
/* search.c: all executions of a scenario with at most so many preemptions, in turn, or some of them by chance.
 *
 * Depth first: the last decision that may still be made otherwise is, and what came before is repeated. The search runs
 * in a process of its own, which dies with the first wrong execution, whether it says so or crashes; the decisions
 * stand in shared memory, so that whoever watches can print them. */
#include "model.h"
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct request {
    int bound;        /* preemptions */
    double seconds;   /* processor time for each scenario */
    long most;        /* executions of each */
    uint64_t seed;    /* 0: in turn */
    const char *list; /* this one only */
    const char *names[64];
    int name_count;
} request;

static model_decision plan[MODEL_DECISIONS_MAX];
static size_t plan_count;
static uint64_t chance_state;
static int chance_left;
static size_t chance_length;

static double used(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- In turn */

static uint8_t follow_plan(size_t at, const model_decision *decision)
{
    if (at >= plan_count)
        return 0;
    if (plan[at].options != decision->options)
        model_fail(
            "not the same execution again: decision %zu is of %d, was of %d", at, decision->options, plan[at].options);
    return plan[at].chosen;
}

static bool is_preemption(const model_decision *decision, int chosen) { return chosen >= decision->free; }

/* The next execution after the last in the order of its decisions. False: there is none. */
static bool advance(int bound)
{
    const model_shared *shared = model_shared_;
    static int spent[MODEL_DECISIONS_MAX + 1];
    for (size_t i = 0; i < shared->count; i++)
        spent[i + 1] = spent[i] + is_preemption(&shared->decisions[i], shared->decisions[i].chosen);
    for (size_t i = shared->count; i > 0; i--) {
        const model_decision *last = &shared->decisions[i - 1];
        int next = last->chosen + 1;
        if (next < last->options && spent[i - 1] + is_preemption(last, next) <= bound) {
            memcpy(plan, shared->decisions, i * sizeof *plan);
            plan[i - 1].chosen = (uint8_t)next;
            plan_count = i;
            return true;
        }
    }
    return false;
}

/* ---- By chance */

static uint64_t chance(void)
{
    chance_state = chance_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return chance_state >> 33;
}

/* Preemptions fall anywhere with the same chance; what is free is chosen freely. */
static uint8_t by_chance(size_t at, const model_decision *decision)
{
    (void)at;
    bool preempts = chance_left > 0 && chance() % (chance_length + 1) < (uint64_t)chance_left;
    uint8_t from = preempts ? decision->free : 0;
    uint8_t end = preempts ? decision->options : decision->free;
    if (end == from)
        return 0;
    chance_left -= preempts;
    return (uint8_t)(from + chance() % (uint64_t)(end - from));
}

/* ---- One execution again */

static const char *list_at;

static uint8_t follow_list(size_t at, const model_decision *decision)
{
    char *end;
    size_t number = strtoul(list_at, &end, 10);
    if (*end != ':' || number != at + 1)
        return 0;
    unsigned long chosen = strtoul(end + 1, &end, 10);
    list_at = *end == ',' ? end + 1 : end;
    return (uint8_t)(chosen < decision->options ? chosen : 0);
}

/* ---- A scenario */

static void search(const model_scenario *scenario, const request *asked)
{
    double begun = used();
    model_shared *shared = model_shared_;
    if (asked->list) {
        list_at = asked->list;
        model_execute(scenario->body, scenario->tick, follow_list);
        return;
    }
    plan_count = 0;
    chance_state = asked->seed;
    do {
        if (asked->seed) {
            chance_left = asked->bound;
            chance_length = (size_t)shared->points_max / (size_t)(asked->bound + 1);
        }
        model_execute(scenario->body, scenario->tick, asked->seed ? by_chance : follow_plan);
        if (asked->most && shared->executions >= asked->most)
            return;
        if (asked->seconds > 0 && used() - begun > asked->seconds)
            return;
    } while (asked->seed || advance(asked->bound));
    shared->complete = true;
}

static void print_list(void)
{
    const model_shared *shared = model_shared_;
    const char *separator = "";
    for (size_t i = 0; i < shared->count; i++)
        if (shared->decisions[i].chosen) {
            printf("%s%zu:%d", separator, i + 1, shared->decisions[i].chosen);
            separator = ",";
        }
    if (!*separator)
        printf("0");
}

/* True: every execution was right. */
static bool run_scenario(const char *program, const model_scenario *scenario, const request *asked)
{
    int status = 0;
    model_shared *shared = model_shared_;
    memset(shared, 0, sizeof *shared);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        search(scenario, asked);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return false;
    if (status == 0 && shared->complete && (shared->outcomes & scenario->outcomes) != scenario->outcomes) {
        snprintf(shared->why, sizeof shared->why, "outcomes %#x were seen, expected %#x", shared->outcomes,
            scenario->outcomes);
        shared->failed = true;
    }
    if (status == 0 && !shared->failed) {
        printf("%s: %ld interleavings%s, at most %ld decisions in one\n", scenario->name, shared->executions,
            shared->complete ? ", which are all" : "", shared->points_max);
        return true;
    }
    if (WIFSIGNALED(status))
        snprintf(shared->why, sizeof shared->why, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    printf("FAIL %s: %s, in interleaving %ld\n    again: %s %s --choices ", scenario->name,
        shared->why[0] ? shared->why : "it ended early", shared->executions + 1, program, scenario->name);
    print_list();
    putchar('\n');
    return false;
}

static bool wanted(const request *asked, const char *name)
{
    for (int i = 0; i < asked->name_count; i++)
        if (strcmp(asked->names[i], name) == 0)
            return true;
    return asked->name_count == 0;
}

static int usage(const char *word)
{
    fprintf(stderr,
        "%s: known are --bound PREEMPTIONS --seconds N --most EXECUTIONS --seed N --choices LIST, names:", word);
    for (size_t i = 0; i < model_scenario_count; i++)
        fprintf(stderr, " %s", model_scenarios[i].name);
    fprintf(stderr, "\n");
    return 2;
}

static bool is_scenario(const char *word)
{
    for (size_t i = 0; i < model_scenario_count; i++)
        if (strcmp(model_scenarios[i].name, word) == 0)
            return true;
    return false;
}

static int take_options(request *asked, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (argv[i][0] != '-') {
            if (!is_scenario(argv[i]) || asked->name_count == 64)
                return usage(argv[i]);
            asked->names[asked->name_count++] = argv[i];
            continue;
        }
        if (strcmp(argv[i], "--bound") == 0)
            asked->bound = (int)strtol(value, NULL, 10);
        else if (strcmp(argv[i], "--seconds") == 0)
            asked->seconds = strtod(value, NULL);
        else if (strcmp(argv[i], "--most") == 0)
            asked->most = strtol(value, NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            asked->seed = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--choices") == 0)
            asked->list = value;
        else
            return usage(argv[i]);
        i++;
    }
    return 0;
}

int main(int argc, char **argv)
{
    request asked = { .bound = 2 };
    int failed = 0;
    long total = 0, complete = 0;
    if (take_options(&asked, argc, argv))
        return 2;
    /* The clock is the model's: what it says of how long a task has kept its loop from running means nothing. */
    setenv("CRANK_BLOCKED_AFTER", "0", 1);
    model_shared_ = mmap(NULL, sizeof *model_shared_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (model_shared_ == MAP_FAILED)
        return 2;
    for (size_t i = 0; i < model_scenario_count; i++) {
        if (!wanted(&asked, model_scenarios[i].name))
            continue;
        failed += !run_scenario(argv[0], &model_scenarios[i], &asked);
        total += model_shared_->executions;
        complete += model_shared_->complete;
    }
    printf("%ld interleavings, %ld scenarios complete, %d failed\n", total, complete, failed);
    return failed ? 1 : 0;
}
