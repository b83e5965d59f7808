/* SPDX-License-Identifier: MIT */
/* redis: Redis by hiredis as straight-line code.
 *
 * A context of hiredis that does not block keeps what could not be sent and parses what has come: redisBufferWrite,
 * redisBufferRead and redisReaderGetReply say "not yet" instead of waiting. redis_flush, redis_next and redis_ask make
 * calls that wait of them, and let other tasks run. */
#define _POSIX_C_SOURCE 200809L
#include <crank.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- hiredis, waiting ---- */

static int redis_failed(const redisContext *c, const char *what)
{
    return crank_fail(EPROTO, "%s: %s", what, c->errstr);
}

static void redis_close(redisContext *c)
{
    crank_fd_closing(c->fd); /* a task that waits for it, if there is one, is told */
    redisFree(c);
}

/* Over a unix socket; for redis_close. NULL: crank_error says why. That the server has accepted shows with the first
 * answer. */
static redisContext *redis_connect(const char *path)
{
    redisContext *c = redisConnectUnixNonBlock(path);

    if (!c)
        crank_try_null(crank_fail(ENOMEM, "no memory for a connection"));
    if (c->err)
        crank_try_or(redis_failed(c, path), redisFree(c); errno = -crank_failed_; return NULL);
    return c;
}

/* Until every command that was appended is with the kernel. */
static int redis_flush(redisContext *c)
{
    for (int done = 0;;) {
        if (redisBufferWrite(c, &done) != REDIS_OK)
            return redis_failed(c, "sending");
        if (done)
            return 0;
        crank_try(crank_wait_fd(c->fd, CRANK_WRITABLE));
    }
}

/* The next answer, for freeReplyObject: of commands in their order, or what comes unasked to a subscriber. */
static redisReply *redis_next(redisContext *c)
{
    for (void *reply = NULL;;) {
        if (redisReaderGetReply(c->reader, &reply) != REDIS_OK)
            crank_try_null(crank_fail(EPROTO, "receiving: %s", c->reader->errstr));
        if (reply)
            return reply;
        crank_try_null(crank_wait_fd(c->fd, CRANK_READABLE));
        if (redisBufferRead(c) != REDIS_OK)
            crank_try_null(redis_failed(c, "receiving"));
    }
}

/* One command and its answer. What the server refuses is a failure. */
static redisReply *redis_ask(redisContext *c, const char *format, ...)
{
    va_list values;

    va_start(values, format);
    int appended = redisvAppendCommand(c, format, values);
    va_end(values);
    if (appended != REDIS_OK)
        crank_try_null(redis_failed(c, format));
    crank_try_null(redis_flush(c));
    redisReply *reply = crank_try_null(redis_next(c));
    if (reply->type == REDIS_REPLY_ERROR)
        crank_try_or(crank_fail(EINVAL, "the server says: %s", reply->str), freeReplyObject(reply);
                     errno = -crank_failed_; return NULL);
    return reply;
}

static void end_context(redisContext **c)
{
    if (*c)
        redis_close(*c);
}
static void end_reply(redisReply **reply)
{
    if (*reply)
        freeReplyObject(*reply);
}
#define AUTO_CONTEXT __attribute__((cleanup(end_context)))
#define AUTO_REPLY __attribute__((cleanup(end_reply)))

/* ---- A program with it ---- */

/* Larger than what the kernel takes at once, there and back. */
static int large_value(redisContext *c, const char *text, size_t size)
{
    freeReplyObject(crank_try(redis_ask(c, "SET large %b", text, size)));
    AUTO_REPLY redisReply *fetched = crank_try(redis_ask(c, "GET large"));

    printf("%zu bytes came back%s\n", (size_t)fetched->len,
        (size_t)fetched->len == size && memcmp(fetched->str, text, size) == 0 ? "" : ", but others");
    return 0;
}

/* A thousand commands on their way at once, and their answers in order. */
static int pipeline(redisContext *c)
{
    long long last = 0;

    freeReplyObject(crank_try(redis_ask(c, "DEL counter")));
    for (int i = 0; i < 1000; i++)
        if (redisAppendCommand(c, "INCRBY counter %d", i) != REDIS_OK)
            return redis_failed(c, "INCRBY");
    crank_try(redis_flush(c));
    for (int i = 0; i < 1000; i++) {
        AUTO_REPLY redisReply *reply = crank_try(redis_next(c));
        last = reply->integer;
    }
    printf("the sum of 0 to 999 is %lld\n", last);
    return 0;
}

/* BLPOP is answered when there is an item: this task waits, the others go on. */
static int take_items(const char *path)
{
    AUTO_CONTEXT redisContext *c = crank_try(redis_connect(path));

    for (int i = 0; i < 3; i++) {
        AUTO_REPLY redisReply *reply = crank_try(redis_ask(c, "BLPOP line 0"));
        printf("taken: %s\n", reply->element[1]->str);
    }
    return 0;
}

static int line_of_items(redisContext *c, const char *path)
{
    const char *const items[] = { "one", "two", "three" };
    CRANK_GROUP(group);

    crank_group_spawn(&group, take_items, path);
    for (size_t i = 0; i < CRANK_COUNT(items); i++) {
        crank_try(crank_sleep(0.05));
        freeReplyObject(crank_try(redis_ask(c, "RPUSH line %s", items[i])));
    }
    return crank_group_wait(&group);
}

static int subscribe(const char *path)
{
    AUTO_CONTEXT redisContext *c = crank_try(redis_connect(path));

    freeReplyObject(crank_try(redis_ask(c, "SUBSCRIBE news")));
    crank_started(0);
    for (int i = 0; i < 2; i++) {
        AUTO_REPLY redisReply *message = crank_try(redis_next(c));
        printf("news: %s\n", message->element[2]->str);
    }
    return 0;
}

static int news(redisContext *c, const char *path)
{
    CRANK_GROUP(group);

    crank_try(crank_group_start(&group, NULL, subscribe, path)); /* until it has subscribed */
    freeReplyObject(crank_try(redis_ask(c, "PUBLISH news %s", "it rains")));
    freeReplyObject(crank_try(redis_ask(c, "PUBLISH news %s", "it has stopped")));
    return crank_group_wait(&group);
}

/* A context whose command was cancelled has its answer still to come: it can only be closed. */
static int too_slow(const char *path)
{
    AUTO_CONTEXT redisContext *c = crank_try(redis_connect(path));
    AUTO_REPLY redisReply *reply = crank_within(0.1, redis_ask(c, "BLPOP none 0"));

    printf("an item within 0.1 s: %s\n", reply ? "there is one" : crank_errno_name(errno));
    return 0;
}

static int refused(redisContext *c)
{
    AUTO_REPLY redisReply *reply = redis_ask(c, "GET");

    printf("%s\n", reply ? "there is something" : crank_error());
    return 0;
}

static int app(const char *path)
{
    static char large[4000000];
    AUTO_CONTEXT redisContext *c = crank_try(redis_connect(path));

    crank_try(large_value(c, memset(large, 'x', sizeof large), sizeof large));
    crank_try(pipeline(c));
    crank_try(line_of_items(c, path));
    crank_try(news(c, path));
    crank_try(too_slow(path));
    return refused(c);
}

int main(int argc, char **argv)
{
    if (argc != 2 || *argv[1] == '-') {
        fprintf(stderr,
            "usage: %s SOCKET\n"
            "  talks to the Redis server at a unix socket: %s /run/redis/redis-server.sock\n",
            argv[0], argv[0]);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN); /* hiredis writes with write(2), which would end us where the server has gone */
    return crank_run(app, (const char *)argv[1]);
}
