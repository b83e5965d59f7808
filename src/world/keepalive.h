/* SPDX-License-Identifier: MIT */
/* keepalive.h: connections whose peer is asked whether it is there. */
#ifndef CR_KEEPALIVE_H
#define CR_KEEPALIVE_H
#include "world/endpoints.h"

/* The way between some hosts was cut or healed, or one went off or on, or a connection broke at
 * one side: what does each connection learn of it when it asks? */
void cr_keepalive_look(cr_world *world);
/* Is this what the timeout of a connection is for? */
bool cr_keepalive_has(const cr_arrival *timeout);
#endif
