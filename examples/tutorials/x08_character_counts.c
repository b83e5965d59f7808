/* SPDX-License-Identifier: MIT */
/* X08: count the characters of several files, one task each in a group; the results in order.
 *
 * usage: x08_character_counts [file...]    (two files of the examples)
 *
 * A character is a UTF-8 code point; bytes that are none count as U+FFFD. Between two lines each
 * task gives way. A file that cannot be read fails its task; that cancels the others, and the
 * program ends with the error that names the file. */
#define _POSIX_C_SOURCE 200809L
#include <crank.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CODE_POINTS = 0x110000, REPLACEMENT = 0xFFFD };

/* What Python returns as a tuple (filename, dict): filled by the task, read when the group has
 * ended. One counter per code point is 4 MiB of address space; only the pages that are used cost
 * memory. */
struct counts {
    const char *filename;
    uint32_t *of;
};

/* It can stop anywhere: a long line comes in pieces, which may cut a character in two. */
struct decoder {
    uint32_t code;
    uint32_t least; /* a smaller code would have needed fewer bytes: not allowed */
    int missing;
};

static void count_byte(struct decoder *d, unsigned char byte, uint32_t *counts)
{
    if (d->missing > 0 && (byte & 0xC0) == 0x80) {
        d->code = d->code << 6 | (byte & 0x3F);
        if (--d->missing == 0) {
            bool valid = d->code >= d->least && d->code < CODE_POINTS && d->code >> 11 != 0x1B;
            counts[valid ? d->code : REPLACEMENT]++;
        }
        return;
    }
    if (d->missing > 0)
        counts[REPLACEMENT]++; /* the last one was never finished */
    d->missing = byte >= 0xF0 && byte < 0xF8   ? 3
                 : byte >= 0xE0 && byte < 0xF0 ? 2
                 : byte >= 0xC0 && byte < 0xE0 ? 1
                                               : 0;
    d->least = d->missing == 3 ? 0x10000 : d->missing == 2 ? 0x800 : 0x80;
    d->code = byte & (0x3Fu >> d->missing);
    if (d->missing == 0)
        counts[byte < 0x80 ? byte : REPLACEMENT]++;
}

static int count_lines(struct counts *counts)
{
    CRANK_AUTO_STREAM crank_stream *file = crank_try(crank_open(counts->filename, "r"));
    struct decoder decoder = { 0, 0, 0 };
    char line[4096];
    ssize_t n;

    while ((n = crank_try(crank_read_line(file, line, sizeof line))) > 0) {
        for (ssize_t i = 0; i < n; i++)
            count_byte(&decoder, (unsigned char)line[i], counts->of);
        crank_try(crank_sleep(0));
    }
    if (decoder.missing > 0)
        counts->of[REPLACEMENT]++;
    return 0;
}

static int count_characters(struct counts *counts)
{
    int err = count_lines(counts);
    if (err == -ECANCELED)
        printf("%s: cancelled\n", counts->filename);
    return err;
}

static void print_character(uint32_t c)
{
    if (c == '\n')
        printf("'\\n'");
    else if (c == '\'' || c == '\\')
        printf("'\\%c'", (char)c);
    else if (c < 0x20 || (c >= 0x7F && c < 0xA0))
        printf("'\\x%02x'", (unsigned)c);
    else if (c < 0x80)
        printf("'%c'", (char)c);
    else if (c < 0x800)
        printf("'%c%c'", (char)(0xC0 | c >> 6), (char)(0x80 | (c & 0x3F)));
    else if (c < 0x10000)
        printf("'%c%c%c'", (char)(0xE0 | c >> 12), (char)(0x80 | (c >> 6 & 0x3F)), (char)(0x80 | (c & 0x3F)));
    else
        printf("'%c%c%c%c'", (char)(0xF0 | c >> 18), (char)(0x80 | (c >> 12 & 0x3F)), (char)(0x80 | (c >> 6 & 0x3F)),
            (char)(0x80 | (c & 0x3F)));
}

static void print_counts(const struct counts *counts)
{
    unsigned long characters = 0;
    const char *separator = "{";

    printf("%s: ", counts->filename);
    for (uint32_t c = 0; c < CODE_POINTS; c++) {
        if (counts->of[c] == 0)
            continue;
        fputs(separator, stdout);
        print_character(c);
        printf(": %u", counts->of[c]);
        characters += counts->of[c];
        separator = ", ";
    }
    printf("%s}, %lu characters\n", characters == 0 ? "{" : "", characters);
}

static int app(size_t n, char **filenames)
{
    struct counts *counts = calloc(n, sizeof *counts);
    int err = counts ? 0 : -ENOMEM;

    for (size_t i = 0; err == 0 && i < n; i++) {
        counts[i] = (struct counts){ filenames[i], calloc(CODE_POINTS, sizeof(uint32_t)) };
        err = counts[i].of ? 0 : -ENOMEM;
    }
    if (err == 0) {
        CRANK_GROUP(group);
        for (size_t i = 0; i < n; i++)
            crank_group_spawn(&group, count_characters, &counts[i]);
        err = crank_group_wait(&group);
    }
    for (size_t i = 0; err == 0 && i < n; i++)
        print_counts(&counts[i]);
    for (size_t i = 0; counts && i < n; i++)
        free(counts[i].of);
    free(counts);
    return err;
}

int main(int argc, char **argv)
{
    static char *const ours[] = { "planets.txt", "greetings.txt" };

    if (argc > 1)
        return crank_run(app, (size_t)argc - 1, argv + 1);
    if (chdir(EXAMPLES_DATA) != 0) {
        perror(EXAMPLES_DATA);
        return 1;
    }
    return crank_run(app, CRANK_COUNT(ours), (char **)ours);
}
