/* SPDX-License-Identifier: MIT */
/* communicate.c: a program's input and output, all of it.
 *
 * Each pipe has a task of its own, so that a program which writes before it has read everything
 * waits for nothing of ours. They are children of the calling task's, and end before the call does.
 * The output is gathered in heap memory and handed over at the end.
 *
 * What others of the program's descendants keep open is waited for, as long as it is: the end of a
 * pipe is the end of its last writer. A caller that does not want that waits for the program alone,
 * by crank_process_wait. */
#include <crank/scope.h>

#include "base/check.h"
#include "io/socketlike.h"
#include "process/process.h"
#include "task/error.h"

/* A program that writes without end must not take all memory of one that forgot to set a limit. */
#define LIMIT ((size_t)16 * 1024 * 1024)
#define ROOM_FIRST ((size_t)4096)
/* Small enough to be copied by the stream: the bytes may lie on the stack of a task that
 * hibernates, which the kernel must not read. */
#define PIECE ((size_t)16 * 1024)

/* What has come from one pipe so far. */
typedef struct gathered {
    const cr_sys *sys;
    crank_stream *from; /* NULL: nothing comes */
    size_t limit;
    char *data;
    size_t size, room;
} gathered;

/* What goes to the program, and what came of that. */
typedef struct feeding {
    crank_process *process;
    const char *bytes;
    size_t size;
    int error;
} feeding;

/* One byte more than there is, for the 0 behind. */
static int make_room(gathered *g)
{
    if (g->size + 1 < g->room)
        return 0;
    size_t room = g->room ? 2 * g->room : ROOM_FIRST;
    char *data = cr_resize(g->sys, g->data, room);
    if (!data)
        return -ENOMEM;
    g->data = data;
    g->room = room;
    return 0;
}

/* Named by its stream: of two limits that are equal it is said which was passed. */
static int too_much(const gathered *g)
{
    return cr_error_set(-EMSGSIZE, "%s is more than %zu bytes", cr_stream_name(g->from), g->limit);
}

/* A task of its own for each pipe; the data is terminated at each step, so that none of the ways
 * out leaves it without a 0. */
static int gather(gathered *g)
{
    for (;;) {
        int err = make_room(g);
        if (err < 0)
            return cr_stream_failed(g->from, "read", err);
        ssize_t n = crank_read(g->from, g->data + g->size, g->room - g->size - 1);
        if (n < 0)
            return (int)n;
        g->size += (size_t)n;
        g->data[g->size] = '\0';
        if (g->size > g->limit)
            return too_much(g);
        if (n == 0)
            return 0;
    }
}

/* Flushed before the end is asked for: an error of sending is told here, or never. */
static int write_all(const feeding *f)
{
    crank_stream *in = f->process->streams[0];
    for (size_t done = 0; done < f->size;) {
        size_t piece = f->size - done < PIECE ? f->size - done : PIECE;
        int err = crank_write(in, f->bytes + done, piece);
        if (err < 0)
            return err;
        done += piece;
    }
    int err = crank_flush(in);
    if (err < 0)
        return err;
    const cr_caller w = { cr_loop_here, cr_self() };
    return cr_socketlike_write_eof(&w, cr_socketlike_of(in));
}

/* A program need not read what it is given. One that waits for more than could be written is shown
 * the end. */
static int feed(feeding *f)
{
    int err = write_all(f);
    if (err < 0 && err != -ECANCELED)
        cr_socketlike_abort(cr_socketlike_of(f->process->streams[0]));
    if (err != -EPIPE && err != -ECANCELED)
        f->error = err;
    crank_error_clear();
    return 0;
}

/* The first that fails cancels the other: half an answer is none. */
static int gather_both(gathered *out, gathered *err)
{
    CRANK_GROUP(group);
    if (out->from)
        crank_group_spawn(&group, gather, out);
    if (err->from)
        crank_group_spawn(&group, gather, err);
    return crank_group_wait(&group);
}

/* Where the program has ended what it has not read is of no use: leaving the block cancels that. */
static int converse(feeding *f, gathered *out, gathered *err)
{
    CRANK_GROUP(group);
    if (!group.state)
        return crank_group_wait(&group);
    if (f->process->streams[0] && !crank_group_spawn(&group, feed, f))
        return crank_group_wait(&group);
    int result = gather_both(out, err);
    return result < 0 ? result : crank_process_wait(f->process);
}

/* From here on the memory is the user's. */
static void hand_over(gathered *from, char **ret_data, size_t *ret_size)
{
    *ret_data = from->data;
    *ret_size = from->size;
    from->data = NULL;
}

/* ret_output is written at the very end: on failure it is untouched. */
int crank_process_communicate(
    crank_process *process, const void *input, size_t size, crank_output *ret_output)
{
    CR_CHECK(process, "crank_process_communicate: the process is NULL");
    CR_CHECK(input || size == 0, "crank_process_communicate: the input is NULL");
    const cr_sys *sys = cr_checked_loop("crank_process_communicate")->sys;
    size_t limit = ret_output && ret_output->limit ? ret_output->limit : LIMIT;
    gathered out = { .sys = sys, .from = process->streams[1], .limit = limit };
    gathered err = { .sys = sys, .from = process->streams[2], .limit = limit };
    feeding f = { .process = process, .bytes = input, .size = size };
    int result = converse(&f, &out, &err);
    if (result >= 0 && f.error < 0)
        result = cr_process_failed(process, "write to", f.error);
    if (result >= 0 && ret_output) {
        hand_over(&out, &ret_output->out, &ret_output->out_size);
        hand_over(&err, &ret_output->err, &ret_output->err_size);
    }
    cr_free(sys, out.data);
    cr_free(sys, err.data);
    return result;
}

/* The block ends the program on every way out; its failure stays the call's. */
int crank_run_process(
    const char *const *argv, const crank_process_options *options, crank_output *ret_output)
{
    crank_process_options asked = { 0 };
    if (options)
        asked = *options;
    if (asked.in == 0)
        asked.in = asked.input_size > 0 ? CRANK_PIPE : CRANK_DISCARD;
    if (asked.out == 0)
        asked.out = CRANK_PIPE;
    if (asked.err == 0)
        asked.err = CRANK_PIPE;
    CRANK_AUTO_PROCESS crank_process *process = crank_process_start(argv, &asked);
    if (!process)
        return -errno;
    return crank_process_communicate(process, asked.input, asked.input_size, ret_output);
}

/* The memory is malloc's on every backend: so the real table frees it. The limit may be used
 * again. */
void crank_output_free(crank_output *output)
{
    CR_CHECK(output, "crank_output_free: the output is NULL");
    cr_free(&cr_sys_real, output->out);
    cr_free(&cr_sys_real, output->err);
    *output = (crank_output){ .limit = output->limit };
}
