/* SPDX-License-Identifier: MIT */
/* files.c: files of a folder as answers: which, which version, which part, and nothing beyond the folder. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "webs.h"
#include "http/accept.h"
#include "http/date.h"
#include "http/fresh.h"
#include "http/range.h"

enum { LARGE = 8 * 1024 * 1024 };
static const time_t modified = 784111777; /* Sun, 06 Nov 1994 08:49:37 GMT */
#define MODIFIED "Sun, 06 Nov 1994 08:49:37 GMT"
#define LATER "Sun, 06 Nov 1994 08:49:38 GMT"
#define EARLIER "Sun, 06 Nov 1994 08:49:36 GMT"

/* ---- A folder and its server ---- */

/* A path in the test's folder, in one of eight places. */
static const char *in_folder(const char *name)
{
    static char paths[8][300];
    static unsigned next;
    char *path = paths[next++ % 8];
    const char *top = getenv("TMPDIR"); /* the test's own */
    snprintf(path, sizeof *paths, "%.100s/web%s%.100s", top ? top : "/tmp", *name ? "/" : "", name);
    return path;
}
static void touch(const char *name, time_t at)
{
    const struct timespec times[2] = { { .tv_sec = at }, { .tv_sec = at } };
    EXPECT_EQ(utimensat(AT_FDCWD, in_folder(name), times, AT_SYMLINK_NOFOLLOW), 0);
}
static void make_file(const char *name, const char *text)
{
    FILE *file = fopen(in_folder(name), "we");
    EXPECT(file && fputs(text, file) >= 0 && fclose(file) == 0);
    touch(name, modified);
}
static void make_files(void)
{
    EXPECT(mkdir(in_folder(""), 0755) == 0 && mkdir(in_folder("sub"), 0755) == 0);
    EXPECT_EQ(mkfifo(in_folder("fifo"), 0600), 0);
    EXPECT(symlink("a.txt", in_folder("link")) == 0 && symlink("/etc", in_folder("etc")) == 0);
    make_file("a.txt", "0123456789");
    make_file(".secret", "x");
    make_file("empty", "");
    make_file("b.js", "let b");
    make_file("b.js.gz", "(packed)");
    make_file("old.css", "p {}");
    make_file("old.css.gz", "(stale)");
    touch("old.css.gz", modified - 1);
    make_file("sub/index.html", "<p>");
    make_file("large.bin", "");
    EXPECT_EQ(truncate(in_folder("large.bin"), LARGE), 0);
}
static void remove_files(void)
{
    static const char *const names[] = { "a.txt", ".secret", "empty", "b.js", "b.js.gz", "old.css", "old.css.gz",
        "sub/index.html", "sub", "fifo", "link", "etc", "large.bin", "" };
    for (size_t i = 0; i < CRANK_COUNT(names); i++)
        EXPECT_EQ(remove(in_folder(names[i])), 0);
}

static int site(crank_http_request *request)
{
    if (crank_http_is(request, "GET", "/chosen"))
        return crank_http_file_at(request, in_folder("link"));
    if (crank_http_is(request, "GET", "/fresh") || crank_http_is(request, "PUT", "/fresh")) {
        if (crank_try(crank_http_fresh(request, "v1", modified)))
            return 0;
        return crank_http_print(request, 200, NULL, "anew");
    }
    if (crank_http_is(request, "GET", "/tag")) {
        EXPECT_EQ(crank_http_fresh(request, "a \"b", 0), -EINVAL);
        return 0;
    }
    crank_try(crank_http_set(request, "Cache-Control", "no-cache"));
    return crank_http_file(request, in_folder(""));
}
static int serve(crank_listener *l) { return webs_served(l, crank_http_serve(l, site)); }
static int with_files(int (*test)(crank_stream *s))
{
    make_files();
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve, l);
    {
        CRANK_AUTO_STREAM crank_stream *s = webs_connect(l);
        crank_try(test(s));
    }
    crank_try(crank_listener_stop(l, 1));
    remove_files();
    return webs_await(&server);
}

