/* SPDX-License-Identifier: MIT */
/* fetch.h: what the files of fetch share.
 *
 * get.c retrieves URLs, each in a task of its own; show.c writes what became of them; progress.c draws what is going
 * on. get.c knows neither of the others: it calls what the options have. */
#ifndef FETCH_H
#define FETCH_H
#include <crank.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define MESSAGE_MAX 200

typedef struct fetch fetch;
typedef struct job job;

enum job_state { JOB_WAITS, JOB_RUNS, JOB_RESTS, JOB_ENDED }; /* it rests between two tries */

/* One URL. */
struct job {
    fetch *of;
    job *next;
    size_t number;
    char *url, *final; /* as given; of the answer, NULL where there was none */
    enum job_state state;
    int status;     /* of the last answer; 0: there was none */
    int64_t bytes;  /* of its body, so far */
    int64_t length; /* as it was announced; -1: it was not */
    int tries;
    double began, seconds; /* of crank_time, when the first try began; until the last has ended */
    double again_at;       /* it rests until then */
    double later;          /* seconds after which the server wants to be asked again; 0: it did not say */
    int error;             /* negative errno of the last try, or 0 */
    char message[MESSAGE_MAX];
};

typedef struct fetch_options {
    size_t at_once, per_host;
    double timeout, total; /* seconds: of each try; of all together */
    int retries;
    const char *output;    /* a folder for the bodies; NULL: they are counted */
    struct crank_tls *tls; /* trusted certificates; NULL: the system's */
    bool head, json, quiet;
    void (*ended)(job *j, void *arg); /* called when a URL is done with */
    void *arg;
} fetch_options;

struct fetch {
    fetch_options options;
    job *first, **end; /* in the order in which they were given */
    size_t count, finished, failed, running, resting;
    int64_t bytes;
    double began, seconds_in_all; /* the sum of the jobs' */
    struct host *hosts;
    crank_semaphore *slots, *room;
    uint64_t random;
};

/* 0, or -ENOMEM. To be ended by fetch_end. */
int fetch_begin(fetch *f, const fetch_options *options);
void fetch_end(fetch *f);
/* Retrieve urls, up to NULL; and, where from is not NULL, one URL of each line of it as they come. 0 when all are done
 * with, whatever became of them; fails with -ECANCELED, -ETIMEDOUT (.total), -ENOMEM, or as reading from failed. */
int fetch_all(fetch *f, char *const *urls, crank_stream *from);
/* Is this answer what was asked for? */
bool job_is_good(const job *j);

/* ---- trust.c ---- */

/* Trust the certificates of a file, or any where insecure; with neither *ret_tls stays NULL, the system's. 0, or as
 * crank_tls_with fails. */
int trust_open(const char *file, bool insecure, struct crank_tls **ret_tls);
void trust_close(struct crank_tls *tls);

/* ---- show.c ---- */

/* A row, as tabs separate it, or as JSON: to stdout. */
void show_row(const job *j);
void show_json(const job *j);
/* All rows, as a table for a terminal. */
void show_table(const fetch *f);
/* The last line. */
void show_sum(const fetch *f, FILE *to);
/* A URL or message without bytes that a terminal would obey, cut to columns. */
const char *show_text(const char *text, size_t columns, char *buf, size_t size);
const char *show_bytes(int64_t bytes, char *buf, size_t size);

/* ---- scene.c ---- */

/* Eight URLs under the simulator, and their table. 0, or 1. */
int fetch_scene(void);
/* Eight URLs of a server in this program, for real, and their table: in some seconds. The exit status. */
int fetch_live(bool draws);

/* ---- progress.c ---- */

/* Draw on stderr, a terminal, ten times a second until cancelled; then wipe it away. */
int progress_draw(const fetch *f);
#endif
