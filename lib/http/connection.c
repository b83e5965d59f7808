/* SPDX-License-Identifier: MIT */
/* connection.c: the requests of a connection, one after another.
 *
 * Owns the connection: which request is being served, when none is, and whether another is taken.
 * A request runs as a task, a child of the connection's; it is started at once, and most have
 * answered when that returns. Of those that wait a GET or HEAD is cancelled where the peer goes
 * away (crank_stream_on_gone): none of its effects is lost by that.
 *
 * Limits of time are the stream's (crank_stream_limit): for the first byte, for the head from its
 * first byte on, between requests. None counts while a handler runs.
 *
 * What cannot be read as a request is answered and the connection closed: nothing behind it can be
 * told from a request any more. */
#include "http/connection.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <crank/error.h>
#include <crank/loop.h>
#include <crank/task.h>

#include "http/answer.h"
#include "http/forwarded.h"
#include "http/log.h"
#include "http/memory.h"
#include "http/message.h"
#include "http/pace.h"
#include "http/receive.h"
#include "http/secure.h"
#include "http/stream.h"
#include "http/websocket/socket.h"

/* The first byte of a client that speaks TLS where none is spoken: no head would come. */
enum { TLS_HANDSHAKE = 0x16 };

/* ---- In the task of a request ---- */

/* Which request it was, as a line of the failure's trace: the message and the lines before are the
 * handler's own. */
static void name_failure(cr_http_message *m, int err)
{
    enum { ROOM = 400 };
    char *what = cr_http_message_alloc(m, ROOM);
    if (what)
        snprintf(what, ROOM, "the handler of %.40s %.200s for %.60s", m->request.method,
            m->request.path, m->request.peer);
    (void)crank_traced_(
        __FILE__, __LINE__, __func__, what ? what : "a handler", err, __builtin_frame_address(0));
}

/* Give the failure of a handler to on_failure, or to the report of a failed task. */
static void note_failure(cr_http_message *m, int err)
{
    const crank_http_options *options = &m->connection->server->options;
    if (options->on_failure) {
        options->on_failure(&m->request, err, options->arg);
        return;
    }
    m->is_reported = true;
    name_failure(m, err);
}

/* What a call on the request's WebSocket has failed with. Later calls, its closing too, may have
 * failed with another number: those by which connections end are all taken for it. */
static bool is_sockets(const cr_http_message *m, int err)
{
    bool is_end = err == -EPIPE || err == -ECONNRESET || err == -ECONNABORTED || err == -ETIMEDOUT;
    return err == m->socket_error || (m->socket_error && is_end);
}

/* The handler has failed, and not by being cancelled. The client is told where its own body was the
 * cause. That the client reads too slowly, or has gone, is no failure of the handler's. */
static void fail(cr_http_message *m, int err)
{
    m->result = err;
    m->is_peers = m->is_peers || cr_http_stream_failed(m);
    if (m->failed == 0 && !m->is_peers && !is_sockets(m, err))
        note_failure(m, err);
    if (m->state == CR_HTTP_UNANSWERED && !m->is_peers)
        (void)cr_http_answer_refuse(m, m->failed ? m->failed : 500);
}

static int run_request(cr_http_message *m)
{
    long result = crank_kept_call_make_(m->connection->server->call, &m->request);
    int err = result < 0 && result >= -4095 ? (int)result : 0;
    if (err == -ECANCELED && crank_cancelled())
        m->result = err;
    else if (err < 0)
        fail(m, err);
    else if (m->state == CR_HTTP_UNANSWERED)
        (void)cr_http_answer_refuse(m, m->allow ? 405 : 404);
    return m->is_reported ? err : 0;
}

/* ---- Beside it ---- */

/* Safe methods have no effect that is lost when they are cancelled. */
static bool is_safe(const cr_http_message *m)
{
    return strcmp(m->request.method, "GET") == 0 || strcmp(m->request.method, "HEAD") == 0;
}

/* A connection that is no socket's has no peer that could be seen to go. */
static void watch(cr_http_message *m)
{
    const cr_http_connection *c = m->connection;
    if (m->stays || !m->body.over || !is_safe(m))
        return;
    int err = c->server->options.half_closed ? crank_stream_on_reset(c->stream, m->task)
                                             : crank_stream_on_gone(c->stream, m->task);
    m->is_watched = err == 0;
}

static void watch_no_more(cr_http_message *m)
{
    if (!m->is_watched)
        return;
    m->is_watched = false;
    m->gone = crank_stream_gone(m->connection->stream);
    (void)crank_stream_on_gone(m->connection->stream, NULL);
}

void crank_http_stay(crank_http_request *request)
{
    cr_http_message *m = cr_http_message_of(request);
    m->stays = true;
    watch_no_more(m);
}

/* The task's site is the handler's, so that it is named by it. */
static crank_task *spawn_request(
    cr_http_server *server, crank_function_ *function, const crank_site *site)
{
    crank_site_take_(&server->site, site);
    return crank_spawn_eager_(0, function, &server->site);
}