/* A request with further lines, each with its CRLF. */
static const webs_answer *ask(crank_stream *s, const char *method, const char *target, const char *lines)
{
    char request[600];
    snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", method, target, lines);
    return webs_ask(s, request);
}
/* Its status and body, "206 012", in one of four places. */
static const char *said(crank_stream *s, const char *target, const char *lines)
{
    static char texts[4][300];
    static unsigned next;
    char *text = texts[next++ % 4];
    const webs_answer *a = ask(s, "GET", target, lines);
    snprintf(text, sizeof *texts, "%d%s%.200s", a->status, a->size ? " " : "", a->body);
    return text;
}

/* ---- Which file ---- */

static int try_folder(crank_stream *s)
{
    static const char *const absent[] = { "/none", "/.secret", "/sub/none", "/sub/.", "/link", "/etc/passwd", "/fifo",
        "/a.txt/", "//a.txt", "/sub//index.html", "/sub%2findex.html", "/sub/..%2f.secret", "/%2e%2e/x" };
    const webs_answer *a = webs_get(s, "/a.txt");
    EXPECT_EQ(a->status, 200);
    EXPECT_STR(a->body, "0123456789");
    EXPECT_STR(webs_field(a, "Content-Type"), "text/plain; charset=utf-8");
    EXPECT_STR(webs_field(a, "Cache-Control"), "no-cache");
    EXPECT_STR(said(s, "/sub/", ""), "200 <p>");
    EXPECT_STR(said(s, "/sub/../sub/%69ndex.html", ""), "200 <p>");
    EXPECT_STR(said(s, "/empty", ""), "200");
    a = webs_get(s, "/sub?x=1");
    EXPECT_EQ(a->status, 301);
    EXPECT_STR(webs_field(a, "Location"), "/sub/?x=1");
    a = ask(s, "HEAD", "/a.txt", "");
    EXPECT_STR(webs_field(a, "Content-Length"), "10");
    EXPECT_STR(webs_field(a, "Last-Modified"), MODIFIED);
    a = ask(s, "POST", "/a.txt", "");
    EXPECT_EQ(a->status, 405);
    EXPECT_STR(webs_field(a, "Allow"), "GET, HEAD");
    EXPECT_STR(said(s, "/chosen", ""), "200 0123456789"); /* the program may follow links */
    for (size_t i = 0; i + 1 < CRANK_COUNT(absent); i++) {
        int status = webs_get(s, absent[i])->status;
        if (status != (strcmp(absent[i], "/sub/.") == 0 ? 200 : 404))
            test_fail(__FILE__, __LINE__, "%s gives %d", absent[i], status);
    }
    EXPECT_EQ(webs_get(s, absent[CRANK_COUNT(absent) - 1])->status, 400); /* above the root: and closes */
    return 0;
}
TEST_EACH_BACKEND(files, of_a_folder_are_answers_and_nothing_beyond_it) { return with_files(try_folder); }

static int try_packed(crank_stream *s)
{
    const webs_answer *a = ask(s, "GET", "/b.js", "Accept-Encoding: br, gzip;q=0.5\r\n");
    EXPECT_STR(a->body, "(packed)");
    EXPECT_STR(webs_field(a, "Content-Encoding"), "gzip");
    EXPECT_STR(webs_field(a, "Content-Type"), "text/javascript; charset=utf-8");
    EXPECT_STR(webs_field(a, "Vary"), "Accept-Encoding");
    EXPECT_CONTAINS(webs_field(a, "ETag"), "-gz\"");
    a = ask(s, "GET", "/b.js", "Accept-Encoding: gzip;q=0\r\n");
    EXPECT_STR(a->body, "let b");
    EXPECT(!webs_field(a, "Content-Encoding"));
    EXPECT_STR(webs_field(a, "Vary"), "Accept-Encoding");
    EXPECT_STR(said(s, "/old.css", "Accept-Encoding: gzip\r\n"), "200 p {}"); /* of an earlier version */
    EXPECT_STR(said(s, "/a.txt", "Accept-Encoding: gzip\r\n"), "200 0123456789");
    return 0;
}
TEST_EACH_BACKEND(files, packed_beside_are_for_clients_that_take_them) { return with_files(try_packed); }

