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
enum { MEMBERS_MAX = 500, MEMBERS_OF_HOST_MAX = 20, HISTORY_SHOWN = 50, HISTORY_KEPT = 200 };
enum { KEY_MAX_BYTES = 32 };

typedef enum event_kind {
    EVENT_SAY,
    EVENT_ME,
    EVENT_JOIN,
    EVENT_LEAVE,
    EVENT_NICK,
    EVENT_PRIVATE,
    EVENT_NOTE,
    EVENT_HELLO, /* the first one, to the one that has come in */
    EVENT_BYE    /* the last one */
} event_kind;

/* What members are told. Public events (say, me, join, leave, nick) are numbered: 1, 2, 3, ... */
typedef struct event {
    event_kind kind;
    uint64_t id; /* 0: not public; of a hello that of the last public event before it */
    time_t at;
    char from[NAME_MAX_BYTES + 1];
    char to[NAME_MAX_BYTES + 1]; /* of a private one */
    /* What was said; of a nick the new name, of a leave why, or "", of a hello the others' names, or "". */
    char text[TEXT_MAX_BYTES + 1];
} event;

typedef struct room room;
typedef struct member member;

/* Why the room ends a member's connection. */
typedef enum member_end {
    END_SLOW,     /* it has not taken what it was told */
    END_ASKED,    /* the server's terminal wants it so */
    END_REPLACED, /* it has come in again by another connection */
    END_BYE       /* the room ends */
} member_end;

/* How a member is reached. None of the functions waits. */
typedef struct member_type {
    /* Give it an event. False: it has not taken what it was given before, and is dropped. */
    bool (*tell)(member *m, const event *e);
    /* It is out of the room: end its connection. Called at most once, not for one that leaves by itself. */
    void (*drop)(member *m, member_end why);
    /* It is told of all public events from its own joining on, and takes older ones by room_event. Else: not of what it
     * does itself, and room_enter tells it of the last ones. */
    bool counts;
} member_type;

/* The beginning of a member; the connection's own part follows. */
struct member {
    const member_type *type;
    room *in;                      /* NULL: not in a room */
    char host[HOST_MAX_BYTES + 1]; /* where it is connected from, by which members are counted; "" is not */
    char key[KEY_MAX_BYTES + 1];   /* only it knows: a comer with its name and key is the same; "": none */
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
/* Enter under a name that room_refuses does not refuse: the member is told which members are here and of the last
 * events, all others that it has joined. */
void room_enter(room *r, member *m, const char *name);
/* Leave; why may be "". Nothing where it has left. */
void room_leave(member *m, const char *why);
/* Name the running task, which is this member's, for those that look at the tasks. */
void room_name_task(const member *m);
/* What a member types: a command, or something to say to all. False: it wants to leave, or had to. */
bool room_line(member *m, const char *line);

/* ---- What has been said ---- */

/* Another for each room that ever was: numbers of events mean something within one. */
uint64_t room_epoch(const room *r);
/* The number of the last public event; 0 before the first. */
uint64_t room_last(const room *r);
/* A public event by its number, NULL where it is not kept: the last HISTORY_KEPT are. */
const event *room_event(const room *r, uint64_t id);
/* The members that are here: the first, by next. */
const member *room_members(const room *r);

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
/* "ada, bob, cem" into buf: as many whole names as size takes. */
void room_names(const room *r, char *buf, size_t size);
#endif
