/* SPDX-License-Identifier: MIT */
/* console.c: the server's own terminal, which is the only administrator.
 *
 * It watches the room and prints what its members are told. Its commands are for the server alone: a member types them
 * in vain. Where there is no terminal, as for a service, the end of the input ends nothing. */
#include "console.h"

#include <crank.h>
#include <stdio.h>
#include <string.h>

#include "lines.h"

static bool print_event(member *m, const event *e)
{
    char line[LINE_MAX_BYTES];
    (void)m;
    line_of(e, line, sizeof line);
    fputs(line, stdout);
    return true;
}

static const member_type on_terminal = { .tell = print_event };

/* False: the server is to stop. */
static bool do_command(room *r, char *line)
{
    char names[TEXT_MAX_BYTES];
    char *rest = line + strcspn(line, " ");
    if (*rest)
        *rest++ = '\0';
    if (!strcmp(line, "/stop"))
        return false;
    if (!strcmp(line, "/who")) {
        room_names(r, names, sizeof names);
        printf("%zu here%s%s\n", room_count(r), *names ? ": " : "", names);
    } else if (!strcmp(line, "/say") && *rest) {
        room_say(r, rest);
    } else if (!strcmp(line, "/kick") && *rest) {
        if (!room_kick(r, rest))
            printf("%s is not here\n", rest);
    } else if (*line) {
        printf("/who, /say TEXT, /kick NAME, /stop\n");
    }
    return true;
}

static int read_commands(room *r)
{
    char line[TEXT_MAX_BYTES + 8];
    crank_stream *input = crank_stdin();
    while (input) {
        ssize_t n = crank_read_line(input, line, sizeof line);
        if (n == -ECANCELED)
            return (int)n;
        if (n <= 0)
            break;
        line[strcspn(line, "\r\n")] = '\0';
        if (!do_command(r, line))
            return 0;
    }
    return crank_sleep(CRANK_FOREVER);
}

int chat_console(room *r)
{
    member watcher = { .type = &on_terminal };
    room_watch(r, &watcher);
    int err = read_commands(r);
    room_unwatch(&watcher);
    return err;
}