/* Shown in the tree: "GET /path". Only of those that wait. */
static void name_task(const cr_http_message *m)
{
    char name[64];
    snprintf(name, sizeof name, "%.16s %.46s", m->request.method, m->request.path);
    crank_set_name(m->task, name);
}

/* A failure that is to be reported is not awaited: then the loop reports it. */
static int await_request(cr_http_message *m)
{
    crank_task *task = m->task;
    int err = 0;
    if (!crank_done(task)) {
        name_task(m);
        watch(m);
        ssize_t n = crank_wait(&task, 1, CRANK_ALL_COMPLETED, CRANK_FOREVER);
        watch_no_more(m);
        err = n < 0 ? (int)n : 0;
    }
    m->task = NULL;
    if (err < 0) {
        crank_cancel(task);
        (void)crank_shield(crank_await(task));
    } else if (m->is_reported) {
        crank_drop(task);
    } else {
        err = (int)crank_await(task);
    }
    return err;
}

/* Fails as its name says, so that it is reported. */
static int report(int err, const char *what) { return crank_fail(err, "%s", what); }

static bool goes_on(const cr_http_message *m)
{
    return m->state == CR_HTTP_STREAM || m->state == CR_HTTP_EVENTS;
}

/* Of an answer whose handler has ended without a failure, and whose length is another than it had
 * announced. The caller has set the message. */
static void note_length(cr_http_message *m, int err)
{
    const crank_http_options *options = &m->connection->server->options;
    if (options->on_failure)
        options->on_failure(&m->request, err, options->arg);
    else
        crank_drop(crank_spawn(
            report, err, cr_http_message_copy(m, crank_error(), strlen(crank_error()))));
}

/* The end of an answer that went on. */
static void end_answer(cr_http_message *m)
{
    if (!goes_on(m) || m->bodiless)
        return;
    if (m->result < 0)
        m->broken = true;
    bool has_said_all = m->result == 0 && (m->is_too_long || !m->broken);
    int err = has_said_all ? cr_http_answer_end(m) : 0;
    if (err == -ENODATA || err == -EMSGSIZE)
        note_length(m, err);
    if (err < 0)
        m->broken = true;
}

/* Nothing is taken for whole that is not. */
static int settle(cr_http_connection *c, cr_http_message *m, int err)
{
    if (err < 0 ? goes_on(m) : m->state == CR_HTTP_UNANSWERED && !m->gone)
        m->broken = true;
    if (m->broken || err < 0)
        c->closes = true;
    if (m->broken)
        crank_abort(c->stream);
    if (m->gone)
        c->closes = true;
    if (!c->closes && !m->body.over && !cr_http_receive_rest(m))
        c->closes = true;
    cr_http_log_write(m);
    return err;
}

/* From a request's task to the end of its answer. The limit of waiting for the request is moved
 * away before the task is spawned: it runs at once, and may already wait under a limit of its own
 * when spawn returns. */
static int serve_message(cr_http_connection *c, cr_http_message *m)
{
    cr_http_pace_rest(c);
    m->task = CRANK_CAPTURE_(__COUNTER__, spawn_request, c->server, run_request, m);
    int err = m->task ? await_request(m) : cr_http_answer_refuse(m, 500);
    (void)crank_handle_cancel(m->heart);
    int closed = cr_http_closing_end(m);
    cr_http_stream_end(m);
    if (err == 0)
        err = closed;
    if (err == 0)
        end_answer(m);
    return settle(c, m, err);
}

/* ---- Taking a request ---- */

/* Of what is no request, or is not for this server: an answer, and the end. */
static int refuse(cr_http_connection *c, cr_http_message *m, cr_http_status status)
{
    c->closes = true;
    int err = cr_http_answer_refuse(m, status);
    if (m->broken)
        crank_abort(c->stream);
    cr_http_log_write(m);
    return err == -ECANCELED ? err : 0;
}

/* Without a head: so much of one as there is says nothing. */
static int refuse_unread(cr_http_connection *c, cr_http_status status)
{
    cr_http_message *m = cr_http_message_new(c);
    int err = -ENOMEM;
    if (m) {
        cr_http_message_clear(m);
        err = refuse(c, m, status);
        cr_http_message_free(m);
    }
    c->closes = true;
    return err == -ECANCELED ? err : 0;
}

/* The name without its port: how long it is. */
static size_t name_of(const char *host)
{
    const char *end = *host == '[' ? strchr(host, ']') : NULL;
    size_t size = end ? (size_t)(end - host) + 1 : strcspn(host, ":");
    return size > 0 && host[size - 1] == '.' ? size - 1 : size;
}

static bool is_number(const char *host, size_t size)
{
    return *host == '[' || strspn(host, "0123456789.") >= size;
}

/* A page of another site may have its own name mean this machine: that name is in Host. */
static bool is_own_host(const cr_http_server *server, const char *host)
{
    size_t size = name_of(host);
    if (!server->is_loopback || size == 0 || is_number(host, size) ||
        (size == 9 && strncmp(host, "localhost", 9) == 0))
        return true;
    for (const char *at = server->options.hosts; at && *at;) {
        at += strspn(at, " ");
        size_t length = strcspn(at, " ");
        if (length == size && strncasecmp(at, host, size) == 0)
            return true;
        at += length;
    }
    return false;
}

