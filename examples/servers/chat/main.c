/* SPDX-License-Identifier: MIT */
/* chat: a chat room for nc, with names, commands, a history and a goodbye.
 *
 * room.c is the room, which knows no connection; lines.c brings in members by lines of text, console.c the server's
 * terminal; scene.c shows the same room under the simulator. Here they are put together, and ended. */
#define _POSIX_C_SOURCE 200809L
#include <crank.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "console.h"
#include "lines.h"
#include "room.h"
#include "scene.h"

#define GOODBYE_SECONDS 2.0 /* to send what members are still to hear */
#define UNNAMED_MAX 100     /* connections that have not chosen a name */

/* Members' tasks end by themselves now, and crank_serve with the last of them. */
static int say_goodbye(crank_listener *listener, room *r)
{
    room_end(r, "the server is going down. Goodbye!");
    return crank_listener_stop(listener, GOODBYE_SECONDS);
}

static int stop_when_asked(crank_listener *listener, room *r)
{
    CRANK_SIGNALS(asked, SIGINT, SIGTERM, SIGHUP);

    crank_try(crank_signals_next(&asked));
    return say_goodbye(listener, r);
}

static int stop_when_typed(crank_listener *listener, room *r)
{
    crank_try(chat_console(r));
    return say_goodbye(listener, r);
}

static int chat(const char *address, room *r)
{
    crank_serve_options options = { .connections_max = MEMBERS_MAX + UNNAMED_MAX };
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen(address));
    const char *at = crank_listener_address(listener, 0);
    const char *port = strrchr(at, ':') + 1;
    CRANK_GROUP(group); /* declared after what its children use */

    printf("chat: try it in two terminals: nc %.*s %s\n", (int)(port - 1 - at), at, port);
    printf("      here: /who, /say TEXT, /kick NAME, /stop; Ctrl-C says goodbye\n");
    crank_group_spawn(&group, stop_when_asked, listener, r);
    crank_group_spawn(&group, stop_when_typed, listener, r);
    crank_try(crank_serve_with(&options, listener, chat_lines, r));
    puts("chat: all have left");
    return 0;
}

static int app(const char *address)
{
    room *r = room_new(time);
    int err = r ? chat(address, r) : -ENOMEM;
    room_free(r);
    return err;
}

int main(int argc, char **argv)
{
    const char *address = argc > 1 ? argv[1] : "127.0.0.1:8000";

    setvbuf(stdout, NULL, _IOLBF, 0); /* a line is seen when it is printed, also in a log file */
    if (argc == 2 && !strcmp(argv[1], "--scene"))
        return chat_scene();
    if (argc > 2 || *address == '-') {
        fprintf(stderr,
            "usage: %s [ADDRESS | --scene]\n"
            "  ADDRESS: where members connect, 127.0.0.1:8000; --scene: three members under the simulator\n",
            argv[0]);
        return 2;
    }
    return crank_run(app, address);
}
