/* SPDX-License-Identifier: MIT */
/* explore.c: a program run through its schedules.
 *
 * A schedule is the list of its choices that are not 0, its deviations from the plain order.
 * Schedules are run in the order of how many they have: first the plain one; then, for each that
 * was run, those with one deviation more behind its last. So each schedule comes exactly once, none
 * need be remembered but by its last deviation and the schedule it goes on from, and the first that
 * fails is one of those with the fewest. What remains beyond the limit is tried by chance.
 *
 * A failing schedule is made smaller by leaving deviations out, in halves and then one by one, and
 * by lower choices, for as long as the same failure comes. Owns no process and no loop: how a run
 * is made, the caller knows (the command line executes a program, the tests fork). */
#include <crank/explore.h>

#include <stdio.h>
#include <string.h>

#include "base/sys.h"

#define SCHEDULES_DEFAULT 10000
#define SEEDS_DEFAULT 1000
#define SHRINKS_DEFAULT 1000
#define WIDTH_DEFAULT 8
/* Longer runs are known by their seed, and not shrunk. */
#define CHOICES_MAX 200000u
/* "12345678:1," and what an odd choice may have in addition. */
#define PAIR_BYTES 48u
#define NOBODY UINT32_MAX

typedef struct deviation {
    uint32_t at; /* counted from 1 */
    uint32_t chosen;
} deviation;

/* A schedule: that of parent and one deviation more. */
typedef struct node {
    deviation last;
    uint32_t parent;
    uint32_t depth; /* how many deviations */
} node;

typedef struct search {
    crank_exploration asked; /* with the defaults filled in */
    crank_explore_result *out;
    crank_choice_log made; /* by the last run, its beginnings left out */
    deviation *list;       /* of the schedule that is run */
    size_t count;
    char *text; /* the same */
    node *nodes;
    size_t node_count;
    size_t node_room;
    bool cut;           /* schedules were left out */
    uint32_t cut_depth; /* the fewest deviations one of them has */
    int broken;         /* why no more runs could be made while shrinking, 0: they could */
} search;

static void *grow(void *memory, size_t bytes) { return cr_resize(&cr_sys_real, memory, bytes); }

/* ---- One run */

/* The list as text, in the form of options.choices. */
static int write_list(search *s)
{
    size_t room = (s->count + 1) * PAIR_BYTES, used = 0;
    char *text = grow(s->text, room);
    if (!text)
        return -ENOMEM;
    s->text = text;
    memcpy(text, "0", 2);
    for (size_t i = 0; i < s->count; i++)
        used += (size_t)snprintf(text + used, room - used, "%s%u:%u", i > 0 ? "," : "",
            s->list[i].at, s->list[i].chosen);
    return 0;
}

/* Where loops began is of no interest here. */
static void leave_out_beginnings(search *s)
{
    crank_choice_log *made = &s->made;
    size_t known = made->count < made->room ? made->count : made->room;
    size_t kept = 0;
    for (size_t i = 0; i < known; i++)
        if (made->choices[i].options > 0)
            made->choices[kept++] = made->choices[i];
    made->count -= known - kept;
    if (kept > s->out->max_choices)
        s->out->max_choices = kept;
}

/* Did the run choose what it was told? A program that depends on more than its choices need not
 * come to the last of them. */
static bool followed(const search *s)
{
    for (size_t i = 0; i < s->count; i++) {
        const deviation *wanted = &s->list[i];
        if (wanted->at > s->made.count || wanted->at > s->made.room ||
            s->made.choices[wanted->at - 1].chosen != wanted->chosen)
            return false;
    }
    return true;
}

/* Run the list. What run gives. */
static int run_list(search *s, uint64_t seed)
{
    int err = write_list(s);
    if (err < 0)
        return err;
    s->made.count = 0;
    int verdict = s->asked.run(s->asked.arg, s->text, seed, &s->made);
    leave_out_beginnings(s);
    return verdict;
}

/* ---- All schedules, those with the fewest deviations first */

static int add_node(search *s, uint32_t parent, deviation last)
{
    if (s->node_count == s->node_room) {
        size_t room = s->node_room ? 2 * s->node_room : 1024;
        node *nodes = grow(s->nodes, room * sizeof *nodes);
        if (!nodes)
            return -ENOMEM;
        s->nodes = nodes;
        s->node_room = room;
    }
    uint32_t depth = parent == NOBODY ? 0 : s->nodes[parent].depth + 1;
    s->nodes[s->node_count++] = (node){ last, parent, depth };
    return 0;
}

