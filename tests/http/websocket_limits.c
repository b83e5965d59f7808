/* SPDX-License-Identifier: MIT */
/* websocket_limits.c: WebSockets of peers that are slow, silent, greedy or many. */
#include <crank/sim.h>
#include "sockets.h"

typedef struct course {
    crank_websocket_options options;
    crank_websocket *socket; /* while the handler reads */
    int read;                /* what the last read gave */
    double ended_at;
    size_t messages;
} course;

static int listen_to(crank_http_request *request, course *c)
{
    CRANK_AUTO_WEBSOCKET crank_websocket *w = crank_try(crank_websocket_accept_with(&c->options, request));
    crank_websocket_message said;
    c->socket = w;
    while ((c->read = crank_websocket_read(w, &said)) > 0)
        c->messages++;
    c->ended_at = crank_time();
    c->socket = NULL;
    return c->read;
}
static int serve_course(crank_listener *l, course *c) { return webs_served(l, crank_http_serve(l, listen_to, c)); }

/* ---- Sizes ---- */

static int try_size(const crank_websocket_options *options, const char *sent, const char *answer, int read)
{
    course c = { .options = *options };
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_course, l, &c);
    CRANK_AUTO_STREAM crank_stream *s = socket_open(l);
    socket_send(s, sent);
    socket_expect(s, answer);
    if (read == 0)
        socket_send(s, "x");
    crank_try(socket_stop(l, &server));
    EXPECT_EQ(c.read, read);
    EXPECT_EQ(c.messages, read == 0);
    return 0;
}

TEST_SIM(websocket, refuses_messages_beyond_its_limits)
{
    static const crank_websocket_options defaults = { .message_max = 0 }, ten = { .message_max = 10 };
    crank_try(try_size(&ten, "t+:*4 c+ c:*6 p", "o", 0));
    crank_try(try_size(&ten, "t:*11", "x:1009", -EMSGSIZE));
    crank_try(try_size(&ten, "b+:*4 c+:*6 c:*1", "x:1009", -EMSGSIZE));
    crank_try(try_size(&defaults, "b+:*1048575 c:*1 p", "o", 0));
    return try_size(&defaults, "b+:*1048575 c:*2", "x:1009", -EMSGSIZE);
}

/* It is refused by its header: nothing is read or held of what it announces. */
TEST_SIM(websocket, refuses_a_frame_of_any_length_by_its_header)
{
    static const struct {
        unsigned char bytes[10];
        const char *answer;
    } rows[] = {
        { { 0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, "x:1009" },
        { { 0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0 }, "x:1002" },
        { { 0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff }, "x:1002" }, /* 65535 in 8 bytes */
        { { 0x82, 0xfe, 0, 125 }, "x:1002" },                       /* 125 in 2 */
        { { 0x82, 125 }, "x:1002" },                                /* without a mask */
    };
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(socket_serve, l);
    for (size_t i = 0; i < CRANK_COUNT(rows); i++) {
        static const char mask[4] = "";
        size_t extra = (rows[i].bytes[1] & 0x7f) == 127 ? 8 : (rows[i].bytes[1] & 0x7f) == 126 ? 2 : 0;
        CRANK_AUTO_STREAM crank_stream *s = socket_open(l);
        crank_try(crank_write(s, rows[i].bytes, 2 + extra));
        if (rows[i].bytes[1] & 0x80)
            crank_try(crank_write(s, mask, 4));
        socket_expect(s, rows[i].answer);
    }
    return socket_stop(l, &server);
}

TEST_SIM(websocket, refuses_a_message_of_more_than_1024_fragments)
{
    for (int more = 0; more <= 1; more++) {
        char *words = test_memory(4000);
        size_t size = (size_t)snprintf(words, 4000, "t+");
        for (int i = 0; i < 1022 + more; i++)
            size += (size_t)snprintf(words + size, 4000 - size, " c+");
        snprintf(words + size, 4000 - size, more ? " c" : " c p");
        crank_try(try_size(
            &(crank_websocket_options){ .message_max = 0 }, words, more ? "x:1008" : "o", more ? -EMSGSIZE : 0));
    }
    return 0;
}

/* ---- Silence ---- */

TEST_SIM(websocket, is_pinged_after_20_seconds_and_ends_after_40)
{
    course c = { .read = 1 };
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_course, l, &c);
    test_capture();
    CRANK_AUTO_STREAM crank_stream *s = socket_open(l);
    double begun = crank_time();
    socket_expect(s, "p");
    EXPECT_NEAR(crank_time() - begun, 20, 0.01);
    socket_send(s, "o");
    socket_expect(s, "p");
    EXPECT_NEAR(crank_time() - begun, 40, 0.01);
    crank_try(crank_sleep(15));
    socket_send(s, "t+:none"); /* any byte shows that the peer is there */
    socket_expect(s, "p");
    EXPECT_NEAR(crank_time() - begun, 75, 0.01);
    webs_expect_reset(s);
    EXPECT_NEAR(c.ended_at - begun, 95, 0.01);
    EXPECT_EQ(c.read, -ETIMEDOUT);
    crank_try(socket_stop(l, &server));
    EXPECT_STR(test_captured(), ""); /* the handler has returned that, after its socket was closed */
    return 0;
}

