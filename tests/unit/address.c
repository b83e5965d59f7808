/* SPDX-License-Identifier: MIT */
/* address.c: addresses: from text, to text, from the kernel and to it. */
#include "net/address.h"
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <unistd.h>
#include "test.h"

enum { LONGEST_LOCAL = 107, TEXT_SIZE = 600 };

static crank_address parsed(const char *text)
{
    crank_address address;
    EXPECT_EQ(crank_address_parse(text, &address), 0);
    return address;
}
static const char *formatted(const crank_address *address)
{
    static char text[TEXT_SIZE];
    size_t length = crank_address_format(address, text, sizeof text);
    EXPECT_EQ(length, strlen(text));
    return text;
}
static void expect_printed(const char *text, const char *as)
{
    crank_address address = parsed(text), again = parsed(as);
    EXPECT_STR(formatted(&address), as);
    EXPECT(crank_address_equal(&address, &again));
}
static void expect_refused(const char *text, int error, const char *message)
{
    crank_address address, before;
    memset(&address, 0x5a, sizeof address);
    before = address;
    EXPECT_EQ(crank_address_parse(text, &address), error);
    EXPECT(memcmp(&address, &before, sizeof address) == 0);
    EXPECT_CONTAINS(crank_error(), message);
}
/* "unix:" or "unix:@", then so many bytes. */
static const char *long_local(const char *prefix, size_t size)
{
    static char text[TEXT_SIZE];
    size_t start = (size_t)snprintf(text, sizeof text, "%s", prefix);
    EXPECT(start + size < sizeof text);
    memset(text + start, 'n', size);
    text[start + size] = '\0';
    return text;
}

/* ---- Text */

TEST(address, of_each_form_is_printed_as_it_was_written)
{
    static const char *const texts[] = { "1.2.3.4:80", "0.0.0.0:0", "255.255.255.255:65535", "[::1]:80", "[::]:0",
        "[2001:db8::ff00:42:8329]:443", "[fe80::1]:80", "[fe80::1%7]:80", "[ff02::1%4294967295]:80", "[::1.2.3.4]:80",
        "unix:/run/a.sock", "unix:a.sock", "unix:80", "unix:./@a", "unix:/a b:c\n\xff", "unix:@name", "unix:@@",
        "unix:@/not/a/path" };
    for (size_t i = 0; i < CRANK_COUNT(texts); i++)
        expect_printed(texts[i], texts[i]);
}

TEST(address, of_ipv6_is_printed_in_its_shortest_form)
{
    expect_printed("[2001:DB8:0:0:0:0:0:1]:80", "[2001:db8::1]:80");
    expect_printed("[0:0:0:0:0:0:0:0]:80", "[::]:80");
    expect_printed("[2001:db8:0:1:1:1:1:1]:80", "[2001:db8:0:1:1:1:1:1]:80");
}

/* Of each pattern of groups that are 0, and others by chance. */
TEST(address, of_ipv6_is_printed_as_inet_ntop_does)
{
    char text[TEXT_SIZE], expected[TEXT_SIZE], host[INET6_ADDRSTRLEN];
    uint64_t random = 1;
    for (unsigned i = 0; i < 256 * 20; i++) {
        struct sockaddr_in6 from = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)i) };
        crank_address address;
        for (unsigned k = 0; k < 16; k++) {
            random = random * 6364136223846793005 + 1442695040888963407;
            unsigned byte = (unsigned)(random >> 40) & 0xff;
            from.sin6_addr.s6_addr[k] = i >> k / 2 & 1 ? 0 : random >> 60 < 4 ? byte & 0x0f : (unsigned char)byte;
        }
        if (IN6_IS_ADDR_V4MAPPED(&from.sin6_addr))
            continue;
        cr_address_from_sockaddr(&address, (const struct sockaddr *)&from, sizeof from);
        size_t length = crank_address_format(&address, text, sizeof text);
        inet_ntop(AF_INET6, &from.sin6_addr, host, sizeof host);
        snprintf(expected, sizeof expected, "[%s]:%u", host, i & 0xffff);
        EXPECT_STR(text, expected);
        EXPECT_EQ(length, strlen(expected));
    }
}

