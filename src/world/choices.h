/* SPDX-License-Identifier: MIT */
/* choices.h: a run's choices, as they are given to it and as it tells of them. */
#ifndef CR_CHOICES_H
#define CR_CHOICES_H
#include "base/sys.h"

/* at is what of the list has not been taken: pairs AT:CHOSEN, in order of AT, which counts the
 * choices from 1. */
typedef struct cr_choices {
    const cr_sys *sys;
    const char *at;
    bool continued;  /* the list is the process's: earlier loops have taken their part of it */
    uint64_t number; /* of the last choice */
    int to;          /* the descriptor that is told of each choice, 0: none */
} cr_choices;

/* Is it a list? */
bool cr_choices_valid(const char *list);
/* Once, with all but sys zero. list and to are options.choices, not NULL, and
 * options.choices_to. */
void cr_choices_begin(cr_choices *choices, const char *list, bool continued, int to);
/* The next choice is listed, to be *ret_chosen; or it is one of those before the last listed, to be
 * 0. False: it lies beyond the list. */
bool cr_choices_take(cr_choices *choices, size_t *ret_chosen);
/* Tell of it. */
void cr_choices_tell(const cr_choices *choices, size_t chosen, size_t of);
#endif
