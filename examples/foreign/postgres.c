/* SPDX-License-Identifier: MIT */
/* postgres: PostgreSQL's own library, libpq, as straight-line code.
 *
 * libpq has a descriptor (PQsocket), reads and writes it itself, and says "not yet" where it would wait. pg_connect,
 * pg_query and pg_next_notice make calls that wait of that; between their steps other tasks run. A host's name in WHERE
 * is looked up by libpq, which stops the program meanwhile: hostaddr=... spares that. */
#include <crank.h>
#include <errno.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- libpq, waiting ---- */

/* A failure with what libpq says of it: its first line. */
static int pg_failed(const char *what, const char *message)
{
    return crank_fail(EPROTO, "%s: %.*s", what, (int)strcspn(message, "\n"), message);
}

/* The socket may be another one after each step: several addresses are tried. */
static int pg_finish_connecting(PGconn *conn)
{
    PostgresPollingStatusType next = PQstatus(conn) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;

    while (next != PGRES_POLLING_OK) {
        if (next == PGRES_POLLING_FAILED)
            return pg_failed("connecting", PQerrorMessage(conn));
        crank_try(crank_wait_fd(PQsocket(conn), next == PGRES_POLLING_READING ? CRANK_READABLE : CRANK_WRITABLE));
        next = PQconnectPoll(conn);
    }
    return PQsetnonblocking(conn, 1) == 0 ? 0 : pg_failed("connecting", PQerrorMessage(conn));
}

static void pg_close(PGconn *conn)
{
    if (PQsocket(conn) >= 0)
        crank_fd_closing(PQsocket(conn)); /* a task that waits for it, if there is one, is told */
    PQfinish(conn);
}

/* For pg_close. NULL: crank_error says why. */
static PGconn *pg_connect(const char *where)
{
    PGconn *conn = PQconnectStart(where);

    crank_try_or(pg_finish_connecting(conn), pg_close(conn); errno = -crank_failed_; return NULL);
    return conn;
}

/* Until the query is with the kernel. The server may send before it has read all, and would wait for us to take it. */
static int pg_flush(PGconn *conn)
{
    for (;;) {
        int left = PQflush(conn);
        if (left < 0)
            return pg_failed("sending", PQerrorMessage(conn));
        if (left == 0)
            return 0;
        int ready = crank_try(crank_wait_fd(PQsocket(conn), CRANK_READABLE | CRANK_WRITABLE));
        if ((ready & CRANK_READABLE) && !PQconsumeInput(conn))
            return pg_failed("receiving", PQerrorMessage(conn));
    }
}

/* Until PQgetResult does not wait. */
static int pg_wait_result(PGconn *conn)
{
    while (PQisBusy(conn)) {
        crank_try(crank_wait_fd(PQsocket(conn), CRANK_READABLE));
        if (!PQconsumeInput(conn))
            return pg_failed("receiving", PQerrorMessage(conn));
    }
    return 0;
}

static int pg_send(PGconn *conn, const char *sql, int n, const char *const *values)
{
    if (!PQsendQueryParams(conn, sql, n, NULL, values, NULL, NULL, 0))
        return pg_failed("sending", PQerrorMessage(conn));
    return pg_flush(conn);
}

