/* SPDX-License-Identifier: MIT */
/* chat.c: a scene of the chat server (examples/servers/chat), played on a bad network that a seed decides.
 *
 * Twelve members on three hosts come, talk and go: by /quit, by closing, by a reset; two of them never read. Half of
 * them are browsers (where crank-http is built), which come again from where they have stopped. The links have latency,
 * jitter and a bandwidth, and are cut for seconds; connections are refused and reset, some at one side only; the server
 * is restarted once. Beside the members a watcher notes each room's events. What must hold: the numbers of the events
 * rise by one; each member has read exactly the events between its joining and its leaving, those before that it is
 * due, in their order and none twice, or where its connection broke, the first of them; what a member says comes in its
 * order, without a gap, and all of it where it left in peace; everything ends, and nothing is left.
 *
 * tests/tls/chat.c is the same scene, CHAT_TLS, in which members of both kinds come over TLS. There a connection that
 * the network breaks breaks as any other, also amid its handshake: TLS finds no byte wrong, and no certificate. */
#include <crank/sim.h>
#include "loop/loop.h"
#include "world/hosts.h"
#include "world/net.h"
#include "world/world.h"
/* Behind them: it has a type of the name event. */
#include "chat_record.h"
#ifdef CHAT_WEB
#include <crank/websocket.h>

#include "web.h"
#include "wire.h"
#endif
#ifdef CHAT_TLS
#include "../tls/certs.h"
#endif

enum { MEMBERS = 12, HOSTS = 3, TALK_MAX = 40 };
enum { TOO_SLOW = 1013 }; /* with which a browser's socket is closed amid the events */
#define SERVER "10.0.0.1"
#define REFUSED "the server is going down. Your name?\n" /* to a name that is sent behind the goodbye */

static cr_world *world(void) { return cr_loop_here->sys->context; }

/* ---- The server ---- */

static bool note_event(member *m, const event *e)
{
    watched *w = cr_container_of(m, watched, watcher);
    char line[8192] = "";
    told *t = &w->told[w->count];
    EXPECT(w->count < TOLD_MAX);
    EXPECT_EQ(e->id, e->kind == EVENT_BYE ? 0 : w->count + 1);
    *t = (told){ .kind = e->kind, .text = copy(e->text) };
    snprintf(t->from, NAME_MAX_, "%.15s", e->from);
    line_of(e, line, sizeof line);
    t->as[0] = copy(line);
#ifdef CHAT_WEB
    wire_of(e, line, sizeof line);
    t->as[1] = copy(line);
#endif
    w->count += e->kind != EVENT_BYE;
    return true;
}
static const member_type notes = { .tell = note_event };

static time_t scene_time(time_t *unused)
{
    (void)unused;
    return (time_t)crank_time();
}
static crank_listener *listen_at(const char *address)
{
    crank_listener *listener = crank_listen(address);
    if (!listener)
        test_fail(__FILE__, __LINE__, "%s", crank_error());
    return listener;
}

#ifdef CHAT_TLS
static int serve_lines_by_tls(crank_listener *listener, room *r)
{
    return crank_tls_serve(scene->certificate, listener, chat_lines, r);
}
#endif
static int serve_lines(crank_listener *listener, room *r) { return crank_serve(listener, chat_lines, r); }

#ifdef CHAT_WEB
static int serve_web(crank_listener *listener, room *r, struct crank_tls *tls)
{
    crank_http_options options = { .tls = tls };
    web_site site = { .room = r, .listener = listener, .by_lines = "" };
    return crank_http_serve_with(&options, listener, chat_web, &site);
}
static int serve_browsers(crank_listener *listener, room *r) { return serve_web(listener, r, NULL); }
#endif
#ifdef CHAT_TLS
static int serve_browsers_by_tls(crank_listener *listener, room *r)
{
    return serve_web(listener, r, scene->certificate);
}
#endif

/* Where members come in. */
static const struct door {
    const char *address;
    int (*serve)(crank_listener *listener, room *r);
} doors[] = {
    { "0.0.0.0:8000", serve_lines },
#ifdef CHAT_WEB
    { "0.0.0.0:8080", serve_browsers },
#endif
#ifdef CHAT_TLS
    { "0.0.0.0:8001", serve_lines_by_tls },
    { "0.0.0.0:8443", serve_browsers_by_tls },
#endif
};
enum { DOORS = sizeof doors / sizeof doors[0] };

