/* SPDX-License-Identifier: MIT */
/* check.c: the last words before an abort.
 *
 * Owns the form of a CHECK: one line with the sentence, one with the place of the call where its
 * macro tells it, one with what the layers above know of the running task; all in one write, so
 * that lines of several threads do not mix. Allocates nothing: it may be called where memory is
 * short or a stack is nearly full. A CHECK that fails while another is being reported on the same
 * thread prints only itself. */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

size_t (*cr_check_hook)(char *buf, size_t size);

__thread const crank_site *cr_check_site __attribute__((tls_model("initial-exec")));
static __thread bool reporting;

/* Asked each time: a message is rare, and stderr may have been redirected since. NO_COLOR counts
 * where it is not empty, as its inventors say. */
cr_paint cr_check_paint(void)
{
    const char *refused = getenv("NO_COLOR"), *terminal = getenv("TERM");
    bool plain = !isatty(STDERR_FILENO) || (refused && *refused) || !terminal ||
                 strcmp(terminal, "dumb") == 0;
    return plain ? (cr_paint){ "", "" } : (cr_paint){ "\033[1;31m", "\033[0m" };
}

/* What snprintf says it wrote, cut to what fits. */
static size_t written(int length, size_t size)
{
    if (length < 0)
        return 0;
    return (size_t)length < size ? (size_t)length : size - 1;
}

/* write and not stdio: one call, no lock that the broken program may hold, no buffer to be lost
 * by the abort. */
void cr_check_failed(const char *format, ...)
{
    char text[1024];
    const size_t room = sizeof text - 1; /* one byte stays for the newline */
    cr_paint paint = cr_check_paint();
    size_t used = written(snprintf(text, room, "%scrank: CHECK:%s ", paint.on, paint.off), room);
    va_list args;
    va_start(args, format);
    used += written(vsnprintf(text + used, room - used, format, args), room - used);
    va_end(args);
    text[used++] = '\n';
    const crank_site *site = cr_check_site;
    if (site && site->line > 0 && used < room)
        used += written(snprintf(text + used, room - used, "  %s:%d: in %s, the call of %s\n",
                            site->file, site->line, site->caller, site->function),
            room - used);
    if (cr_check_hook && !reporting && used < room) {
        reporting = true;
        used += written((int)cr_check_hook(text + used, room - used), room - used);
        if (text[used - 1] != '\n')
            text[used++] = '\n';
    }
    (void)!write(STDERR_FILENO, text, used);
    abort();
}