TEST_SIM(websocket, ping_is_as_often_as_its_options_say)
{
    course c = { .options = { .ping = -1 } };
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_course, l, &c);
    CRANK_AUTO_STREAM crank_stream *s = socket_open(l);
    crank_try(crank_sleep(1000));
    socket_send(s, "p:1");
    socket_expect(s, "o:1"); /* and no ping before */
    socket_send(s, "x");
    socket_expect(s, "x");
    c.options.ping = 0.5;
    CRANK_AUTO_STREAM crank_stream *often = socket_open(l);
    double begun = crank_time();
    socket_expect(often, "p");
    EXPECT_NEAR(crank_time() - begun, 0.5, 0.01);
    crank_abort(often);
    return socket_stop(l, &server);
}

/* Its handler closes as soon as it begins. */
static int close_at_once(crank_http_request *request, course *c)
{
    crank_websocket *w = crank_try(crank_websocket_accept(request));
    double begun = crank_time();
    c->read = crank_websocket_close(w, 1000, NULL);
    c->ended_at = crank_time() - begun;
    return 0;
}
static int serve_close(crank_listener *l, course *c) { return webs_served(l, crank_http_serve(l, close_at_once, c)); }

TEST_SIM(websocket, that_is_closed_at_once_waits_five_seconds_for_its_client)
{
    course c = { .read = 1 };
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_close, l, &c);
    CRANK_AUTO_STREAM crank_stream *s = socket_open(l);
    socket_expect(s, "x:1000");
    webs_expect_end(s);
    EXPECT_EQ(c.read, -ETIMEDOUT);
    EXPECT_NEAR(c.ended_at, 5, 0.01);
    return socket_stop(l, &server);
}

/* A handler that computes for a minute, and one that reads for a second at a time. */
static int read_late(crank_http_request *request, course *c)
{
    CRANK_AUTO_WEBSOCKET crank_websocket *w = crank_try(crank_websocket_accept(request));
    crank_websocket_message said;
    crank_try(crank_sleep(60));
    c->read = crank_websocket_read(w, &said);
    if (c->read == 1)
        EXPECT_STR(said.bytes, "meanwhile");
    double begun = crank_time();
    do
        c->read = crank_within(1, crank_websocket_read(w, &said));
    while (c->read == -ETIMEDOUT);
    c->ended_at = crank_time() - begun;
    return c->read;
}
static int serve_late(crank_listener *l, course *c) { return webs_served(l, crank_http_serve(l, read_late, c)); }

TEST_SIM(websocket, silence_is_counted_while_it_is_read_in_slices_too_and_not_while_it_is_not_read)
{
    course c = { .read = 0 };
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_late, l, &c);
    CRANK_AUTO_STREAM crank_stream *s = socket_open(l);
    crank_try(crank_sleep(50));
    socket_send(s, "t:meanwhile");
    socket_expect(s, "p");
    double begun = crank_time();
    webs_expect_reset(s);
    EXPECT_NEAR(crank_time() - begun, 20, 1.1);
    EXPECT_EQ(c.read, -ECONNABORTED);
    return socket_stop(l, &server);
}

/* ---- Handlers that only write ---- */

typedef struct telling {
    int count; /* messages */
    size_t size;
    double pause; /* behind each */
    bool drains;  /* a task reads beside */
    int told, result;
    double lasted;
} telling;

