/* SPDX-License-Identifier: MIT */
/* explore_command.c: `crank explore`: a program run through its schedules.
 *
 * Owns the command's words: its options, what it says of the search, and the one line by which a
 * failure comes again. The search is crank_explore's, a run is child.c's. */
#include <crank/explore.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/child.h"
#include "cli/commands.h"

static const char help[] =
    "NAME\n"
    "    crank explore - run a program through its schedules\n"
    "\n"
    "SYNOPSIS\n"
    "    crank explore [options] PROGRAM [args...]\n"
    "\n"
    "DESCRIPTION\n"
    "    Runs PROGRAM under the simulator again and again, each time with other choices where\n"
    "    crank's contract leaves one: which call makes room for other tasks, how late a timer is,\n"
    "    the order of completions, where a worker thread is interrupted. Small programs are run\n"
    "    through all their schedules, those nearest to the plain order first; of large ones, as\n"
    "    many as allowed, then some by chance. A run fails by an exit status other than 0 (70: a\n"
    "    deadlock), by a signal, or by taking too long. The first failing schedule is made\n"
    "    smaller and shown with the line that runs it again.\n"
    "\n"
    "    PROGRAM must leave its backend to CRANK_BACKEND and must not depend on anything but\n"
    "    crank's choices: not on time, other processes or threads of its own.\n"
    "\n"
    "OPTIONS\n"
    "    --schedules N   at most N schedules in turn (10000)\n"
    "    --seeds N       where these are not all, N by chance (1000)\n"
    "    --deviations N  only schedules with at most N choices that differ from the plain order\n"
    "    --width N       of a choice among more, try N (8)\n"
    "    --shrinks N     at most N runs to make a failing schedule smaller (1000)\n"
    "    --timeout S     a run of more than S seconds fails (10)\n"
    "    --quiet         print only what failed\n"
    "    --help          this\n"
    "\n"
    "EXIT STATUS\n"
    "    0 no run failed; 1 one did; 2 a word was not understood; 3 no run could be made.\n"
    "\n"
    "EXAMPLE\n"
    "    $ crank explore ./program 3\n"
    "    crank explore: ./program 3: exit status 1 in schedule 8 (of 1 choice, shrunk from 1)\n"
    "    again: CRANK_BACKEND=sim CRANK_CHOICES=7:1 ./program 3\n";

typedef struct request {
    crank_exploration exploration;
    cr_child child;
    bool quiet;
    /* what the program was seen to do */
    bool ran_on_sim;
} request;

static int refuse(const char *what, const char *word)
{
    fprintf(stderr,
        "crank explore: %s \"%s\"; known are --schedules N --seeds N --deviations N --width N "
        "--shrinks N --timeout S --quiet --help, then PROGRAM [args...]\n",
        what, word);
    return -1;
}

/* The place of a number that an option sets, NULL where there is no such option. */
static long *number_of(request *r, const char *option, long *narrow)
{
    if (strcmp(option, "--schedules") == 0)
        return &r->exploration.schedules;
    if (strcmp(option, "--seeds") == 0)
        return &r->exploration.seeds;
    if (strcmp(option, "--shrinks") == 0)
        return &r->exploration.shrinks;
    if (strcmp(option, "--deviations") == 0 || strcmp(option, "--width") == 0)
        return narrow;
    return NULL;
}

/* 0 seeds or shrinks are none, where the library's 0 is its default. */
static int take_number(request *r, const char *option, const char *value)
{
    enum { LARGEST = 100000000 };
    char *end;
    long narrow = 0, *place = number_of(r, option, &narrow);
    if (!place)
        return refuse("unknown option", option);
    long number = strtol(value, &end, 10);
    bool may_be_none = place == &r->exploration.seeds || place == &r->exploration.shrinks;
    if (*end || end == value || number < (may_be_none ? 0 : 1) || number > LARGEST)
        return refuse("not a number that this option takes:", value);
    *place = number == 0 ? -1 : number;
    if (strcmp(option, "--deviations") == 0)
        r->exploration.deviations = (unsigned)narrow;
    if (strcmp(option, "--width") == 0)
        r->exploration.width = (unsigned)narrow;
    return 0;
}

static int take_timeout(request *r, const char *value)
{
    enum { LONGEST = 1000000 };
    char *end;
    double seconds = strtod(value, &end);
    if (*end || end == value || !(seconds > 0) || seconds > LONGEST)
        return refuse("not a number of seconds:", value);
    r->child.timeout = seconds;
    return 0;
}

/* 0; 1 where help was asked for; -1 where something was not understood. */
static int take_options(request *r, int argc, char **argv)
{
    long unused;
    int at = 1;
    for (; at < argc && argv[at][0] == '-' && strcmp(argv[at], "--") != 0; at++) {
        const char *option = argv[at];
        bool timeout = strcmp(option, "--timeout") == 0;
        if (strcmp(option, "--help") == 0 || strcmp(option, "-h") == 0)
            return 1;
        if (strcmp(option, "--quiet") == 0 || strcmp(option, "-q") == 0) {
            r->quiet = true;
            continue;
        }
        if (!timeout && !number_of(r, option, &unused))
            return refuse("unknown option", option);
        if (at + 1 >= argc)
            return refuse("no value for", option);
        at++;
        if ((timeout ? take_timeout(r, argv[at]) : take_number(r, option, argv[at])) < 0)
            return -1;
    }
    if (at < argc && strcmp(argv[at], "--") == 0)
        at++;
    if (at >= argc)
        return refuse("no program after", argv[argc - 1]);
    r->child.command = argv + at;
    return 0;
}

