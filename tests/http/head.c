/* SPDX-License-Identifier: MIT */
/* head.c: heads and chunks, read from bytes that come in any pieces. */
#include "http/head.h"
#include "http/body.h"
#include "http/target.h"
#include "test.h"

static const cr_http_head_limits strict = { .size = CR_HTTP_HEAD_MAX, .line = CR_HTTP_LINE_MAX };
static const cr_http_head_limits lenient = {
    .size = CR_HTTP_RESPONSE_HEAD_MAX, .line = CR_HTTP_RESPONSE_HEAD_MAX, .lenient = true
};
static const char request[] = "POST /a%20b?x=1 HTTP/1.1\r\nHost: Example.org:80\r\nContent-Length: 5\r\nX:\r\n"
                              "Connection: a, upgrade\r\n\r\n";

/* How it ends: the length, or -EPROTO with the status as -status. */
static long end_of(const char *bytes, size_t size, const cr_http_head_limits *limits)
{
    size_t searched = 0;
    cr_http_status refusal = 0;
    ssize_t n = cr_http_head_end(bytes, size, limits, &searched, &refusal);
    return n < 0 ? -refusal : n;
}

TEST(head, is_found_whole_however_it_is_cut)
{
    for (size_t cut = 1; cut < sizeof request - 1; cut++) {
        size_t searched = 0;
        cr_http_status refusal = 0;
        EXPECT_EQ(cr_http_head_end(request, cut, &strict, &searched, &refusal), 0);
        EXPECT_EQ(cr_http_head_end(request, sizeof request - 1, &strict, &searched, &refusal), sizeof request - 1);
        EXPECT_EQ(refusal, 0);
    }
}

static cr_http_head parse(const char *text, char *copy, crank_http_field *fields, cr_http_status *ret_refusal)
{
    cr_http_head head = { .fields = fields, .fields_max = CR_HTTP_FIELDS_MAX };
    size_t size = strlen(text);
    memcpy(copy, text, size + 1);
    *ret_refusal = 0;
    if (cr_http_head_parse_request(&head, copy, size, ret_refusal) < 0)
        EXPECT(*ret_refusal != 0);
    return head;
}

TEST(head, of_a_request_comes_apart)
{
    char copy[sizeof request];
    crank_http_field fields[CR_HTTP_FIELDS_MAX];
    cr_http_status refusal;
    cr_http_head head = parse(request, copy, fields, &refusal);
    EXPECT_EQ(refusal, 0);
    EXPECT_STR(head.method, "POST");
    EXPECT_STR(head.target, "/a%20b?x=1");
    EXPECT_STR(head.resource, "/a%20b?x=1");
    EXPECT_EQ(head.version, 11);
    EXPECT_EQ(head.count, 4);
    EXPECT_STR(fields[0].name, "Host");
    EXPECT_STR(fields[2].value, "");
    EXPECT_EQ(head.host_size, strlen("Example.org:80"));
    EXPECT_EQ(head.length, 5);
    EXPECT(head.upgrades && head.persists && !head.chunked && !head.expects);
}

TEST(head, of_more_bytes_lines_or_fields_than_allowed_is_refused)
{
    static char text[80000], copy[80000];
    crank_http_field fields[CR_HTTP_FIELDS_MAX];
    cr_http_status refusal;
    for (int more = 0; more < 2; more++) {
        int n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\n");
        for (int i = 1; i < CR_HTTP_FIELDS_MAX + more; i++)
            n += snprintf(text + n, sizeof text - (size_t)n, "X: %d\r\n", i);
        memcpy(text + n, "\r\n", 3);
        parse(text, copy, fields, &refusal);
        EXPECT_EQ(refusal, more ? 431 : 0);
        /* A line of 8 KiB, and one more. */
        memset(text, 'x', sizeof text);
        memcpy(text, "GET / HTTP/1.1\r\n", 16);
        memcpy(text + 16 + CR_HTTP_LINE_MAX - 2 + more, "\r\n\r\n", 4);
        size_t size = (size_t)16 + CR_HTTP_LINE_MAX + 2 + (size_t)more;
        EXPECT_EQ(end_of(text, size, &strict), more ? -431 : (long)size);
        /* A head of 32 KiB. */
        size = CR_HTTP_HEAD_MAX + (size_t)more;
        for (size_t at = 16 + 4096; at < size; at += 4096)
            memcpy(text + at, "\r\n", 2);
        memset(text + 16 + CR_HTTP_LINE_MAX - 2 + more, 'x', 4);
        memcpy(text + size - 4, "\r\n\r\n", 4);
        EXPECT_EQ(end_of(text, size, &strict), more ? -431 : (long)size);
    }
}

