/* SPDX-License-Identifier: MIT */
/* forms.c: what pages send, and the cookies that browsers keep. */
#include "webs.h"
#include "http/cookie.h"

#define FORM_TYPE "Content-Type: application/x-www-form-urlencoded\r\n"

static const char *or_none(const char *value) { return value ? value : "-"; }

static int sign_up(crank_http_request *request)
{
    EXPECT(!crank_http_form(request, "name")); /* before it was read */
    crank_try(crank_http_read_form(request, 10000));
    if (request->size > 0)
        EXPECT_EQ(crank_http_read_body(request, 10, &(char *){ NULL }), -EALREADY);
    return crank_http_print(request, 200, NULL, "%s|%s|%s", or_none(crank_http_form(request, "name")),
        or_none(crank_http_form(request, "a b")), or_none(crank_http_form(request, "none")));
}
static int show_cookies(crank_http_request *request)
{
    return crank_http_print(request, 200, NULL, "%s|%s|%s", or_none(crank_http_cookie(request, "a")),
        or_none(crank_http_cookie(request, "b")), or_none(crank_http_cookie(request, "c")));
}
static int set_cookies(crank_http_request *request)
{
    EXPECT_EQ(crank_http_set_cookie(request, "a b", "1", 0), -EINVAL);
    EXPECT_EQ(crank_http_set_cookie(request, "", "1", 0), -EINVAL);
    EXPECT_EQ(crank_http_set_cookie(request, "a", "1; Domain=example.org", 0), -EINVAL);
    EXPECT_EQ(crank_http_set_cookie(request, "a", "1\r\nX: y", 0), -EINVAL);
    EXPECT_EQ(crank_http_set_cookie(request, "a", "1", NAN), -EINVAL);
    crank_try(crank_http_set_cookie(request, "a", "0", 0));
    crank_try(crank_http_set_cookie(request, "session", "s1", 0));
    crank_try(crank_http_set_cookie(request, "a", "1", 60.5));
    crank_try(crank_http_set_cookie(request, "gone", "", -1));
    crank_try(crank_http_set_cookie(request, "long", "1", 1e12));
    crank_try(crank_http_print(request, 200, NULL, "%s", ""));
    EXPECT_EQ(crank_http_set_cookie(request, "late", "1", 0), -EALREADY);
    return 0;
}
static int site(crank_http_request *request)
{
    if (crank_http_is(request, "POST", "/sign-up"))
        return sign_up(request);
    if (crank_http_is(request, "GET", "/set"))
        return set_cookies(request);
    return show_cookies(request);
}
static int serve(crank_listener *l) { return webs_served(l, crank_http_serve(l, site)); }

static int with_server(int (*test)(crank_stream *s, crank_listener *l))
{
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(serve, l);
    {
        CRANK_AUTO_STREAM crank_stream *s = webs_connect(l);
        crank_try(test(s, l));
    }
    return webs_stop(l, &server, 1);
}

/* ---- Forms ---- */

static const webs_answer *post(crank_stream *s, const char *type, const char *body)
{
    static char request[8192];
    snprintf(request, sizeof request, "POST /sign-up HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %zu\r\n\r\n%s",
        type, strlen(body), body);
    return webs_ask(s, request);
}
static int try_forms(crank_stream *s, crank_listener *l)
{
    static char many[4000];
    (void)l;
    EXPECT_STR(post(s, FORM_TYPE, "name=Ann+L%C3%A9&name=2&a%20b=%26&%")->body, "Ann L\xc3\xa9|&|-");
    EXPECT_STR(post(s, "content-type: Application/X-WWW-form-urlencoded ; charset=UTF-8\r\n", "name")->body, "|-|-");
    EXPECT_STR(post(s, FORM_TYPE, "")->body, "-|-|-");
    EXPECT_EQ(post(s, "", "name=1")->status, 415);
    EXPECT_EQ(post(s, "Content-Type: text/plain\r\n", "name=1")->status, 415);
    EXPECT_EQ(post(s, "Content-Type: application/x-www-form-urlencodedx\r\n", "name=1")->status, 415);
    memset(many, '&', 999);
    EXPECT_EQ(post(s, FORM_TYPE, many)->status, 200);
    many[999] = '&';
    EXPECT_EQ(post(s, FORM_TYPE, many)->status, 400);
    webs_send(s, "POST /sign-up HTTP/1.1\r\nHost: localhost\r\n" FORM_TYPE "Content-Length: 6\r\n\r\nname=");
    crank_try(crank_write(s, "", 1));
    static webs_answer a;
    webs_read(s, &a, true);
    EXPECT_EQ(a.status, 400);
    EXPECT_EQ(
        webs_ask(s, "POST /sign-up HTTP/1.1\r\nHost: localhost\r\n" FORM_TYPE "Content-Length: 10001\r\n\r\n")->status,
        413);
    return 0;
}
TEST_EACH_BACKEND(form, is_read_once_and_decoded) { return with_server(try_forms); }

/* ---- Cookies ---- */

static const char *show(crank_stream *s, const char *lines)
{
    static char request[8192];
    snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: localhost\r\n%s\r\n", lines);
    return webs_ask(s, request)->body;
}
static int try_cookies(crank_stream *s, crank_listener *l)
{
    static char many[3000];
    (void)l;
    EXPECT_STR(show(s, ""), "-|-|-");
    EXPECT_STR(show(s, "Cookie: a=1; b=\"x=y\";c=; a=2\r\n"), "1|x=y|");
    EXPECT_STR(show(s, "Cookie: aa=1; xb=2; c\r\nCookie: b=3 \r\n"), "-|3|-");
    EXPECT_STR(show(s, "Cookie: A=1;;; ;a=%41\r\n"), "%41|-|-");
    snprintf(many, sizeof many, "Cookie: %0*d\r\n", 1100, 0);
    memset(many + 8, ';', 1000);
    EXPECT_CONTAINS(show(s, many), "Bad Request");
    return 0;
}
TEST_SIM(cookies, are_found_by_name) { return with_server(try_cookies); }

static int try_setting(crank_stream *s, crank_listener *l)
{
    (void)l;
    const webs_answer *a = webs_get(s, "/set");
    EXPECT_EQ(a->status, 200);
    EXPECT_CONTAINS(a->head, "Set-Cookie: session=s1; Path=/; HttpOnly; SameSite=Lax\r\n"
                             "Set-Cookie: a=1; Path=/; Max-Age=60; HttpOnly; SameSite=Lax\r\n"
                             "Set-Cookie: gone=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax\r\n"
                             "Set-Cookie: long=1; Path=/; Max-Age=34560000; HttpOnly; SameSite=Lax\r\n");
    EXPECT(!strstr(a->head, "a=0"));
    return 0;
}
TEST_SIM(cookies, are_set_once_for_each_name) { return with_server(try_setting); }