/* The first record is the beginning of a loop on the simulator: without one there is nothing to
 * explore, and no failure of the program's schedule. */
static int run(void *arg, const char *choices, uint64_t seed, crank_choice_log *made)
{
    request *r = arg;
    int verdict = cr_child_run(&r->child, choices, seed, made);
    r->ran_on_sim |= made->count > 0;
    return verdict >= 0 && !r->ran_on_sim ? -ENODEV : verdict;
}

/* ---- What is said */

/* As a shell would take it. */
static void print_word(FILE *to, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-./,:=+@%";
    if (*word && word[strspn(word, plain)] == '\0') {
        fputs(word, to);
        return;
    }
    putc('\'', to);
    for (; *word; word++) {
        if (*word == '\'')
            fputs("'\\'", to);
        putc(*word, to);
    }
    putc('\'', to);
}

static void print_command(const request *r, FILE *to)
{
    for (char **word = r->child.command; *word; word++) {
        if (word != r->child.command)
            putc(' ', to);
        print_word(to, *word);
    }
}

static void print_verdict(int verdict, double timeout, FILE *to)
{
    enum { DEADLOCK = 70 };
    if (verdict == CR_VERDICT_TIMEOUT)
        fprintf(to, "no end within %g s", timeout);
    else if (verdict >= CR_VERDICT_SIGNAL)
        fprintf(to, "signal %d (%s)", verdict - CR_VERDICT_SIGNAL,
            strsignal(verdict - CR_VERDICT_SIGNAL));
    else
        fprintf(to, "exit status %d%s", verdict, verdict == DEADLOCK ? " (deadlock)" : "");
}

/* The last lines of what the failing run printed. */
static void print_output(const request *r)
{
    static char text[4096];
    cr_child_output(&r->child, text, sizeof text);
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        printf("    %.*s\n", (int)length, line);
        line += length + (line[length] == '\n');
    }
}

static void print_failure(const request *r, const crank_explore_result *explored)
{
    print_output(r);
    printf("crank explore: ");
    print_command(r, stdout);
    printf(": ");
    print_verdict(explored->failure, r->child.timeout, stdout);
    if (explored->seeds > 0)
        printf(" with seed %ld", explored->seeds);
    else
        printf(" in schedule %ld", explored->schedules);
    printf(" (of %zu choice%s, shrunk from %zu)\n", explored->choices_after,
        explored->choices_after == 1 ? "" : "s", explored->choices_before);
    if (!explored->reproducible)
        printf("but not when run again: it depends on something that is not crank's choice\n");
    printf("again: CRANK_BACKEND=sim CRANK_CHOICES=%s ", explored->choices);
    if (explored->seed)
        printf("CRANK_SEED=%llu ", (unsigned long long)explored->seed);
    print_command(r, stdout);
    putchar('\n');
}

static void print_success(const request *r, const crank_explore_result *explored)
{
    printf("crank explore: ");
    print_command(r, stdout);
    printf(": passed; %ld schedule%s", explored->schedules, explored->schedules == 1 ? "" : "s");
    if (explored->exhaustive)
        printf(", which are all");
    else
        printf(", all with at most %u choice%s not plain, and %ld by chance", explored->deviations,
            explored->deviations == 1 ? "" : "s", explored->seeds);
    printf("; at most %zu choices in a run\n", explored->max_choices);
    if (explored->diverged > 0)
        printf("but %ld run%s did not choose as told: the program depends on something that is not "
               "crank's choice\n",
            explored->diverged, explored->diverged == 1 ? "" : "s");
}

static void print_impossible(const request *r, int err)
{
    fprintf(stderr, "crank explore: ");
    print_command(r, stderr);
    if (err == -ENODEV)
        fprintf(stderr, ": it ran no loop on the simulator: it uses no crank, or names its backend "
                        "itself\n");
    else
        fprintf(stderr, ": cannot run: %s\n", strerror(-err));
}

int cr_explore_command(int argc, char **argv)
{
    request r = { .child.timeout = 10 };
    crank_explore_result explored;
    int options = take_options(&r, argc, argv);
    if (options > 0)
        fputs(help, stdout);
    if (options != 0)
        return options > 0 ? CR_STATUS_FINE : CR_STATUS_USAGE;
    r.exploration.run = run;
    r.exploration.arg = &r;
    int err = cr_child_open(&r.child);
    if (err < 0) {
        print_impossible(&r, err);
        return CR_STATUS_BROKEN;
    }
    err = crank_explore(&r.exploration, &explored);
    if (err < 0 && err != -EINTR)
        print_impossible(&r, err);
    else if (err == 0 && explored.failure)
        print_failure(&r, &explored);
    else if (err == 0 && !r.quiet)
        print_success(&r, &explored);
    int status = explored.failure ? CR_STATUS_FOUND : CR_STATUS_FINE;
    crank_explore_result_free(&explored);
    cr_child_close(&r.child);
    return err < 0 ? CR_STATUS_BROKEN : status;
}
