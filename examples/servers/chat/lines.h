/* SPDX-License-Identifier: MIT */
/* lines.h: members by lines of text, from nc or telnet. */
#ifndef LINES_H
#define LINES_H
#include <crank.h>

#include "room.h"

/* The longest line of an event, with its end. */
enum { LINE_MAX_BYTES = TEXT_MAX_BYTES + NAME_MAX_BYTES + 32 };

/* The handler of one connection: a member from its name to its leaving. */
int chat_lines(crank_stream *peer, room *r);
/* An event as a line; how long it is. */
size_t line_of(const event *e, char *line, size_t size);
#endif
