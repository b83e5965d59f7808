/* SPDX-License-Identifier: MIT */
/* get.c: retrieves URLs, several at once, and again where that may help.
 *
 * Each URL is a task. A try holds a permit of its host's and one of all: so a slow host does not keep others from their
 * turn, for its tasks wait at their host. Between two tries a task holds none. A URL that fails is no failure of its
 * task: that only fails when it is cancelled, or when what is saved cannot be written. */
#define _POSIX_C_SOURCE 200809L
#include "fetch.h"
#include <crank/http.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
    WAITING_MAX = 1000,
    LINE_BYTES = 8192,
    PIECE_BYTES = 16384,
    PATH_BYTES = 1024,
    NAME_BYTES = 200,
    NAMES_MAX = 1000
};
#define REST_FIRST 0.5 /* seconds; then twice as many, up to REST_LAST */
#define REST_LAST 30.0
#define LATER_MAX 60.0 /* Retry-After, at most */

/* As many tries at a host at once. */
typedef struct host {
    struct host *next;
    crank_semaphore *permits;
    char name[];
} host;

/* ---- Hosts ---- */

/* "http://host:80/..." is of "host:80". */
static host *host_of(fetch *f, const char *url)
{
    const char *name = strstr(url, "//");
    name = name ? name + 2 : url;
    size_t size = strcspn(name, "/?#");
    for (host *h = f->hosts; h; h = h->next)
        if (strlen(h->name) == size && strncasecmp(h->name, name, size) == 0)
            return h;
    host *h = calloc(1, sizeof *h + size + 1);
    if (h)
        h->permits = crank_semaphore_new(f->options.per_host);
    if (!h || !h->permits) {
        free(h);
        return NULL;
    }
    memcpy(h->name, name, size);
    h->next = f->hosts;
    f->hosts = h;
    return h;
}

/* ---- One try ---- */

bool job_is_good(const job *j) { return j->error == 0 && j->status >= 200 && j->status <= 299; }

static int fail(job *j, int err)
{
    j->error = err;
    snprintf(j->message, sizeof j->message, "%s", crank_error());
    return err;
}

/* Where the body goes: out is NULL where it is only counted. */
static int take_body(job *j, crank_stream *body, crank_stream *out)
{
    char piece[PIECE_BYTES];
    for (;;) {
        ssize_t n = crank_read(body, piece, sizeof piece);
        if (n <= 0)
            return (int)n;
        j->bytes += n;
        if (out)
            crank_try(crank_write(out, piece, (size_t)n));
    }
}

