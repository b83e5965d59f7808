/* SPDX-License-Identifier: MIT */
/* internal.h: what the files of the harness share. */
#ifndef TEST_INTERNAL_H
#define TEST_INTERNAL_H
#include "test.h"

/* How a test's process ends. Passing is not 0: a test that leaves by exit(0) has not passed. */
enum { TEST_EXIT_PASSED = 42, TEST_EXIT_FAILED = 1, TEST_EXIT_SKIPPED = 77, TEST_EXIT_TOLERATED = 43 };

/* What the user asked the runner for. */
typedef struct test_options {
    const char *program;    /* this executable */
    const char *short_name; /* its last part: "unit_timer" */
    char *wrap[16];         /* command that starts each test, NULL-terminated */
    const char *backend;    /* only tests of this backend, and plain ones */
    char **filters;
    int filter_count;
    int jobs;
    int repeat;
    double timeout;
    bool shuffle;
    bool stop; /* at the first failure */
    bool list;
    bool verbose;
    bool long_too;
    bool audit;
    bool audited;       /* only tests after which there is an audit: not those that must abort */
    bool fork;          /* tests are forks of the runner, not programs of their own */
    bool failing;       /* each test with its calls to the OS failing: failures.c */
    bool stalled;       /* threads stand still now and then */
    int failing_sites;  /* so many call sites of each, 0: all */
    uint64_t only_site; /* 0: no certain one */
    bool seed_given;
    const char *choices; /* of TEST_EXPLORED: this schedule only */
    uint64_t seed;       /* of TEST_SEEDS, or of the shuffle */
    uint64_t seeds_end;  /* of TEST_SEEDS, where seed_given: those from seed to below this one */
} test_options;

/* One test on one backend: what is listed, run and counted. */
typedef struct test_item {
    const test_case *test;
    crank_backend backend;
    char name[256];
} test_item;

/* Body of the process that runs one test; does not return. */
CRANK_NORETURN void test_child(const test_item *item, const test_options *options);

/* The test itself, without what is around it: comes back where it has passed. Where calls were made to fail, its run
 * may have been refused with *ret_result. */
void test_run_item(const test_item *item, long *ret_result);
/* A run as of the test, in which nothing is done; none where the test needs no loop. */
void test_run_nothing(const test_item *item);
/* A small program: 0, or what went wrong with it. */
long test_run_small(const test_item *item);
/* The test again and again, each time with another of its calls to the OS failing; does not return. */
CRANK_NORETURN void test_fail_each(const test_item *item, const test_options *options);

/* Run the test once with these choices, told to a descriptor. */
void test_run_choices(const test_item *item, const char *choices, uint64_t seed, int to);
/* A TEST_EXPLORED: through its schedules; fails the test where one fails. */
void test_explore(const test_item *item, const test_options *options);

/* folder.c: the runner's folder for temporary files, made and removed with all that is in it. */
void test_folders_open(void);
void test_folders_close(void);
/* In it a test's own, by its number: made by the runner, and in the test's process what TMPDIR names. */
unsigned test_folder_make(void);
void test_folder_enter(unsigned number);
/* Remove it. What was in it is told to a descriptor (-1: to none), a sentence each; how many sentences. */
int test_folder_remove(unsigned number, int output);

/* symbols.c: the function at this offset in the program, "" where its file does not say. */
const char *test_symbol_of(uintptr_t offset);

/* runs.c: what runs of the library have not got back when they were over. */
typedef struct test_lost {
    size_t tasks; /* records, of living ones and ended ones */
    size_t stacks;
    size_t objects; /* what a task has beside its record: scopes, names and failures, long arguments */
    size_t sockets; /* of the simulated network */
} test_lost;
void test_runs_count(test_lost *ret_lost);

/* What a process holds, for comparing before and after. */
enum { TEST_DESCRIPTORS = 1024 };
typedef struct test_audit {
    unsigned char descriptors[TEST_DESCRIPTORS];
    size_t high_descriptors; /* how many there are with numbers above those */
    size_t threads;
    size_t mapped; /* bytes of address space */
    size_t blocks; /* live heap blocks */
    size_t bytes;
    test_lost lost; /* in runs that are over */
} test_audit;
void test_audit_take(test_audit *audit);
/* Write what is held now and was not before, or the other way round, one sentence a line, into buf; how many
 * sentences. */
int test_audit_compare(const test_audit *before, char *buf, size_t size);

/* heap.c: live blocks counted by wrapping malloc; zeros where that cannot be done (sanitizers, static programs). */
void test_heap_count(size_t *ret_blocks, size_t *ret_bytes);
/* Blocks allocated from now on are newer than this mark. */
unsigned test_heap_mark(void);
/* Sizes of the live blocks newer than mark, as text. */
void test_heap_describe(unsigned mark, char *buf, size_t size);
#endif
