/* SPDX-License-Identifier: MIT */
/* chat.c: a scene of the chat server (examples/servers/chat), played on a bad network that a seed decides.
 *
 * Twelve members on three hosts come, talk and go: by /quit, by closing, by a reset; two of them never read. Half of
 * them are browsers (where crank-http is built), which come again from where they have stopped. The links have latency,
 * jitter and a bandwidth, and are cut for seconds; the server is restarted once. Beside the members a watcher notes
 * each room's events. What must hold: the numbers of the events rise by one; each member has read exactly the events
 * between its joining and its leaving, those before that it is due, in their order and none twice, or where its
 * connection broke, the first of them; what a member says comes in its order, without a gap, and all of it where it
 * left in peace; everything ends, and nothing is left. */
#include "../behaviour/trail.h"
#include "loop/loop.h"
#include "world/hosts.h"
#include "world/net.h"
#include "world/world.h"
/* Behind them: it has a type of the name event. */
#include "lines.h"
#ifdef CHAT_WEB
#include <crank/websocket.h>

#include "web.h"
#include "wire.h"
#endif

enum { MEMBERS = 12, HOSTS = 3, ROOMS = 2, SESSIONS_MAX = 200, TOLD_MAX = 4000, TALK_MAX = 40, NAME_MAX_ = 16 };
#define SERVER "10.0.0.1:8000"
#define REFUSED "the server is going down. Your name?\n" /* to a name that is sent behind the goodbye */

/* A public event, as a member should read it. */
typedef struct told {
    event_kind kind;
    char from[NAME_MAX_];
    char *text;
    char *as[2]; /* a line; JSON */
} told;

/* A room, and what its watcher was told. */
typedef struct watched {
    member watcher;
    room *room;
    uint64_t epoch;
    size_t count;            /* the event of number i is told[i - 1] */
    told told[TOLD_MAX + 1]; /* the goodbye behind the last */
} watched;

/* One connection of a member's; each has a name of its own. */
typedef struct session {
    char name[NAME_MAX_];
    bool is_browser;
    uint64_t asked, after; /* it comes again: from this number in that room */
    uint64_t epoch, last;  /* where it has come to: the same for the next session */
    unsigned said;
    bool quit;             /* it has said so */
    bool ended;            /* it has read to the end, which is none where a write has been answered by a reset before */
    bool welcomed, joined; /* it was told so */
    size_t count;
    char *lines[TOLD_MAX]; /* what came after that, lines or JSON */
} session;

static struct scene {
    uint64_t random;
    watched rooms[ROOMS];
    size_t sessions;
    session session[SESSIONS_MAX];
    bool over; /* members come no more */
} * scene;

/* All lines of one scene, taken anew for the next. */
static char memory[64 << 20];
static size_t used;

static unsigned dice(unsigned n) { return chance(&scene->random, n); }
static char *copy(const char *text)
{
    size_t size = strlen(text) + 1;
    EXPECT(used + size <= sizeof memory);
    used += size;
    return memcpy(memory + used - size, text, size);
}
static cr_world *world(void) { return cr_loop_here->sys->context; }

/* The n-th thing a member says: of all lengths, and none like another. */
static void words(const session *s, unsigned n, char *text, size_t size)
{
    uint64_t mixed = (n + 1) * UINT64_C(0x9e3779b97f4a7c15);
    size_t length = (size_t)snprintf(text, size, "%u %s ", n, s->name) + (mixed >> 40) % (n % 4 ? 900 : 20);
    for (size_t i = strlen(text); i < length; i++)
        text[i] = (char)('a' + (mixed + i * i) % 26);
    text[length] = '\0';
}

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
static int serve_room(crank_listener *listener, room *r) { return crank_serve(listener, chat_lines, r); }
static crank_listener *listen_at(const char *address)
{
    crank_listener *listener = crank_listen(address);
    if (!listener)
        test_fail(__FILE__, __LINE__, "%s", crank_error());
    return listener;
}

