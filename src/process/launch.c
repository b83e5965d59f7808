/* SPDX-License-Identifier: MIT */
/* launch.c: from a program's name to its process.
 *
 * Starting a program stops its thread until exec, which takes some hundred microseconds and more
 * where files come slowly: it is a worker's work. What that needs is copied to heap memory before,
 * for the caller's may lie on the task's stack. A task that is cancelled before the worker has
 * begun has no process; afterwards it has one, and the request stays for its next wait.
 *
 * What a program is given is only what the options say. Descriptors that other parts of the program
 * have opened without close-on-exec are closed in the child, one by one where the kernel has no
 * call for all, so that no pipe is kept open by a program that knows nothing of it.
 *
 * Owns the pipes' other ends until the child has them, and every descriptor where something
 * fails: then none is left, and no child. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "io/file.h"
#include "io/pipe.h"
#include "process/process.h"
#include "task/error.h"
#include "thread/blocking.h"

#define STANDARD CR_PROCESS_STREAMS

/* All that a worker needs to start one program. Heap memory until the call returns. */
typedef struct launch {
    const cr_sys *sys;
    cr_spawn spawn; /* its pointers lead behind this struct */
    int *descriptors;
    int null;             /* /dev/null, or -1 */
    int theirs[STANDARD]; /* ends of pipes; -1 */
    int ours[STANDARD];
    int asked[STANDARD]; /* options.in, out, err */
    int pidfd;
} launch;

/* ---- On a worker ---- */

/* What is closed is marked so: an error path may come here twice. */
static void close_all(const cr_sys *sys, int *fds, int count)
{
    for (int i = 0; i < count; i++) {
        if (fds[i] >= 0)
            (void)sys->close(sys->context, fds[i]);
        fds[i] = -1;
    }
}

/* The child reads its input and writes the other two: its end is the one that waits. */
static int open_pipe(launch *l, int i)
{
    int fds[2];
    int err = l->sys->pipe(l->sys->context, fds, i == 0 ? CR_PIPE_READER : CR_PIPE_WRITER);
    if (err < 0)
        return err;
    l->theirs[i] = fds[i != 0];
    l->ours[i] = fds[i == 0];
    l->descriptors[i] = l->theirs[i];
    return 0;
}

/* One opening serves all of the three. */
static int open_null(launch *l, int i)
{
    if (l->null < 0)
        l->null = cr_file_open_retrying(l->sys, "/dev/null", O_RDWR);
    l->descriptors[i] = l->null;
    return l->null < 0 ? l->null : 0;
}

/* What is the child's i-th descriptor? */
static int prepare(launch *l, int i)
{
    switch (l->asked[i]) {
    case 0: l->descriptors[i] = i; return 0;
    case CRANK_PIPE: return open_pipe(l, i);
    case CRANK_DISCARD: return open_null(l, i);
    case CRANK_MERGE: l->descriptors[i] = l->descriptors[1]; return 0;
    default: l->descriptors[i] = l->asked[i]; return 0;
    }
}

/* The child has its copies by the time spawn returns, so ours of them are closed whatever came of
 * it: the end of a pipe shows only when its last copy is closed. */
static long do_launch(void *arg)
{
    launch *l = arg;
    long result = 0;
    for (int i = 0; i < STANDARD && result == 0; i++)
        result = prepare(l, i);
    if (result == 0)
        result = l->sys->spawn(l->sys->context, &l->spawn, &l->pidfd);
    close_all(l->sys, &l->null, 1);
    close_all(l->sys, l->theirs, STANDARD);
    if (result < 0)
        close_all(l->sys, l->ours, STANDARD);
    return result;
}

/* ---- What the worker needs ---- */

/* Texts one behind the other, and a vector of where they are. */
static size_t texts_size(const char *const *texts, size_t *ret_count)
{
    size_t size = 0, n = 0;
    for (; texts && texts[n]; n++)
        size += strlen(texts[n]) + 1;
    *ret_count = n;
    return size + (texts ? (n + 1) * sizeof *texts : 0);
}

/* Moves at behind the copy. */
static char *copy_text(char **at, const char *text)
{
    size_t length = strlen(text) + 1;
    char *copy = memcpy(*at, text, length);
    *at += length;
    return copy;
}

/* As exec wants it: NULL behind the last. */
static void copy_texts(const char **vector, size_t count, const char *const *texts, char **at)
{
    for (size_t i = 0; i < count; i++)
        vector[i] = copy_text(at, texts[i]);
    vector[count] = NULL;
}

/* Nothing is open yet. */
static void copy_descriptors(launch *l, const crank_process_options *options)
{
    l->asked[0] = options->in;
    l->asked[1] = options->out;
    l->asked[2] = options->err;
    if (options->pass_count > 0)
        memcpy(l->descriptors + STANDARD, options->pass, options->pass_count * sizeof(int));
    for (int i = 0; i < STANDARD; i++)
        l->theirs[i] = l->ours[i] = -1;
    l->null = l->pidfd = -1;
}

