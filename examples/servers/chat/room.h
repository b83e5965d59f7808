/* SPDX-License-Identifier: MIT */
/* room.h: a chat room, whatever its members are connected by.
 *
 * All of it runs on one thread, and no function of it waits: what a call does to the room is done when it returns, and
 * all members are told in the same order. */
#ifndef ROOM_H
#define ROOM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum { NAME_MAX_BYTES = 80, TEXT_MAX_BYTES = 1000, HOST_MAX_BYTES = 107 };
enum { MEMBERS_MAX = 500, MEMBERS_OF_HOST_MAX = 20, HISTORY_SHOWN = 50 };

typedef enum event_kind {
    EVENT_SAY,
    EVENT_ME,
    EVENT_JOIN,
    EVENT_LEAVE,
    EVENT_NICK,
    EVENT_PRIVATE,
    EVENT_NOTE,
    EVENT_BYE /* the last one */
} event_kind;

/* What members are told. Public events (say, me, join, leave, nick) are numbered: 1, 2, 3, ... */
typedef struct event {
    event_kind kind;
    uint64_t id; /* 0: not public */
    time_t at;
    char from[NAME_MAX_BYTES + 1];
    char text[TEXT_MAX_BYTES + 1]; /* what was said; of a nick the new name; of a leave why, or "" */
} event;

typedef struct room room;
typedef struct member member;

/* How a member is reached. None of the three waits. */
typedef struct member_type {
    /* Give it an event. False: it has not taken what it was given before, and is dropped. */
    bool (*tell)(member *m, const event *e);
    /* It is out of the room: end its connection, m->slow says how. Called at most once, not for one that leaves by
     * itself. */
    void (*drop)(member *m);
} member_type;

/* The beginning of a member; the connection's own part follows. */
struct member {
    const member_type *type;
    room *in;                      /* NULL: not in a room */
    char host[HOST_MAX_BYTES + 1]; /* where it is connected from, by which members are counted; "" is not */
    char name[NAME_MAX_BYTES + 1];
    member *next, *prev;
    bool slow;               /* to be dropped when all have been told */
    double tokens, refilled; /* of the limit of messages */
};

/* The clock is time(), or another one for a test. NULL when memory is short. */
room *room_new(time_t (*clock)(time_t *));
/* Empty by now. */
void room_free(room *r);

/* May it be called so, and come in where it is not in the room? NULL, or why not, in words for the member that chose
 * the name; valid until the next call. */
const char *room_refuses(const room *r, const member *m, const char *name);
/* Enter under a name that room_refuses does not refuse: the member is told of the last events, all others that it has
 * joined. */
void room_enter(room *r, member *m, const char *name);
/* Leave; why may be "". Nothing where it has left. */
void room_leave(member *m, const char *why);
/* What a member types: a command, or something to say to all. False: it wants to leave, or had to. */
bool room_line(member *m, const char *line);

/* ---- The server's own ---- */

/* Be told of all public events, and of the goodbye, before the members: without a name, and in no list. */
void room_watch(room *r, member *watcher);
void room_unwatch(member *watcher);
/* Say something to all, as "server". */
void room_say(room *r, const char *text);
/* False: there is none of that name. */
bool room_kick(room *r, const char *name);
/* Say goodbye to all, and drop them; none comes in any more. */
void room_end(room *r, const char *text);
size_t room_count(const room *r);
/* "ada, bob, cem" into buf, cut to size. */
void room_names(const room *r, char *buf, size_t size);
#endif
