/* SPDX-License-Identifier: MIT */
/* chat: a chat room for browsers and nc, with names, commands, a history and a goodbye.
 *
 * room.c is the room, which knows no connection; lines.c brings in members by lines of text, web.c those in browsers,
 * console.c the server's terminal; scene.c shows the same room under the simulator. Here they are put together, and
 * ended. */
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
#ifdef CHAT_WEB
#include <crank/tls.h>
#include "web.h"
#endif

#define GOODBYE_SECONDS 2.0 /* to send what members are still to hear */
#define UNNAMED_MAX 100     /* connections that have not chosen a name */

typedef struct chat {
    const char *lines_at, *web_at; /* addresses */
    const char *certificate, *key; /* of https; NULL: http */
    bool panel, opens;             /* a browser at its page */
    room *room;
    crank_listener *lines, *web; /* web: NULL where crank has been built without crank-http */
    struct crank_tls *tls;       /* NULL: http */
} chat;

/* ---- Its end ---- */

/* Members' tasks end by themselves now, and what serves with the last of them. */
static int say_goodbye(chat *c)
{
    room_end(c->room, "the server is going down. Goodbye!");
    if (c->web)
        crank_listener_stop(c->web, GOODBYE_SECONDS);
    return crank_listener_stop(c->lines, GOODBYE_SECONDS);
}

static int stop_when_asked(chat *c)
{
    CRANK_SIGNALS(asked, SIGINT, SIGTERM, SIGHUP);

    crank_try(crank_signals_next(&asked));
    return say_goodbye(c);
}

static int stop_when_typed(chat *c)
{
    crank_try(chat_console(c->room));
    return say_goodbye(c);
}

/* ---- Serving ---- */

/* As crank_listen; what it says of a failure names the option too. */
static int listen_at(crank_listener **ret_listener, const char *option, const char *address)
{
    char why[256];
    *ret_listener = crank_listen(address);
    if (*ret_listener)
        return 0;
    int err = -errno;
    snprintf(why, sizeof why, "%s", crank_error());
    return err == -ECANCELED ? err : crank_fail(-err, "%s; another place: %s ADDRESS", why, option);
}

/* How nc connects there. */
static void name_for_nc(const crank_listener *listener, char *buf, size_t size)
{
    const char *at = crank_listener_address(listener, 0), *port = strrchr(at, ':');
    bool bracketed = *at == '[';
    if (strncmp(at, "unix:", 5) == 0)
        snprintf(buf, size, "nc -U %s", at + 5);
    else
        snprintf(buf, size, "nc %.*s %s", (int)(port - at) - 2 * bracketed, at + bracketed, port + 1);
}

/* A browser that does not open is no failure: where the page is has been said. */
static int open_page(const chat *c)
{
    char url[200];
    const char *const argv[] = { "xdg-open", url, NULL };
    const crank_process_options options = { .in = CRANK_DISCARD, .out = CRANK_DISCARD, .err = CRANK_DISCARD };
    snprintf(url, sizeof url, "%s://%s/", c->tls ? "https" : "http", crank_listener_address(c->web, 0));
    int status = crank_run_process(argv, &options, NULL);
    if (status != 0 && status != -ECANCELED)
        printf("chat: no browser was opened: %s\n", status < 0 ? crank_error() : "xdg-open knows of none");
    return status == -ECANCELED ? status : 0;
}

static int serve_lines(chat *c)
{
    crank_serve_options options = { .connections_max = MEMBERS_MAX + UNNAMED_MAX };
    crank_set_name(NULL, "serve lines");
    return crank_serve_with(&options, c->lines, chat_lines, c->room);
}

#ifdef CHAT_WEB
/* On all of its sockets. */
static bool is_loopback(const crank_listener *listener)
{
    const char *at;
    for (size_t i = 0; (at = crank_listener_address(listener, i)); i++)
        if (strncmp(at, "127.", 4) != 0 && strncmp(at, "[::1]:", 6) != 0)
            return false;
    return true;
}

static int serve_web(chat *c, const char *by_lines)
{
    crank_http_options options = { .connections_max = 2 * MEMBERS_MAX + UNNAMED_MAX, .tls = c->tls };
    web_site site = { .room = c->room, .listener = c->web, .by_lines = by_lines };
    site.panel = c->panel && is_loopback(c->web); /* what the server does is its own machine's business */
    crank_set_name(NULL, "serve web");
    return crank_http_serve_with(&options, c->web, chat_web, &site);
}