/* From opening the room to its last member's end; seconds < 0: until no members come. */
static int run_room(watched *w, double seconds)
{
    crank_listener *listeners[DOORS];
    crank_task *servers[DOORS];
    w->watcher = (member){ .type = &notes };
    w->room = room_new(scene_time);
    EXPECT(w->room);
    w->epoch = room_epoch(w->room);
    room_watch(w->room, &w->watcher);
    cr_host_act(world(), 0);
    for (int i = 0; i < DOORS; i++) {
        listeners[i] = listen_at(doors[i].address);
        servers[i] = crank_spawn(doors[i].serve, listeners[i], w->room);
    }
    for (double end = crank_time() + seconds; seconds < 0 ? !scene->over : crank_time() < end;)
        crank_try(crank_sleep(0.5));
    room_end(w->room, "goodbye");
    for (int i = 0; i < DOORS; i++)
        crank_listener_stop(listeners[i], 2.0);
    for (int i = 0; i < DOORS; i++)
        EXPECT_EQ(crank_await(servers[i]), 0);
    EXPECT_EQ(room_count(w->room), 0);
    room_unwatch(&w->watcher);
    room_free(w->room);
    for (int i = 0; i < DOORS; i++)
        crank_try(crank_listener_close(listeners[i]));
    return 0;
}

static int run_server(void)
{
    crank_try(run_room(&scene->rooms[0], 30 + dice(40)));
    crank_try(crank_sleep(1 + dice(5)));
    return run_room(&scene->rooms[1], -1);
}

/* ---- Members ---- */

/* How a connection has ended, or was not to be had: the network breaks it in many ways, but no byte of it. A server
 * that stops ends handshakes that are on their way. */
static int broken(const session *s, int err)
{
    bool is_end = err == -EPROTO && strstr(crank_error(), "ended the connection amid the handshake");
    if ((err == -EPROTO && !is_end) || err == -EKEYREJECTED || err == -EKEYEXPIRED)
        test_fail(__FILE__, __LINE__, "%s%s: %s", s->name, s->by_tls ? ", over TLS" : "", crank_error());
    return err;
}

/* Read to the end, or an error. */
static int read_lines(session *s, crank_stream *stream)
{
    char line[LINE_MAX_BYTES], first[80];
    ssize_t n;
    while ((n = crank_read_line(stream, line, sizeof line)) > 0) {
        if (!strchr(line, '\n'))
            return -ENODATA; /* it was cut amid a line */
        if (!s->welcomed || (!s->joined && !strcmp(line, REFUSED))) {
            s->welcomed = true;
            continue;
        }
        if (s->joined) {
            EXPECT(s->count < TOLD_MAX);
            s->lines[s->count++] = copy(line);
            continue;
        }
        snprintf(first, sizeof first, "* you are %s. Here: ", s->name);
        if (strncmp(line, first, strlen(first)) != 0 && strcmp(line, "* goodbye\n") != 0)
            test_fail(__FILE__, __LINE__, "%s is told: %s", s->name, line);
        s->joined = true;
    }
    s->ended = n == 0;
    return broken(s, (int)n);
}

/* Not faster than the room allows, also when a cut holds some of it back. */
static int talk(session *s, crank_stream *stream, unsigned count)
{
    char text[TEXT_MAX_BYTES + 1];
    crank_try(crank_printf(stream, "%s\n", s->name));
    for (unsigned n = 0; n < count; n++) {
        crank_try(crank_sleep(0.7 + 0.1 * dice(6)));
        words(s, n, text, sizeof text);
        crank_try(crank_printf(stream, "%s%s\n", n % 7 == 3 ? "/me " : "", text));
        s->said++;
    }
    return 0;
}

/* Read until the server ends the connection. Its reset may have been lost in a cut: what is sent brings another. */
static void read_to_the_end(session *s, crank_stream *stream, crank_task *reading)
{
    int err = crank_within(100, (int)crank_await(reading));
    for (int i = 0; err == -ETIMEDOUT; i++) {
        if (i == 5)
            test_fail(__FILE__, __LINE__, "the server does not end the connection of %s", s->name);
        err = crank_printf(stream, "\n");
        if (err == 0)
            err = crank_within(20, read_lines(s, stream));
    }
}