TEST(address, of_ipv4_mapped_into_ipv6_is_that_of_ipv4)
{
    struct sockaddr_in6 mapped = { .sin6_family = AF_INET6, .sin6_port = htons(80), .sin6_scope_id = 3 };
    crank_address address, number = parsed("93.184.216.34:80");
    EXPECT_EQ(inet_pton(AF_INET6, "::ffff:93.184.216.34", &mapped.sin6_addr), 1);
    cr_address_from_sockaddr(&address, (const struct sockaddr *)&mapped, sizeof mapped);
    EXPECT_STR(formatted(&address), "93.184.216.34:80");
    EXPECT(crank_address_equal(&address, &number));
    expect_printed("[::ffff:93.184.216.34]:80", "93.184.216.34:80");
    expect_printed("[::ffff:5db8:d822]:80", "93.184.216.34:80");
}

TEST_SIM(address, in_another_form_is_refused_and_the_place_shown)
{
    static const char quads[] = "four decimal numbers, 0 to 255, without leading zeros";
    static const char port[] = "a port is a decimal number from 0 to 65535";
    static const char v6[] = "this is no IPv6 address";
    static const struct {
        const char *text, *at, *why;
    } cases[] = {
        { "01.2.3.4:80", "\"01.2.3.4:80\"", quads },
        { "1.2.3:80", "\"1.2.3:80\"", quads },
        { "1.2.3.4.5:80", "\"1.2.3.4.5:80\"", quads },
        { "1.2.3.256:80", "\"1.2.3.256:80\"", quads },
        { "1.2.3.4.:80", "\"1.2.3.4.:80\"", quads },
        { "0x7f.1:80", "\"0x7f.1:80\"", quads },
        { "127.0.0.0x1:80", "\"127.0.0.0x1:80\"", quads },
        { "0X7F000001:80", "\"0X7F000001:80\"", quads },
        { "2130706433:80", "\"2130706433:80\"", quads },
        { "0x:80", "\"0x:80\"", quads },
        { "", "its end", "\":port\" is missing" },
        { "1.2.3.4", "its end", "\":port\" is missing" },
        { "host", "its end", "\":port\" is missing" },
        { ":", "its end", port },
        { ":80", "\":80\"", "the host is missing" },
        { "1:2:3", "\":3\"", "in brackets" },
        { "::1:80", "\":1:80\"", "in brackets" },
        { "1.2.3.4:", "its end", port },
        { "1.2.3.4:65536", "\"65536\"", port },
        { "1.2.3.4:4294967376", "\"4294967376\"", port },
        { "1.2.3.4:18446744073709551696", "\"18446744073709551696\"", port },
        { "1.2.3.4:+1", "\"+1\"", port },
        { "1.2.3.4:-1", "\"-1\"", port },
        { "1.2.3.4:080", "\"080\"", port },
        { "1.2.3.4:00", "\"00\"", port },
        { "1.2.3.4:0x50", "\"0x50\"", port },
        { "1.2.3.4:http", "\"http\"", port },
        { "1.2.3.4: 80", "\" 80\"", port },
        { "1.2.3.4:80 ", "\"80 \"", port },
        { " 1.2.3.4:80", "\" 1.2.3.4:80\"", "no such byte" },
        { "1.2.3.4 :80", "\" :80\"", "no such byte" },
        { "\t1.2.3.4:80", "\"\\x091.2.3.4:80\"", "no such byte" },
        { "[::1]", "its end", "behind the ']' stands \":port\"" },
        { "[::1]80", "\"80\"", "behind the ']' stands \":port\"" },
        { "[::1]]:80", "\"]:80\"", "behind the ']' stands \":port\"" },
        { "[::1", "its end", "the ']' is missing" },
        { "[]:80", "\"]:80\"", v6 },
        { "[[::1]]:80", "\"]:80\"", "behind the ']' stands \":port\"" },
        { "[1.2.3.4]:80", "\"1.2.3.4]:80\"", v6 },
        { "[host]:80", "\"host]:80\"", v6 },
        { "[ ::1]:80", "\" ::1]:80\"", v6 },
        { "[::1::]:80", "\"::1::]:80\"", v6 },
        { "[12345::]:80", "\"12345::]:80\"", v6 },
        { "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0001]:80", "\"0000:", v6 },
        { "[::1]:65536", "\"65536\"", port },
        { "unix:", "its end", "the path is missing" },
        { "unix:@", "its end", "the path is missing" },
        { "UNIX:/a", "\"/a\"", port },
    };
    for (size_t i = 0; i < CRANK_COUNT(cases); i++) {
        char place[TEXT_SIZE];
        snprintf(place, sizeof place, " at %s", cases[i].at);
        expect_refused(cases[i].text, -EINVAL, cases[i].why);
        EXPECT_CONTAINS(crank_error(), place);
    }
    return 0;
}