TEST(accept, reads_weights)
{
    static const char *const takes[] = { "gzip", "br, GZIP ;q=0.001", "*", "identity;q=0.5, gzip;q=0.5", "x;q=9,gzip" };
    static const char *const refuses[] = { "", "br", "gzip;q=0", "gzip;q=0.000, *", "*;q=0", "identity, gzip;q=0.9",
        "gzip;q=2", "gzip;q=", "gzip;q=0.12345", "gzip;q=-1", "gzip;x=1", "gzip;q=1.5", "xgzip" };
    EXPECT(!cr_http_accept_coding(NULL, "gzip"));
    for (size_t i = 0; i < CRANK_COUNT(takes); i++)
        if (!cr_http_accept_coding(takes[i], "gzip"))
            test_fail(__FILE__, __LINE__, "\"%s\" is not taken", takes[i]);
    for (size_t i = 0; i < CRANK_COUNT(refuses); i++)
        if (cr_http_accept_coding(refuses[i], "gzip"))
            test_fail(__FILE__, __LINE__, "\"%s\" is taken", refuses[i]);
}

/* ---- Which version ---- */

static int try_versions(crank_stream *s)
{
    char etag[100], lines[200];
    snprintf(etag, sizeof etag, "%s", webs_field(webs_get(s, "/a.txt"), "ETag"));
    const struct row {
        const char *field, *value; /* @: the file's tag */
        const char *expected;
    } rows[] = {
        { "If-None-Match", "@", "304" },
        { "If-None-Match", "\"x\", W/@", "304" },
        { "If-None-Match", "*", "304" },
        { "If-None-Match", "\"x\"", "200 0123456789" },
        { "If-None-Match", "@\r\nIf-Modified-Since: " EARLIER, "304" }, /* a tag goes before a date */
        { "If-None-Match", "\"x\"\r\nIf-Modified-Since: " LATER, "200 0123456789" },
        { "If-Modified-Since", MODIFIED, "304" },
        { "If-Modified-Since", EARLIER, "200 0123456789" },
        { "If-Modified-Since", "yesterday", "200 0123456789" },
        { "If-Match", "@", "200 0123456789" },
        { "If-Match", "W/@", "412" },
        { "If-Match", "\"x\"", "412" },
        { "If-Match", "*", "200 0123456789" },
        { "If-Unmodified-Since", EARLIER, "412" },
        { "If-Unmodified-Since", MODIFIED, "200 0123456789" },
        { "Range", "bytes=2-4\r\nIf-Range: @", "206 234" },
        { "Range", "bytes=2-4\r\nIf-Range: W/@", "200 0123456789" },
        { "Range", "bytes=2-4\r\nIf-Range: \"x\"", "200 0123456789" },
        { "Range", "bytes=2-4\r\nIf-Range: " MODIFIED, "206 234" },
        { "Range", "bytes=2-4\r\nIf-Range: " LATER, "200 0123456789" },
        { "Range", "bytes=2-4\r\nIf-None-Match: @", "304" },
    };
    for (size_t i = 0; i < CRANK_COUNT(rows); i++) {
        const char *value = rows[i].value, *at = strchr(value, '@');
        snprintf(lines, sizeof lines, "%s: %.*s%s%s\r\n", rows[i].field, (int)(at ? at - value : (long)strlen(value)),
            value, at ? etag : "", at ? at + 1 : "");
        const char *have = said(s, "/a.txt", lines);
        if (strncmp(have, rows[i].expected, strlen(rows[i].expected)) != 0)
            test_fail(__FILE__, __LINE__, "%s gives %s, expected %s", lines, have, rows[i].expected);
    }
    const webs_answer *a = ask(s, "GET", "/a.txt", "If-None-Match: *\r\n");
    EXPECT_STR(webs_field(a, "ETag"), etag);
    EXPECT_STR(webs_field(a, "Vary"), "Accept-Encoding");
    EXPECT(!webs_field(a, "Content-Length") && !webs_field(a, "Content-Type"));
    return 0;
}
TEST_EACH_BACKEND(files, are_answered_by_the_version_that_the_client_has) { return with_files(try_versions); }

static int try_young(crank_stream *s)
{
    touch("a.txt", time(NULL) + 1000000);
    const webs_answer *a = webs_get(s, "/a.txt");
    EXPECT_CONTAINS(webs_field(a, "ETag"), "W/\"");
    EXPECT_STR(webs_field(a, "Last-Modified"), webs_field(a, "Date"));
    EXPECT_STR(said(s, "/a.txt", "Range: bytes=0-1\r\n"), "206 01");
    return 0;
}
TEST_SIM(files, of_this_second_or_later_have_a_weak_tag_and_no_later_date_than_the_answer)
{
    return with_files(try_young);
}

