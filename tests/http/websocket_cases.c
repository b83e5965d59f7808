/* SPDX-License-Identifier: MIT */
/* websocket_cases.c: what a server and a client answer to frames, by the numbers of the cases of Autobahn's test suite,
 * 1 to 7. 9 and 10 are those of websocket_large.c.
 *
 * A row is what the peer sends and what crank's end, which echoes, answers: then it must have nothing else to say. Each
 * is sent at once, and byte by byte where it is short. */
#include "http/websocket/utf8.h"
#include "sockets.h"

#define PING_125 "p:*125"
#define KOSME "#cebae1bdb9cf83cebccebe"

static const struct row {
    const char *number, *sent, *answer;
} rows[] = {
    /* Messages of many lengths. */
    { "1.1.1", "t", "t" },
    { "1.1.2", "t:*125", "t:*125" },
    { "1.1.3", "t:*126", "t:*126" },
    { "1.1.4", "t:*127", "t:*127" },
    { "1.1.5", "t:*128", "t:*128" },
    { "1.1.6", "t:*65535", "t:*65535" },
    { "1.1.7", "t:*65536", "t:*65536" },
    { "1.2.1", "b", "b" },
    { "1.2.2", "b:*125", "b:*125" },
    { "1.2.3", "b:*126", "b:*126" },
    { "1.2.4", "b:*127", "b:*127" },
    { "1.2.5", "b:*128", "b:*128" },
    { "1.2.6", "b:*65535", "b:*65535" },
    { "1.2.7", "b:*65536", "b:*65536" },
    /* Pings and pongs. */
    { "2.1", "p", "o" },
    { "2.2", "p:Hello", "o:Hello" },
    { "2.3", "p:#00fffefdfcfb00ff", "o:#00fffefdfcfb00ff" },
    { "2.4", PING_125, "o:*125" },
    { "2.5", "p:*126", "x:1002" },
    { "2.7", "o", "" },
    { "2.8", "o:Hello", "" },
    { "2.9", "o:Hello p:World", "o:World" },
    { "2.10", "p:0 p:1 p:2 p:3 p:4 p:5 p:6 p:7 p:8 p:9", "o:0 o:1 o:2 o:3 o:4 o:5 o:6 o:7 o:8 o:9" },
    /* Reserved bits. */
    { "3.1", "t!4:Hello", "x:1002" },
    { "3.2", "t:Hello t!2:World p", "t:Hello x:1002" },
    { "3.3", "t:Hello t!3:World p", "t:Hello x:1002" },
    { "3.4", "t:Hello t!1:World p", "t:Hello x:1002" },
    { "3.5", "b!5:Hello", "x:1002" },
    { "3.6", "p!6:Hello", "x:1002" },
    { "3.7", "x!7:1000", "x:1002" },
    /* Reserved opcodes. */
    { "4.1.1", "3", "x:1002" },
    { "4.1.2", "4:x", "x:1002" },
    { "4.1.3", "t:Hello 5 p", "t:Hello x:1002" },
    { "4.1.4", "t:Hello 6:x p", "t:Hello x:1002" },
    { "4.1.5", "t:Hello 7:x p", "t:Hello x:1002" },
    { "4.2.1", "B", "x:1002" },
    { "4.2.2", "C:x", "x:1002" },
    { "4.2.3", "t:Hello D p", "t:Hello x:1002" },
    { "4.2.4", "t:Hello E:x p", "t:Hello x:1002" },
    { "4.2.5", "t:Hello F:x p", "t:Hello x:1002" },
    /* Fragments. */
    { "5.1", "p+:one c:two", "x:1002" },
    { "5.2", "o+:one c:two", "x:1002" },
    { "5.3", "t+:one c:two", "t:onetwo" },
    { "5.6", "t+:one p:Hello c:two", "o:Hello t:onetwo" },
    { "5.9", "c:one t:two", "x:1002" },
    { "5.12", "c+:one t:two", "x:1002" },
    { "5.15", "t+:one c:two c+:three t:four", "t:onetwo x:1002" },
    { "5.16", "c+:one t:two c+:one t:two", "x:1002" },
    { "5.17", "c:one t:two c:one t:two", "x:1002" },
    { "5.18", "t+:one t:two", "x:1002" },
    { "5.19", "t+:1 c+:2 p:1 c+:3 c+:4 p:2 c:5", "o:1 o:2 t:12345" },
    /* Text. */
    { "6.1.1", "t", "t" },
    { "6.1.2", "t+ c+ c", "t" },
    { "6.1.3", "t+ c+:middle c", "t:middle" },
    { "6.2.1", "t:#48656c6c6f2dc2b5", "t:#48656c6c6f2dc2b5" },
    { "6.2.2", "t+:" KOSME " c:" KOSME, "t:" KOSME "cebae1bdb9cf83cebccebe" },
    { "6.2.3", "t+:#ce c+:#ba c+:#e1 c+:#bd c+:#b9 c:#cf83", "t:#cebae1bdb9cf83" },
    { "6.3.1", "t:" KOSME "eda080656469746564", "x:1007" },
    { "6.3.2", "t+:#ce c+:#ba c+:#ed c+:#a0 c+:#80 c:#65", "x:1007" },
    { "6.4.1", "t+:" KOSME " c+:#f4908080", "x:1007" },
    { "6.4.2", "t+:" KOSME "f4 c+:#90", "x:1007" },
    /* Closes. */
    { "7.1.1", "t:Hello x:1000", "t:Hello x:1000" },
    { "7.1.2", "x:1000 x:1000", "x:1000" },
    { "7.1.3", "x:1000 p", "x:1000" },
    { "7.1.4", "x:1000 t:Hello", "x:1000" },
    { "7.1.5", "t+:one x:1000 c:two", "x:1000" },
    { "7.1.6", "t:*262144 x:1000 p", "t:*262144 x:1000" },
    { "7.3.1", "x", "x" },
    { "7.3.2", "x:#61", "x:1002" },
    { "7.3.3", "x:1000", "x:1000" },
    { "7.3.4", "x:1000:Hello", "x:1000" },
    { "7.3.5", "x:1000:*123", "x:1000" },
    { "7.3.6", "x:1000:*124", "x:1002" },
    { "7.5.1", "x:1000:" KOSME "eda080", "x:1007" },
    { "7.13.1", "x:5000", "x:1002" },
    { "7.13.2", "x:65535", "x:1002" },
};
static const unsigned good_codes[] = { 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000,
    3999, 4000, 4999 };                                                                         /* 7.7 */
