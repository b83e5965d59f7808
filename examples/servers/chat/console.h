/* SPDX-License-Identifier: MIT */
/* console.h: the server's own terminal. */
#ifndef CONSOLE_H
#define CONSOLE_H
#include "room.h"

/* Show what happens in the room, and do what is typed, until /stop: 0. */
int chat_console(room *r);
#endif