static void leave_out(search *s, uint32_t depth)
{
    if (!s->cut || depth < s->cut_depth)
        s->cut_depth = depth;
    s->cut = true;
}

/* The n-th of those tried among of, n from 1: all, or, where they are too many, evenly spread ones,
 * the last among them. */
static uint32_t tried(const search *s, uint32_t n, uint32_t of)
{
    uint32_t width = s->asked.width;
    if (of - 1 <= width)
        return n;
    return (uint32_t)((uint64_t)(of - 1) * n / width);
}

/* The schedules that go on from the one just run. */
static int add_successors(search *s, uint32_t index)
{
    uint32_t depth = s->nodes[index].depth + 1;
    size_t known = s->made.count < s->made.room ? s->made.count : s->made.room;
    for (size_t at = s->nodes[index].last.at; at < known; at++) {
        uint32_t of = s->made.choices[at].options;
        uint32_t count = of - 1 < s->asked.width ? of - 1 : s->asked.width;
        if (count < of - 1)
            leave_out(s, depth);
        for (uint32_t n = 1; n <= count; n++) {
            if (s->node_count >= (size_t)s->asked.schedules ||
                (s->asked.deviations && depth > s->asked.deviations)) {
                leave_out(s, depth);
                return 0;
            }
            int err = add_node(s, index, (deviation){ (uint32_t)at + 1, tried(s, n, of) });
            if (err < 0)
                return err;
        }
    }
    return 0;
}

static int list_reserve(search *s, size_t count)
{
    deviation *list = grow(s->list, (count + 1) * sizeof *list);
    if (!list)
        return -ENOMEM;
    s->list = list;
    return 0;
}

/* From its last deviation back to the plain order. */
static int list_node(search *s, uint32_t index)
{
    int err = list_reserve(s, s->nodes[index].depth);
    if (err < 0)
        return err;
    s->count = s->nodes[index].depth;
    for (size_t i = s->count; i > 0; i--) {
        s->list[i - 1] = s->nodes[index].last;
        index = s->nodes[index].parent;
    }
    return 0;
}

/* 0 when each has passed, else what the failing run gave. */
static int run_all(search *s)
{
    int verdict = add_node(s, NOBODY, (deviation){ 0, 0 });
    for (uint32_t i = 0; verdict == 0 && i < s->node_count; i++) {
        verdict = list_node(s, i);
        if (verdict == 0)
            verdict = run_list(s, 0);
        if (verdict < 0)
            break;
        s->out->schedules++;
        s->out->deviations = s->nodes[i].depth;
        if (!followed(s))
            s->out->diverged++;
        else if (verdict == 0)
            verdict = add_successors(s, i);
    }
    s->out->exhaustive = verdict == 0 && !s->cut && s->out->diverged == 0;
    if (s->cut && s->out->deviations >= s->cut_depth)
        s->out->deviations = s->cut_depth - 1;
    return verdict;
}

/* ---- Some schedules, by chance */

/* What it chose becomes the list, where it fits. */
static int list_made(search *s)
{
    if (s->made.count > s->made.room)
        return -E2BIG;
    int err = list_reserve(s, s->made.count);
    if (err < 0)
        return err;
    s->count = 0;
    for (size_t i = 0; i < s->made.count; i++)
        if (s->made.choices[i].chosen > 0)
            s->list[s->count++] = (deviation){ (uint32_t)i + 1, s->made.choices[i].chosen };
    return 0;
}

static int run_seeds(search *s)
{
    int verdict = 0;
    s->count = 0;
    for (uint64_t seed = 1; verdict == 0 && (long)seed <= s->asked.seeds; seed++) {
        verdict = run_list(s, seed);
        if (verdict < 0)
            break;
        s->out->seeds++;
        if (verdict > 0)
            s->out->seed = seed;
    }
    if (verdict <= 0)
        return verdict;
    int err = list_made(s);
    if (err == 0)
        s->out->seed = 0;
    return err == 0 || err == -E2BIG ? verdict : err;
}

/* ---- Shrinking */

/* Run a smaller list in place of the failing one: true, and it is kept, where the same failure
 * comes. keep has room for the failing one. */