/* Leave: by closing at once, by a reset, or in peace. */
static void leave(session *s, crank_stream *stream, crank_task *reading, unsigned how)
{
    if (how == 0)
        (void)crank_cancel(reading);
    else if (how == 1)
        crank_abort(stream);
    else
        s->quit = crank_printf(stream, "/quit\n") == 0;
    read_to_the_end(s, stream, reading);
    if (crank_close(stream) < 0)
        s->ended = false;
}

static crank_stream *connect_lines(const session *s)
{
#ifdef CHAT_TLS
    if (s->by_tls)
        return crank_tls_connect(scene->trust, SERVER ":8001");
#endif
    (void)s;
    return crank_connect(SERVER ":8000");
}

static int come_with_lines(session *s, unsigned i)
{
    crank_stream *stream = crank_within(30, connect_lines(s));
    if (!stream) {
        (void)broken(s, -errno);
        return 0; /* the server is not there, or the link is cut */
    }
    if (i == 0) { /* it never reads; later it finds out what became of it */
        (void)crank_printf(stream, "%s\n", s->name);
        crank_try(crank_sleep(60));
        leave(s, stream, crank_spawn(read_lines, s, stream), 2);
        return 0;
    }
    crank_task *reading = crank_spawn(read_lines, s, stream);
    unsigned how = dice(6);
    if (talk(s, stream, dice(TALK_MAX)) < 0)
        how = 2; /* the server has ended the connection */
    leave(s, stream, reading, how);
    return 0;
}

/* ---- Members in browsers ---- */

#ifdef CHAT_WEB
static int read_events(session *s, crank_websocket *socket)
{
    crank_websocket_message m;
    int n;
    while ((n = crank_websocket_read(socket, &m)) > 0) {
        const char *id = strstr(m.bytes, "\"id\":");
        if (!s->joined) {
            s->joined = !strncmp(m.bytes, "{\"t\":\"hello\"", 12);
            if (s->joined)
                s->epoch = strtoull(strstr(m.bytes, "\"epoch\":\"") + 9, NULL, 10);
            else
                EXPECT(!strncmp(m.bytes, "{\"t\":\"note\"", 11)); /* the room has ended */
            continue;
        }
        EXPECT(s->count < TOLD_MAX);
        s->lines[s->count++] = copy(m.bytes);
        if (id && !strncmp(strchr(m.bytes + 6, '"'), "\",\"id\":", 7))
            s->last = strtoull(id + 5, NULL, 10);
    }
    s->ended = n == 0 && crank_websocket_closed(socket, NULL) != TOO_SLOW;
    return broken(s, n);
}

static int send_line(crank_websocket *socket, const char *line)
{
    return crank_websocket_write(socket, CRANK_TEXT, line, strlen(line));
}

static int talk_as_browser(session *s, crank_websocket *socket, unsigned count)
{
    char text[TEXT_MAX_BYTES + 8];
    crank_try(send_line(socket, s->name));
    for (unsigned n = 0; n < count; n++) {
        crank_try(crank_sleep(0.7 + 0.1 * dice(6)));
        strcpy(text, n % 7 == 3 ? "/me " : "");
        words(s, n, text + strlen(text), TEXT_MAX_BYTES + 1);
        crank_try(send_line(socket, text));
        s->said++;
    }
    return 0;
}

/* By closing, by a reset, or in peace. */
static void leave_as_browser(session *s, crank_websocket *socket, crank_task *reading, unsigned how)
{
    if (how == 0)
        (void)crank_cancel(reading);
    else if (how == 1)
        crank_websocket_abort(socket, 1001, NULL);
    else
        s->quit = send_line(socket, "/quit") == 0;
    double before = crank_time();
    (void)crank_within(1000, (int)crank_await(reading)); /* the pings find out what a cut has hidden: -ETIMEDOUT too */
    if (crank_time() >= before + 1000)
        test_fail(__FILE__, __LINE__, "the server does not end the connection of %s", s->name);
    if (crank_websocket_close(socket, 1000, NULL) < 0)
        s->ended = false;
}

