/* SPDX-License-Identifier: MIT */
#ifndef CRANK_EXPLORE_H
#define CRANK_EXPLORE_H
/* Running a program through its schedules, as `crank explore` does: for test harnesses and bindings. Included by
 * itself: crank.h does not include it. docs/simulator.md says what the simulator chooses. */
#include "base.h"
#include "run.h"
#if defined(__GNUC__)
#pragma GCC system_header
#endif

CRANK_BEGIN_DECLS

/* What a run chose, to be written down by whoever made it. */
typedef struct crank_choice_log {
    crank_choice *choices; /* room for so many */
    size_t room;
    size_t count; /* how many there were, which may be more */
} crank_choice_log;

/* What to explore, and how far. Every number may be zero: its default. */
typedef struct crank_exploration {
    /* Run the program once, with options.choices, .seed and .choices_to set so, from the same beginning each time.
     * Gives 0 where the run passed, else a number above 0 that tells one kind of failure from another; a negative
     * errno, where no run could be made, ends the exploration. */
    int (*run)(void *arg, const char *choices, uint64_t seed, crank_choice_log *made);
    void *arg;
    long schedules;      /* at most so many in turn, those with fewer choices that are not 0 first: 0 is 10000 */
    long seeds;          /* and where these are not all, so many by chance: 0 is 1000, less is none */
    long shrinks;        /* at most so many runs to make a failing schedule smaller: 0 is 1000 */
    unsigned deviations; /* at most so many choices that are not 0: 0 is no limit */
    unsigned width;      /* where a choice is of more, only so many of them are tried: 0 is 8 */
} crank_exploration;

/* What came of it. */
typedef struct crank_explore_result {
    long schedules;      /* run in turn */
    long seeds;          /* run by chance */
    long shrinks;        /* run to make the failing one smaller */
    bool exhaustive;            /* there are no other schedules */
    unsigned deviations; /* all with at most so many choices that are not 0 were run */
    size_t max_choices;      /* the most choices that a run made */
    long diverged;       /* runs that did not choose as told: the program depends on something else too */
    int failure;         /* what run gave, 0: every run passed */
    char *choices;       /* of the failing schedule, shrunk; NULL where there is none */
    uint64_t seed;       /* beyond them: 0 but where there were too many to write down */
    size_t choices_before;        /* how many choices were not 0 when it was found */
    size_t choices_after;         /* and after shrinking */
    bool reproducible;        /* run once more it failed again */
} crank_explore_result;

/* Run a program through its schedules until one fails, and shrink that. 0, also where one failed; fails with -ENOMEM,
 * or with what run gave below 0. *ret_explored is to be freed in any case. */
CRANK_API int crank_explore(const crank_exploration *exploration, crank_explore_result *ret_explored);
/* What it owns. */
CRANK_API void crank_explore_result_free(crank_explore_result *explored);

CRANK_END_DECLS
#endif
