/* SPDX-License-Identifier: MIT */
/* show.c: what became of the URLs, in words: a table, rows for other programs, JSON, the sum. */
#define _POSIX_C_SOURCE 200809L
#include "fetch.h"
#include <string.h>

enum { TEXT_BYTES = 4096, NUMBER_BYTES = 32 };

/* Bytes of UTF-8 are left as they are; each other byte above ASCII, and each control, is escaped. */
const char *show_text(const char *text, size_t columns, char *buf, size_t size)
{
    size_t length = 0, used = 0;
    for (; *text && length + 8 < size; text++) {
        unsigned char byte = (unsigned char)*text;
        bool control = byte < ' ' || byte == 0x7f || (byte >= 0x80 && byte < 0xa0);
        size_t wide = control ? 4 : 1;
        if (used + wide > columns && columns >= 3) {
            length = length > 3 ? length - 3 : 0;
            length += (size_t)snprintf(buf + length, size - length, "...");
            break;
        }
        length += (size_t)snprintf(buf + length, size - length, control ? "\\x%02x" : "%c", byte);
        used += wide;
    }
    buf[length] = '\0';
    return buf;
}

/* 1,234,567. */
static const char *show_number(int64_t number, char buf[NUMBER_BYTES])
{
    char digits[NUMBER_BYTES];
    size_t n = (size_t)snprintf(digits, sizeof digits, "%lld", (long long)number), length = 0;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            buf[length++] = ',';
        buf[length++] = digits[i];
    }
    buf[length] = '\0';
    return buf;
}

const char *show_bytes(int64_t bytes, char *buf, size_t size)
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
    double number = (double)bytes;
    size_t unit = 0;
    while (number >= 999.5 && unit + 1 < CRANK_COUNT(units)) {
        number /= 1000;
        unit++;
    }
    snprintf(buf, size, unit == 0 ? "%.0f %s" : "%.1f %s", number, units[unit]);
    return buf;
}

static bool is_elsewhere(const job *j) { return j->final && strcmp(j->final, j->url) != 0; }

static void status_of(const job *j, char buf[NUMBER_BYTES])
{
    snprintf(buf, NUMBER_BYTES, j->error < 0 || j->status == 0 ? "-" : "%d", j->status);
}

/* STATUS, BYTES, SECONDS, TRIES, URL, FINAL URL, MESSAGE: always seven. */
void show_row(const job *j)
{
    char status[NUMBER_BYTES], url[TEXT_BYTES], final[TEXT_BYTES], message[TEXT_BYTES];
    status_of(j, status);
    printf("%s\t%lld\t%.3f\t%d\t%s\t%s\t%s\n", status, (long long)j->bytes, j->seconds, j->tries,
        show_text(j->url, SIZE_MAX, url, sizeof url),
        show_text(j->final ? j->final : "", SIZE_MAX, final, sizeof final),
        show_text(job_is_good(j) ? "" : j->message, SIZE_MAX, message, sizeof message));
    fflush(stdout);
}

/* Bytes that are no UTF-8 would make it no JSON: they become U+FFFD. */
static void print_string(const char *text)
{
    putchar('"');
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        size_t more = *at < 0x80 ? 0 : *at >= 0xc2 && *at < 0xe0 ? 1 : *at >= 0xe0 && *at < 0xf0 ? 2 : 3, i = 0;
        while (i < more && (at[i + 1] & 0xc0) == 0x80)
            i++;
        bool whole = i == more && *at < 0xf5 && !(*at >= 0x80 && *at < 0xc2) && !(*at == 0xe0 && at[1] < 0xa0) &&
                     !(*at == 0xed && at[1] >= 0xa0) && !(*at == 0xf0 && at[1] < 0x90) &&
                     !(*at == 0xf4 && at[1] >= 0x90);
        if (!whole)
            printf("\\ufffd");
        else if (more == 0 && (*at < ' ' || *at == '"' || *at == '\\'))
            printf("\\u%04x", *at);
        else
            printf("%.*s", (int)more + 1, (const char *)at);
        at += whole ? more + 1 : 1;
    }
    putchar('"');
}

void show_json(const job *j)
{
    printf("{\"url\":");
    print_string(j->url);
    printf(",\"final\":");
    if (j->final)
        print_string(j->final);
    else
        printf("null");
    if (j->error < 0 || j->status == 0)
        printf(",\"status\":null");
    else
        printf(",\"status\":%d", j->status);
    printf(",\"bytes\":%lld,\"seconds\":%.3f,\"tries\":%d,\"error\":", (long long)j->bytes, j->seconds, j->tries);
    if (j->error < 0)
        print_string(crank_errno_name(j->error));
    else
        printf("null");
    printf(",\"message\":");
    print_string(job_is_good(j) ? "" : j->message);
    puts("}");
    fflush(stdout);
}

static void table_row(const job *j)
{
    char status[NUMBER_BYTES], bytes[NUMBER_BYTES], tries[NUMBER_BYTES] = "", whole[TEXT_BYTES], text[TEXT_BYTES];
    status_of(j, status);
    if (j->tries > 1)
        snprintf(tries, sizeof tries, "%d", j->tries);
    int length = snprintf(whole, sizeof whole, "%s", j->url);
    if (is_elsewhere(j) && length < TEXT_BYTES)
        length += snprintf(whole + length, sizeof whole - (size_t)length, " -> %s", j->final);
    if (!job_is_good(j) && length < TEXT_BYTES)
        snprintf(whole + length, sizeof whole - (size_t)length, "   %s", j->message);
    /* What does not fit is shown all the same: the terminal wraps it, and it can be copied. */
    printf("%-6s %11s %8.2f s %6s  %s\n", status, show_number(j->bytes, bytes), j->seconds, tries,
        show_text(whole, SIZE_MAX, text, sizeof text));
}

void show_table(const fetch *f)
{
    printf("STATUS       BYTES       TIME  TRIES  URL\n");
    for (const job *j = f->first; j; j = j->next)
        table_row(j);
}

void show_sum(const fetch *f, FILE *to)
{
    char bytes[NUMBER_BYTES];
    fprintf(to, "%zu URL%s, %zu fetched, %zu failed, %s in %.1f s", f->count, f->count == 1 ? "" : "s",
        f->finished - f->failed, f->failed, show_bytes(f->bytes, bytes, sizeof bytes), crank_time() - f->began);
    if (f->count > 1)
        fprintf(to, "; one after another it would have been %.1f s", f->seconds_in_all);
    fputc('\n', to);
    fflush(to);
}