static int come_as_browser(session *s, unsigned i)
{
    char url[200];
    crank_websocket_options options = { .tls = scene->trust };
    snprintf(url, sizeof url, "%s/chat?key=%s&after=%llu.%llu",
        s->by_tls ? "wss://" SERVER ":8443" : "ws://" SERVER ":8080", s->name, (unsigned long long)s->asked,
        (unsigned long long)s->after);
    crank_websocket *socket = crank_within(30, crank_websocket_connect_with(&options, url));
    if (!socket) {
        (void)broken(s, -errno);
        return 0;
    }
    if (i == 1) { /* as the first one with lines */
        (void)send_line(socket, s->name);
        crank_try(crank_sleep(60));
        leave_as_browser(s, socket, crank_spawn(read_events, s, socket), 2);
        return 0;
    }
    crank_task *reading = crank_spawn(read_events, s, socket);
    unsigned how = dice(6);
    if (talk_as_browser(s, socket, dice(TALK_MAX)) < 0)
        how = 2;
    leave_as_browser(s, socket, reading, how);
    return 0;
}
#else
static int come_as_browser(session *s, unsigned i) { return come_with_lines(s, i); }
#endif

static int member_of_scene(unsigned i)
{
    session *before = NULL;
    for (unsigned visit = 0; visit < 4; visit++) {
        crank_try(crank_sleep(i < 2 ? 0 : dice(8)));
        session *s = &scene->session[scene->sessions++];
        EXPECT(scene->sessions < SESSIONS_MAX);
        snprintf(s->name, sizeof s->name, "m%u-%u", i, visit);
        cr_host_act(world(), 1 + (int)(i % HOSTS));
#ifdef CHAT_WEB
        s->is_browser = i % 2;
#endif
#ifdef CHAT_TLS
        s->by_tls = (i / 2 + visit) % (MEMBERS / 2) < scene->encrypted;
#endif
        if (before && before->is_browser && dice(4)) {
            s->asked = s->epoch = before->epoch;
            s->after = s->last = before->last;
        }
        crank_try(s->is_browser ? come_as_browser(s, i) : come_with_lines(s, i));
        before = s;
    }
    return 0;
}

/* ---- The network ---- */

static void set_links(void)
{
    for (int host = 1; host <= HOSTS; host++) {
        cr_link link = { .latency = (1 + dice(80)) * INT64_C(1000000),
            .jitter = dice(40) * INT64_C(1000000),
            .tail = dice(400) * INT64_C(1000000),
            .bandwidth = dice(2) ? 0 : 100000 + dice(1000000) };
        cr_host_link(world(), 0, host, &link);
        cr_host_link(world(), host, 0, &link);
    }
}

static int cut_links(void)
{
    while (!scene->over) {
        int host = 1 + (int)dice(HOSTS);
        unsigned ways = 1 + dice(3);
        crank_try(crank_sleep(4 + dice(10)));
        if (ways & 1)
            cr_host_cut(world(), 0, host);
        if (ways & 2)
            cr_host_cut(world(), host, 0);
        crank_try(crank_sleep(0.1 * dice(60)));
        cr_net_heal(world(), 0, host);
        cr_net_heal(world(), host, 0);
        if (dice(8) == 0)
            cr_net_reset(world(), 0, host);
    }
    return 0;
}

/* ---- The scene ---- */

#ifdef CHAT_TLS
static certs_pem server_pem;
__attribute__((constructor)) static void make_certificate(void)
{
    certs_begin();
    certs_make(&(certs_wanted){ .name = "chat", .hosts = "IP:" SERVER, .issuer = &certs_authority }, &server_pem);
}

