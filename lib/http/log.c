/* SPDX-License-Identifier: MIT */
/* log.c: the common log format, with the microseconds that an answer took behind.
 *
 * What a client has sent is escaped: it can neither end a line nor move a terminal's cursor.
 * A log that is not read makes no request wait: its lines are counted instead. */
#include "http/log.h"

#include <stdio.h>
#include <string.h>

#include <crank/run.h>
#include <crank/stream.h>
#include <crank/task.h>

enum { LINE = 1024, TARGET_MAX = 512, GONE = 499 };

/* Cut where it does not fit: never within an escape. */
static void escape(char *buf, size_t size, const char *text)
{
    size_t end = 0;
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = c >= ' ' && c < 127 && c != '"' && c != '\\';
        if (end + (plain ? 2 : 5) > size)
            break;
        if (plain)
            buf[end++] = (char)c;
        else
            end += (size_t)snprintf(buf + end, 5, "\\x%02x", c);
    }
    buf[end] = '\0';
}

/* "[10/Oct/2000:13:55:36 +0000]", from the answer's date. */
static const char *stamp(const cr_http_server *server, char *buf, size_t size)
{
    const char *d = server->date; /* "Tue, 10 Oct 2000 13:55:36 GMT" */
    if (!*d)
        return "-";
    snprintf(buf, size, "%.2s/%.3s/%.4s:%.8s +0000", d + 5, d + 8, d + 12, d + 17);
    return buf;
}

void cr_http_log_write(const cr_http_message *message)
{
    cr_http_server *server = message->connection->server;
    crank_stream *log = server->options.log;
    const crank_http_request *r = &message->request;
    char line[LINE], target[TARGET_MAX], method[32], at[32];
    if (!log)
        return;
    escape(target, sizeof target, r->target);
    escape(method, sizeof method, r->method);
    const char *peer = r->peer + (*r->peer == '[');
    size_t size = strcspn(peer, *r->peer == '[' ? "]" : ":");
    int length = snprintf(line, sizeof line, "%.*s - - [%s] \"%s %s HTTP/%d.%d\" %d %llu %.0f\n",
        (int)(*peer ? size : 1), *peer ? peer : "-", stamp(server, at, sizeof at), method, target,
        r->version / 10, r->version % 10, message->gone ? GONE : message->status,
        (unsigned long long)message->written, (crank_time() - message->received_at) * 1e6);
    if (server->lost_lines > 0) {
        char lost[64];
        int n = snprintf(lost, sizeof lost, "# %zu lines were lost here\n", server->lost_lines);
        if (crank_write_now(log, lost, (size_t)n) == 0)
            server->lost_lines = 0;
    }
    if (server->lost_lines > 0 || crank_write_now(log, line, (size_t)length) < 0)
        server->lost_lines++;
}