TEST_SIM(address, with_bytes_that_no_text_has_is_refused_and_they_are_not_printed)
{
    expect_refused("1.2.3.4\xff:80", -EINVAL, "bad address \"1.2.3.4\\xff:80\" at \"\\xff:80\": ");
    expect_refused("\x1b[31m:80", -EINVAL, "bad address \"\\x1b[31m:80\" at \"\\x1b[31m:80\": ");
    expect_refused("[::1\xff]:80", -EINVAL, "at \"::1\\xff]:80\": ");
    expect_refused("1.2.3.4:80\n", -EINVAL, "at \"80\\x0a\": ");
    expect_refused("h\xc3\xb6st:80", -EINVAL, "at \"\\xc3\\xb6st:80\": a host has no such byte");
    expect_refused("\"\\:80", -EINVAL, "bad address \"\\x22\\x5c:80\" at ");
    return 0;
}

TEST_SIM(address, behind_a_0_is_not_looked_at)
{
    static const char text[] = "1.2.3.4:80\0garbage";
    expect_printed(text, "1.2.3.4:80");
    expect_refused("1.2.3.4\0:80", -EINVAL, "at its end");
    return 0;
}

TEST_SIM(address, that_is_too_long_is_shown_in_part)
{
    char text[20000];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    expect_refused(text, -EINVAL, "aaaa...\" at its end: \":port\" is missing");
    memset(text, '\xff', sizeof text - 1);
    memcpy(text + sizeof text - 4, ":80", 3);
    expect_refused(text, -EINVAL, "\\xff...\": a host has no such byte");
    return 0;
}

TEST_SIM(address, that_is_a_name_or_any_is_refused_with_the_call_that_takes_it)
{
    expect_refused("localhost:80", -EINVAL, "crank_resolve and crank_connect do");
    expect_refused("*:80", -EINVAL, "only crank_listen takes all interfaces");
    return 0;
}

TEST(address, is_cut_to_the_buffer_and_its_length_told)
{
    static const char *const texts[] = { "1.2.3.4:80", "[fe80::1%2]:80", "unix:/a", "unix:@b" };
    for (size_t i = 0; i < CRANK_COUNT(texts); i++) {
        crank_address address = parsed(texts[i]);
        size_t length = strlen(texts[i]);
        EXPECT_EQ(crank_address_format(&address, NULL, 0), length);
        for (size_t size = 1; size <= length + 1; size++) {
            char buf[32];
            memset(buf, '#', sizeof buf);
            EXPECT_EQ(crank_address_format(&address, buf, size), length);
            EXPECT_EQ(strlen(buf), size - 1);
            EXPECT(memcmp(buf, texts[i], size - 1) == 0 && buf[size] == '#');
        }
    }
}

TEST_CHECKS_OUTSIDE(address, needs_a_text, "crank_address_parse: the text is NULL")
{
    crank_address address;
    (void)crank_address_parse(NULL, &address);
}

TEST(address, is_refused_outside_a_run_too)
{
    expect_refused("1.2.3:80", -EINVAL, "bad address \"1.2.3:80\"");
    crank_error_clear();
}

/* ---- Interfaces */

TEST_SIM(address, has_its_interface_by_name_or_number)
{
    expect_printed("[fe80::1%eth0]:80", "[fe80::1%2]:80");
    expect_printed("[ff02::1%lo]:80", "[ff02::1%1]:80");
    expect_printed("[ff01::1%2]:80", "[ff01::1%2]:80");
    crank_address here = parsed("[fe80::1%1]:80"), there = parsed("[fe80::1%2]:80"), open = parsed("[fe80::1]:80");
    EXPECT(!crank_address_equal(&here, &there) && !crank_address_equal(&here, &open));
    return 0;
}