static bool still_fails(search *s, const deviation *smaller, size_t count, deviation *keep)
{
    size_t before = s->count;
    memcpy(keep, s->list, before * sizeof *keep);
    memmove(s->list, smaller, count * sizeof *smaller);
    s->count = count;
    s->out->shrinks++;
    int verdict = run_list(s, 0);
    if (verdict == s->out->failure) {
        while (s->count > 0 && s->list[s->count - 1].at > s->made.count)
            s->count--; /* it ended before it came there */
        return true;
    }
    if (verdict < 0)
        s->broken = verdict;
    memcpy(s->list, keep, before * sizeof *keep);
    s->count = before;
    return false;
}

static bool may_shrink(const search *s)
{
    return s->broken == 0 && s->out->shrinks < s->asked.shrinks;
}

/* Leave out so many in a row, from the end on: what comes last depends on what came before. */
static bool leave_out_runs(search *s, size_t length, deviation *scratch, deviation *keep)
{
    bool any = false;
    for (size_t end = s->count; end >= length && may_shrink(s); end -= length) {
        if (end > s->count)
            continue;
        size_t from = end - length;
        memcpy(scratch, s->list, from * sizeof *scratch);
        memcpy(scratch + from, s->list + end, (s->count - end) * sizeof *scratch);
        any |= still_fails(s, scratch, s->count - length, keep);
    }
    return any;
}

/* Smaller ones of the many that a choice may be of. */
static bool lower(search *s, deviation *scratch, deviation *keep)
{
    bool any = false;
    for (size_t i = 0; i < s->count && may_shrink(s); i++)
        for (uint32_t chosen = 1; i < s->count && chosen < s->list[i].chosen && may_shrink(s);
             chosen = chosen * 2) {
            memcpy(scratch, s->list, s->count * sizeof *scratch);
            scratch[i].chosen = chosen;
            if (!still_fails(s, scratch, s->count, keep))
                continue;
            any = true;
            break;
        }
    return any;
}

/* The found list is s->list; the shrunk one after. */
static int shrink(search *s)
{
    deviation *memory = grow(NULL, 2 * (s->count + 1) * sizeof *memory);
    if (!memory)
        return -ENOMEM;
    deviation *keep = memory + s->count + 1;
    bool smaller = true;
    while (smaller && s->count > 0 && may_shrink(s)) {
        smaller = false;
        for (size_t length = s->count; length > 0; length /= 2)
            smaller |= leave_out_runs(s, length, memory, keep);
        smaller |= lower(s, memory, keep);
    }
    cr_free(&cr_sys_real, memory);
    return s->broken;
}

/* The failing run is s->list: shrink it, and see that it fails again. */
static int settle(search *s)
{
    crank_explore_result *out = s->out;
    int err = 0;
    out->choices_before = s->count;
    if (out->seed == 0)
        err = shrink(s);
    if (err < 0)
        return err;
    out->choices_after = s->count;
    int again = run_list(s, out->seed);
    if (again < 0)
        return again;
    out->reproducible = again == out->failure;
    err = write_list(s);
    if (err == 0) {
        out->choices = s->text;
        s->text = NULL;
    }
    return err;
}

/* ---- All of it */

static int explore(search *s)
{
    int verdict = run_all(s);
    if (verdict == 0 && !s->out->exhaustive)
        verdict = run_seeds(s);
    if (verdict <= 0)
        return verdict;
    s->out->failure = verdict;
    return settle(s);
}

static void fill_defaults(crank_exploration *asked)
{
    if (asked->schedules <= 0)
        asked->schedules = SCHEDULES_DEFAULT;
    if (asked->seeds == 0)
        asked->seeds = SEEDS_DEFAULT;
    if (asked->shrinks == 0)
        asked->shrinks = SHRINKS_DEFAULT;
    if (asked->width == 0)
        asked->width = WIDTH_DEFAULT;
}

int crank_explore(const crank_exploration *exploration, crank_explore_result *ret_explored)
{
    search s = { .asked = *exploration, .out = ret_explored };
    *ret_explored = (crank_explore_result){ .schedules = 0 };
    fill_defaults(&s.asked);
    s.made.room = CHOICES_MAX;
    s.made.choices = grow(NULL, CHOICES_MAX * sizeof *s.made.choices);
    int err = s.made.choices ? explore(&s) : -ENOMEM;
    cr_free(&cr_sys_real, s.made.choices);
    cr_free(&cr_sys_real, s.list);
    cr_free(&cr_sys_real, s.nodes);
    cr_free(&cr_sys_real, s.text);
    return err;
}

void crank_explore_result_free(crank_explore_result *explored)
{
    cr_free(&cr_sys_real, explored->choices);
    explored->choices = NULL;
}