#ifdef CHAT_WEB
static int serve_browsers(crank_listener *listener, room *r)
{
    web_site site = { .room = r, .listener = listener, .by_lines = "" };
    return crank_http_serve(listener, chat_web, &site);
}
#else
static int serve_browsers(crank_listener *listener, room *r) { return r ? crank_listener_wait_stop(listener) : 0; }
#endif

/* From opening the room to its last member's end; seconds < 0: until no members come. */
static int run_room(watched *w, double seconds)
{
    w->watcher = (member){ .type = &notes };
    w->room = room_new(scene_time);
    EXPECT(w->room);
    w->epoch = room_epoch(w->room);
    room_watch(w->room, &w->watcher);
    cr_host_act(world(), 0);
    crank_listener *lines = listen_at("0.0.0.0:8000"), *web = listen_at("0.0.0.0:8080");
    crank_task *server = crank_spawn(serve_room, lines, w->room);
    crank_task *web_server = crank_spawn(serve_browsers, web, w->room);
    for (double end = crank_time() + seconds; seconds < 0 ? !scene->over : crank_time() < end;)
        crank_try(crank_sleep(0.5));
    room_end(w->room, "goodbye");
    crank_listener_stop(lines, 2.0);
    crank_listener_stop(web, 2.0);
    EXPECT_EQ(crank_await(server), 0);
    EXPECT_EQ(crank_await(web_server), 0);
    EXPECT_EQ(room_count(w->room), 0);
    room_unwatch(&w->watcher);
    room_free(w->room);
    crank_try(crank_listener_close(web));
    return crank_listener_close(lines);
}

static int run_server(void)
{
    crank_try(run_room(&scene->rooms[0], 30 + dice(40)));
    crank_try(crank_sleep(1 + dice(5)));
    return run_room(&scene->rooms[1], -1);
}

/* ---- Members ---- */