static int try_fresh(crank_stream *s)
{
    const webs_answer *a = webs_get(s, "/fresh");
    EXPECT_STR(a->body, "anew");
    EXPECT_STR(webs_field(a, "ETag"), "\"v1\"");
    EXPECT_STR(webs_field(a, "Last-Modified"), MODIFIED);
    EXPECT_STR(said(s, "/fresh", "If-None-Match: \"v1\"\r\n"), "304");
    EXPECT_STR(said(s, "/fresh", "If-Modified-Since: " LATER "\r\n"), "304");
    EXPECT_EQ(ask(s, "PUT", "/fresh", "If-None-Match: *\r\n")->status, 412); /* only where there is none */
    EXPECT_EQ(ask(s, "PUT", "/fresh", "If-Match: \"v0\"\r\n")->status, 412);
    EXPECT_STR(ask(s, "PUT", "/fresh", "If-Match: \"v1\"\r\n")->body, "anew");
    EXPECT_STR(ask(s, "PUT", "/fresh", "If-Modified-Since: " LATER "\r\n")->body, "anew");
    EXPECT_EQ(webs_get(s, "/tag")->status, 404);
    return 0;
}
TEST_EACH_BACKEND(fresh, answers_clients_that_have_this_version) { return with_files(try_fresh); }

TEST(tags, are_found_in_lists)
{
    EXPECT(cr_http_fresh_has_tag("\"a,b\" , \"c\"", "\"c\"", true));
    EXPECT(cr_http_fresh_has_tag(",, \"c\"", "W/\"c\"", false));
    EXPECT(!cr_http_fresh_has_tag("\"c\"", "W/\"c\"", true));
    EXPECT(!cr_http_fresh_has_tag("\"a\" \"c\"", "\"c\"", true)); /* no comma */
    EXPECT(!cr_http_fresh_has_tag("c, \"c\"", "\"c\"", true));
    EXPECT(!cr_http_fresh_has_tag("\"cc\"", "\"c\"", true));
    EXPECT(!cr_http_fresh_has_tag("w/\"c\"", "\"c\"", false));
    EXPECT(!cr_http_fresh_has_tag("\"c", "\"c\"", false));
}

