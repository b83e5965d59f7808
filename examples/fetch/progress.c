/* SPDX-License-Identifier: MIT */
/* progress.c: what is going on, on a terminal: one line for all, and one for each of the oldest that run or rest.
 *
 * A picture is written in one piece, over the one before: the cursor goes up by as many lines as that had. No line is
 * wider than the terminal, or it would be two, and the count be wrong. */
#define _DEFAULT_SOURCE
#include "fetch.h"
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { SHOWN_MAX = 8, LINE_BYTES = 1024, BAR = 20, BAR_LEAST = 5, COLUMNS = 80, NARROW = 20 };

typedef struct picture {
    char text[(SHOWN_MAX + 2) * LINE_BYTES];
    size_t length;
    int lines, columns;
    bool colour;
} picture;

static int columns_of(int fd)
{
    struct winsize size = { 0 };
    if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return COLUMNS;
    return size.ws_col < NARROW ? NARROW : size.ws_col;
}

static void add_line(picture *p, const char *line, bool dim)
{
    char shown[LINE_BYTES - 32];
    show_text(line, (size_t)p->columns - 1, shown, sizeof shown);
    p->length += (size_t)snprintf(p->text + p->length, sizeof p->text - p->length, "%s%s\033[K%s\n",
        dim && p->colour ? "\033[2m" : "", shown, dim && p->colour ? "\033[0m" : "");
    p->lines++;
}

/* "  [===>  ]" in room columns at most, the figures beside it go first; where there is no room for one, nothing. */
static void make_bar(char bar[BAR + 5], int room, const fetch *f)
{
    int width = room - 4 < BAR ? room - 4 : BAR;
    int done = f->count > 0 && width > 0 ? (int)(f->finished * (size_t)width / f->count) : 0;
    *bar = '\0';
    if (width < BAR_LEAST)
        return;
    int length = sprintf(bar, "  [");
    for (int i = 0; i < width; i++)
        bar[length++] = i < done ? '=' : i == done ? '>' : ' ';
    memcpy(bar + length, "]", 2);
}

static void add_summary(picture *p, const fetch *f, int64_t bytes)
{
    char line[LINE_BYTES], before[64], behind[LINE_BYTES / 2], bar[BAR + 5], all[32], rate[32];
    double seconds = crank_time() - f->began;
    size_t waiting = f->count - f->finished - f->running;
    show_bytes(bytes, all, sizeof all);
    show_bytes(seconds > 0 ? (int64_t)((double)bytes / seconds) : 0, rate, sizeof rate);
    snprintf(before, sizeof before, " %zu of %zu", f->finished, f->count);
    snprintf(
        behind, sizeof behind, "  %zu at once  %zu waiting  %s  %s/s  %.1f s", f->running, waiting, all, rate, seconds);
    make_bar(bar, p->columns - 1 - (int)strlen(before) - (int)strlen(behind), f);
    snprintf(line, sizeof line, "%s%s%s", before, bar, behind);
    add_line(p, line, false);
}

/* Why it rests, in a word or two: its row will have the whole sentence. */
static const char *why(const job *j)
{
    static char status[8];
    switch (-j->error) {
    case 0: snprintf(status, sizeof status, "%d", j->status); return status;
    case ECONNREFUSED: return "refused";
    case ECONNRESET: return "reset";
    case ENODATA: return "ended early";
    case ETIMEDOUT: return "no answer";
    case EAGAIN: return "no name server";
    default: return crank_errno_name(j->error);
    }
}

static void describe(const job *j, char *text, size_t size)
{
    char bytes[32], rate[32], part[16] = "";
    double seconds = crank_time() - j->began;
    if (j->state == JOB_RESTS) {
        snprintf(text, size, "%s, again in %.1f s (%d of %d)", why(j), j->again_at - crank_time(), j->tries + 1,
            j->of->options.retries + 1);
        return;
    }
    if (j->length > 0)
        snprintf(part, sizeof part, "%3d%%  ", (int)(j->bytes >= j->length ? 100 : j->bytes * 100 / j->length));
    show_bytes(seconds > 0 ? (int64_t)((double)j->bytes / seconds) : 0, rate, sizeof rate);
    snprintf(text, size, "%8s  %s%s/s", show_bytes(j->bytes, bytes, sizeof bytes), part, rate);
}

static void add_job(picture *p, const job *j)
{
    char what[128], url[LINE_BYTES / 2], line[LINE_BYTES];
    describe(j, what, sizeof what);
    int width = p->columns - 5 - (int)strlen(what);
    if (width < NARROW / 2)
        width = NARROW / 2;
    if (width > 60)
        width = 60;
    show_text(j->url, (size_t)width, url, sizeof url);
    snprintf(line, sizeof line, "  %-*s  %s", width, url, what);
    add_line(p, line, true);
}

static void draw(picture *p, const fetch *f)
{
    int before = p->lines, shown = 0;
    int64_t bytes = f->bytes;
    p->length = 0;
    p->lines = 0;
    p->columns = columns_of(STDERR_FILENO);
    if (before > 0)
        p->length = (size_t)snprintf(p->text, sizeof p->text, "\033[%dA", before);
    for (const job *j = f->first; j; j = j->next)
        bytes += j->state == JOB_RUNS ? j->bytes : 0;
    add_summary(p, f, bytes);
    for (const job *j = f->first; j && shown < SHOWN_MAX; j = j->next)
        if (j->state == JOB_RUNS || j->state == JOB_RESTS) {
            add_job(p, j);
            shown++;
        }
    p->length += (size_t)snprintf(p->text + p->length, sizeof p->text - p->length, "\033[J");
    fwrite(p->text, 1, p->length, stderr);
}

int progress_draw(const fetch *f)
{
    picture *p = calloc(1, sizeof *p);
    if (!p)
        return crank_fail(ENOMEM, "out of memory");
    const char *no_color = getenv("NO_COLOR");
    p->colour = !no_color || !*no_color;
    int err = 0;
    while (err == 0) {
        draw(p, f);
        err = crank_sleep(0.1);
    }
    fprintf(stderr, "\033[%dA\033[J", p->lines);
    free(p);
    return err;
}