/* Read to the end, or an error. */
static int read_lines(session *s, crank_stream *stream)
{
    char line[LINE_MAX_BYTES], first[80];
    while (crank_try(crank_read_line(stream, line, sizeof line)) > 0) {
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
    s->ended = true;
    return 0;
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

static int come_with_lines(session *s, unsigned i)
{
    crank_stream *stream = crank_within(30, crank_connect(SERVER));
    if (!stream)
        return 0; /* the server is not there, or the link is cut */
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
    while (crank_try(crank_websocket_read(socket, &m)) > 0) {
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
    s->ended = true;
    return 0;
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
    (void)crank_await(reading); /* the pings find out what a cut has hidden */
    if (crank_websocket_close(socket, 1000, NULL) < 0)
        s->ended = false;
}

static int come_as_browser(session *s, unsigned i)
{
    char url[200];
    snprintf(url, sizeof url, "ws://10.0.0.1:8080/chat?key=%s&after=%llu.%llu", s->name, (unsigned long long)s->asked,
        (unsigned long long)s->after);
    crank_websocket *socket = crank_within(30, crank_websocket_connect(url));
    if (!socket)
        return 0;
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
    }
    return 0;
}

/* ---- What must hold ---- */

/* The next line that a member should have read; false: there was none in the place where it has more. */
static bool next_is(const session *s, size_t *at, const char *line)
{
    if (*at == s->count) {
        if (s->ended)
            test_fail(__FILE__, __LINE__, "%s has lost the line: %s", s->name, line);
        return false; /* its connection broke: it need not have the rest */
    }
    if (strcmp(s->lines[*at], line) != 0)
        test_fail(__FILE__, __LINE__, "%s has read another line in the order of all: %s  where all have: %s", s->name,
            s->lines[*at], line);
    ++*at;
    return true;
}

static bool comes_again(const session *s, const watched *w, size_t join)
{
    return s->after && s->asked == w->epoch && s->after < join;
}

/* The number of the first event that it should have read, which has come with the event of this number. */
static size_t first_due(const session *s, const watched *w, size_t join)
{
    size_t oldest = join >= HISTORY_KEPT ? join - HISTORY_KEPT + 1 : 1;
    if (!comes_again(s, w, join))
        return join > HISTORY_SHOWN ? join - HISTORY_SHOWN : 1;
    return s->after + 1 > oldest ? s->after + 1 : oldest;
}

static void judge_order(const session *s, const watched *w, size_t join)
{
    size_t at = 0, id = first_due(s, w, join);
    bool is_new = !comes_again(s, w, join);
    for (; id <= w->count; id++) {
        const told *t = &w->told[id - 1];
        bool own = !strcmp(t->from, s->name), passed = t->kind == EVENT_JOIN || t->kind == EVENT_LEAVE;
        if (own && t->kind == EVENT_LEAVE)
            break;
        if ((id < join && is_new && passed) || (own && !s->is_browser))
            continue;
        if (!next_is(s, &at, t->as[s->is_browser]))
            return;
    }
    if (id > w->count && !next_is(s, &at, w->told[w->count].as[s->is_browser]))
        return;
    if (at < s->count)
        test_fail(__FILE__, __LINE__, "%s has read one too many: %s", s->name, s->lines[at]);
}

static void judge_words(const session *s, const watched *w)
{
    char text[TEXT_MAX_BYTES + 1];
    unsigned n = 0;
    for (size_t i = 0; i < w->count; i++) {
        const told *t = &w->told[i];
        if ((t->kind != EVENT_SAY && t->kind != EVENT_ME) || strcmp(t->from, s->name) != 0)
            continue;
        words(s, n, text, sizeof text);
        EXPECT_STR(t->text, text);
        EXPECT_EQ(t->kind, n % 7 == 3 ? EVENT_ME : EVENT_SAY);
        n++;
    }
    EXPECT(n <= s->said);
    const char *goodbye = w->told[w->count].as[s->is_browser];
    if (s->quit && s->ended && (s->count == 0 || strcmp(s->lines[s->count - 1], goodbye) != 0))
        EXPECT_EQ(n, s->said);
}

static void judge(const session *s)
{
    unsigned joins = 0;
    for (const watched *w = scene->rooms; w < scene->rooms + ROOMS; w++) {
        for (size_t i = 0; i < w->count; i++) {
            if (w->told[i].kind != EVENT_JOIN || strcmp(w->told[i].from, s->name) != 0)
                continue;
            joins++;
            judge_order(s, w, i + 1);
            judge_words(s, w);
        }
    }
    EXPECT(joins <= 1);
    EXPECT(joins == 1 || s->count == 0);
}

/* ---- The scene ---- */

static int play(uint64_t seed)
{
    crank_task *members[MEMBERS];
    static struct scene one;
    memset(&one, 0, sizeof one);
    scene = &one;
    used = 0;
    scene->random = seed;
    for (int host = 1; host <= HOSTS; host++) {
        char name[2] = { (char)('a' + host), '\0' };
        EXPECT_EQ(cr_host_add(world(), name), host);
    }
    set_links();
    crank_task *server = crank_spawn(run_server);
    crank_task *cuts = crank_spawn(cut_links);
    EXPECT_EQ(crank_sleep(0), 0);
    for (unsigned i = 0; i < MEMBERS; i++)
        members[i] = crank_spawn(member_of_scene, i);
    int err = crank_gather_n(members, MEMBERS, NULL);
    scene->over = true; /* however they ended: the others wait for it */
    EXPECT_EQ(crank_await(cuts), 0);
    EXPECT_EQ(crank_await(server), 0);
    crank_try(err);
    for (size_t i = 0; i < scene->sessions; i++)
        judge(&scene->session[i]);
    EXPECT(scene->rooms[0].count > 100); /* something was to be seen */
    return 0;
}

/* The C library reads the time zone once, and keeps it: before the test, so that it is nothing that a test leaves. */
__attribute__((constructor)) static void read_time_zone(void)
{
    char line[LINE_MAX_BYTES];
    line_of(&(event){ .kind = EVENT_SAY }, line, sizeof line);
}

TEST_SEEDS(chat, brings_each_line_to_all_in_one_order, 12) { return play(seed); }