static int tell(crank_http_request *request, telling *t)
{
    CRANK_AUTO_WEBSOCKET crank_websocket *w = crank_try(crank_websocket_accept(request));
    const char *bytes = test_memory(t->size);
    double begun = crank_time();
    CRANK_GROUP(beside);
    if (t->drains)
        crank_group_spawn(&beside, crank_websocket_drain, w);
    while (t->result == 0 && t->told < t->count) {
        t->result = crank_websocket_write(w, CRANK_BINARY, bytes, t->size);
        t->told += t->result == 0;
        crank_try(crank_sleep(t->pause));
    }
    t->lasted = crank_time() - begun - t->pause;
    crank_group_cancel(&beside);
    int err = crank_group_wait(&beside);
    return t->result ? t->result : err;
}
static int serve_telling(crank_listener *l, telling *t) { return webs_served(l, crank_http_serve(l, tell, t)); }

/* Its peer reads so many bytes every second, to the end, and answers pings or does not. */
static int listen_slowly(crank_stream *s, size_t rate, bool answers)
{
    char *bytes = test_memory(rate);
    for (ssize_t n = 1; n > 0 && rate > 0;) {
        for (size_t left = rate; n > 0 && left > 0; left -= n > 0 ? (size_t)n : 0)
            n = crank_within(1, crank_read(s, bytes, left));
        if (answers)
            socket_send(s, "o");
        if (n == -ETIMEDOUT)
            n = 1;
        crank_try(crank_sleep(1));
    }
    return 0;
}
static void try_telling(telling *t, size_t rate, bool answers)
{
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_telling, l, t);
    CRANK_AUTO_STREAM crank_stream *s = socket_open(l);
    crank_task *listening = crank_spawn(listen_slowly, s, rate, answers);
    for (double end = crank_time() + 1000; t->lasted == 0 && crank_time() < end;)
        EXPECT_EQ(crank_sleep(0.01), 0);
    EXPECT(t->lasted > 0);
    crank_cancel(listening);
    (void)crank_await(listening);
    crank_abort(s);
    EXPECT_EQ(socket_stop(l, &server), 0);
}

/* The kernel takes what is written, and no pong comes. */
TEST_SIM(websocket, write_finds_a_peer_that_has_vanished_where_no_task_reads)
{
    telling t = { .count = 300, .size = 10, .pause = 1 };
    try_telling(&t, 100, false);
    EXPECT_EQ(t.result, -ETIMEDOUT);
    EXPECT_NEAR(t.lasted, 41, 1.1);
    t = (telling){ .count = 300, .size = 10, .pause = 1 };
    try_telling(&t, 100, true);
    EXPECT_EQ(t.told, 300);
    return 0;
}

/* A megabyte at 10 KB/s takes longer than a ping and its answer have: what leaves shows that the peer is there. */
TEST_SIM(websocket, write_that_waits_ends_where_nothing_leaves_and_not_where_little_does)
{
    for (int drains = 0; drains <= 1; drains++) {
        telling t = { .count = 2, .size = 1000000, .drains = drains };
        try_telling(&t, 10000, drains);
        if (t.told != 2)
            test_fail(__FILE__, __LINE__, "%d: ends with %d after %g s", drains, t.result, t.lasted);
        t = (telling){ .count = 2, .size = 1000000, .drains = drains };
        try_telling(&t, 0, false);
        EXPECT_EQ(t.result, drains ? -ECONNABORTED : -ETIMEDOUT);
        EXPECT_NEAR(t.lasted, drains ? 40 : 60, 0.1); /* something has left in the first third */
    }
    return 0;
}

/* ---- Writing ---- */

#define PINGS "p:*125 p:*125 p:*125 p:*125 p:*125 p:*125 p:*125 p:*125 p:*125 p:*125"

enum { WRITERS = 10, WRITTEN = 50 };
typedef struct crowd {
    crank_websocket *socket;
    int failed;
} crowd;
static int write_some(crowd *c, int number)
{
    char *bytes = test_memory(200 * 1000);
    for (int i = 0; i < WRITTEN; i++) {
        size_t size = (size_t)(number * 7919 + i * 104729) % (i % 10 == 0 ? 200 * 1000 : 3000);
        memset(bytes, 'a' + number, size);
        crank_try(crank_websocket_write(c->socket, CRANK_TEXT, bytes, size));
    }
    return 0;
}
static int write_all(crank_http_request *request, crowd *c)
{
    CRANK_AUTO_WEBSOCKET crank_websocket *w = crank_try(crank_websocket_accept(request));
    c->socket = w;
    {
        CRANK_GROUP(writers);
        for (int i = 0; i < WRITERS; i++)
            crank_group_spawn(&writers, write_some, c, i);
        crank_group_spawn(&writers, crank_websocket_drain, w);
        while (crank_group_count(&writers) > 1)
            crank_try(crank_sleep(0.001));
        crank_group_cancel(&writers);
        crank_try(crank_group_wait(&writers));
    }
    return crank_websocket_print(w, "end");
}
static int serve_writers(crank_listener *l, crowd *c) { return webs_served(l, crank_http_serve(l, write_all, c)); }

