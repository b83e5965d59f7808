/* SPDX-License-Identifier: MIT */
/* thousands.c: ten thousand connections of one server that wait, and ten thousand members of one broadcast. What an
 * idle connection costs is in idle.c. */
#include "loop/loop.h"
#include "loop/timer.h"
#include "served.h"
#include "sockets.h"

enum { MANY = 10000, TASKS = 100 };

/* Many at once: each turn of the simulator's world looks at all operations that wait. */
static int for_some(void (*begin)(void *scene, int i), void *scene, int first)
{
    for (int i = first; i < MANY; i += TASKS)
        begin(scene, i);
    return 0;
}
static int for_all(void (*begin)(void *scene, int i), void *scene)
{
    CRANK_GROUP(tasks);
    for (int i = 0; i < TASKS; i++)
        crank_group_spawn(&tasks, for_some, begin, scene, i);
    return crank_group_wait(&tasks);
}

/* ---- Idle connections ---- */

typedef struct idlers {
    crank_listener *listener;
    crank_stream *all[MANY];
} idlers;

static int hello(crank_http_request *request) { return crank_http_print(request, 200, "text/plain", "hello\n"); }
static int serve_hello(crank_listener *l) { return webs_served(l, crank_http_serve(l, hello)); }

static void ask(crank_stream *s)
{
    webs_answer a;
    webs_send(s, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    webs_read(s, &a, true);
    EXPECT_EQ(a.status, 200);
}
static void begin_idler(void *scene, int i)
{
    idlers *d = scene;
    d->all[i] = webs_connect(d->listener);
    ask(d->all[i]);
}
static size_t timers(void) { return cr_timers_count(cr_loop_here->timers); }

TEST_SIM(idle_connections, of_a_server_are_ten_thousand_with_a_timer_each_and_end_after_75_seconds)
{
    test_needs_long();
    idlers *d = test_memory(sizeof *d);
    CRANK_AUTO_LISTENER crank_listener *l = d->listener = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve_hello, l);
    size_t before = timers();
    crank_try(for_all(begin_idler, d));
    EXPECT_EQ(timers() - before, MANY);
    crank_try(crank_sleep(74));
    for (int i = 0; i < 10; i++)
        ask(d->all[0]);
    EXPECT_EQ(timers() - before, MANY);
    EXPECT_EQ(crank_listener_connections(l), MANY);
    crank_try(crank_sleep(5));                   /* a close waits 2 s for the peer's */
    EXPECT_EQ(crank_listener_connections(l), 1); /* the one that has asked since */
    EXPECT_EQ(timers() - before, 1);
    for (int i = 0; i < MANY; i++) {
        if (i > 0)
            webs_expect_end(d->all[i]);
        crank_try(crank_close(d->all[i]));
    }
    return webs_stop(l, &server, 1);
}

/* ---- A broadcast ---- */

/* Every hundredth member does not read; what is told is more than its socket and 64 KiB take. */
enum { SLOW = 100, TOLD = 15, LENGTH = 30000 };

/* In the server's process. */
static struct room {
    crank_websocket *members[MANY];
    int count;
} room;

/* As look/17. */
static int join(crank_http_request *request)
{
    const crank_websocket_options options = { .ping = -1 }; /* which members that only listen would not answer */
    CRANK_AUTO_WEBSOCKET crank_websocket *w = crank_try(crank_websocket_accept_with(&options, request));
    crank_websocket_message said;
    int err, self = room.count++;
    room.members[self] = w;
    while ((err = crank_websocket_read(w, &said)) > 0)
        for (int i = 0; i < room.count; i++)
            if (room.members[i] &&
                crank_websocket_write_now(room.members[i], said.kind, said.bytes, said.size) == -EAGAIN)
                crank_websocket_abort(room.members[i], 1013, "too slow");
    room.members[self] = NULL;
    return err;
}
static int serve_room(crank_listener *l) { return webs_served(l, crank_http_serve(l, join)); }

/* The frame of a message, as the server sends it. */
static unsigned char frame[4 + LENGTH];
static void set_frame(int number)
{
    char text[LENGTH + 1];
    snprintf(text, sizeof text, "%0*d", LENGTH, number);
    EXPECT_EQ(socket_header(frame, 0x81, LENGTH, 0), 4);
    memcpy(frame + 4, text, LENGTH);
}
/* By the first member. */
static void say_frame(int fd)
{
    unsigned char bytes[8 + LENGTH];
    size_t size = socket_header(bytes, 0x81, LENGTH, 0x80);
    memcpy(bytes + size, socket_mask, 4);
    for (size_t i = 0; i < LENGTH; i++)
        bytes[size + 4 + i] = frame[4 + i] ^ socket_mask[i % 4];
    EXPECT_EQ(write(fd, bytes, sizeof bytes), (ssize_t)sizeof bytes);
}
/* Is it what the socket gives next? Else it must be the close of one that was too slow, or the connection's end. */
static bool takes_frame(int fd, bool is_slow)
{
    unsigned char bytes[sizeof frame];
    size_t size = 0;
    for (ssize_t n = 1; n > 0 && size < sizeof bytes; size += (size_t)(n > 0 ? n : 0))
        n = recv(fd, bytes + size, sizeof bytes - size, 0);
    if (size == sizeof bytes && memcmp(bytes, frame, size) == 0)
        return true;
    if (!is_slow || (size > 0 && (size < 4 || bytes[0] != 0x88 || (bytes[2] << 8 | bytes[3]) != 1013)))
        test_fail(__FILE__, __LINE__, "a member got %zu bytes of another frame", size);
    return false;
}

static void tell_ten_thousand(crank_backend backend)
{
    int *members = test_memory(MANY * sizeof *members);
    char head[1000];
    served_need(MANY + 500);
    char address[64];
    snprintf(address, sizeof address, "unix:@crank-room-%d", (int)getpid());
    const served server = served_start(backend, address, serve_room);
    for (int i = 0; i < MANY; i++) {
        members[i] = served_connect(&server);
        served_ask(members[i], SOCKET_HEAD "\r\n", head, sizeof head);
        EXPECT_CONTAINS(head, "HTTP/1.1 101 ");
    }
    for (int k = 0; k < TOLD; k++) {
        set_frame(k);
        say_frame(members[0]);
        for (int i = 0; i < MANY; i++)
            if (i % SLOW != 1)
                takes_frame(members[i], false);
    }
    for (int i = 1; i < MANY; i += SLOW) {
        int seen = 0;
        for (set_frame(0); takes_frame(members[i], true); set_frame(++seen))
            EXPECT(seen < TOLD);
        EXPECT(seen > 0);
    }
    served_stop(&server);
    for (int i = 0; i < MANY; i++)
        close(members[i]);
}
TEST(websocket, room_of_ten_thousand_members_gives_each_all_messages_in_order_or_drops_it)
{
    test_needs_long();
    tell_ten_thousand(CRANK_BACKEND_EPOLL);
    tell_ten_thousand(CRANK_BACKEND_URING);
}
