/* SPDX-License-Identifier: MIT */
/* wire.h: what members in browsers are told, as JSON. */
#ifndef WIRE_H
#define WIRE_H
#include "room.h"

/* The longest event but a hello: each byte of names and text may be escaped. */
enum { WIRE_MAX_BYTES = 6 * (TEXT_MAX_BYTES + 2 * NAME_MAX_BYTES) + 128 };
/* A hello names all members. */
enum { WIRE_HELLO_MAX_BYTES = (MEMBERS_MAX + 1) * (NAME_MAX_BYTES + 3) + 256 };

/* An event in one line, {"t":"say","id":42,"at":1764489600,"from":"bob","text":"hi"}, into size bytes, terminated; how
 * long it is. t is hello, say, me, private, join, leave, nick, note or bye. */
size_t wire_of(const event *e, char *json, size_t size);
/* The first one, to a member that has come in: {"t":"hello","epoch":"...","id":42,"gone":false,"name":"ada",
 * "here":["bob"]}. Events up to the id are from before; gone: some that the member has missed are not kept. */
size_t wire_hello(const room *r, const event *e, bool gone, char *json, size_t size);
#endif
