/* SPDX-License-Identifier: MIT */
/* linger.h: how a server closes a connection. */
#ifndef CR_LINGER_H
#define CR_LINGER_H
#include "net/connection.h"

/* Close it so that the peer gets what was written, within limits; the record stays. seconds: for
 * how long unread input is thrown away and bytes are sent without progress; 0: usual seconds;
 * negative: input is left alone. Nothing of it is a failure of the caller's. */
void cr_linger_close(cr_connection *c, double seconds, double usual);
#endif