TEST(dates, are_read_in_each_of_the_three_forms)
{
    static const char *const good[] = { MODIFIED, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994" };
    static const char *const bad[] = { "", "Sun", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 31 Nov 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
        "Wed, 29 Feb 2100 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT", MODIFIED " ", "Sun, 06 Nov 1969 08:49:37 GMT",
        "Sunday, 06 Nov 94 08:49:37 GMT", "Sun, 06-Nov-94 08:49:37 GMT", "Sun Nov 6 08:49:37 1994" };
    char text[CR_HTTP_DATE_SIZE];
    time_t at;
    for (size_t i = 0; i < CRANK_COUNT(good); i++)
        if (!cr_http_date_parse(good[i], &at) || at != modified)
            test_fail(__FILE__, __LINE__, "\"%s\" is not read", good[i]);
    for (size_t i = 0; i < CRANK_COUNT(bad); i++)
        if (cr_http_date_parse(bad[i], &at))
            test_fail(__FILE__, __LINE__, "\"%s\" is read", bad[i]);
    for (time_t day = 0; day < 60000; day++) { /* up to 2134 */
        cr_http_date_format(day * 86400 + day, text);
        EXPECT(cr_http_date_parse(text, &at) && at == day * 86400 + day);
    }
}

/* ---- Which part ---- */

static int try_parts(crank_stream *s)
{
    const webs_answer *a = ask(s, "GET", "/a.txt", "Range: bytes=2-4\r\n");
    EXPECT_EQ(a->status, 206);
    EXPECT_STR(a->body, "234");
    EXPECT_STR(webs_field(a, "Content-Range"), "bytes 2-4/10");
    EXPECT_STR(webs_field(webs_get(s, "/a.txt"), "Accept-Ranges"), "bytes");
    EXPECT_STR(said(s, "/a.txt", "Range: bytes=7-\r\n"), "206 789");
    EXPECT_STR(said(s, "/a.txt", "Range: bytes=-2\r\n"), "206 89");
    EXPECT_STR(said(s, "/a.txt", "Range: bytes=0-1,4-5\r\n"), "200 0123456789");
    EXPECT_STR(said(s, "/a.txt", "Range: bytes=0-1\r\nRange: bytes=4-5\r\n"), "200 0123456789");
    EXPECT_EQ(ask(s, "HEAD", "/a.txt", "Range: bytes=2-4\r\n")->status, 200);
    a = ask(s, "GET", "/a.txt", "Range: bytes=10-\r\n");
    EXPECT_EQ(a->status, 416);
    EXPECT_STR(webs_field(a, "Content-Range"), "bytes */10");
    char lines[80];
    snprintf(lines, sizeof lines, "Range: bytes=%d-\r\n", LARGE - 3);
    a = ask(s, "GET", "/large.bin", lines);
    EXPECT_EQ(a->status, 206);
    EXPECT_EQ(a->size, 3);
    return 0;
}
TEST_EACH_BACKEND(files, are_sent_in_part) { return with_files(try_parts); }

TEST(range, is_one_part_of_the_whole_or_all_of_it)
{
    static const struct {
        const char *text;
        uint64_t whole;
        int status;
        uint64_t first, size;
    } rows[] = {
        { "bytes=0-0", 10, 206, 0, 1 },
        { "Bytes=0-", 10, 206, 0, 10 },
        { "bytes=9-99999999999999999999999", 10, 206, 9, 1 },
        { "bytes=-99999999999999999999999", 10, 206, 0, 10 },
        { "bytes=10-", 10, 416, 0, 0 },
        { "bytes=99999999999999999999999-", 10, 416, 0, 0 },
        { "bytes=-0", 10, 416, 0, 0 },
        { "bytes=18446744073709551614-18446744073709551615", UINT64_MAX, 206, UINT64_MAX - 1, 1 },
        { "bytes=5-4", 10, 200, 0, 0 },
        { "bytes=", 10, 200, 0, 0 },
        { "bytes=-", 10, 200, 0, 0 },
        { "bytes=1", 10, 200, 0, 0 },
        { "bytes=1-2x", 10, 200, 0, 0 },
        { "bytes=1-2,", 10, 200, 0, 0 },
        { "bytes= 1-2", 10, 200, 0, 0 },
        { "bytes=+1-2", 10, 200, 0, 0 },
        { "bytes=--1", 10, 200, 0, 0 },
        { "lines=1-2", 10, 200, 0, 0 },
        { "bytes=0-", 0, 200, 0, 0 },
        { NULL, 10, 200, 0, 0 },
    };
    for (size_t i = 0; i < CRANK_COUNT(rows); i++) {
        cr_http_range range = { 0, 0 };
        int status = cr_http_range_read(rows[i].text, rows[i].whole, &range);
        if (status != rows[i].status || range.first != rows[i].first || range.size != rows[i].size)
            test_fail(__FILE__, __LINE__, "%s of %llu: %d", rows[i].text, (unsigned long long)rows[i].whole, status);
    }
}

/* ---- Files that change ---- */

/* The head was read, and little of the rest can have been: then it is as long as this. */
static int try_change(crank_stream *s, off_t size)
{
    static webs_answer a;
    webs_send(s, "GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n");
    webs_read_head(s, &a);
    EXPECT_EQ(a.status, 200);
    EXPECT_EQ(strtol(webs_field(&a, "Content-Length"), NULL, 10), LARGE);
    EXPECT_EQ(truncate(in_folder("large.bin"), size), 0);
    return 0;
}
static int try_shrinking(crank_stream *s)
{
    test_capture();
    crank_try(try_change(s, 1));
    webs_expect_reset(s);
    EXPECT_CONTAINS(test_captured(), "became shorter while it was sent");
    return 0;
}
TEST_EACH_BACKEND(files, that_become_shorter_while_they_are_sent_reset_the_connection)
{
    return with_files(try_shrinking);
}

static int try_growing(crank_stream *s)
{
    static char piece[65536];
    crank_try(try_change(s, 2 * LARGE));
    for (size_t left = LARGE; left > 0;)
        left -= webs_size(crank_read(s, piece, left < sizeof piece ? left : sizeof piece));
    EXPECT_STR(said(s, "/sub/", ""), "200 <p>");
    return 0;
}
TEST_EACH_BACKEND(files, that_grow_while_they_are_sent_are_as_long_as_was_said) { return with_files(try_growing); }
