/* SPDX-License-Identifier: MIT */
#ifndef CRANK_PROCESS_H
#define CRANK_PROCESS_H
/* Other programs: starting them, talking to them by pipes, waiting for their end. No program is started by way of a
 * shell but by crank_shell_start. Under the simulator no program can be started: -ENOTSUP. */
#include "base.h"
#include "stream.h"
/* Not a system header, as scope.h is none: gcc would then keep silent about an ignored result. */

CRANK_BEGIN_DECLS

/* What a program has as its standard input, output and error: besides these, 0 for ours, or the number of a
 * descriptor. */
enum {
    CRANK_PIPE = -1,    /* a pipe to us: crank_process_in, crank_process_out, crank_process_err */
    CRANK_DISCARD = -2, /* /dev/null */
    CRANK_MERGE = -3    /* of err alone: the same as out */
};

/* Every field may be zero: its default. */
typedef struct crank_process_options {
    int in, out, err;
    const char *cwd;        /* the folder in which it starts; NULL: ours */
    const char *const *env; /* "NAME=value", then NULL; NULL: ours */
    const int *pass;        /* descriptors that it has as 3, 4 and so on; it has no others of ours */
    size_t pass_count;
    bool session;      /* it leads a new session, and signals go to all processes of it */
    double grace;      /* seconds between SIGTERM and SIGKILL at close; 0 is 5 */
    const void *input; /* crank_run_process writes this to it */
    size_t input_size;
} crank_process_options;

/* What a program has written, in memory from malloc with a 0 behind, to be given back with crank_output_free. */
typedef struct crank_output {
    size_t limit; /* of each of the two, in bytes: 0 is 16 MiB, SIZE_MAX none */
    char *out, *err;
    size_t out_size, err_size;
} crank_output;
CRANK_API void crank_output_free(crank_output *output);

/* Start the program argv[0], sought in PATH, with the arguments argv up to NULL. options may be NULL. NULL on failure,
 * errno is set, crank_error names the program: -ENOENT (there is none, or no such cwd), -EACCES and others of exec,
 * -EBADF (a descriptor is closed), -EAGAIN, -ENOMEM, -EMFILE, -EINVAL (another value for in, out or err), -ECHILD
 * (SIGCHLD is ignored), -ENOTSUP, -ECANCELED: no process is left. */
CRANK_API CRANK_BLOCKS crank_process *crank_process_start(
    const char *const *argv, const crank_process_options *options);
/* Start a command by /bin/sh -c. What comes from others must never be part of it. Fails as crank_process_start. */
CRANK_API CRANK_BLOCKS crank_process *crank_shell_start(const char *command, const crank_process_options *options);

/* Our end of its pipe, which lives as long as the process object: closing it is ignored, crank_write_eof ends the
 * program's input. NULL where it is no pipe. */
CRANK_API crank_stream *crank_process_in(crank_process *process);
CRANK_API crank_stream *crank_process_out(crank_process *process);
CRANK_API crank_stream *crank_process_err(crank_process *process);
CRANK_API pid_t crank_process_id(const crank_process *process);

/* Wait until it has ended, whether its pipes are open or not; by any number of tasks, and again. Its exit status, 0 to
 * 255, or 256 and the number of the signal that ended it. Fails with -ECANCELED (it runs on), -ECHILD (its status was
 * lost: SIGCHLD is ignored, or another part of the program waits for any child), -ENOMEM. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_process_wait(crank_process *process);
/* Write input to it and then the end, read what it writes to the ends, all at once, and wait. Gives what
 * crank_process_wait gives. A program that does not read its input is no error. Where ret_output is NULL what it
 * writes is dropped. Fails with -ECANCELED (it runs on; what it wrote is lost), -EMSGSIZE (more than
 * ret_output->limit), and as crank_process_wait and crank_read; then ret_output is untouched. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_process_communicate(
    crank_process *process, const void *input, size_t size, crank_output *ret_output);
/* Send it a signal: never to another process that has its number by now. 0; fails with -ESRCH once it has ended, and as
 * kill. */
CRANK_API int crank_process_signal(crank_process *process, int signal);
/* As crank_process_close, at the end of a block: a request to cancel stays for the next wait. */
CRANK_API void crank_process_end_(crank_process *process);

/* Start a program, give it options->input, take what it writes, and wait for its end: its status as of
 * crank_process_wait. in, out and err that are 0 are pipes, and in is CRANK_DISCARD where there is no input. Fails as
 * crank_process_start and crank_process_communicate; then the program has ended. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_run_process(
    const char *const *argv, const crank_process_options *options, crank_output *ret_output);

#ifndef __cplusplus
/* CRANK_AUTO_PROCESS crank_process *p = ...: closed at the end of its block, as by crank_close. */
#define CRANK_AUTO_PROCESS CRANK_CLEANUP_(crank_process_drop_)
static inline void crank_process_drop_(crank_process **process)
{
    if (*process)
        crank_process_end_(*process);
}
/* CRANK_AUTO_OUTPUT crank_output output = { 0 }: given back at the end of its block. */
#define CRANK_AUTO_OUTPUT CRANK_CLEANUP_(crank_output_free)
#endif

CRANK_END_DECLS
#endif