static const unsigned bad_codes[] = { 0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999 }; /* 7.9 */

/* ---- Playing a row ---- */

static void send_bytewise(crank_stream *s, bool masked, const char *words)
{
    size_t size;
    unsigned char *all = socket_frames_of(masked, words, &size);
    for (size_t i = 0; i < size; i++) {
        int err = crank_write(s, all + i, 1);
        if (err == 0)
            err = crank_flush(s);
        if (err == 0)
            err = crank_sleep(0);
        if (err < 0 && err != -EPIPE && err != -ECONNRESET) /* crank's end has ended before all was sent */
            test_fail(__FILE__, __LINE__, "cannot send \"%.40s\": %s", words, crank_error());
    }
    free(all);
}

static void play_once(const socket_game *g, const struct row *row, bool bytewise)
{
    crank_task *client;
    CRANK_AUTO_STREAM crank_stream *s = socket_begin(g, &client);
    const char *last = strrchr(row->answer, ' ') ? strrchr(row->answer, ' ') + 1 : row->answer;
    if (bytewise)
        send_bytewise(s, !client, row->sent);
    else
        socket_send_of(s, !client, row->sent);
    socket_expect_of(row->number, bytewise, s, client != NULL, row->answer);
    if (*last != 'x') {
        socket_send_of(s, !client, "x:1000");
        socket_expect_of(row->number, bytewise, s, client != NULL, "x:1000");
    }
    bool refuses = *last == 'x' && !strstr(row->sent, last); /* else it answers a close */
    socket_finish(row->number, s, client, refuses ? -EPROTO : 0);
}

/* Crank's end ends behind a close, and waits for more otherwise. */
static void play(const socket_game *g, const char *number, const char *sent, const char *answer)
{
    bool is_short = !strstr(sent, "*6") && !strstr(sent, "*2");
    for (int bytewise = 0; bytewise <= (int)is_short; bytewise++)
        play_once(g, &(struct row){ number, sent, answer }, bytewise);
}

static void play_all(const socket_game *g)
{
    char sent[20];
    for (size_t i = 0; i < CRANK_COUNT(rows); i++)
        play(g, rows[i].number, rows[i].sent, rows[i].answer);
    for (size_t i = 0; i < CRANK_COUNT(good_codes); i++) {
        snprintf(sent, sizeof sent, "x:%u", good_codes[i]);
        play(g, "7.7", sent, sent);
    }
    for (size_t i = 0; i < CRANK_COUNT(bad_codes); i++) {
        snprintf(sent, sizeof sent, "x:%u", bad_codes[i]);
        play(g, "7.9", sent, "x:1002");
    }
}

TEST_SIM(websocket, answers_frames_as_autobahn_expects_it)
{
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(socket_serve, l);
    play_all(&(socket_game){ .listener = l });
    return socket_stop(l, &server);
}

TEST_SIM(websocket_client, answers_frames_as_autobahn_expects_it)
{
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    play_all(&(socket_game){ .listener = l, .by_client = true });
    return 0;
}

/* ---- Text ---- */