TEST_EACH_BACKEND(websocket, messages_of_ten_writers_are_whole_and_pongs_go_between)
{
    crowd c = { .failed = 0 };
    size_t messages = 0, pongs = 0;
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_writers, l, &c);
    CRANK_AUTO_STREAM crank_stream *s = socket_open(l);
    socket_send(s, "p:first");
    for (;;) {
        const unsigned char *bytes;
        size_t size;
        int first = socket_next(s, &bytes, &size);
        if (first == 0x8a) {
            pongs++;
            continue;
        }
        EXPECT_EQ(first, 0x81);
        if (size == 3 && memcmp(bytes, "end", 3) == 0)
            break;
        for (size_t i = 1; i < size; i++)
            EXPECT_EQ(bytes[i], bytes[0]);
        messages++;
        if (messages % 100 == 0)
            socket_send(s, "p:more");
    }
    EXPECT_EQ(messages, WRITERS * WRITTEN);
    EXPECT(pongs > (strcmp(crank_backend_name(), "sim") == 0)); /* a kernel may have read all before the second ping */
    socket_expect(s, "x:1000");
    socket_send(s, "x:1000");
    crank_try(crank_finish(s));
    return socket_stop(l, &server);
}

/* A member that does not read: 64 KiB, or one larger message, are taken and no more. */
TEST_EACH_BACKEND(websocket, write_now_takes_nothing_above_the_mark)
{
    static char bytes[300 * 1000];
    course c = { .read = 1 };
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_course, l, &c);
    CRANK_AUTO_STREAM crank_stream *s = socket_open(l);
    socket_send(s, "p");
    socket_expect(s, "o");
    memset(bytes, '*', sizeof bytes);
    size_t sent = 0;
    int err = 0;
    while (err == 0) {
        err = crank_websocket_write_now(c.socket, CRANK_BINARY, bytes, 1000);
        sent += err == 0;
        if (sent % 10 == 0)
            crank_try(crank_sleep(0));
    }
    EXPECT_EQ(err, -EAGAIN);
    size_t unsent = crank_websocket_unsent(c.socket);
    EXPECT(unsent <= 64 * 1024 && unsent + 1004 > 64 * 1024);
    EXPECT_EQ(crank_websocket_write_now(c.socket, CRANK_BINARY, bytes, sizeof bytes), -EAGAIN);
    EXPECT_EQ(crank_websocket_unsent(c.socket), unsent);
    for (size_t i = 0; i < sent; i++)
        socket_expect(s, "b:*1000");
    crank_try(crank_sleep(0.1));
    EXPECT_EQ(crank_websocket_unsent(c.socket), 0);
    EXPECT_EQ(crank_websocket_write_now(c.socket, CRANK_BINARY, bytes, sizeof bytes), 0);
    socket_expect(s, "b:*300000");
    socket_send(s, "x");
    socket_expect(s, "x");
    crank_try(crank_finish(s));
    return socket_stop(l, &server);
}

static int write_large(course *c)
{
    static char bytes[8 << 20];
    int err = crank_websocket_write(c->socket, CRANK_BINARY, bytes, sizeof bytes);
    c->messages = 1;
    return err;
}

/* Its peer reads slowly: neither the pong nor the close can be written before the large message is. */
TEST_EACH_BACKEND(websocket, pong_and_close_leave_behind_a_write_that_waits)
{
    course c = { .read = 1 };
    unsigned char header[10];
    static char piece[64 * 1024];
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_course, l, &c);
    CRANK_AUTO_STREAM crank_stream *s = socket_open(l);
    socket_send(s, "p");
    socket_expect(s, "o");
    crank_websocket *w = c.socket;
    crank_task *writer = crank_spawn(write_large, &c);
    crank_try(crank_sleep(0.01));
    EXPECT_EQ(crank_websocket_write_now(w, CRANK_TEXT, "no", 2), -EAGAIN);
    socket_send(s, "p:one p:two x:1000");
    crank_try(crank_sleep(0.01));
    EXPECT_EQ(crank_websocket_write_now(w, CRANK_TEXT, "no", 2), -EPIPE);
    EXPECT_EQ(crank_read_exactly(s, header, 10), 10);
    for (size_t left = 8 << 20; left > 0;) {
        ssize_t n = crank_read(s, piece, left < sizeof piece ? left : sizeof piece);
        EXPECT(n > 0);
        left -= (size_t)n;
    }
    socket_expect(s, "o:two x:1000"); /* of several pings the last is answered */
    webs_expect_end(s);
    EXPECT_EQ(crank_await(writer), 0);
    crank_try(crank_finish(s));
    return socket_stop(l, &server);
}