static cr_http_status check(const cr_http_server *server, const cr_http_message *m)
{
    int64_t max = server->options.body_max;
    if (!is_own_host(server, m->request.host))
        return 421;
    return max >= 0 && m->request.size > max ? 413 : 0;
}

static int serve_head(cr_http_connection *c, const char *bytes, size_t size)
{
    cr_http_message *m = cr_http_message_new(c);
    if (!m) {
        c->closes = true;
        return 0;
    }
    m->received_at = crank_time();
    cr_http_status status = cr_http_message_read(m, bytes, size);
    crank_skip(c->stream, size);
    if (status == 0)
        status = cr_http_forwarded_apply(m);
    if (status == 0)
        status = check(c->server, m);
    int err = status ? refuse(c, m, status) : serve_message(c, m);
    crank_error_clear();
    cr_http_message_free(m);
    return err;
}

/* ---- Waiting for one ---- */

/* How many bytes there are: 0 where the connection is over. */
static ssize_t await_first(cr_http_connection *c, bool is_new, const char **ret_bytes)
{
    const crank_http_options *options = &c->server->options;
    ssize_t n = crank_peek(c->stream, 0, ret_bytes);
    if (n > 0 || c->server->stopping)
        return n;
    c->idle = true;
    cr_http_pace_limit(c, is_new ? options->head : options->idle);
    n = crank_peek(c->stream, 1, ret_bytes);
    c->idle = false;
    return n;
}

/* One empty line before a request is let pass: old clients send it behind a body. */
static ssize_t skip_empty_line(cr_http_connection *c, ssize_t n, const char **ret_bytes)
{
    if (n <= 0 || **ret_bytes != '\r')
        return n;
    n = crank_peek(c->stream, 2, ret_bytes);
    if (n < 2 || (*ret_bytes)[1] != '\n')
        return n;
    crank_skip(c->stream, 2);
    return await_first(c, false, ret_bytes);
}

/* Mostly the whole head is there: then no limit needs to be set for it. */
static ssize_t await_head(
    cr_http_connection *c, size_t n, const char **ret_bytes, cr_http_status *ret_refusal)
{
    const crank_http_options *options = &c->server->options;
    const cr_http_head_limits limits = { .size = options->head_max, .line = CR_HTTP_LINE_MAX };
    size_t searched = 0;
    ssize_t size = cr_http_head_end(*ret_bytes, n, &limits, &searched, ret_refusal);
    if (size != 0)
        return size;
    cr_http_pace_limit(c, options->head);
    size = cr_http_head_await(c->stream, &limits, ret_bytes, ret_refusal);
    if (size == -ETIMEDOUT) {
        cr_http_pace_rest(c);
        *ret_refusal = 408;
    }
    return size;
}

/* A peer that goes between two requests is no failure, nor is one that never sends any. */
static int next_request(cr_http_connection *c, bool is_new)
{
    const char *bytes;
    cr_http_status refusal = 0;
    ssize_t n = skip_empty_line(c, await_first(c, is_new, &bytes), &bytes);
    if (n > 0 && is_new && *bytes == TLS_HANDSHAKE)
        refusal = 400;
    else if (n > 0)
        n = await_head(c, (size_t)n, &bytes, &refusal);
    if (n == -ECANCELED)
        return -ECANCELED;
    if (refusal)
        return refuse_unread(c, refusal);
    if (n > 0)
        return serve_head(c, bytes, (size_t)n);
    c->closes = true;
    return 0;
}

static void link_connection(cr_http_server *server, cr_http_connection *c)
{
    c->next = server->first;
    if (c->next)
        c->next->prev = c;
    server->first = c;
}

static void unlink_connection(cr_http_server *server, cr_http_connection *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else
        server->first = c->next;
    if (c->next)
        c->next->prev = c->prev;
}

int cr_http_connection_serve(cr_http_server *server, crank_stream *stream)
{
    cr_http_connection *c = crank_alloc(sizeof *c);
    int err = 0;
    if (!c)
        return crank_fail(ENOMEM, "out of memory for a connection");
    *c = (cr_http_connection){ .server = server,
        .stream = stream,
        .peer = crank_peer_name(stream),
        .secure = cr_http_secure_is(stream) };
    link_connection(server, c);
    for (bool is_new = true; err == 0 && !c->closes; is_new = false)
        err = next_request(c, is_new);
    unlink_connection(server, c);
    cr_http_pace_rest(c);
    crank_release(c);
    crank_error_clear();
    return err;
}

void cr_http_connection_stop_all(cr_http_server *server)
{
    server->stopping = true;
    for (cr_http_connection *c = server->first; c; c = c->next) {
        if (c->idle)
            cr_http_pace_limit(c, 0);
        if (c->socket)
            cr_http_closing_stop(c->socket);
    }
}
