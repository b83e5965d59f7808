/* SPDX-License-Identifier: MIT */
/* crank_server.c: crank's servers, as a user would write them: a task for each connection. And its client.
 *
 * crank_server echo            reads a line and writes it back
 * crank_server echo_hibernate  the same; the stacks of connections that have been idle for a while are given back
 * crank_server echo_printf     the same with crank_printf, whose formatting must not cost each connection a page of stack
 * crank_server http            answers requests of HTTP; https: over TLS, with BENCH_CERTIFICATE and BENCH_KEY
 * crank_server http_hibernate  the same as http; the stacks of connections that have been idle for a while are given back
 * crank_server room            a room of WebSockets: what one says is written to all
 * crank_server client          64 tasks ask for BENCH_URL, again and again
 * crank_server udp             sends datagrams back; udp_many: as many as have come by one call
 * crank_server starts          starts programs one after another, and tells each connection how many
 * crank_server files           answers with the files of BENCH_FILES
 * crank_server sink            reads all there is
 * crank_server source          writes until the peer has gone */
#include <crank.h>
#include <crank/http.h>
#ifdef BENCH_TLS
#include <crank/tls.h>
#endif
#include <crank/websocket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char block[65536];

static int echo(crank_stream *peer)
{
    char line[100];
    for (;;) {
        ssize_t n = crank_try(crank_read_line(peer, line, sizeof line));
        if (n == 0)
            return 0;
        crank_try(crank_write(peer, line, (size_t)n));
    }
}

static int echo_printf(crank_stream *peer)
{
    char line[100];
    for (;;) {
        ssize_t n = crank_try(crank_read_line(peer, line, sizeof line));
        if (n == 0)
            return 0;
        crank_try(crank_printf(peer, "%s", line));
    }
}

static int sink(crank_stream *peer)
{
    for (;;)
        if (crank_try(crank_read(peer, block, sizeof block)) == 0)
            return 0;
}

static int source(crank_stream *peer)
{
    for (;;)
        crank_try(crank_write(peer, block, sizeof block));
}

static int hello(crank_http_request *request)
{
    if (crank_http_is(request, "GET", "/hello"))
        return crank_http_print(request, 200, "text/plain", "Hello, world!\n");
    return 0;
}

#ifdef BENCH_TLS
static int serve_https(crank_listener *listener)
{
    CRANK_AUTO_TLS crank_tls *tls = crank_try(crank_tls_server(getenv("BENCH_CERTIFICATE"), getenv("BENCH_KEY")));
    const crank_http_options options = { .tls = tls };
    return crank_http_serve_with(&options, listener, hello);
}
#endif

/* ---- A room ---- */

/* In the frame of its handler, which leaves the room before it returns. */
typedef struct member {
    crank_websocket *socket;
    struct member *next, **at;
} member;

static member *members;

/* One that does not read gets no message more: a gap would be worse. */
static void say(const crank_websocket_message *message)
{
    for (member *m = members; m; m = m->next)
        if (crank_websocket_write_now(m->socket, message->kind, message->bytes, message->size) == -EAGAIN)
            crank_websocket_abort(m->socket, 1013, "too slow");
}

static int listen_and_speak(crank_websocket *socket)
{
    crank_websocket_message message;
    while (crank_try(crank_websocket_read(socket, &message)) > 0)
        say(&message);
    return 0;
}

static int room(crank_http_request *request)
{
    if (!crank_http_is(request, "GET", "/room"))
        return 0;
    CRANK_AUTO_WEBSOCKET crank_websocket *socket = crank_try(crank_websocket_accept(request));
    member self = { .socket = socket, .next = members, .at = &members };
    if (members)
        members->at = &self.next;
    members = &self;
    int err = listen_and_speak(socket);
    *self.at = self.next;
    if (self.next)
        self.next->at = self.at;
    return err;
}

/* ---- A client ---- */

enum { ASKERS = 64 };

static int ask(const char *url)
{
    static const char expected[] = "Hello, world!\n";
    for (;;) {
        CRANK_AUTO_HTTP crank_http_response *answer = crank_try(crank_http_get(url));
        if (answer->status != 200 || answer->size != sizeof expected - 1 || strcmp(answer->body, expected) != 0)
            return crank_fail(EBADMSG, "another answer than was expected: %.100s", answer->body);
    }
}