/* Autobahn's 6.5 to 6.23; behind a '!' the text is none, from its byte of this index on. */
static const char *const texts[] = {
    /* characters of each length, and the first and last of these */
    "68656c6c6f24776f726c64",
    "68656c6c6fc2a2776f726c64",
    "68656c6c6fe282ac776f726c64",
    "68656c6c6ff0a4ada2776f726c64",
    "cebae1bdb9cf83cebccebe",
    "00",
    "c280",
    "e0a080",
    "f0908080",
    "7f",
    "dfbf",
    "efbfbf",
    "f48fbfbf",
    "ed9fbf",
    "ee8080",
    "efbfbd",
    /* beyond U+10FFFF, and lengths that are none */
    "f8888080 80!0",
    "fc84808080 80!0",
    "f7bfbfbf!0",
    "fbbfbfbfbf!0",
    "fdbfbfbfbfbf!0",
    "f4908080!1",
    /* parts of characters */
    "80!0",
    "bf!0",
    "80bf!0",
    "80bf80bf80bf!0",
    "c020c120!0",
    "df20!1",
    "e020ef20!1",
    "ef20!1",
    "f020f720!1",
    "f820fb20!0",
    "fc20fd20!0",
    "c0!0",
    "e080!1",
    "f08080!1",
    "df!1",
    "efbf!2",
    "f7bfbf!0",
    "cebae1!3",
    "cebae1bd!4",
    "fe!0",
    "ff!0",
    "fefeffff!0",
    /* longer than they need be */
    "c0af!0",
    "e080af!1",
    "f08080af!1",
    "c1bf!0",
    "e09fbf!1",
    "f08fbfbf!1",
    "c080!0",
    "e08080!1",
    "f0808080!1",
    /* surrogates */
    "eda080!1",
    "edadbf!1",
    "edae80!1",
    "edafbf!1",
    "edb080!1",
    "edbe80!1",
    "edbfbf!1",
    "eda080edb080!1",
    "edafbfedbfbf!1",
    /* characters that are none, which are UTF-8 */
    "efbfbe",
    "f09fbfbe",
    "f0afbfbf",
    "f18fbfbe",
    "f19fbfbf",
    "f2bfbfbe",
    "f3bfbfbf",
    "f48fbfbe",
    "efbfb9",
    "efbfbc",
};

/* The bytes of a text, and the first that is wrong: its size where only more is missing; -1: none. */
static size_t text_bytes(const char *text, char *bytes, int *ret_wrong)
{
    size_t size = 0;
    for (; *text && *text != '!'; text += *text == ' ' ? 1 : 2)
        if (*text != ' ')
            bytes[size++] = (char)strtoul((char[]){ text[0], text[1], 0 }, NULL, 16);
    *ret_wrong = *text == '!' ? (int)strtol(text + 1, NULL, 10) : -1;
    return size;
}

TEST(utf8, is_seen_to_be_none_at_its_first_wrong_byte_over_every_split)
{
    char text[64];
    int wrong;
    for (size_t i = 0; i < CRANK_COUNT(texts); i++) {
        size_t size = 8 + text_bytes(texts[i], text + 8, &wrong);
        memcpy(text, "A letter", 8); /* so that what is skipped at once ends before */
        for (size_t split = 0; split <= size; split++) {
            cr_http_utf8 utf8 = { 0 };
            bool taken = cr_http_utf8_take(&utf8, text, split);
            taken = taken && cr_http_utf8_take(&utf8, text + split, size - split);
            if ((taken && cr_http_utf8_is_whole(&utf8)) != (wrong < 0))
                test_fail(__FILE__, __LINE__, "%s, split at %zu", texts[i], split);
        }
        for (int k = 0; wrong >= 0 && 8 + k <= (int)size; k++) {
            cr_http_utf8 utf8 = { 0 };
            if (cr_http_utf8_take(&utf8, text, 8 + (size_t)k) != (k <= wrong))
                test_fail(__FILE__, __LINE__, "%s, %d bytes of it", texts[i], k);
        }
    }
    EXPECT_EQ(cr_http_utf8_cut("a\xc3\xa9\xc3\xa9", 4), 3);
    EXPECT_EQ(cr_http_utf8_cut("a\xc3\xa9", 123), 3);
    EXPECT_EQ(cr_http_utf8_cut("a\xff\xc3\xa9", 123), 1);
}

/* A frame of 100 bytes of which only so many have come is refused with the byte that is wrong. */
TEST_SIM(websocket, refuses_text_with_the_byte_that_is_wrong)
{
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    AUTO_SERVER crank_task *server = crank_spawn(socket_serve, l);
    for (size_t i = 0; i < CRANK_COUNT(texts); i++) {
        char bytes[6 + 64] = { (char)0x81, (char)(0x80 | 100) }; /* the mask is 0 */
        int wrong;
        size_t size = text_bytes(texts[i], bytes + 6, &wrong);
        if (wrong < 0 || (size_t)wrong == size)
            continue;
        CRANK_AUTO_STREAM crank_stream *s = socket_open(l);
        crank_try(crank_write(s, bytes, 6 + (size_t)wrong + 1));
        socket_expect_at(texts[i], wrong, s, "x:1007");
    }
    return socket_stop(l, &server);
}
