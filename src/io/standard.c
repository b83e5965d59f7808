/* SPDX-License-Identifier: MIT */
/* standard.c: standard input, output and error as streams.
 *
 * Each is made when a run first asks for it, and lives as long as the run. They are borrowed: the
 * descriptors 0, 1 and 2 stay open and their flags as they are, so crank_close of one is ignored.
 * What is still unsent when the last task has ended is written by one more task, which waits as any
 * other: a reader that is slow is waited for, Ctrl-C ends it.
 *
 * They are the run's and not the process's: two runs on two threads have streams of their own over
 * the same descriptors, whose lines may mix as those of two processes do. */
#include "io/standard.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/check.h"
#include "io/pipe.h"
#include "io/socketlike.h"
#include "scope/spawn.h"
#include "task/error.h"
#include "task/report.h"

enum { STREAMS = 3 };

/* In the loop's list of what is to be closed with it. */
typedef struct standard {
    cr_closer closer;
    crank_stream *streams[STREAMS]; /* by descriptor; NULL until it is asked for */
} standard;

/* Idle by now, but where a run was given up. */
static void close_all(crank_loop *loop, cr_closer *closer)
{
    standard *all = cr_container_of(closer, standard, closer);
    for (int i = 0; i < STREAMS; i++)
        if (all->streams[i])
            cr_pipe_discard(loop, all->streams[i]);
    cr_free(loop->sys, all);
}

/* A run has few closers, and asks for its streams rarely: programs keep what crank_stdout gives. */
static standard *find(const crank_loop *loop)
{
    for (cr_closer *closer = loop->closers; closer; closer = closer->next)
        if (closer->close == close_all)
            return cr_container_of(closer, standard, closer);
    return NULL;
}

/* Lives until the loop ends. */
static standard *find_or_make(crank_loop *loop)
{
    standard *all = find(loop);
    if (all)
        return all;
    all = cr_alloc_zero(loop->sys, sizeof *all);
    if (!all)
        return NULL;
    all->closer.close = close_all;
    cr_loop_at_close(loop, &all->closer);
    return all;
}

/* Asked again it gives the same stream; one that failed is tried again. */
static crank_stream *standard_stream(const char *call, int fd)
{
    static const char *const names[STREAMS] = { "standard input", "standard output",
        "standard error" };
    const cr_adoption asked = {
        .fd = fd, .flags = fd ? O_WRONLY : O_RDONLY, .name = names[fd], .borrowed = true
    };
    crank_loop *loop = cr_checked_loop(call);
    standard *all = find_or_make(loop);
    int err = all ? 0 : -ENOMEM;
    if (all && !all->streams[fd])
        err = cr_pipe_adopt(loop, &asked, &all->streams[fd]);
    if (err == 0)
        return all->streams[fd];
    cr_error_set(err, "%s: cannot use %s: %s", call, names[fd], cr_failure_error_words(err));
    errno = -err;
    return NULL;
}

/* The same descriptor as stdin's, with a buffer of its own. */
crank_stream *crank_stdin(void) { return standard_stream("crank_stdin", STDIN_FILENO); }
/* Sends by itself, as every stream that is no file. */
crank_stream *crank_stdout(void) { return standard_stream("crank_stdout", STDOUT_FILENO); }
/* Not sent at once, unlike stderr: what must be seen before a crash belongs there. */
crank_stream *crank_stderr(void) { return standard_stream("crank_stderr", STDERR_FILENO); }

/* ---- The end of the run ---- */

/* One that is broken has nothing left to send. */
static bool is_unsent(crank_stream *stream)
{
    const cr_socketlike *s = stream ? cr_socketlike_of(stream) : NULL;
    return s && (s->send_pending || (cr_sending_unsent(s) > 0 && !s->send_error));
}

/* A reader that has gone wanted no more. */
static void end_stream(const cr_caller *w, crank_stream *stream)
{
    char text[160];
    int err = stream->type->finish(w, stream);
    if (err < 0 && err != -EPIPE && err != stream->told) {
        snprintf(text, sizeof text, "some of what was written to %s at the end is lost: %s [%s]\n",
            cr_stream_name(stream), cr_failure_error_words(err), crank_errno_name(err));
        cr_report(w->loop, CRANK_REPORT_UNAWAITED, err, w->self, text);
    }
    stream->type->free(w->loop, stream);
}

/* The last task. */
static void write_rest(void)
{
    const cr_caller w = { cr_loop_here, cr_self() };
    standard *all = find(w.loop);
    for (int i = 0; i < STREAMS; i++) {
        crank_stream *stream = all->streams[i];
        if (!is_unsent(stream))
            continue;
        all->streams[i] = NULL;
        end_stream(&w, stream);
    }
    crank_error_clear();
}

/* Called again when that task has ended: then nothing is unsent. */
bool cr_standard_end(crank_loop *loop)
{
    static const crank_site site = { "(writes standard output)", "", "", 0, CRANK_KIND_VOID, 1, 0,
        false, 0, 0 };
    const standard *all = find(loop);
    if (CR_LIKELY(!all) || !(is_unsent(all->streams[1]) || is_unsent(all->streams[2])))
        return false;
    cr_task *task = cr_spawn_make_owned(loop, cr_task_state_of(loop)->detached, write_rest, &site);
    if (!task)
        return false; /* short of memory at the very end */
    cr_spawn_ready(loop, task);
    return true;
}
