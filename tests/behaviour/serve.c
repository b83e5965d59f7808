/* SPDX-License-Identifier: MIT */
/* serve.c: each connection has a task of its own, and none of them, however it ends, disturbs another. */
#include "nets.h"

struct pair {
    long a;
    double b;
};

/* ---- What a handler is given ---- */

static int answer_none(crank_stream *peer) { return crank_printf(peer, "none\n"); }
static int answer_int(crank_stream *peer, int n) { return crank_printf(peer, "%d\n", n); }
static int answer_double(crank_stream *peer, double x) { return crank_printf(peer, "%g\n", x); }
static int answer_mixed(crank_stream *peer, const char *text, float x, char c, double y)
{
    return crank_printf(peer, "%s %g %c %g\n", text, (double)x, c, y);
}
static int answer_struct(crank_stream *peer, struct pair p) { return crank_printf(peer, "%ld %g\n", p.a, p.b); }
static int answer_many(crank_stream *peer, int a, long b, double c, const char *d, float e, short f, struct pair g,
    char h, unsigned long i, double j, int k, void *l, bool m)
{
    return crank_printf(peer, "%d %ld %g %s %g %d %ld %g %c %lu %g %d %d %d\n", a, b, c, d, (double)e, f, g.a, g.b, h,
        i, j, k, l == NULL, m);
}
static void answer_nothing(crank_stream *peer) { (void)crank_printf(peer, "void\n"); }
static double answer_real(crank_stream *peer) { return crank_printf(peer, "real\n"); }
static signed char answer_small(crank_stream *peer) { return (signed char)crank_printf(peer, "small\n"); }

enum form { NONE, INT, DOUBLE, MIXED, STRUCT, MANY, VOID, REAL, SMALL, FORMS };
static int serve_form(crank_listener *l, enum form form)
{
    char word[] = "text"; /* gone when a handler runs but for the server's frame, which is alive */
    switch (form) {
    case NONE: return crank_serve(l, answer_none);
    case INT: return crank_serve(l, answer_int, -7);
    case DOUBLE: return crank_serve(l, answer_double, 1 / 4.0);
    case MIXED: return crank_serve(l, answer_mixed, word, 1.5F, 'x', 3);
    case STRUCT: return crank_serve(l, answer_struct, ((struct pair){ 3, 0.5 }));
    case MANY:
        return crank_serve(
            l, answer_many, 1, 2, 3, "four", 5, 6, ((struct pair){ 7, 7.5 }), '8', 9, 10.5, 11, NULL, true);
    case VOID: return crank_serve(l, answer_nothing);
    case REAL: return crank_serve(l, answer_real);
    default: return crank_serve(l, answer_small);
    }
}
TEST_EACH_BACKEND(serve, gives_each_handler_its_peer_and_extra_arguments_of_every_kind)
{
    static const char *const expected[FORMS] = { "none", "-7", "0.25", "text 1.5 x 3", "3 0.5",
        "1 2 3 four 5 6 7 7.5 8 9 10.5 11 1 1", "void", "real", "small" };
    for (int form = 0; form < FORMS; form++) {
        CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
        CRANK_GROUP(servers);
        crank_task *server = crank_group_spawn(&servers, serve_form, l, (enum form)form);
        for (int i = 0; i < 3; i++) {
            CRANK_AUTO_STREAM crank_stream *s = nets_connect(l);
            EXPECT_STR(nets_line(s), expected[form]);
            nets_expect_end(s);
        }
        crank_try(crank_listener_stop(l, 1));
        EXPECT_EQ(crank_await(server), 0);
    }
    return 0;
}

static int answer_self(crank_stream *peer)
{
    char text[200];
    crank_describe(crank_self(), text, sizeof text);
    return crank_printf(peer, "%s\n", text);
}
static int serve_self(crank_listener *l) { return crank_serve(l, answer_self); }
TEST_EACH_BACKEND(serve, names_a_handlers_task_by_the_handler)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_GROUP(servers);
    crank_task *server = crank_group_spawn(&servers, serve_self, l);
    CRANK_AUTO_STREAM crank_stream *s = nets_connect(l);
    EXPECT_CONTAINS(nets_line(s), "fn=answer_self");
    crank_try(crank_listener_stop(l, 0));
    return (int)crank_await(server);
}

/* ---- Failing handlers ---- */

/* What the first letter says. */
static int do_as_told(crank_stream *peer)
{
    char line[100];
    crank_try(crank_read_line(peer, line, sizeof line));
    switch (line[0]) {
    case 'f': return crank_fail(EIO, "the disk has gone");
    case 'p': return -EINVAL;
    case 'c': return crank_close(peer);
    case 'a': cr_socketlike_abort(&cr_connection_of(peer)->socket); return 0;
    case 'b': return -EPIPE;
    case 'x': return -ECANCELED;
    default: crank_try(crank_write(peer, line, strlen(line))); return 0;
    }
}
static int serve_told(crank_listener *l) { return crank_serve(l, do_as_told); }

static const char *tell(crank_listener *l, const char *word)
{
    CRANK_AUTO_STREAM crank_stream *s = nets_connect(l);
    static char line[100];
    EXPECT_EQ(crank_printf(s, "%s\n", word), 0);
    ssize_t n = crank_read_line(s, line, sizeof line);
    if (n < 0)
        return crank_errno_name((int)n);
    line[n] = '\0';
    return n ? line : "end";
}