TEST_SIM(address, with_a_wrong_interface_is_refused)
{
    static const char must[] = "behind '%' stands an interface, by name or number";
    expect_refused("[fe80::1%eth9]:80", -ENODEV, "at \"eth9]:80\": no interface has this name");
    expect_refused("[fe80::1%a_name_of_16_byt]:80", -ENODEV, "no interface has so long a name");
    expect_refused("[fe80::1%25eth0]:80", -ENODEV, "at \"25eth0]:80\"");
    expect_refused("[fe80::1%]:80", -EINVAL, must);
    expect_refused("[fe80::1%0]:80", -EINVAL, must);
    expect_refused("[fe80::1%01]:80", -EINVAL, must);
    expect_refused("[fe80::1%4294967296]:80", -EINVAL, must);
    expect_refused("[fe80::1%+1]:80", -ENODEV, "no interface has this name");
    expect_refused("[2001:db8::1%1]:80", -EINVAL, "at \"%1]:80\": only a link-local address has an interface");
    expect_refused("[::ffff:1.2.3.4%1]:80", -EINVAL, "only a link-local address");
    expect_refused("1.2.3.4%1:80", -EINVAL, "no such byte");
    return 0;
}

TEST_EACH_BACKEND(address, has_the_interface_that_the_os_names)
{
    char expected[64];
    unsigned index = strcmp(crank_backend_name(), "sim") == 0 ? 1 : if_nametoindex("lo");
    if (index == 0)
        test_skip("this machine has no interface lo");
    snprintf(expected, sizeof expected, "[fe80::2%%%u]:9", index);
    expect_printed("[fe80::2%lo]:9", expected);
    return 0;
}

/* ---- Unix */

TEST_SIM(address, of_unix_has_at_most_107_bytes)
{
    static const char *const prefixes[] = { "unix:", "unix:@" };
    for (int i = 0; i < 2; i++) {
        const char *fits = long_local(prefixes[i], LONGEST_LOCAL);
        expect_printed(fits, fits);
        expect_refused(long_local(prefixes[i], LONGEST_LOCAL + 1), -ENAMETOOLONG, "at most 107 bytes");
    }
    return 0;
}

TEST(address, that_is_abstract_may_have_any_byte)
{
    char text[16] = "unix:@a-b";
    for (int byte = 1; byte < 256; byte++) {
        text[7] = (char)byte;
        expect_printed(text, text);
    }
}

/* A 0 in an abstract name cannot be written in text: it is shown as other tools show it. */
TEST(address, from_elsewhere_is_shown_as_well_as_text_can)
{
    static const struct {
        const char *path;
        size_t size;
        const char *shown;
    } cases[] = {
        { "\0a\0b\0", 5, "unix:@a@b@" },
        { "\0", 1, "unix:@" },
        { "@a", 3, "unix:./@a" },
        { "/a", 2, "unix:/a" },
        { "/a\0garbage", 10, "unix:/a" },
    };
    for (size_t i = 0; i < CRANK_COUNT(cases); i++) {
        struct sockaddr_un from = { .sun_family = AF_UNIX };
        crank_address address;
        memset(from.sun_path, '#', sizeof from.sun_path);
        memcpy(from.sun_path, cases[i].path, cases[i].size);
        cr_address_from_sockaddr(&address, (const struct sockaddr *)&from,
            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + cases[i].size));
        EXPECT_STR(formatted(&address), cases[i].shown);
    }
}

TEST(address, of_108_bytes_without_an_end_is_shown_whole)
{
    struct sockaddr_un from = { .sun_family = AF_UNIX };
    crank_address address;
    socklen_t size;
    memset(from.sun_path, 'n', sizeof from.sun_path);
    /* Linux tells a size of one more than there is. */
    cr_address_from_sockaddr(&address, (const struct sockaddr *)&from, sizeof from + 1);
    EXPECT_STR(formatted(&address), long_local("unix:", LONGEST_LOCAL + 1));
    (void)cr_address_sockaddr(&address, &size);
    EXPECT_EQ(size, sizeof from);
}

/* ---- The kernel's form */

TEST(address, that_is_none_is_printed_as_nothing)
{
    struct sockaddr_un unnamed = { .sun_family = AF_UNIX };
    struct sockaddr_in cut = { .sin_family = AF_INET };
    struct sockaddr other = { .sa_family = AF_PACKET };
    crank_address none, address = { { 0 } };
    socklen_t size;
    EXPECT_STR(formatted(&address), "");
    cr_address_from_sockaddr(&none, (const struct sockaddr *)&unnamed, sizeof unnamed.sun_family);
    EXPECT_STR(formatted(&none), "");
    EXPECT(crank_address_equal(&none, &address));
    cr_address_from_sockaddr(&none, &other, sizeof other);
    EXPECT(crank_address_equal(&none, &address));
    cr_address_from_sockaddr(&none, (const struct sockaddr *)&cut, sizeof cut - 1);
    EXPECT(crank_address_equal(&none, &address));
    cr_address_from_sockaddr(&none, &other, 1);
    EXPECT(crank_address_equal(&none, &address));
    (void)cr_address_sockaddr(&none, &size);
    EXPECT_EQ(size, 0);
}