static int serve(chat *c)
{
    char by_lines[128];
    name_for_nc(c->lines, by_lines, sizeof by_lines);
    printf("chat: open %s://%s/ in two tabs, or: %s\n", c->tls ? "https" : "http", crank_listener_address(c->web, 0),
        by_lines);
    printf("      here: /who, /say TEXT, /kick NAME, /stop; Ctrl-C says goodbye\n");
    return crank_gather(NULL, crank_spawn(serve_lines, c), crank_spawn(serve_web, c, by_lines));
}
#else
static int serve(chat *c)
{
    char by_lines[128];
    name_for_nc(c->lines, by_lines, sizeof by_lines);
    printf("chat: try it in two terminals: %s; for browsers it would be built with libssl-dev installed\n", by_lines);
    printf("      here: /who, /say TEXT, /kick NAME, /stop; Ctrl-C says goodbye\n");
    return serve_lines(c);
}
#endif

static int run(chat *c)
{
    CRANK_AUTO_LISTENER crank_listener *lines = NULL;
    CRANK_AUTO_LISTENER crank_listener *web = NULL;
    CRANK_GROUP(group); /* declared after what its children use */

    crank_try(listen_at(&lines, "--lines", c->lines_at));
#ifdef CHAT_WEB
    crank_try(listen_at(&web, "--web", c->web_at));
#endif
    c->lines = lines;
    c->web = web;
    crank_group_spawn(&group, stop_when_asked, c);
    crank_group_spawn(&group, stop_when_typed, c);
    if (c->opens && c->web)
        crank_group_spawn(&group, open_page, (const chat *)c);
    crank_try(serve(c));
    puts("chat: all have left");
    return 0;
}

#if defined CHAT_WEB && !defined WITHOUT_TLS
static int run_with_certificate(chat *c)
{
    CRANK_AUTO_TLS crank_tls *tls = NULL;
    if (c->certificate)
        tls = crank_try(crank_tls_server(c->certificate, c->key));
    c->tls = tls;
    return run(c);
}
#else
static int run_with_certificate(chat *c)
{
    if (c->certificate)
        return crank_fail(ENOTSUP, "--cert: crank was built without OpenSSL (libssl-dev)");
    return run(c);
}
#endif

static int app(chat *c)
{
    c->room = room_new(time);
    int err = c->room ? run_with_certificate(c) : -ENOMEM;
    room_free(c->room);
    return err;
}

/* ---- The command line ---- */

static int usage(FILE *to)
{
    fputs("usage: chat [--lines ADDRESS] [--web ADDRESS] [--cert FILE [--key FILE]]\n"
          "            [--no-panel] [--open]\n"
          "       chat --scene | --live\n"
          "  --lines ADDRESS  where nc connects: 127.0.0.1:8000; *:8000 is open to others\n"
          "  --web ADDRESS    where browsers connect: 127.0.0.1:8080\n"
          "  --cert FILE      browsers come by https, with this certificate and its key\n"
          "                   (examples/certificates.sh makes them for localhost)\n"
          "  --no-panel       browsers do not show what the server does; those of other\n"
          "                   machines never do\n"
          "  --open           open the page in a browser of this machine\n"
          "  --scene          three members play a scene of four minutes, simulated: at once\n"
          "  --live           the same scene on this machine's network, a minute in a second\n",
        to);
    return to == stdout ? 0 : 2;
}

static int refuse(const char *argument, const char *why)
{
    fprintf(stderr, "chat: %s %s\n", argument, why);
    return usage(stderr);
}

static bool takes_value(const char *argument)
{
    return !strcmp(argument, "--lines") || !strcmp(argument, "--web") || !strcmp(argument, "--cert") ||
           !strcmp(argument, "--key");
}

int main(int argc, char **argv)
{
    chat c = { .lines_at = "127.0.0.1:8000", .web_at = "127.0.0.1:8080", .panel = true };

    setvbuf(stdout, NULL, _IOLBF, 0); /* a line is seen when it is printed, also in a log file */
    if (argc == 2 && (!strcmp(argv[1], "--scene") || !strcmp(argv[1], "--live")))
        return chat_scene(!strcmp(argv[1], "--live"));
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--no-panel"))
            c.panel = false;
        else if (!strcmp(argv[i], "--help"))
            return usage(stdout);
        else if (!strcmp(argv[i], "--open"))
            c.opens = true;
        else if (!strcmp(argv[i], "--lines") && i + 1 < argc)
            c.lines_at = argv[++i];
        else if (!strcmp(argv[i], "--web") && i + 1 < argc)
            c.web_at = argv[++i];
        else if (!strcmp(argv[i], "--cert") && i + 1 < argc)
            c.certificate = argv[++i];
        else if (!strcmp(argv[i], "--key") && i + 1 < argc)
            c.key = argv[++i];
        else
            return refuse(argv[i], takes_value(argv[i]) ? "stands at the end, without its value" : "is unknown");
    }
    if (c.key && !c.certificate)
        return refuse("--key", "wants a --cert, whose key it is");
    return crank_run(app, &c);
}