/* The key stands behind the certificate; NULL: these are trusted. A file lasts as long as it is read. */
static crank_tls *read_tls(const char *certificate, const char *key)
{
    char path[32], text[2 * CERTS_PEM_MAX];
    int size = snprintf(text, sizeof text, "%s%s", certificate, key ? key : "");
    int fd = memfd_create("pem", MFD_CLOEXEC);
    EXPECT(fd >= 0 && write(fd, text, (size_t)size) == size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    crank_tls *tls = key ? crank_tls_server(path, NULL) : crank_tls_client(path);
    EXPECT_EQ(close(fd), 0);
    return CERTS_HAVE(tls);
}
#endif

static void open_scene(uint64_t seed)
{
    static struct scene one;
    memset(&one, 0, sizeof one);
    scene = &one;
    used = 0;
    scene->random = seed;
#ifdef CHAT_TLS
    scene->encrypted = 1 + dice(MEMBERS / 4); /* no more than half: a handshake is dear */
    scene->certificate = read_tls(server_pem.certificate, server_pem.key);
    scene->trust = read_tls(certs_authority.certificate, NULL);
#endif
    for (int host = 1; host <= HOSTS; host++) {
        char name[2] = { (char)('a' + host), '\0' };
        EXPECT_EQ(cr_host_add(world(), name), host);
    }
    set_links();
    EXPECT_EQ(
        crank_sim_set_faults(&(crank_sim_faults){ .refuse = 0.04, .reset = 0.04, .half = 0.02, .accept = 0.02 }), 0);
}

/* err: how the members ended. */
static int close_scene(int err)
{
    unsigned joined_by_tls = 0;
#ifdef CHAT_TLS
    crank_tls_free(scene->certificate);
    crank_tls_free(scene->trust);
#endif
    crank_try(err);
    for (size_t i = 0; i < scene->sessions; i++) {
        judge(&scene->session[i]);
        joined_by_tls += scene->session[i].by_tls && scene->session[i].joined;
    }
    EXPECT(scene->rooms[0].count > 100); /* something was to be seen */
    EXPECT(joined_by_tls > 0 || scene->encrypted == 0);
    return 0;
}

static int play(uint64_t seed)
{
    crank_task *members[MEMBERS];
    open_scene(seed);
    crank_task *server = crank_spawn(run_server);
    crank_task *cuts = crank_spawn(cut_links);
    EXPECT_EQ(crank_sleep(0), 0);
    for (unsigned i = 0; i < MEMBERS; i++)
        members[i] = crank_spawn(member_of_scene, i);
    int err = crank_gather_n(members, MEMBERS, NULL);
    scene->over = true; /* however they ended: the others wait for it */
    EXPECT_EQ(crank_await(cuts), 0);
    EXPECT_EQ(crank_await(server), 0);
    return close_scene(err);
}

/* The C library reads the time zone once, and keeps it: before the test, so that it is nothing that a test leaves. */
__attribute__((constructor)) static void read_time_zone(void)
{
    char line[LINE_MAX_BYTES];
    line_of(&(event){ .kind = EVENT_SAY }, line, sizeof line);
}

#ifndef CHAT_TLS
TEST_SEEDS(chat, brings_each_line_to_all_in_one_order, 12) { return play(seed); }

static crank_stream *served; /* the server's end of the one member's connection */
static int serve_one(crank_stream *peer, room *r)
{
    served = peer;
    return chat_lines(peer, r);
}
static int serve_until_stopped(crank_listener *listener, room *r) { return crank_serve(listener, serve_one, r); }
/* Until all but so many bytes of what may be unsent to it are. */
static int fill_up(room *r, size_t left)
{
    enum { MAY_BE_UNSENT = 65536, TIME_AND_NAME = sizeof "10:00 server: \n" - 1 };
    for (char text[TEXT_MAX_BYTES + 1];;) {
        size_t room_for = MAY_BE_UNSENT - left - crank_unsent(served) - TIME_AND_NAME;
        size_t size = room_for < 300 ? room_for : 200;
        memset(text, 'a', size);
        text[size] = '\0';
        room_say(r, text);
        if (size == room_for)
            return 0;
        crank_try(crank_sleep(0.01));
    }
}
TEST_SIM(chat, shows_a_reset_to_a_member_for_whose_goodbye_there_was_no_room)
{
    char line[LINE_MAX_BYTES];
    room *r = room_new(scene_time);
    EXPECT(r);
    CRANK_AUTO_LISTENER crank_listener *listener = listen_at("127.0.0.1:0");
    crank_task *server = crank_spawn(serve_until_stopped, listener, r);
    CRANK_AUTO_STREAM crank_stream *s = crank_try(crank_connect(crank_listener_address(listener, 0)));
    crank_try(crank_printf(s, "ada\n"));
    crank_try(crank_sleep(1));
    crank_try(fill_up(r, 5));
    room_end(r, "goodbye");
    ssize_t n;
    while ((n = crank_read_line(s, line, sizeof line)) > 0)
        EXPECT(!strstr(line, "goodbye"));
    EXPECT_EQ(n, -ECONNRESET);
    crank_listener_stop(listener, 1);
    EXPECT_EQ(crank_await(server), 0);
    room_free(r);
    return 0;
}
#endif