static int client(const char *url)
{
    CRANK_GROUP(askers);
    puts(strrchr(url, ':') + 1);
    fflush(stdout);
    for (int i = 0; i < ASKERS; i++)
        crank_try(crank_group_spawn(&askers, ask, url));
    return crank_group_wait(&askers);
}

/* ---- Datagrams, programs, files ---- */

static int udp(crank_udp *socket)
{
    char bytes[2048];
    crank_address from;
    for (;;) {
        ssize_t n = crank_try(crank_udp_receive(socket, bytes, sizeof bytes, &from));
        crank_try(crank_udp_send(socket, bytes, (size_t)n, &from));
    }
}

static int udp_many(crank_udp *socket)
{
    static char bytes[64][2048];
    static crank_datagram datagrams[CRANK_COUNT(bytes)];
    for (;;) {
        for (size_t i = 0; i < CRANK_COUNT(bytes); i++)
            datagrams[i] = (crank_datagram){ .buf = bytes[i], .size = sizeof bytes[i] };
        ssize_t n = crank_try(crank_udp_receive_many(socket, datagrams, CRANK_COUNT(bytes)));
        for (ssize_t i = 0; i < n; i++)
            datagrams[i].size = datagrams[i].length;
        for (ssize_t sent = 0; sent < n;)
            sent += crank_try(crank_udp_send_many(socket, datagrams + sent, (size_t)(n - sent)));
    }
}

static int serve_datagrams(int (*serve)(crank_udp *))
{
    CRANK_AUTO_UDP crank_udp *socket = crank_try(crank_udp_open("127.0.0.1:0", NULL));
    puts(strrchr(crank_udp_address(socket), ':') + 1);
    fflush(stdout);
    return serve(socket);
}

static unsigned long started;
static int tell_started(crank_stream *peer) { return crank_printf(peer, "%lu\n", started); }

static int starts(void)
{
    static const char *const argv[] = { "/bin/true", NULL };
    for (;; started++) {
        CRANK_AUTO_PROCESS crank_process *process = crank_try(crank_process_start(argv, NULL));
        crank_try(crank_process_wait(process));
    }
}
static int files(crank_http_request *request, const char *folder) { return crank_http_file(request, folder); }

static int app(const char *name)
{
    if (!strcmp(name, "client"))
        return client(getenv("BENCH_URL"));
    if (!strncmp(name, "udp", 3))
        return serve_datagrams(strcmp(name, "udp_many") ? udp : udp_many);
    CRANK_AUTO_LISTENER crank_listener *listener = crank_try(crank_listen("127.0.0.1:0"));
    puts(strrchr(crank_listener_address(listener, 0), ':') + 1);
    fflush(stdout);
    if (!strcmp(name, "sink"))
        return crank_serve(listener, sink);
    if (!strcmp(name, "starts")) {
        crank_spawn(starts);
        return crank_serve(listener, tell_started);
    }
    if (!strcmp(name, "http") || !strcmp(name, "http_hibernate"))
        return crank_http_serve(listener, hello);
    if (!strcmp(name, "room"))
        return crank_http_serve(listener, room);
#ifdef BENCH_TLS
    if (!strcmp(name, "https"))
        return serve_https(listener);
#else
    if (!strcmp(name, "https"))
        return crank_fail(ENOTSUP, "this was built without TLS: it needs Debian's package libssl-dev");
#endif
    if (!strcmp(name, "files"))
        return crank_http_serve(listener, files, (const char *)getenv("BENCH_FILES"));
    if (!strcmp(name, "echo_printf"))
        return crank_serve(listener, echo_printf);
    if (!strcmp(name, "source"))
        return crank_serve(listener, source);
    return crank_serve(listener, echo);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "echo";
    crank_options options = { .stack_size = 48 * 1024 };
    if (strstr(name, "_hibernate"))
        options.hibernate_after = 0.1;
    long result = crank_run_with(&options, app, name);
    if (result < 0)
        fprintf(stderr, "crank_server: %s\n", strerror((int)-result));
    return result == 0 ? 0 : 1;
}
