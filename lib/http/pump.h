/* SPDX-License-Identifier: MIT */
/* pump.h: bodies as streams: between a handler's stream and the connection. */
#ifndef CR_HTTP_PUMP_H
#define CR_HTTP_PUMP_H
#include "http/exchange.h"

/* After the handler: write what it has left in the answer's stream, where its result is 0, and
 * close the streams that it was given. The helpers have ended after this call. 0; fails as the
 * writing of the answer, -ECANCELED. */
int cr_http_pump_finish(cr_http_message *message);
#endif
