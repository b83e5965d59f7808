/* SPDX-License-Identifier: MIT */
/* fuzz.c: what every target needs, and the entry that libFuzzer calls. */
#include "fuzz.h"
#include <stdarg.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

bool fuzz_explains;

typedef struct script {
    const uint8_t *data;
    size_t size;
} script;

/* Straight to the descriptor: a task may be short of stack. */
void fuzz_fail(const char *file, int line, const char *format, ...)
{
    char text[512];
    va_list args;
    int used = snprintf(text, sizeof text, "FAIL %s: %s:%d: ", fuzz_this.name, file, line);
    va_start(args, format);
    used += vsnprintf(text + used, sizeof text - (size_t)used - 1, format, args);
    va_end(args);
    size_t length = strnlen(text, sizeof text - 2);
    text[length] = '\n';
    ssize_t written = write(STDERR_FILENO, text, length + 1);
    (void)written;
    fuzz_stop();
}

static void report(const crank_report *report, void *arg)
{
    (void)arg;
    if (fuzz_explains)
        fputs(report->text, stderr);
    if (!fuzz_this.may_report || report->kind == CRANK_REPORT_DEADLOCK)
        fuzz_fail(__FILE__, __LINE__, "it was reported: %s", report->text);
}

crank_options fuzz_options(void) { return (crank_options){ .backend = CRANK_BACKEND_SIM, .on_report = report }; }

static long run_script(void *arg)
{
    const script *of = arg;
    fuzz_this.run(of->data, of->size);
    return 0;
}

void fuzz_run(const uint8_t *data, size_t size)
{
    script of = { data, size };
    crank_options options = fuzz_options();
    if (fuzz_this.in_task)
        FUZZ_EQUAL(crank_run_raw(&options, run_script, &of), 0);
    else
        fuzz_this.run(data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_run(data, size);
    return 0;
}
