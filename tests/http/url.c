/* SPDX-License-Identifier: MIT */
/* url.c: URLs that are taken, and what is said of others; what a Location means. */
#include "http/url.h"
#include <crank/http.h>
#include "test.h"

TEST(http_url, is_taken_apart)
{
    static const struct {
        const char *text, *authority, *target, *address;
    } rows[] = {
        { "http://example.org", "example.org", "/", "example.org:80" },
        { "HTTP://Example.ORG/Path?Query", "example.org", "/Path?Query", "example.org:80" },
        { "http://h:80/", "h", "/", "h:80" },
        { "http://h:/", "h", "/", "h:80" },
        { "http://h:8080?q", "h:8080", "/?q", "h:8080" },
        { "https://h/", "h", "/", "h:443" },
        { "https://h:80/", "h:80", "/", "h:80" },
        { "http://[::1]:81/a", "[::1]:81", "/a", "[::1]:81" },
        { "http://127.0.0.1/", "127.0.0.1", "/", "127.0.0.1:80" },
        { "http://h/a#b?c", "h", "/a", "h:80" },
        { "http://h#b", "h", "/", "h:80" },
        { "http://h/a/./b/../c/..", "h", "/a/", "h:80" },
        { "http://h/../../a/.?../x", "h", "/a/?../x", "h:80" },
        { "http://h//a//b", "h", "//a//b", "h:80" },
        { "http://h/\xc3\xbc|\"%zz%2e?\xc3\xbc", "h", "/%C3%BC%7C%22%zz%2e?%C3%BC", "h:80" },
    };
    for (size_t i = 0; i < CRANK_COUNT(rows); i++) {
        cr_http_url url;
        char whole[200];
        int err = cr_http_url_parse(rows[i].text, &url);
        if (err < 0)
            test_fail(__FILE__, __LINE__, "%s: %s", rows[i].text, crank_error());
        snprintf(whole, sizeof whole, "%s%s%s", url.secure ? "https://" : "http://", rows[i].authority, rows[i].target);
        EXPECT_STR(url.text, whole);
        EXPECT_STR(url.text + url.target, rows[i].target);
        EXPECT(strncmp(url.text + url.authority, rows[i].authority, strlen(rows[i].authority)) == 0);
        EXPECT_STR(url.address, rows[i].address);
        cr_http_url_free(&url);
    }
}

TEST(http_url, that_is_none_is_refused_at_its_place)
{
    static const struct {
        const char *text, *at, *why;
    } rows[] = {
        { "", "its end", "begins with http:// or https://" },
        { "example.org", "\"example.org\"", "begins with http:// or https://" },
        { "ftp://h/", "\"ftp://h/\"", "begins with http:// or https://" },
        { "http:/h", "\":/h\"", "stands \"://\"" },
        { "http://", "its end", "no host" },
        { "http:///a", "\"/a\"", "no host" },
        { "http://:80/", "\":80/\"", "no host" },
        { "http://u:p@h/", "\"@h/\"", "a user and password are not sent" },
        { "http://a..b/", "\".b/\"", "no empty part" },
        { "http://a b/", "\" b/\"", "no such byte" },
        { "http://b\xc3\xbc/", "\"\\xc3\\xbc/\"", "xn--" },
        { "http://1.2.3/", "\"1.2.3/\"", "four decimal numbers" },
        { "http://0x7f000001/", "\"0x7f", "four decimal numbers" },
        { "http://[::1/", "\"[::1/\"", "ends it" },
        { "http://[::g]/", "\"::g]/\"", "no IPv6 address" },
        { "http://[::1]a/", "\"a/\"", "behind the host" },
        { "http://h:0/", "\"0/\"", "from 1 to 65535" },
        { "http://h:65536/", "\"65536/\"", "from 1 to 65535" },
        { "http://h:8 0/", "\"8 0/\"", "from 1 to 65535" },
        { "http://h/a b", "\" b\"", "%20" },
        { "http://h/a\r\nb", "\"\\x0d\\x0ab\"", "no control bytes" },
    };
    for (size_t i = 0; i < CRANK_COUNT(rows); i++) {
        cr_http_url url;
        char at[100];
        EXPECT_EQ(cr_http_url_parse(rows[i].text, &url), -EINVAL);
        snprintf(at, sizeof at, " at %s", rows[i].at);
        EXPECT_CONTAINS(crank_error(), at);
        EXPECT_CONTAINS(crank_error(), rows[i].why);
    }
}

/* The rows of RFC 3986, 5.4, that a path may have. */
TEST(http_url, is_found_from_a_location)
{
    static const char *const rows[][2] = { { "g", "http://a/b/c/g" }, { "./g", "http://a/b/c/g" },
        { "g/", "http://a/b/c/g/" }, { "/g", "http://a/g" }, { "//g", "http://g/" }, { "?y", "http://a/b/c/d;p?y" },
        { "g?y", "http://a/b/c/g?y" }, { "#s", "http://a/b/c/d;p?q" }, { "g#s", "http://a/b/c/g" },
        { ";x", "http://a/b/c/;x" }, { "", "http://a/b/c/d;p?q" }, { ".", "http://a/b/c/" }, { "..", "http://a/b/" },
        { "../g", "http://a/b/g" }, { "../../g", "http://a/g" }, { "../../../g", "http://a/g" },
        { "/./g", "http://a/g" }, { "g.", "http://a/b/c/g." }, { "..g", "http://a/b/c/..g" },
        { "g;x=1/../y", "http://a/b/c/y" }, { "g?y/../x", "http://a/b/c/g?y/../x" },
        { "https://B/x y", "https://b/x%20y" } };
    cr_http_url base, url;
    EXPECT_EQ(cr_http_url_parse("http://a/b/c/d;p?q", &base), 0);
    for (size_t i = 0; i < CRANK_COUNT(rows); i++) {
        EXPECT_EQ(cr_http_url_resolve(&base, rows[i][0], &url), 0);
        EXPECT_STR(url.text, rows[i][1]);
        EXPECT_EQ(cr_http_url_same_origin(&base, &url), strncmp(url.text, "http://a/", 9) == 0);
        cr_http_url_free(&url);
    }
    EXPECT_EQ(cr_http_url_resolve(&base, "mailto:me", &url), -EINVAL);
    cr_http_url_free(&base);
}

TEST(http_url, text_is_encoded_for_a_query)
{
    char buf[16];
    EXPECT_EQ(crank_http_encode(buf, sizeof buf, "a b&\xc3\xbc~"), 15);
    EXPECT_STR(buf, "a%20b%26%C3%BC~");
    EXPECT_EQ(crank_http_encode(buf, 5, "a b&"), 8);
    EXPECT_STR(buf, "a%20");
    EXPECT_EQ(crank_http_encode(buf, 4, "a b&"), 8);
    EXPECT_STR(buf, "a");
    EXPECT_EQ(crank_http_encode(NULL, 0, " "), 3);
}
