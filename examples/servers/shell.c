/* SPDX-License-Identifier: MIT */
/* shell: runs commands side by side and keeps their output apart.
 *
 * shell [-j N] COMMAND...: at most N run at once. On a terminal the last line shows what is running; what a command has
 * written is shown in one piece when it has ended. Ctrl-C ends the commands that run. The exit status is 0 when each
 * command's was. */
#define _POSIX_C_SOURCE 200809L
#include <crank.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COLUMNS 78

typedef struct job {
    const char *command;
    bool running, ended;
    int status; /* as of crank_process_wait, or a negative errno */
    double began, seconds;
} job;

typedef struct jobs {
    job *all;
    size_t count;
    bool terminal; /* progress is shown on it */
} jobs;

/* ---- What is shown ---- */

static void show_progress(const jobs *j)
{
    char line[COLUMNS + 1], names[COLUMNS + 1] = "";
    size_t ended = 0, running = 0, length = 0;
    double oldest = 0;
    if (!j->terminal)
        return;
    for (const job *at = j->all; at < j->all + j->count; at++) {
        ended += at->ended;
        running += at->running;
        if (at->running && crank_time() - at->began > oldest)
            oldest = crank_time() - at->began;
        if (at->running && length < sizeof names)
            length += (size_t)snprintf(names + length, sizeof names - length, "%s%.*s", length ? " | " : "",
                (int)strcspn(at->command, "\n\t\033"), at->command);
    }
    snprintf(line, sizeof line, "%zu of %zu, %zu running, %.0f s: %s", ended, j->count, running, oldest, names);
    fprintf(stderr, "\r\033[K%s", line);
}
static void hide_progress(const jobs *j)
{
    if (j->terminal)
        fputs("\r\033[K", stderr);
}

/* In the job's own task: where the job has failed, its error is there. */
static void describe(const job *at, char *text, size_t size)
{
    if (at->status < 0)
        snprintf(text, size, "%s", at->status == -ECANCELED ? "interrupted" : crank_error());
    else if (at->status > 256)
        snprintf(text, size, "%s", strsignal(at->status - 256));
    else
        snprintf(text, size, "status %d", at->status);
}

/* One header, then what it wrote: to both of its outputs, and to ours the same. */
static void show_result(const jobs *j, const job *at, const crank_output *output)
{
    char how[200];
    describe(at, how, sizeof how);
    hide_progress(j);
    printf("--- %s (%s, %.2f s)\n", at->command, how, at->seconds);
    fwrite(output->out, 1, output->out_size, stdout);
    if (output->out_size > 0 && output->out[output->out_size - 1] != '\n')
        putchar('\n');
    fflush(stdout);
    fwrite(output->err, 1, output->err_size, stderr);
    show_progress(j);
}

static int update_progress(const jobs *j)
{
    for (;;) {
        show_progress(j);
        crank_try(crank_sleep(0.2));
    }
}

/* ---- Running ---- */

static int run_job(jobs *j, job *at)
{
    const char *const argv[] = { "/bin/sh", "-c", at->command, NULL };
    /* In a session of its own the command's own children hear of its end too. */
    crank_process_options options = { .in = CRANK_DISCARD, .session = true, .grace = 2 };
    CRANK_AUTO_OUTPUT crank_output output = { 0 };
    at->running = true;
    at->began = crank_time();
    at->status = crank_run_process(argv, &options, &output);
    at->seconds = crank_time() - at->began;
    at->running = false;
    at->ended = true;
    show_result(j, at, &output);
    return at->status == -ECANCELED ? -ECANCELED : 0; /* one that fails disturbs no other */
}

static int run_all(jobs *j, size_t at_once)
{
    CRANK_GROUP_LIMIT(group, at_once);

    for (size_t i = 0; i < j->count; i++)
        crank_group_spawn(&group, run_job, j, &j->all[i]);
    return crank_group_wait(&group);
}

static int app(jobs *j, size_t at_once)
{
    size_t failed = 0;
    CRANK_GROUP(progress);

    if (j->terminal)
        crank_group_spawn(&progress, update_progress, j);
    int err = run_all(j, at_once);
    hide_progress(j);
    for (const job *at = j->all; at < j->all + j->count; at++)
        failed += at->status != 0;
    if (err == 0 && failed > 0)
        printf("--- %zu of %zu failed\n", failed, j->count);
    if (err == 0 && (fflush(stdout) != 0 || ferror(stdout)))
        return crank_fail(EIO, "what the commands wrote could not be written to standard output");
    return err < 0 ? err : failed > 0;
}

static int usage(FILE *to)
{
    fputs("usage: shell [-j N] COMMAND...\n"
          "  runs the commands, at most N at once, and keeps their output apart:\n"
          "  ./run shell -j 2 'sleep 1; date' 'uname -a' false\n",
        to);
    return to == stdout ? 0 : 2;
}

int main(int argc, char **argv)
{
    long at_once = sysconf(_SC_NPROCESSORS_ONLN);
    int option;
    char *end = "";

    if (argc == 2 && !strcmp(argv[1], "--help"))
        return usage(stdout);
    while ((option = getopt(argc, argv, "+j:")) == 'j')
        at_once = strtol(optarg, &end, 10);
    if (option != -1)
        return usage(stderr); /* getopt has said what is wrong */
    if (optind == argc || at_once < 1 || *end) {
        fputs(optind == argc ? "shell: there is no COMMAND\n" : "shell: -j takes a number from 1\n", stderr);
        return usage(stderr);
    }
    jobs j = { .count = (size_t)(argc - optind), .terminal = isatty(STDERR_FILENO) == 1 };
    j.all = calloc(j.count, sizeof *j.all);
    if (!j.all)
        return 1;
    for (size_t i = 0; i < j.count; i++)
        j.all[i].command = argv[optind + (int)i];
    int status = crank_run(app, &j, (size_t)at_once);
    free(j.all);
    return status;
}