/* One block: the struct, the vectors, the descriptors, the texts. */
static launch *launch_new(
    const cr_sys *sys, const char *const *argv, const crank_process_options *options)
{
    size_t arguments, variables, count = STANDARD + options->pass_count;
    size_t size = sizeof(launch) + texts_size(argv, &arguments) +
                  texts_size(options->env, &variables) + count * sizeof(int) +
                  (options->cwd ? strlen(options->cwd) + 1 : 0);
    launch *l = cr_alloc_zero(sys, size);
    if (!l)
        return NULL;
    const char **vector = (const char **)(l + 1);
    const char **environment = vector + arguments + 1;
    l->sys = sys;
    l->descriptors = (int *)(environment + (options->env ? variables + 1 : 0));
    char *at = (char *)(l->descriptors + count);
    copy_texts(vector, arguments, argv, &at);
    if (options->env)
        copy_texts(environment, variables, options->env, &at);
    copy_descriptors(l, options);
    l->spawn = (cr_spawn){ .file = vector[0],
        .arguments = vector,
        .environment = options->env ? environment : NULL,
        .directory = options->cwd ? copy_text(&at, options->cwd) : NULL,
        .descriptors = l->descriptors,
        .count = (int)count,
        .session = options->session };
    return l;
}

/* ---- In the task ---- */

/* From here on the descriptor is the stream's. */
static int open_stream(crank_process *p, launch *l, int i)
{
    static const char *const names[STANDARD] = { "input", "output", "errors" };
    char name[64];
    if (l->ours[i] < 0)
        return 0;
    snprintf(name, sizeof name, "the %s of %.48s", names[i], p->name);
    p->streams[i] = cr_pipe_open(p->loop, l->ours[i], i != 0, name);
    if (!p->streams[i])
        return -ENOMEM;
    p->streams[i]->borrowed = true;
    l->ours[i] = -1;
    return 0;
}

/* Where our ends cannot be streams the program that runs by now is ended. */
static int start(const cr_caller *w, crank_process *p, launch *l)
{
    long id = cr_blocking_call(w, do_launch, l, p->name);
    if (id < 0) {
        cr_process_free(p);
        return (int)id;
    }
    cr_process_started(p, (pid_t)id, l->pidfd);
    int err = 0;
    for (int i = 0; i < STANDARD && err == 0; i++)
        err = open_stream(p, l, i);
    if (err < 0) {
        close_all(l->sys, l->ours, STANDARD);
        p->grace = 0;
        cr_process_finish(w, p);
    }
    return err;
}

/* Names the folder too, for exec and chdir fail with the same numbers. */
static int refused(const char *program, const crank_process_options *options, int err)
{
    if (err == -ENOTSUP)
        return cr_error_set(err, "cannot start %s: the simulator runs no other programs", program);
    return cr_error_set(err, "cannot start %s%s%s: %s", program, options->cwd ? " in " : "",
        options->cwd ? options->cwd : "", cr_failure_error_words(err));
}

/* What stands in a header as a constant, and numbers that no descriptor has, are mistakes. */
static bool is_valid(const crank_process_options *options)
{
    return options->in >= CRANK_DISCARD && options->out >= CRANK_DISCARD &&
           options->err >= CRANK_MERGE && !(options->grace != options->grace) &&
           options->pass_count <= INT16_MAX;
}

/* The checkpoint comes first: a caller that is cancelled hears of that before anything else. */
static int start_process(
    const char *const *argv, const crank_process_options *options, crank_process **ret_process)
{
    static const crank_process_options defaults = { 0 };
    cr_caller w;
    int err = cr_checkpoint(&w, "crank_process_start");
    if (err < 0)
        return err;
    if (!options)
        options = &defaults;
    if (!is_valid(options))
        return refused(argv[0], options, -EINVAL);
    crank_process *p = cr_process_new(w.loop, argv[0]);
    launch *l = p ? launch_new(w.loop->sys, argv, options) : NULL;
    if (!l) {
        cr_free(w.loop->sys, p);
        return refused(argv[0], options, -ENOMEM);
    }
    p->session = options->session;
    if (options->grace > 0)
        p->grace = options->grace;
    err = start(&w, p, l);
    cr_free(w.loop->sys, l);
    if (err == 0)
        *ret_process = p;
    return err == 0 || err == -ECANCELED ? err : refused(argv[0], options, err);
}

/* errno last: it must survive the waits in between. */
crank_process *crank_process_start(const char *const *argv, const crank_process_options *options)
{
    crank_process *process = NULL;
    CR_CHECK(argv && argv[0], "crank_process_start: there is no argv[0], the program's name");
    int err = start_process(argv, options, &process);
    if (err < 0)
        errno = -err;
    return process;
}

/* The path is fixed: a shell found by way of PATH could be anything. */
crank_process *crank_shell_start(const char *command, const crank_process_options *options)
{
    CR_CHECK(command, "crank_shell_start: the command is NULL");
    const char *const argv[] = { "/bin/sh", "-c", command, NULL };
    return crank_process_start(argv, options);
}
