/* SPDX-License-Identifier: MIT */
/* fetch: retrieves URLs, ten at a time, tries again where that may help, and says how long each took.
 *
 * get.c retrieves, show.c and progress.c show; here the options are read and the parts put together. On a terminal a
 * table at the end; into a pipe a row for each URL as soon as it is done with. Ctrl-C ends it, and the table is printed
 * all the same. */
#define _POSIX_C_SOURCE 200809L
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fetch.h"

typedef struct command {
    fetch_options options;
    char *const *urls; /* up to NULL */
    bool reads_lines;  /* and URLs from standard input */
    bool to_terminal;  /* standard output is one: a table */
    bool draws;        /* progress, on standard error */
    const char *trust; /* a file of certificates; NULL: the system's */
    bool insecure;     /* none is checked */
} command;

static void show_ended(job *j, void *arg)
{
    const command *c = arg;
    if (c->options.json)
        show_json(j);
    else if (!c->to_terminal)
        show_row(j);
}

static int run(fetch *f, const command *c)
{
    crank_stream *lines = c->reads_lines ? crank_stdin() : NULL;
    CRANK_GROUP(beside);
    if (c->reads_lines && !lines)
        return crank_fail(errno, "cannot read standard input");
    if (c->draws)
        crank_group_spawn(&beside, progress_draw, (const fetch *)f);
    int err = fetch_all(f, c->urls, lines);
    crank_group_cancel(&beside);
    return err;
}

/* 0, 1 where a URL failed, or a failure of our own; cancelled by Ctrl-C, -ECANCELED. */
static int app(command *c)
{
    fetch f;
    crank_try(trust_open(c->trust, c->insecure, &c->options.tls));
    crank_try(fetch_begin(&f, &c->options));
    if (strcmp(crank_backend_name(), "sim") != 0)
        f.random ^= (uint64_t)getpid() << 32 ^ (uint64_t)(crank_time() * 1e6);
    int err = run(&f, c);
    bool late = err == -ETIMEDOUT;
    if (c->to_terminal && !c->options.json)
        show_table(&f);
    if (!c->options.quiet)
        show_sum(&f, c->to_terminal && !c->options.json ? stdout : stderr);
    size_t failed = f.failed;
    fetch_end(&f);
    trust_close(c->options.tls);
    if (late)
        fprintf(stderr, "fetch: given up after %g s\n", c->options.total);
    return err < 0 && !late ? err : failed > 0;
}

/* ---- The command line ---- */

static void usage(FILE *to)
{
    fputs("usage: fetch [options] URL...    or: fetch [options] <LIST\n"
          "  -n N            so many at once (10)\n"
          "  --per-host N    so many of one host at once (6)\n"
          "  --timeout S     seconds for each try (30)\n"
          "  --total S       seconds for all\n"
          "  --retries N     tries after the first, where one may help (2)\n"
          "  --output DIR    save the bodies there; else they are counted\n"
          "  --head          ask for the heads alone\n"
          "  --trust FILE    of https servers, those whose certificates FILE has or has signed\n"
          "  --insecure      https servers with any certificate\n"
          "  --json          a line of JSON for each URL\n"
          "  --quiet         no progress, no sum\n"
          "  --scene         eight URLs from simulated hosts\n"
          "  --live          eight URLs from a server on this machine, started for them\n"
          "Without a URL, or for \"-\", URLs are read from standard input, one a line.\n"
          "The exit status is 0 where all answered with 2xx, 1 where not, 2 for a wrong command,\n"
          "130 after Ctrl-C.\n",
        to);
}

/* What could not be written is a failure, whatever became of the URLs. */
static int written(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fputs("fetch: standard output could not be written\n", stderr);
    return status > 0 ? status : 1;
}

static double number_of(const char *option, const char *text, double least, double most)
{
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end || !(number >= least && number <= most)) {
        fprintf(stderr, "fetch: %s takes a number from %.10g to %.10g, not \"%s\"\n", option, least, most, text);
        exit(2);
    }
    return number;
}