TEST(address, equals_another_whatever_stands_in_bytes_without_meaning)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(80) };
    struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(80), .sin6_flowinfo = 5, .sin6_scope_id = 9
    };
    crank_address address, expected = parsed("1.2.3.4:80");
    memset(&address, 0x5a, sizeof address);
    memset(v4.sin_zero, 0x5a, sizeof v4.sin_zero);
    v4.sin_addr.s_addr = htonl(0x01020304);
    cr_address_from_sockaddr(&address, (const struct sockaddr *)&v4, sizeof v4);
    EXPECT(crank_address_equal(&address, &expected));
    v6.sin6_addr = in6addr_loopback;
    expected = parsed("[::1]:80");
    cr_address_from_sockaddr(&address, (const struct sockaddr *)&v6, sizeof v6);
    EXPECT(crank_address_equal(&address, &expected));
}

TEST(address, differs_by_host_port_family_and_name)
{
    static const char *const texts[] = { "1.2.3.4:80", "1.2.3.4:81", "1.2.3.5:80", "[::1]:80", "[::1.2.3.4]:80",
        "[::1]:81", "unix:/a", "unix:@/a", "unix:@a", "unix:a", "unix:ab" };
    for (size_t i = 0; i < CRANK_COUNT(texts); i++)
        for (size_t k = 0; k < CRANK_COUNT(texts); k++) {
            crank_address a = parsed(texts[i]), b = parsed(texts[k]);
            EXPECT_EQ(crank_address_equal(&a, &b), i == k);
        }
}

/* Bound by a socket, and told by the kernel again. */
static void expect_bound(const char *text)
{
    union {
        struct sockaddr any;
        struct sockaddr_storage room;
    } told;
    crank_address address = parsed(text), again;
    socklen_t size, told_size = sizeof told;
    const struct sockaddr *form = cr_address_sockaddr(&address, &size);
    int fd = socket(form->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, form, size) < 0)
        test_skip("%s cannot be bound here: %s", text, strerror(errno));
    EXPECT_EQ(getsockname(fd, &told.any, &told_size), 0);
    close(fd);
    cr_address_from_sockaddr(&again, &told.any, told_size);
    if (form->sa_family == AF_UNIX)
        EXPECT_EQ(told_size, size);
    if (form->sa_family == AF_UNIX)
        EXPECT_STR(formatted(&again), text);
    else
        EXPECT(strncmp(formatted(&again), text, strlen(text) - 1) == 0);
}

TEST(address, of_ipv4_is_what_the_kernel_takes) { expect_bound("127.0.0.1:0"); }
TEST(address, of_ipv6_is_what_the_kernel_takes) { expect_bound("[::1]:0"); }
TEST(address, that_is_abstract_is_what_the_kernel_takes)
{
    char text[64];
    snprintf(text, sizeof text, "unix:@crank \xff test %d", (int)getpid());
    expect_bound(text);
}
TEST(address, with_the_longest_path_is_what_the_kernel_takes)
{
    const char *text = long_local("unix:", LONGEST_LOCAL);
    EXPECT_EQ(chdir(getenv("TMPDIR")), 0);
    expect_bound(text);
    EXPECT_EQ(unlink(text + strlen("unix:")), 0);
}

/* ---- Parts: with names, and all interfaces */

static cr_address_parts split(const char *text)
{
    cr_address_parts parts;
    EXPECT_EQ(cr_address_split(text, &parts), 0);
    return parts;
}

TEST(parts, of_an_address_tell_what_it_is)
{
    crank_address number = parsed("[::1]:7"), none = { { 0 } };
    cr_address_parts parts = split("[::1]:7");
    EXPECT_EQ(parts.kind, CR_ADDRESS_NUMBER);
    EXPECT_EQ(parts.port, 7);
    EXPECT(crank_address_equal(&parts.address, &number));
    parts = split("*:65535");
    EXPECT_EQ(parts.kind, CR_ADDRESS_ANY);
    EXPECT_EQ(parts.port, 65535);
    EXPECT(crank_address_equal(&parts.address, &none));
    parts = split("unix:@a");
    EXPECT_EQ(parts.kind, CR_ADDRESS_LOCAL);
    EXPECT_STR(parts.name, "");
    parts = split("a-Host_9.example.:0");
    EXPECT_EQ(parts.kind, CR_ADDRESS_NAME);
    EXPECT_STR(parts.name, "a-Host_9.example.");
    EXPECT_EQ(parts.port, 0);
    EXPECT(crank_address_equal(&parts.address, &none));
}

