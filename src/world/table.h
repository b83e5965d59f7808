/* SPDX-License-Identifier: MIT */
/* table.h: what the files of the simulator's OS table share. */
#ifndef CR_TABLE_H
#define CR_TABLE_H
#include "world/world.h"

/* The table that this one stands on. The context of this one is its record, of which the entries of
 * that one must not know. */
static inline const cr_sys *cr_table_real(void *context) { return ((cr_world *)context)->real; }

/* Add the entries of sockets, programs and network interfaces. */
void cr_table_network_add(cr_sys *table);
#endif