/* Of a peer that sends pings and reads nothing, what is unsent does not grow beyond the mark. */
TEST_SIM(websocket, that_is_flooded_with_pings_holds_few_answers)
{
    course c = { .read = 1 };
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_course, l, &c);
    CRANK_AUTO_STREAM crank_stream *s = socket_open(l);
    size_t size, sent = 0;
    unsigned char *pings = socket_frames(PINGS, &size);
    size_t most = 0;
    int err = 0;
    for (; err == 0 && sent < 40000; sent += 10) {
        err = crank_write(s, pings, size);
        if (c.socket && crank_websocket_unsent(c.socket) > most)
            most = crank_websocket_unsent(c.socket);
    }
    free(pings);
    crank_try(err);
    EXPECT(most > 60 * 1024 && most <= 64 * 1024 + 127);
    crank_abort(s);
    return socket_stop(l, &server);
}

/* ---- A room ---- */

enum { MEMBERS = 8, TOLD = 4000 };
typedef struct room {
    crank_websocket *members[MEMBERS];
    bool dropped[MEMBERS];
    int count;
} room;

/* As look/17. */
static int join(crank_http_request *request, room *r)
{
    CRANK_AUTO_WEBSOCKET crank_websocket *w = crank_try(crank_websocket_accept(request));
    crank_websocket_message said;
    int err, self = r->count++;
    r->members[self] = w;
    while ((err = crank_websocket_read(w, &said)) > 0)
        for (int i = 0; i < r->count; i++)
            if (r->members[i] &&
                crank_websocket_write_now(r->members[i], said.kind, said.bytes, said.size) == -EAGAIN) {
                crank_websocket_abort(r->members[i], 1013, "too slow");
                r->dropped[i] = true;
            }
    r->members[self] = NULL;
    return err;
}
static int serve_room(crank_listener *l, room *r) { return webs_served(l, crank_http_serve(l, join, r)); }

/* How many messages come, numbered without a gap, until the socket's end. */
static int read_numbers(crank_websocket *w)
{
    crank_websocket_message said;
    int seen = 0;
    while (seen < TOLD && crank_websocket_read(w, &said) == 1)
        EXPECT_EQ(strtol(said.bytes, NULL, 10), seen++);
    return seen;
}
static crank_websocket *enter(const crank_listener *l)
{
    char url[100];
    snprintf(url, sizeof url, "ws://%s/", crank_listener_address(l, 0));
    crank_websocket *w = crank_websocket_connect(url);
    if (!w)
        test_fail(__FILE__, __LINE__, "cannot connect: %s", crank_error());
    return w;
}

TEST_SEEDS(websocket, room_gives_each_member_all_messages_in_order_or_drops_it, 5)
{
    room r = { .count = 0 };
    crank_websocket *members[MEMBERS];
    crank_task *readers[MEMBERS];
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_room, l, &r);
    for (int i = 0; i < MEMBERS; i++)
        members[i] = enter(l);
    for (int i = 1; i < MEMBERS; i++) /* the first never reads */
        readers[i] = crank_spawn(read_numbers, members[i]);
    for (int i = 0; i < TOLD; i++) {
        EXPECT_EQ(crank_websocket_print(members[1], "%0100d", i), 0);
        if (i % 50 == 0)
            EXPECT_EQ(crank_sleep(0.001), 0);
    }
    for (int i = 1; i < MEMBERS; i++) {
        EXPECT_EQ(crank_await(readers[i]), TOLD);
        EXPECT_EQ(crank_websocket_close(members[i], 1000, NULL), 0);
    }
    EXPECT(r.dropped[0] && !r.dropped[1] && !r.dropped[MEMBERS - 1]);
    int seen = read_numbers(members[0]);
    EXPECT(seen > 0 && seen < TOLD);
    (void)crank_websocket_close(members[0], 1000, NULL); /* after 1013 in order, after a reset not */
    return socket_stop(l, &server);
}
