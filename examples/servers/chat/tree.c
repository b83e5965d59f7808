/* SPDX-License-Identifier: MIT */
/* tree.c: the tasks of this loop as a tree of text.
 *
 * crank_tasks gives them oldest first, crank_parent says where each belongs, and crank_describe what it is on one line,
 * of which the parts are taken here. Nothing of it waits, so that all lines are of the same moment. */
#include "tree.h"

#include <crank.h>
#include <stdio.h>
#include <string.h>

enum { TASKS_MAX = 1000, CHILDREN_SHOWN = 10, LEAD_BYTES = 64 };

typedef struct tree {
    crank_task *task[TASKS_MAX], *parent[TASKS_MAX];
    size_t count; /* how many of the tasks are here: the oldest */
    char *text;
    size_t size, length, lines;
} tree;

static void put_line(tree *t, const char *lead, const char *name, const char *does)
{
    if (t->lines == TREE_LINES_MAX)
        return;
    int n = snprintf(t->text + t->length, t->size - t->length, "%s%s%s\t%s", t->lines ? "\n" : "", lead, name, does);
    if ((size_t)n >= t->size - t->length) {
        t->text[t->length] = '\0'; /* no half a line */
        return;
    }
    t->length += (size_t)n;
    t->lines++;
}

/* "<Task pending name='member bob' fn=chat_lines spawned at main.c:40 waits for bytes from 127.0.0.1:5000>" */
static void put_task(tree *t, const char *lead, crank_task *task)
{
    char line[TREE_LINE_BYTES];
    crank_describe(task, line, sizeof line);
    line[strcspn(line, ">")] = '\0';
    char *name = strstr(line, " name='");
    char *function = name ? strstr(name, "' fn=") : NULL;
    if (!function)
        return;
    name += strlen(" name='");
    *function = '\0';
    function += strlen("' fn=");
    char *does = function + strcspn(function, " ");
    char *place = strstr(does, " spawned at ");
    if (place == does)
        does += strlen(" spawned at ") + strcspn(place + strlen(" spawned at "), " ");
    function[strcspn(function, " ")] = '\0';
    put_line(t, lead, strncmp(name, "Task-", 5) == 0 ? function : name,
        task == crank_self() ? "runs"
        : *does              ? does + 1
                             : "");
}

/* The children of one task, and theirs; lead is what stands before each of their lines. */
static void put_children(tree *t, const crank_task *parent, const char *lead)
{
    char before[LEAD_BYTES], more[32];
    size_t children = 0, shown = 0;
    for (size_t i = 0; i < t->count; i++)
        children += t->parent[i] == parent;
    for (size_t i = 0; i < t->count && shown < CHILDREN_SHOWN; i++) {
        if (t->parent[i] != parent)
            continue;
        bool last = ++shown == children;
        snprintf(before, sizeof before, "%s%s", lead, last ? "└─ " : "├─ ");
        put_task(t, before, t->task[i]);
        snprintf(before, sizeof before, "%s%s", lead, last ? "   " : "│  ");
        if (strlen(before) + 8 < sizeof before)
            put_children(t, t->task[i], before);
    }
    if (shown == children)
        return;
    snprintf(before, sizeof before, "%s└─ ", lead);
    snprintf(more, sizeof more, "and %zu more", children - shown);
    put_line(t, before, more, "");
}

size_t tree_of_tasks(char *text, size_t size)
{
    static tree t; /* too large for a task's stack; nothing here waits, so no two calls use it */
    size_t all = crank_tasks(t.task, TASKS_MAX);
    t.count = all < TASKS_MAX ? all : TASKS_MAX;
    t.text = text;
    t.size = size;
    t.length = t.lines = 0;
    *text = '\0';
    for (size_t i = 0; i < t.count; i++)
        t.parent[i] = crank_parent(t.task[i]);
    for (size_t i = 0; i < t.count; i++) {
        if (t.parent[i])
            continue;
        put_task(&t, "", t.task[i]);
        put_children(&t, t.task[i], "");
    }
    return all;
}
