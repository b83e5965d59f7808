/* SPDX-License-Identifier: MIT */
/* web.h: members by browser: the page, and the socket by which it talks. */
#ifndef WEB_H
#define WEB_H
#include <crank.h>
#include <crank/http.h>

#include "room.h"

typedef struct web_site {
    room *room;
    crank_listener *listener; /* its own: what it shows ends when that is stopped */
    const char *by_lines;     /* how to come in from a terminal, "nc 127.0.0.1 8000", or "" */
    bool panel;               /* show what the server does */
} web_site;

/* The handler of one request: a file of the page, the tasks, or a member from its name to its leaving. */
int chat_web(crank_http_request *request, const web_site *site);
#endif