TEST(parts, are_a_name_where_only_an_earlier_label_is_a_number)
{
    static const char *const names[] = { "1.2.3.a", "0x7f.com", "3com", "x0", "0xg", "a.b.c.d", "1-2" };
    for (size_t i = 0; i < CRANK_COUNT(names); i++) {
        char text[32];
        snprintf(text, sizeof text, "%s:80", names[i]);
        EXPECT_EQ(split(text).kind, CR_ADDRESS_NAME);
        EXPECT_STR(split(text).name, names[i]);
    }
}

static void expect_unsplit(const char *text, const char *message)
{
    cr_address_parts parts = { .kind = CR_ADDRESS_ANY, .port = 77 };
    EXPECT_EQ(cr_address_split(text, &parts), -EINVAL);
    EXPECT_EQ(parts.kind, CR_ADDRESS_ANY);
    EXPECT_EQ(parts.port, 77);
    EXPECT_CONTAINS(crank_error(), message);
}

TEST_SIM(parts, with_a_name_that_is_malformed_are_refused)
{
    expect_unsplit("a..b:80", "at \".b:80\": a host's name has no empty part");
    expect_unsplit(".a:80", "no empty part");
    expect_unsplit(".:80", "no empty part");
    expect_unsplit("a b:80", "at \" b:80\": a host has no such byte");
    expect_unsplit("a/b:80", "no such byte");
    expect_unsplit("**:80", "no such byte");
    expect_unsplit("*a:80", "no such byte");
    expect_unsplit("a@b:80", "no such byte");
    expect_unsplit("a.1:80", "an IPv4 address is four decimal numbers");
    expect_unsplit("*", "\":port\" is missing");
    expect_unsplit("*:", "a port is");
    return 0;
}

/* A host of labels of size bytes, and of so many in all. */
static const char *long_host(size_t label, size_t size, const char *end)
{
    static char text[TEXT_SIZE];
    for (size_t i = 0; i < size; i++)
        text[i] = i % (label + 1) == label ? '.' : 'a';
    snprintf(text + size, sizeof text - size, "%s", end);
    return text;
}

TEST_SIM(parts, have_labels_of_63_bytes_and_names_of_253_at_most)
{
    EXPECT_EQ(split(long_host(63, 63, ":80")).kind, CR_ADDRESS_NAME);
    expect_unsplit(long_host(64, 64, ":80"), "at most 63 bytes");
    EXPECT_EQ(strlen(split(long_host(62, 253, ":80")).name), 253);
    EXPECT_EQ(strlen(split(long_host(62, 253, ".:80")).name), CR_HOST_NAME_MAX);
    expect_unsplit(long_host(62, 254, ":80"), "at most 253 bytes");
    expect_unsplit(long_host(62, 254, ".:80"), "at most 253 bytes");
    return 0;
}

TEST_SIM(parts, of_a_host_by_itself_are_a_number_or_a_name)
{
    cr_address_parts parts;
    crank_address v4 = parsed("1.2.3.4:80"), v6 = parsed("[fe80::1%2]:80");
    EXPECT_EQ(cr_address_split_host("1.2.3.4", 80, &parts), 0);
    EXPECT(parts.kind == CR_ADDRESS_NUMBER && crank_address_equal(&parts.address, &v4));
    EXPECT_EQ(cr_address_split_host("fe80::1%eth0", 80, &parts), 0);
    EXPECT(parts.kind == CR_ADDRESS_NUMBER && crank_address_equal(&parts.address, &v6));
    EXPECT_EQ(cr_address_split_host("localhost", 80, &parts), 0);
    EXPECT_EQ(parts.kind, CR_ADDRESS_NAME);
    EXPECT_EQ(parts.port, 80);
    EXPECT_STR(parts.name, "localhost");
    static const char *const refused[] = { "", "*", "[::1]", "1.2.3.4:80", "1.2.3", "::1::", "unix:/a", "a b" };
    for (size_t i = 0; i < CRANK_COUNT(refused); i++)
        EXPECT_EQ(cr_address_split_host(refused[i], 80, &parts), -EINVAL);
    EXPECT_STR(parts.name, "localhost");
    return 0;
}