TEST_EACH_BACKEND(serve, reports_a_failing_handler_once_and_goes_on)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_GROUP(servers);
    crank_task *server = crank_group_spawn(&servers, serve_told, l);
    CRANK_AUTO_STREAM crank_stream *other = nets_connect(l);
    crank_try(nets_settle());
    test_capture();
    EXPECT_STR(tell(l, "f"), "end");
    EXPECT_STR(tell(l, "p"), "end");
    const char *said = test_captured();
    EXPECT_EQ(nets_count(said, "the handler of 127.0.0.1:"), 2);
    EXPECT_EQ(nets_count(said, "the disk has gone"), 1);
    EXPECT_EQ(nets_count(said, "[EINVAL]"), 1);
    crank_try(crank_printf(other, "still here\n"));
    EXPECT_STR(nets_line(other), "still here");
    EXPECT_STR(crank_error(), "");
    crank_try(crank_listener_stop(l, 1));
    return (int)crank_await(server);
}

TEST_EACH_BACKEND(serve, takes_a_peers_going_for_no_failure)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_GROUP(servers);
    crank_task *server = crank_group_spawn(&servers, serve_told, l);
    test_capture();
    EXPECT_STR(tell(l, "b"), "end");
    EXPECT_STR(tell(l, "x"), "end");
    CRANK_AUTO_STREAM crank_stream *s = nets_connect(l);
    crank_try(crank_printf(s, "no newline"));
    crank_try(crank_flush(s));
    crank_try(nets_settle());
    nets_abort(s);
    crank_try(crank_finish(s));
    crank_try(nets_settle());
    EXPECT_STR(tell(l, "echo"), "echo\n");
    EXPECT_STR(test_captured(), "");
    crank_try(crank_listener_stop(l, 1));
    return (int)crank_await(server);
}

TEST_EACH_BACKEND(serve, lets_a_handler_close_or_abort_its_peer)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_GROUP(servers);
    crank_task *server = crank_group_spawn(&servers, serve_told, l);
    EXPECT_STR(tell(l, "c"), "end");
    EXPECT_STR(tell(l, "a"), "ECONNRESET");
    EXPECT_STR(tell(l, "echo"), "echo\n");
    crank_try(crank_listener_stop(l, 1));
    EXPECT_EQ(crank_await(server), 0);
    EXPECT_EQ(crank_listener_connections(l), 0);
    return 0;
}

struct failures {
    int count, last;
    char peer[64], message[64];
};
static void note_failure(const char *peer, int error, void *arg)
{
    struct failures *f = arg;
    f->count++;
    f->last = error;
    snprintf(f->peer, sizeof f->peer, "%s", peer);
    snprintf(f->message, sizeof f->message, "%s", crank_error());
}
static int serve_noting(crank_listener *l, struct failures *f)
{
    crank_serve_options options = { .on_failure = note_failure, .arg = f };
    return crank_serve_with(&options, l, do_as_told);
}
TEST_EACH_BACKEND(serve, tells_on_failure_of_each_failure_instead_of_reporting_it)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    struct failures f = { 0 };
    CRANK_GROUP(servers);
    crank_task *server = crank_group_spawn(&servers, serve_noting, l, &f);
    test_capture();
    EXPECT_STR(tell(l, "x"), "end");
    EXPECT_EQ(f.count, 0);
    EXPECT_STR(tell(l, "b"), "end");
    EXPECT_EQ(f.last, -EPIPE);
    CRANK_AUTO_STREAM crank_stream *s = nets_connect(l);
    crank_try(crank_printf(s, "f\n"));
    nets_expect_end(s);
    EXPECT_EQ(f.count, 2);
    EXPECT_EQ(f.last, -EIO);
    EXPECT_STR(f.peer, crank_own_name(s));
    EXPECT_STR(f.message, "the disk has gone");
    EXPECT_STR(test_captured(), "");
    crank_try(crank_listener_stop(l, 1));
    return (int)crank_await(server);
}

static int answer_within(crank_stream *peer)
{
    char byte;
    EXPECT_EQ(crank_within(0.002, crank_read(peer, &byte, 1)), -ETIMEDOUT);
    crank_try(crank_printf(peer, "too late\n"));
    return crank_within(0.001, crank_sleep(CRANK_FOREVER));
}
static int serve_hurried(crank_listener *l) { return crank_serve(l, answer_within); }
TEST_EACH_BACKEND(serve, lets_a_handler_set_limits_of_time)
{
    CRANK_AUTO_LISTENER crank_listener *l = crank_try(crank_listen("127.0.0.1:0"));
    CRANK_GROUP(servers);
    crank_task *server = crank_group_spawn(&servers, serve_hurried, l);
    test_capture();
    CRANK_AUTO_STREAM crank_stream *s = nets_connect(l);
    EXPECT_STR(nets_line(s), "too late");
    nets_expect_end(s);
    EXPECT_STR(test_captured(), "");
    crank_try(crank_listener_stop(l, 1));
    return (int)crank_await(server);
}
