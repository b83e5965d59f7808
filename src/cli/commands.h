/* SPDX-License-Identifier: MIT */
/* commands.h: what the main table lists. A command is one file with one function, and a line
 * there. */
#ifndef CR_COMMANDS_H
#define CR_COMMANDS_H

/* The statuses of every command. */
enum { CR_STATUS_FINE = 0, CR_STATUS_FOUND = 1, CR_STATUS_USAGE = 2, CR_STATUS_BROKEN = 3 };

/* argv[0] is the command's name. Gives a status. */
int cr_explore_command(int argc, char **argv);
#endif
