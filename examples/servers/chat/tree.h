/* SPDX-License-Identifier: MIT */
/* tree.h: the tasks of this loop as a tree of text. */
#ifndef TREE_H
#define TREE_H
#include <stddef.h>

enum { TREE_LINES_MAX = 200, TREE_LINE_BYTES = 320, TREE_MAX_BYTES = TREE_LINES_MAX * TREE_LINE_BYTES };

/* A line for each task, below its parent's: its place in the tree, its name, a tab, what it waits for. Of a task with
 * many children the first are shown, and how many there are besides. Into size bytes, terminated; how many tasks there
 * are in all. */
size_t tree_of_tasks(char *text, size_t size);
#endif
