/* SPDX-License-Identifier: MIT */
/* log.h: a line for each request. */
#ifndef CR_HTTP_LOG_H
#define CR_HTTP_LOG_H
#include "http/exchange.h"

/* Write the request's line to the server's log. Never waits. */
void cr_http_log_write(const cr_http_message *message);
#endif
