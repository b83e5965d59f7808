/* SPDX-License-Identifier: MIT */
/* scene.c: three members play a scene, one of them in a browser.
 *
 * chat --scene: under the simulator; the same server, the same lines, but the network and the clock are simulated. So
 * four minutes take no time, and it is the same scene each time. chat --live: on this machine's network, where a minute
 * of the scene is a second. */
#define _POSIX_C_SOURCE 200809L /* setenv */
#include "scene.h"

#include <crank.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lines.h"
#include "room.h"
#ifdef CHAT_WEB
#include <crank/websocket.h>

#include "web.h"
#endif

#define TEN_O_CLOCK 36000

/* Where and how fast it is played. */
static struct stage {
    double begins, speed; /* of crank_time; seconds of the scene in each of ours */
    const char *lines_at, *web_at;
} stage;

/* What each member does, and when: seconds from the beginning. */
typedef struct cue {
    double at;
    const char *who, *types; /* NULL: hangs up */
} cue;

static const cue script[] = {
    { 0, "ada", "ada" },
    { 20, "bob", "ada" }, /* a name that is taken */
    { 25, "bob", "bob" },
    { 40, "ada", "hello bob" },
    { 55, "bob", "hi! shall we ask cem?" },
    { 90, "cem", "cem" },
    { 100, "cem", "/me waves" },
    { 115, "ada", "/msg cem do not tell bob about the cake" },
    { 130, "cem", "/nick cem-of-few-words" },
    { 150, "bob", "what are you two up to?" },
    { 160, "ada", "/who" },
    { 170, "cem", "/quit" },
    { 200, "bob", NULL },
    { 240, "ada", "/quit" },
};

/* Seconds of the scene since it has begun. */
static double played(void) { return (crank_time() - stage.begins) * stage.speed; }
static int play_until(double at) { return crank_sleep_until(stage.begins + at / stage.speed); }
static int play_on(double seconds) { return crank_sleep(seconds / stage.speed); }

static time_t scene_time(time_t *unused)
{
    (void)unused;
    return TEN_O_CLOCK + (time_t)played();
}

static int listen_for(const char *who, crank_stream *s)
{
    char line[LINE_MAX_BYTES];
    while (crank_try(crank_read_line(s, line, sizeof line)) > 0)
        printf("%4.0f s  %-4s< %s", played(), who, line);
    return 0;
}

/* The player's next one behind this, NULL: from the beginning. NULL: there is none. */
static const cue *next_cue(const cue *c, const char *who)
{
    const cue *end = script + CRANK_COUNT(script);
    for (c = c ? c + 1 : script; c < end; c++)
        if (!strcmp(c->who, who))
            return c;
    return NULL;
}

static void show_cue(const cue *c)
{
    printf("%4.0f s  %-4s> %s\n", played(), c->who, c->types ? c->types : "(hangs up)");
}

static int play_with_nc(const char *who)
{
    CRANK_AUTO_STREAM crank_stream *s = NULL;
    CRANK_GROUP(group); /* declared after what its children use */

    for (const cue *c = next_cue(NULL, who); c; c = next_cue(c, who)) {
        crank_try(play_until(c->at));
        if (!s) {
            s = crank_try(crank_connect(stage.lines_at));
            crank_group_spawn(&group, listen_for, who, s);
            crank_try(play_on(1)); /* the welcome is read before the name is typed */
        }
        show_cue(c);
        if (!c->types)
            return 0; /* the group ends the listening, then the stream closes */
        crank_try(crank_printf(s, "%s\n", c->types));
        crank_try(play_on(1));
    }
    return crank_group_wait(&group);
}

static int serve_lines(crank_listener *listener, room *r) { return crank_serve(listener, chat_lines, r); }

#ifdef CHAT_WEB
static int listen_for_events(const char *who, crank_websocket *socket)
{
    crank_websocket_message m;
    while (crank_try(crank_websocket_read(socket, &m)) > 0)
        printf("%4.0f s  %-4s< %s\n", played(), who, m.bytes);
    return 0;
}

/* What the page's script does. */
static int play_in_browser(const char *who)
{
    char url[100];
    CRANK_AUTO_WEBSOCKET crank_websocket *socket = NULL;
    CRANK_GROUP(group);

    snprintf(url, sizeof url, "ws://%s/chat", stage.web_at);
    for (const cue *c = next_cue(NULL, who); c; c = next_cue(c, who)) {
        crank_try(play_until(c->at));
        if (!socket) {
            socket = crank_try(crank_websocket_connect(url));
            crank_group_spawn(&group, listen_for_events, who, socket);
        }
        show_cue(c);
        crank_try(crank_websocket_print(socket, "%s", c->types));
        crank_try(play_on(1));
    }
    return crank_group_wait(&group);
}

static int serve_browsers(crank_listener *listener, room *r)
{
    web_site site = { .room = r, .listener = listener, .by_lines = "" };
    return crank_http_serve(listener, chat_web, &site);
}
#else
static int play_in_browser(const char *who) { return play_with_nc(who); }
static int serve_browsers(crank_listener *listener, room *r) { return r ? crank_listener_wait_stop(listener) : 0; }
#endif

static int scene(room *r, bool is_live)
{
    CRANK_AUTO_LISTENER crank_listener *lines = crank_try(crank_listen(is_live ? "127.0.0.1:0" : "127.0.0.1:8000"));
    CRANK_AUTO_LISTENER crank_listener *web = crank_try(crank_listen(is_live ? "127.0.0.1:0" : "127.0.0.1:8080"));
    crank_task *server = crank_spawn(serve_lines, lines, r), *web_server = crank_spawn(serve_browsers, web, r);

    stage = (struct stage){ .begins = crank_time(),
        .speed = is_live ? 60 : 1,
        .lines_at = crank_listener_address(lines, 0),
        .web_at = crank_listener_address(web, 0) };
    crank_try(crank_gather(
        NULL, crank_spawn(play_with_nc, "ada"), crank_spawn(play_with_nc, "bob"), crank_spawn(play_in_browser, "cem")));
    crank_listener_stop(lines, 0);
    crank_listener_stop(web, 0);
    return crank_gather(NULL, server, web_server);
}

static int app(bool is_live)
{
    room *r = room_new(scene_time);
    int err = r ? scene(r, is_live) : -ENOMEM;
    room_free(r);
    return err;
}

int chat_scene(bool is_live)
{
    setenv("TZ", "UTC0", 1); /* the same hours everywhere */
    tzset();
    if (is_live)
        return crank_run(app, true);
    long result = crank_run_with(CRANK_OPTIONS(.backend = CRANK_BACKEND_SIM), app, false);
    if (result < 0)
        fprintf(stderr, "chat: the scene failed: %s\n", crank_errno_name((int)result));
    return result < 0;
}
