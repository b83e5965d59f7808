/* SPDX-License-Identifier: MIT */
/* smuggling.c: the table of smuggling.txt, row by row. */
#include <ctype.h>
#include "webs.h"

enum { BYTES_MAX = 48 * 1024, ROWS_MIN = 100 };

static char *trimmed(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    for (char *end = text + strlen(text); end > text && isspace((unsigned char)end[-1]);)
        *--end = '\0';
    return text;
}

/* The bytes that a row's third field means: how many. */
static size_t bytes_of(const char *text, char *bytes)
{
    static const char escapes[] = "r\rn\nt\t\\\\";
    size_t size = 0;
    char repeated;
    int count, used = 0;
    unsigned code;
    while (*text) {
        const char *escape = *text == '\\' && text[1] ? strchr(escapes, text[1]) : NULL;
        if (sscanf(text, "{%c*%d}%n", &repeated, &count, &used) == 2 && used > 0) {
            memset(bytes + size, repeated, (size_t)count);
            size += (size_t)count;
            text += used;
            used = 0;
        } else if (escape) {
            bytes[size++] = escape[1];
            text += 2;
        } else if (sscanf(text, "\\x%2x", &code) == 1) {
            bytes[size++] = (char)code;
            text += 4;
        } else if (strncmp(text, "\\0", 2) == 0) {
            bytes[size++] = '\0';
            text += 2;
        } else {
            bytes[size++] = *text++;
        }
    }
    return size;
}

static int echo(crank_http_request *request)
{
    char *body;
    crank_try(crank_http_read_body(request, 1000, &body));
    return crank_http_print(
        request, 200, "text/plain", "%s %s%s%s", request->method, request->path, *body ? " " : "", body);
}
static int serve(crank_stream *s) { return crank_http_serve_stream(NULL, s, echo); }

/* "200:GET / 400 close", as the table writes it. */
static void read_verdict(crank_stream *s, char *verdict, size_t room)
{
    static webs_answer a;
    bool closes = false;
    size_t size = 0;
    *verdict = '\0';
    for (;;) {
        webs_read(s, &a, true);
        if (a.status == 0)
            break;
        closes = a.closes;
        bool shown = a.status == 200;
        size += (size_t)snprintf(
            verdict + size, room - size, "%s%d%s%s", size ? " " : "", a.status, shown ? ":" : "", shown ? a.body : "");
    }
    snprintf(verdict + size, room - size, "%s", size == 0 ? "none" : closes ? " close" : " open");
}

static int try_row(const char *name, const char *expected, const char *bytes, size_t size)
{
    char verdict[400];
    CRANK_AUTO_STREAM crank_stream *near = NULL;
    CRANK_AUTO_STREAM crank_stream *far = NULL;
    crank_try(crank_socket_pair(&near, &far));
    AUTO_SERVER crank_task *server = crank_spawn(serve, far);
    crank_try(crank_write(near, bytes, size));
    crank_try(crank_write_eof(near));
    EXPECT_EQ(webs_await(&server), 0);
    crank_try(crank_finish(far));
    read_verdict(near, verdict, sizeof verdict);
    if (strcmp(verdict, expected) != 0)
        test_fail(__FILE__, __LINE__, "%s: \"%s\", expected \"%s\"", name, verdict, expected);
    return 0;
}

TEST_SIM(requests, that_could_be_read_in_two_ways_are_refused)
{
    static char line[8192], bytes[BYTES_MAX];
    FILE *table = fopen(HTTP_TABLE, "re");
    int rows = 0, err = 0;
    EXPECT(table != NULL);
    while (err == 0 && fgets(line, sizeof line, table)) {
        if (line[0] == '#' || !strchr(line, '|'))
            continue;
        char *name = strchr(line, '|'), *text = strchr(name + 1, '|');
        EXPECT(text != NULL);
        *name++ = *text++ = '\0';
        /* One blank after the bar, and the line's end, are the table's. */
        text[strcspn(text, "\n")] = '\0';
        err = try_row(trimmed(name), trimmed(line), bytes, bytes_of(text + (*text == ' '), bytes));
        rows++;
    }
    fclose(table);
    EXPECT(rows >= ROWS_MIN);
    return err;
}