/* A new name in the folder: NAME, NAME.1, ... A file that is there stays. */
static int give_name(const char *part, const char *folder, const char *name)
{
    char path[PATH_BYTES];
    for (int i = 0; i < NAMES_MAX; i++) {
        char suffix[16] = "";
        if (i > 0)
            snprintf(suffix, sizeof suffix, ".%d", i);
        snprintf(path, sizeof path, "%.700s/%s%s", folder, name, suffix);
        if (link(part, path) == 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    return crank_fail(errno, "cannot name %s: %s", path, strerror(errno));
}

/* Under the last part of the URL's path; first under another name, so that no half is taken for the whole. */
static int save_body(job *j, crank_stream *body)
{
    char name[NAME_BYTES], part[PATH_BYTES];
    const char *folder = j->of->options.output, *path = strchr(strstr(j->final, "//") + 2, '/');
    size_t size = strcspn(path, "?");
    while (size > 0 && path[size - 1] != '/')
        size--;
    path += size;
    size = strcspn(path, "?");
    snprintf(name, sizeof name, "%.*s", (int)(size > 0 ? size : strlen("index")), size > 0 ? path : "index");
    if (*name == '.')
        *name = '_'; /* not hidden, nor another folder */
    snprintf(part, sizeof part, "%.700s/.fetch-%ld-%zu", folder, (long)getpid(), j->number);
    crank_stream *out = crank_open(part, "w");
    if (!out)
        return -errno;
    int err = take_body(j, body, out);
    int closing = crank_close(out);
    if (err == 0)
        err = closing;
    if (err == 0)
        err = give_name(part, folder, name);
    (void)unlink(part);
    return err;
}

static int take_answer(job *j, crank_http_response *r)
{
    const char *later = crank_http_header(r, "retry-after");
    j->status = r->status;
    j->length = r->length;
    j->later = later ? strtod(later, NULL) : 0;
    snprintf(j->message, sizeof j->message, "%d %s", r->status, r->reason);
    free(j->final);
    j->final = strdup(r->url);
    if (!j->final)
        return crank_fail(ENOMEM, "out of memory");
    int err = j->of->options.output && job_is_good(j) ? save_body(j, crank_http_body(r))
                                                      : take_body(j, crank_http_body(r), NULL);
    return err == -ECONNABORTED ? crank_http_ok(r) : err; /* which knows why the body has failed */
}

static int get(job *j)
{
    crank_http_call call = {
        .method = j->of->options.head ? "HEAD" : "GET", .stall = CRANK_FOREVER, .tls = j->of->options.tls
    };
    CRANK_AUTO_HTTP crank_http_response *r = crank_http_open(&call, j->url);
    return r ? take_answer(j, r) : -errno;
}

/* -ECANCELED, or 0: what became of the try is in the job. */
static int try_once(job *j)
{
    j->tries++;
    j->status = 0;
    j->bytes = 0;
    j->length = -1;
    j->later = 0;
    j->error = 0;
    j->message[0] = '\0';
    double seconds = j->of->options.timeout, began = crank_time();
    int err = crank_within(seconds, get(j));
    if (err < 0)
        fail(j, err);
    if (err == -ETIMEDOUT && crank_time() - began >= seconds)
        snprintf(j->message, sizeof j->message, "%s in %.1f s", j->status ? "not whole" : "no answer", seconds);
    return err == -ECANCELED ? err : 0;
}

/* ---- Again ---- */

static bool may_help(const job *j)
{
    static const int statuses[] = { 408, 429, 500, 502, 503, 504 };
    static const int errors[] = { ECONNREFUSED, ECONNRESET, EPIPE, ENODATA, ETIMEDOUT, EAGAIN };
    for (size_t i = 0; i < CRANK_COUNT(errors); i++)
        if (j->error == -errors[i])
            return true;
    for (size_t i = 0; j->error == 0 && i < CRANK_COUNT(statuses); i++)
        if (j->status == statuses[i])
            return true;
    return false;
}

/* From 0.5 to 1: those that failed together do not come back together. */
static double scatter(fetch *f)
{
    f->random ^= f->random << 13;
    f->random ^= f->random >> 7;
    f->random ^= f->random << 17;
    return 0.5 + (double)(f->random % 1024) / 2048;
}

static int rest(job *j)
{
    double seconds = REST_FIRST;
    for (int i = 1; i < j->tries && seconds < REST_LAST; i++)
        seconds *= 2;
    seconds = (seconds < REST_LAST ? seconds : REST_LAST) * scatter(j->of);
    if (j->later > 0)
        seconds = j->later < LATER_MAX ? j->later : LATER_MAX;
    j->again_at = crank_time() + seconds;
    j->state = JOB_RESTS;
    j->of->resting++;
    int err = crank_sleep(seconds);
    j->of->resting--;
    j->state = JOB_WAITS;
    return err;
}

/* ---- One URL ---- */

static int try_in_turn(job *j, host *h)
{
    CRANK_WITH_PERMIT(h->permits);
    CRANK_WITH_PERMIT(j->of->slots);
    if (j->tries == 0)
        j->began = crank_time();
    j->state = JOB_RUNS;
    j->of->running++;
    int err = try_once(j);
    j->of->running--;
    j->state = JOB_WAITS;
    return err;
}

static int try_all(job *j)
{
    host *h = host_of(j->of, j->url);
    if (!h)
        return crank_fail(ENOMEM, "out of memory");
    for (;;) {
        crank_try(try_in_turn(j, h));
        if (!may_help(j) || j->tries > j->of->options.retries)
            return 0;
        crank_try(rest(j));
    }
}

static void end_job(job *j, int err)
{
    fetch *f = j->of;
    if (err < 0)
        fail(j, err);
    if (err == -ECANCELED)
        snprintf(j->message, sizeof j->message, "given up");
    j->state = JOB_ENDED;
    j->seconds = j->tries > 0 ? crank_time() - j->began : 0;
    f->finished++;
    f->failed += !job_is_good(j);
    f->bytes += j->bytes;
    f->seconds_in_all += j->seconds;
    if (f->options.ended)
        f->options.ended(j, f->options.arg);
}

static int run_job(job *j)
{
    int err = try_all(j);
    end_job(j, err);
    crank_semaphore_release(j->of->room);
    return err == -ECANCELED ? err : 0;
}

/* ---- All ---- */

static int add(fetch *f, crank_group *jobs, const char *url)
{
    job *j = calloc(1, sizeof *j);
    if (j)
        *j = (job){ .of = f, .number = f->count, .url = strdup(url), .length = -1 };
    if (!j || !j->url) {
        free(j);
        return crank_fail(ENOMEM, "out of memory");
    }
    *f->end = j;
    f->end = &j->next;
    f->count++;
    crank_try(crank_semaphore_acquire(f->room)); /* lines are read no faster than they are done with */
    if (!crank_group_spawn(jobs, run_job, j))
        crank_semaphore_release(f->room); /* the group has failed, and its wait says so */
    return 0;
}

static int add_lines(fetch *f, crank_group *jobs, crank_stream *from)
{
    char line[LINE_BYTES];
    for (;;) {
        ssize_t n = crank_read_line(from, line, sizeof line);
        if (n <= 0)
            return (int)n;
        if (line[n - 1] != '\n' && (size_t)n == sizeof line - 1)
            return crank_fail(
                EMSGSIZE, "a line of standard input has more than %d bytes: \"%.60s...\"", LINE_BYTES - 2, line);
        while (n > 0 && strchr(" \t\r\n", line[n - 1]))
            line[--n] = '\0';
        const char *url = line + strspn(line, " \t");
        if (*url && *url != '#')
            crank_try(add(f, jobs, url));
    }
}

static int run_all(fetch *f, char *const *urls, crank_stream *from)
{
    CRANK_TIMEOUT(total, f->options.total);
    CRANK_GROUP(jobs);
    for (; *urls; urls++)
        crank_try(add(f, &jobs, *urls));
    if (from)
        crank_try(add_lines(f, &jobs, from));
    crank_try(crank_group_wait(&jobs));
    return 0;
}

int fetch_all(fetch *f, char *const *urls, crank_stream *from)
{
    f->began = crank_time();
    int err = run_all(f, urls, from);
    for (job *j = f->first; j; j = j->next)
        if (j->state != JOB_ENDED)
            end_job(j, -ECANCELED); /* its task has never run */
    return err;
}

int fetch_begin(fetch *f, const fetch_options *options)
{
    *f = (fetch){ .options = *options, .random = UINT64_C(88172645463325252) };
    f->end = &f->first;
    f->slots = crank_semaphore_new(options->at_once);
    f->room = crank_semaphore_new(WAITING_MAX);
    if (f->slots && f->room)
        return 0;
    fetch_end(f);
    return crank_fail(ENOMEM, "out of memory");
}

void fetch_end(fetch *f)
{
    for (job *j = f->first, *next; j; j = next) {
        next = j->next;
        free(j->url);
        free(j->final);
        free(j);
    }
    for (host *h = f->hosts, *next; h; h = next) {
        next = h->next;
        crank_semaphore_free(h->permits);
        free(h);
    }
    crank_semaphore_free(f->slots);
    crank_semaphore_free(f->room);
}