/* The last result before the NULL that ends the answer. */
static int pg_receive(PGconn *conn, PGresult **ret_result)
{
    PGresult *next;

    do {
        crank_try(pg_wait_result(conn));
        next = PQgetResult(conn);
        if (next) {
            PQclear(*ret_result);
            *ret_result = next;
        }
    } while (next);
    ExecStatusType status = PQresultStatus(*ret_result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return 0;
    return pg_failed("the server says", PQresultErrorMessage(*ret_result));
}

/* One query, with values for $1, $2 and on; the answer is for PQclear. NULL: crank_error says why. A connection does
 * one query at a time, and one that was cancelled in its midst can only be closed: its answer is still to come. */
static PGresult *pg_query(PGconn *conn, const char *sql, int n, const char *const *values)
{
    PGresult *result = NULL;

    crank_try_null(pg_send(conn, sql, n, values));
    crank_try_or(pg_receive(conn, &result), PQclear(result); errno = -crank_failed_; return NULL);
    return result;
}

/* What another connection has sent by NOTIFY, for PQfreemem. */
static PGnotify *pg_next_notice(PGconn *conn)
{
    for (;;) {
        PGnotify *notice = PQnotifies(conn);
        if (notice)
            return notice;
        crank_try_null(crank_wait_fd(PQsocket(conn), CRANK_READABLE));
        if (!PQconsumeInput(conn))
            crank_try_null(pg_failed("receiving", PQerrorMessage(conn)));
    }
}

/* They do for the library's objects what CRANK_AUTO_STREAM does for crank's. */
static void end_conn(PGconn **conn)
{
    if (*conn)
        pg_close(*conn);
}
static void end_result(PGresult **result) { PQclear(*result); }
#define AUTO_CONN __attribute__((cleanup(end_conn)))
#define AUTO_RESULT __attribute__((cleanup(end_result)))

/* ---- A program with it ---- */

/* Each has a connection of its own, and the server takes a second to answer. */
static long twice(const char *where, int number)
{
    AUTO_CONN PGconn *conn = crank_try(pg_connect(where));
    char text[16];
    const char *const values[] = { text };

    snprintf(text, sizeof text, "%d", number);
    AUTO_RESULT PGresult *result = crank_try(pg_query(conn, "SELECT 2 * $1::int FROM pg_sleep(1)", 1, values));
    return strtol(PQgetvalue(result, 0, 0), NULL, 10);
}

static int queries_beside_each_other(const char *where)
{
    long results[4];
    double began = crank_time();

    crank_try(crank_gather(results, crank_spawn(twice, where, 10), crank_spawn(twice, where, 20),
        crank_spawn(twice, where, 30), crank_spawn(twice, where, 40)));
    printf("[%ld, %ld, %ld, %ld], sooner than one after another: %s\n", results[0], results[1], results[2], results[3],
        crank_time() - began < 4 ? "yes" : "no");
    return 0;
}

/* Larger than what the kernel takes at once, there and back. */
static int large_value(PGconn *conn, const char *text)
{
    AUTO_RESULT PGresult *result = crank_try(pg_query(conn, "SELECT $1::text, length($1)", 1, &text));

    printf("%s bytes came back%s\n", PQgetvalue(result, 0, 1),
        strcmp(PQgetvalue(result, 0, 0), text) == 0 ? "" : ", but others");
    return 0;
}

static int listen_for_notices(const char *where)
{
    AUTO_CONN PGconn *conn = crank_try(pg_connect(where));

    PQclear(crank_try(pg_query(conn, "LISTEN arrivals", 0, NULL)));
    crank_started(0);
    for (int i = 0; i < 2; i++) {
        PGnotify *notice = crank_try(pg_next_notice(conn));
        printf("notice: %s\n", notice->extra);
        PQfreemem(notice);
    }
    return 0;
}

static int notify(PGconn *conn, const char *text)
{
    PQclear(crank_try(pg_query(conn, "SELECT pg_notify('arrivals', $1)", 1, &text)));
    return 0;
}

static int notices(const char *where, PGconn *conn)
{
    CRANK_GROUP(group);

    crank_try(crank_group_start(&group, NULL, listen_for_notices, where)); /* until it listens */
    crank_try(notify(conn, "the first train"));
    crank_try(notify(conn, "the second train"));
    return crank_group_wait(&group);
}

/* A limit of time is a scope around the call, as everywhere. */
static int too_slow(const char *where)
{
    AUTO_CONN PGconn *conn = crank_try(pg_connect(where));
    AUTO_RESULT PGresult *result = crank_within(0.1, pg_query(conn, "SELECT pg_sleep(60)", 0, NULL));

    printf("a minute's sleep within 0.1 s: %s\n", result ? "it was" : crank_errno_name(errno));
    return 0; /* the connection is closed; the server notices at the end of the sleep */
}

static int refused(PGconn *conn)
{
    AUTO_RESULT PGresult *result = pg_query(conn, "SELECT 1 / 0", 0, NULL);

    printf("%s\n", result ? PQgetvalue(result, 0, 0) : crank_error());
    return 0;
}

static int app(const char *where)
{
    static char large[4000001];
    AUTO_CONN PGconn *conn = crank_try(pg_connect(where));

    crank_try(queries_beside_each_other(where));
    crank_try(large_value(conn, memset(large, 'x', sizeof large - 1)));
    crank_try(notices(where, conn));
    crank_try(too_slow(where));
    return refused(conn);
}

int main(int argc, char **argv)
{
    if (argc != 2 || *argv[1] == '-') {
        fprintf(stderr,
            "usage: %s WHERE\n"
            "  talks to the PostgreSQL server of a connection string: %s \"host=/run/postgresql dbname=postgres\"\n",
            argv[0], argv[0]);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    return crank_run(app, (const char *)argv[1]);
}