TEST(head, of_an_answer_may_be_folded_and_end_in_lf)
{
    static const char text[] = "HTTP/1.1 200\nA: b\n c\nContent-Length: 5, 5\n\n";
    char copy[sizeof text];
    crank_http_field fields[8];
    cr_http_head head = { .fields = fields, .fields_max = 8 };
    EXPECT_EQ(end_of(text, sizeof text - 1, &lenient), sizeof text - 1);
    memcpy(copy, text, sizeof text);
    EXPECT_EQ(cr_http_head_parse_response(&head, copy, sizeof text - 1), 0);
    EXPECT_EQ(head.status, 200);
    EXPECT_STR(head.reason, "");
    EXPECT_EQ(head.count, 2);
    EXPECT_STR(fields[0].value, "b  c");
    EXPECT_EQ(head.length, 5);
    EXPECT(head.doubtful && !head.persists);
}

static int read_response(const char *text, cr_http_head *ret_head)
{
    static char copy[400];
    static crank_http_field fields[4];
    *ret_head = (cr_http_head){ .fields = fields, .fields_max = 4 };
    memcpy(copy, text, strlen(text) + 1);
    return cr_http_head_parse_response(ret_head, copy, strlen(text));
}
TEST(head, of_an_answer_that_cannot_be_understood_fails)
{
    cr_http_head head;
    EXPECT_EQ(read_response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n", &head), 0);
    EXPECT(head.chunked && head.length < 0 && head.doubtful);
    EXPECT_EQ(read_response("HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n", &head), 0);
    EXPECT(!head.persists);
    EXPECT_STR(head.reason, "Not Found");
    EXPECT_EQ(read_response("HTTP/1.1 2000 OK\r\n\r\n", &head), -EPROTO);
    EXPECT_EQ(read_response("HTTP/2.0 200 OK\r\n\r\n", &head), -EPROTO);
    EXPECT_EQ(read_response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", &head), -EPROTO);
    EXPECT_EQ(read_response("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", &head), -EPROTO);
    EXPECT_EQ(read_response("HTTP/1.1 200 OK\r\nno field\r\n\r\n", &head), -EPROTO);
    EXPECT_EQ(read_response("HTTP/1.1 200 OK\r\na:\r\na:\r\na:\r\na:\r\na:\r\n\r\n", &head), -EMSGSIZE);
}

/* ---- By way of a stream ---- */

static int send_in_two(crank_stream *s, const char *bytes, size_t size, size_t cut)
{
    crank_try(crank_write(s, bytes, cut));
    crank_try(crank_flush(s));
    crank_try(crank_sleep(0));
    crank_try(crank_write(s, bytes + cut, size - cut));
    return crank_flush(s);
}

TEST_EACH_BACKEND(head, is_awaited_however_it_comes)
{
    CRANK_AUTO_STREAM crank_stream *near = NULL;
    CRANK_AUTO_STREAM crank_stream *far = NULL;
    crank_try(crank_socket_pair(&near, &far));
    for (size_t cut = 1; cut < sizeof request - 1; cut++) {
        const char *bytes;
        cr_http_status refusal = 0;
        crank_task *sender = crank_spawn(send_in_two, far, (const char *)request, sizeof request - 1, cut);
        EXPECT_EQ(crank_try(cr_http_head_await(near, &strict, &bytes, &refusal)), sizeof request - 1);
        EXPECT(memcmp(bytes, request, sizeof request - 1) == 0);
        crank_skip(near, sizeof request - 1);
        crank_try(crank_await(sender));
    }
    const char *bytes;
    cr_http_status refusal = 0;
    crank_try(crank_write(far, request, 20));
    crank_try(crank_write_eof(far));
    EXPECT_EQ(cr_http_head_await(near, &strict, &bytes, &refusal), -ENODATA);
    EXPECT_EQ(refusal, 0);
    crank_skip(near, 20);
    EXPECT_EQ(cr_http_head_await(near, &strict, &bytes, &refusal), 0);
    return 0;
}

static const char chunked[] = "5;a=b\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\nX: y\r\n\r\nGET";
TEST_EACH_BACKEND(chunks, are_read_however_they_come)
{
    CRANK_AUTO_STREAM crank_stream *near = NULL;
    CRANK_AUTO_STREAM crank_stream *far = NULL;
    crank_try(crank_socket_pair(&near, &far));
    for (size_t cut = 1; cut < sizeof chunked - 1; cut++) {
        cr_http_chunks chunks = { .left = 0 };
        char body[32];
        size_t size = 0;
        crank_task *sender = crank_spawn(send_in_two, far, (const char *)chunked, sizeof chunked - 1, cut);
        for (ssize_t n; (n = crank_try(cr_http_chunk_read(&chunks, near, body + size, sizeof body - size))) > 0;)
            size += (size_t)n;
        body[size] = '\0';
        EXPECT_STR(body, "hello world");
        crank_try(crank_await(sender));
        EXPECT_EQ(crank_try(crank_read_exactly(near, body, 3)), 3);
        EXPECT(memcmp(body, "GET", 3) == 0);
    }
    return 0;
}

TEST_SIM(chunks, of_one_byte_each_are_bounded)
{
    CRANK_AUTO_STREAM crank_stream *near = NULL;
    CRANK_AUTO_STREAM crank_stream *far = NULL;
    crank_try(crank_socket_pair(&near, &far));
    cr_http_chunks chunks = { .left = 0 };
    ssize_t n = 1;
    char byte;
    int sent = 0;
    for (; n > 0 && sent < 10000; sent++) {
        crank_try(crank_printf(far, "1\r\nx\r\n"));
        n = cr_http_chunk_read(&chunks, near, &byte, 1);
    }
    EXPECT_EQ(n, -EPROTO);
    EXPECT_EQ(sent, 16 * 1024 / 3 + 1); /* each is 5 bytes of framing, of which 2 are paid for */
    return 0;
}

TEST(chunk, sizes_are_hexadecimal_and_fit_63_bits)
{
    EXPECT_EQ(cr_http_chunk_size("0", 1), 0);
    EXPECT_EQ(cr_http_chunk_size("aF;x", 4), 0xaf);
    EXPECT_EQ(cr_http_chunk_size("10000000000", 11), (int64_t)1 << 40);
    EXPECT_EQ(cr_http_chunk_size("7fffffffffffffff", 16), INT64_MAX);
    EXPECT_EQ(cr_http_chunk_size("8000000000000000", 16), -EPROTO);
    EXPECT_EQ(cr_http_chunk_size("00000000000000001", 17), -EPROTO);
    EXPECT_EQ(cr_http_chunk_size("", 0), -EPROTO);
    EXPECT_EQ(cr_http_chunk_size("1 ", 2), -EPROTO);
}

/* ---- Targets ---- */

static const char *path_of(const char *path)
{
    static char to[100];
    return cr_http_target_path(path, strlen(path), to) < 0 ? "refused" : to;
}
TEST(target, has_a_path_without_dots)
{
    static const char *const rows[][2] = { { "/", "/" }, { "", "/" }, { "/a", "/a" }, { "/a/", "/a/" },
        { "/a%20b", "/a b" }, { "/a+b", "/a+b" }, { "/a%2fb", "/a%2Fb" }, { "/./a", "/a" }, { "/a/.", "/a/" },
        { "/a/..", "/" }, { "/a/b/../c", "/a/c" }, { "/a/b/../../c", "/c" }, { "/..", "refused" },
        { "/a/../..", "refused" }, { "/%2e%2e/a", "refused" }, { "/a/%2E/b", "/a/b" }, { "/...", "/..." },
        { "/a/.b", "/a/.b" }, { "/a//b", "/a//b" }, { "//a", "//a" }, { "/%", "refused" }, { "/%4", "refused" },
        { "/%00", "refused" }, { "/%c3%a4", "/\xc3\xa4" }, { "/a/..%2fb", "/a/..%2Fb" } };
    for (size_t i = 0; i < CRANK_COUNT(rows); i++)
        EXPECT_STR(path_of(rows[i][0]), rows[i][1]);
}

static const char *value_of(const char *pairs, const char *name)
{
    static char to[100];
    size_t size;
    const char *value = cr_http_target_find(pairs, name, &size);
    if (!value)
        return "none";
    cr_http_target_decode(value, size, to);
    return to;
}
TEST(target, has_pairs_in_its_query)
{
    static const char pairs[] = "a=1&b=x+y%21&&c&d=&a=2&%65=3&f=%&g=%00";
    static const char *const rows[][2] = { { "a", "1" }, { "b", "x y!" }, { "c", "" }, { "d", "" }, { "e", "3" },
        { "f", "%" }, { "g", "%00" }, { "h", "none" }, { "aa", "none" } };
    for (size_t i = 0; i < CRANK_COUNT(rows); i++)
        EXPECT_STR(value_of(pairs, rows[i][0]), rows[i][1]);
    EXPECT_STR(value_of("", "a"), "none");
}
