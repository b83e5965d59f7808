/* SPDX-License-Identifier: MIT */
/* driver.h: the parts of the program behind ./bench.
 *
 * workload.c knows what can be measured, peer.c with whom it can be compared, network.c what is measured from
 * outside a server, process.c runs one program once, quiet.c says whether others were at work meanwhile, sample.c keeps the values,
 * table.c and picture.c show them, progress.c says how far it is, main.c does it all in order. The
 * driver itself uses no crank: it must not be what it measures. */
#ifndef BENCH_DRIVER_H
#define BENCH_DRIVER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { CONTENDERS_MAX = 24, RESULTS_MAX = 8, SAMPLES_MAX = 40, ARGV_MAX = 16 };

/* ---- workload.c ---- */

typedef struct workload {
    const char *name;
    const char *group;   /* also selects it, "" for none */
    const char *results; /* what it prints, separated by blanks */
    int runs;
    bool every_core; /* thread pools, and what pins itself; all else is pinned to the first core */
    double seconds;  /* of a run, where that is not known yet; 0: one */
    const char *about;
} workload;

extern const workload workloads[];
extern const size_t workload_count;
/* Mark in chosen what name selects: a workload, a group, or one of its results. False: it is none.
 */
bool workload_choose(const char *name, bool *chosen);
void workload_list(FILE *out);
/* What a result is to reach on the machine the project is measured on; 0 for none. */
double workload_target(const char *result);

/* ---- peer.c ---- */

/* Who takes part: crank itself, or a peer from a folder of benchmarks/peers. */
typedef struct contender {
    char name[32];
    char *folder;   /* NULL for crank */
    char *packages; /* Debian's names */
    char *probe;    /* shell: is what it needs installed? */
    char *build;    /* shell: builds into $OUT */
    char *run;      /* shell words: the program, to be followed by a workload */
    char *version;  /* shell: prints it */
    char *workloads;
    char *named; /* workloads that it does only where it, or they, are asked for by name; NULL */
    char *argv[ARGV_MAX];
    size_t argc;
    char release[64]; /* what version printed */
    bool bar;         /* runs as often as crank: it is what crank is measured by */
} contender;

/* Read every description in folder, sorted by name. Gives how many. */
size_t peer_load_all(const char *folder, contender *ret_peers, size_t max);
bool peer_installed(const contender *peer);
/* Build it into out/NAME, and find its argv and version. False: it cannot, and has said why. */
bool peer_prepare(contender *peer, const char *out);
/* Its workloads are also those which must be asked for by name. */
void peer_add_named(contender *peer);
/* crank does everything; a peer the workloads its description names, and what a network workload calls its server by. */
bool peer_does(const contender *peer, const workload *w);
/* Install packages with apt-get, saying so first. False when that failed. */
bool peer_install(const contender *peer);

/* ---- network.c ---- */

/* A workload that the program load measures, from outside a server. */
typedef struct network {
    const char *workload;
    const char *kind;   /* of load's kinds */
    const char *serves; /* what the server is started with, and what a peer's description says that it does */
    int connections;
} network;

/* How one is measured; NULL for a workload whose program measures itself. */
const network *network_of(const workload *w);
/* The plain C servers that this kernel lets run, as peers. Gives how many. */
size_t network_plain(const char *programs, contender *ret_plain, size_t max);
/* The command that measures it once, of ARGV_MAX + 8 words, for seconds; valid until the next. */
char **network_command(const network *n, const contender *who, const char *programs, double seconds);
/* Say on stderr what this machine does not allow of the workloads chosen. */
void network_warn(const bool *chosen);

/* ---- process.c ---- */

typedef struct process_run {
    char output[16384];
    int status;  /* exit status, 128 + n for a signal, 124 when out of time */
    double wall; /* seconds from start to end */
} process_run;

/* Run argv (ending in NULL), on the first core or all, keep what it prints. 0, or a negative errno
 * when it cannot start. */
int process_measure(char *const *argv, bool every_core, double limit, process_run *ret);
/* The most memory a program had resident at its end, in MB; negative when it cannot be told. */
double process_peak(char *const *argv);
/* Run a shell command in a folder (NULL: here) with OUT set; its output goes to log, or is kept in
 * ret when log is NULL. */
int process_shell(const char *command, const char *folder, const char *out, const char *log, process_run *ret);

/* ---- quiet.c ---- */

typedef struct quiet_window {
    double busy, own, started;
} quiet_window;
/* Ahead of other jobs where that is allowed. */
void quiet_raise_priority(void);
/* How slow the first core is, or the slowest of all, against the fastest it ever was: 1 is none. */
double quiet_slowness(bool every_core);
#define QUIET_SLOW 1.1 /* and with more than this somebody else is at work */
/* Wait, at most so many seconds, until nobody else is at work. */
void quiet_wait(double limit, bool every_core);
quiet_window quiet_begin(void);
/* What others took of one core since, the machine's host included. */
double quiet_foreign(const quiet_window *window);

/* ---- sample.c ---- */

typedef struct series {
    char result[48];
    char unit[12];
    double values[SAMPLES_MAX]; /* NaN: n/a */
    size_t count;
} series;
/* What one contender did in one workload. */
typedef struct record {
    series series[64];
    size_t count;
    size_t runs, repeated;
    bool disturbed; /* some run that counts was */
    int most;       /* how often a peer may run */
    double slow;    /* seconds a run takes, where there is one only for that; else 0 */
} record;

void record_add(record *r, const char *result, double value, const char *unit);
/* Take in every line `result who value unit` of a program's output. Gives how many there were. */
size_t record_read(record *r, const char *output);
const series *record_find(const record *r, const char *result);
double series_median(const series *s);
double series_least(const series *s);
double series_most(const series *s);
/* `result who median unit [least .. most] xRUNS`, a line each; of a slow one that it was run once. */
void record_print(const record *r, const char *who, FILE *out);

/* ---- table.c, picture.c ---- */

/* Everything measured: records[workload * contender_count + contender]. The first contender is
 * crank. */
typedef struct outcome {
    contender *contenders;
    size_t contender_count;
    record *records;
} outcome;
static inline record *outcome_at(const outcome *o, size_t work, size_t who)
{
    return &o->records[work * o->contender_count + who];
}
void table_print(const outcome *o, FILE *out);
void table_markdown(const outcome *o, FILE *out);
void picture_svg(const outcome *o, FILE *out);
/* ---- progress.c ---- */

/* The file of how long runs took is in folder. */
void progress_open(const outcome *o, const char *folder);
void progress_save(void);
void progress_close(void);
double progress_seconds(void);
/* How many runs are to come; how long the last one took, or one is guessed to take. */
void progress_expect(size_t work, size_t who, int runs);
void progress_ran(size_t work, size_t who, double seconds);
double progress_cost(size_t work, size_t who);
/* What is going to run. */
void progress_at(size_t work, size_t who, int run, int of);
/* Show it, if it is time. Gives the milliseconds until it is time again. */
int progress_tick(void);
/* Before anything else is printed. */
void progress_clear(void);

/* Three significant digits, as people write them. */
void number_format(double value, char *buf, size_t size);
#endif
