/* SPDX-License-Identifier: MIT */
/* chat_record.h: what a scene of the chat (chat.c) records, and what must hold of it when it is over. */
#ifndef CHAT_RECORD_H
#define CHAT_RECORD_H
#include "../behaviour/trail.h"
#include "lines.h"

enum { ROOMS = 2, SESSIONS_MAX = 200, TOLD_MAX = 4000, NAME_MAX_ = 16 };

/* A public event, as a member should read it. */
typedef struct told {
    event_kind kind;
    char from[NAME_MAX_];
    char *text;
    char *as[2]; /* a line; JSON */
} told;

/* A room, and what its watcher was told. */
typedef struct watched {
    member watcher;
    room *room;
    uint64_t epoch;
    size_t count;            /* the event of number i is told[i - 1] */
    told told[TOLD_MAX + 1]; /* the goodbye behind the last */
} watched;

/* One connection of a member's; each has a name of its own. */
typedef struct session {
    char name[NAME_MAX_];
    bool is_browser, by_tls;
    uint64_t asked, after; /* it comes again: from this number in that room */
    uint64_t epoch, last;  /* where it has come to: the same for the next session */
    unsigned said;
    bool quit;             /* it has said so */
    bool ended;            /* it has read to the end, which is none where a write has been answered by a reset before */
    bool welcomed, joined; /* it was told so */
    size_t count;
    char *lines[TOLD_MAX]; /* what came after that, lines or JSON */
} session;

static struct scene {
    uint64_t random;
    watched rooms[ROOMS];
    size_t sessions;
    session session[SESSIONS_MAX];
    bool over;                             /* members come no more */
    unsigned encrypted;                    /* of six members of a kind so many come over TLS, at each visit others */
    struct crank_tls *certificate, *trust; /* of the server; of its members */
} * scene;

/* All lines of one scene, taken anew for the next. */
static char texts[64 << 20];
static size_t used;

static unsigned dice(unsigned n) { return chance(&scene->random, n); }
static char *copy(const char *text)
{
    size_t size = strlen(text) + 1;
    EXPECT(used + size <= sizeof texts);
    used += size;
    return memcpy(texts + used - size, text, size);
}

/* The n-th thing a member says: of all lengths, and none like another. */
static void words(const session *s, unsigned n, char *text, size_t size)
{
    uint64_t mixed = (n + 1) * UINT64_C(0x9e3779b97f4a7c15);
    size_t length = (size_t)snprintf(text, size, "%u %s ", n, s->name) + (mixed >> 40) % (n % 4 ? 900 : 20);
    for (size_t i = strlen(text); i < length; i++)
        text[i] = (char)('a' + (mixed + i * i) % 26);
    text[length] = '\0';
}

/* ---- What must hold ---- */

/* The next line that a member should have read; false: there was none in the place where it has more. */
static bool next_is(const session *s, size_t *at, const char *line)
{
    if (*at == s->count) {
        if (s->ended)
            test_fail(__FILE__, __LINE__, "%s has lost the line: %s", s->name, line);
        return false; /* its connection broke: it need not have the rest */
    }
    if (strcmp(s->lines[*at], line) != 0)
        test_fail(__FILE__, __LINE__, "%s has read another line in the order of all: %s  where all have: %s", s->name,
            s->lines[*at], line);
    ++*at;
    return true;
}

static bool comes_again(const session *s, const watched *w, size_t join)
{
    return s->after && s->asked == w->epoch && s->after < join;
}

/* The number of the first event that it should have read, which has come with the event of this number. */
static size_t first_due(const session *s, const watched *w, size_t join)
{
    size_t oldest = join >= HISTORY_KEPT ? join - HISTORY_KEPT + 1 : 1;
    if (!comes_again(s, w, join))
        return join > HISTORY_SHOWN ? join - HISTORY_SHOWN : 1;
    return s->after + 1 > oldest ? s->after + 1 : oldest;
}

static void judge_order(const session *s, const watched *w, size_t join)
{
    size_t at = 0, id = first_due(s, w, join);
    bool is_new = !comes_again(s, w, join);
    for (; id <= w->count; id++) {
        const told *t = &w->told[id - 1];
        bool own = !strcmp(t->from, s->name), passed = t->kind == EVENT_JOIN || t->kind == EVENT_LEAVE;
        if (own && t->kind == EVENT_LEAVE)
            break;
        if ((id < join && is_new && passed) || (own && !s->is_browser))
            continue;
        if (!next_is(s, &at, t->as[s->is_browser]))
            return;
    }
    if (id > w->count && !next_is(s, &at, w->told[w->count].as[s->is_browser]))
        return;
    if (at < s->count)
        test_fail(__FILE__, __LINE__, "%s has read one too many: %s", s->name, s->lines[at]);
}

static void judge_words(const session *s, const watched *w)
{
    char text[TEXT_MAX_BYTES + 1];
    unsigned n = 0;
    for (size_t i = 0; i < w->count; i++) {
        const told *t = &w->told[i];
        if ((t->kind != EVENT_SAY && t->kind != EVENT_ME) || strcmp(t->from, s->name) != 0)
            continue;
        words(s, n, text, sizeof text);
        EXPECT_STR(t->text, text);
        EXPECT_EQ(t->kind, n % 7 == 3 ? EVENT_ME : EVENT_SAY);
        n++;
    }
    EXPECT(n <= s->said);
    const char *goodbye = w->told[w->count].as[s->is_browser];
    if (s->quit && s->ended && (s->count == 0 || strcmp(s->lines[s->count - 1], goodbye) != 0))
        EXPECT_EQ(n, s->said);
}

static void judge(const session *s)
{
    unsigned joins = 0;
    for (const watched *w = scene->rooms; w < scene->rooms + ROOMS; w++) {
        for (size_t i = 0; i < w->count; i++) {
            if (w->told[i].kind != EVENT_JOIN || strcmp(w->told[i].from, s->name) != 0)
                continue;
            joins++;
            judge_order(s, w, i + 1);
            judge_words(s, w);
        }
    }
    EXPECT(joins <= 1);
    EXPECT(joins == 1 || s->count == 0);
}
#endif