enum {
    OPTION_PER_HOST = 256,
    OPTION_TIMEOUT,
    OPTION_TOTAL,
    OPTION_RETRIES,
    OPTION_OUTPUT,
    OPTION_HEAD,
    OPTION_TRUST,
    OPTION_INSECURE,
    OPTION_JSON,
    OPTION_QUIET,
    OPTION_SCENE,
    OPTION_LIVE,
    OPTION_HELP
};
static const struct option long_options[] = {
    { "per-host", required_argument, NULL, OPTION_PER_HOST },
    { "timeout", required_argument, NULL, OPTION_TIMEOUT },
    { "total", required_argument, NULL, OPTION_TOTAL },
    { "retries", required_argument, NULL, OPTION_RETRIES },
    { "output", required_argument, NULL, OPTION_OUTPUT },
    { "trust", required_argument, NULL, OPTION_TRUST },
    { "insecure", no_argument, NULL, OPTION_INSECURE },
    { "head", no_argument, NULL, OPTION_HEAD },
    { "json", no_argument, NULL, OPTION_JSON },
    { "quiet", no_argument, NULL, OPTION_QUIET },
    { "scene", no_argument, NULL, OPTION_SCENE },
    { "live", no_argument, NULL, OPTION_LIVE },
    { "help", no_argument, NULL, OPTION_HELP },
    { NULL, 0, NULL, 0 },
};

static void take_option(command *c, int option, const char *value)
{
    fetch_options *o = &c->options;
    switch (option) {
    case 'n': o->at_once = (size_t)number_of("-n", value, 1, 10000); break;
    case OPTION_PER_HOST: o->per_host = (size_t)number_of("--per-host", value, 1, 10000); break;
    case OPTION_TIMEOUT: o->timeout = number_of("--timeout", value, 0.001, 1e9); break;
    case OPTION_TOTAL: o->total = number_of("--total", value, 0.001, 1e9); break;
    case OPTION_RETRIES: o->retries = (int)number_of("--retries", value, 0, 1000); break;
    case OPTION_OUTPUT: o->output = value; break;
    case OPTION_HEAD: o->head = true; break;
    case OPTION_TRUST: c->trust = value; break;
    case OPTION_INSECURE: c->insecure = true; break;
    case OPTION_JSON: o->json = true; break;
    case OPTION_QUIET: o->quiet = true; break;
    case OPTION_SCENE: exit(written(fetch_scene()));
    case OPTION_LIVE: exit(written(fetch_live(isatty(STDERR_FILENO))));
    case OPTION_HELP: usage(stdout); exit(0);
    default: usage(stderr); exit(2); /* getopt has said what is wrong */
    }
}

int main(int argc, char **argv)
{
    int option;
    command c = { .options = { .at_once = 10, .per_host = 6, .timeout = 30, .total = INFINITY, .retries = 2 } };

    while ((option = getopt_long(argc, argv, "n:", long_options, NULL)) != -1)
        take_option(&c, option, optarg);
    c.urls = argv + optind;
    if (argc == optind + 1 && !strcmp(argv[optind], "-"))
        c.urls = argv + argc;
    c.reads_lines = !*c.urls;
    if (c.reads_lines && argc == optind && isatty(STDIN_FILENO)) {
        fputs("fetch: there is no URL\n", stderr);
        usage(stderr);
        return 2;
    }
    if (c.options.output && access(c.options.output, W_OK | X_OK) < 0) {
        fprintf(stderr, "fetch: --output %s: %s\n", c.options.output, strerror(errno));
        return 2;
    }
    c.options.ended = show_ended;
    c.options.arg = &c;
    c.to_terminal = isatty(STDOUT_FILENO);
    c.draws = isatty(STDERR_FILENO) && !c.options.quiet;
    return written(crank_run(app, &c));
}
