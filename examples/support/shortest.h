/* SPDX-License-Identifier: MIT */
/* shortest.h: a double as Python's repr prints it: the fewest digits that read back as the same. */
#ifndef EXAMPLES_SHORTEST_H
#define EXAMPLES_SHORTEST_H

/* Gives buf, which holds at least 32 bytes. */
const char *shortest(double value, char *buf);

#endif
