/* SPDX-License-Identifier: MIT */
/* choices.c: a run's choices, as they are given to it and as it tells of them.
 *
 * A list names only what differs from the plain order: "3:1,9:2" takes the second possibility at
 * the third choice, the third at the ninth and the first at all others; "0" names none. So the
 * lists of shrunk schedules are short, and say at a glance how little a failure needs.
 *
 * Each choice is told by a write of its own and not kept back: a program that crashes, or is killed
 * because it hangs, has told what led there. */
#include "world/choices.h"

#include <crank/run.h>

#include <stdatomic.h>
#include <stdlib.h>

/* Choices made so far by the loops that follow the environment's list: a process may open one loop
 * after another, and the list is of all of them. */
static _Atomic uint64_t chosen_before;

/* Digits only: strtoull would take a sign and blanks. NULL: there is none, or it is too large. */
static const char *take_number(const char *at, uint64_t *ret_number)
{
    char *end;
    if (*at < '0' || *at > '9')
        return NULL;
    errno = 0;
    *ret_number = strtoull(at, &end, 10);
    return errno ? NULL : end;
}

static const char *take_pair(const char *at, uint64_t *ret_number, uint64_t *ret_chosen)
{
    at = take_number(at, ret_number);
    return at && *at == ':' ? take_number(at + 1, ret_chosen) : NULL;
}

bool cr_choices_valid(const char *list)
{
    uint64_t before = 0, number, chosen;
    if (list[0] == '0' && list[1] == '\0')
        return true;
    do {
        list = take_pair(list, &number, &chosen);
        if (!list || number <= before)
            return false;
        before = number;
    } while (*list++ == ',');
    return list[-1] == '\0';
}

/* The beginning is told as a choice among none. */
void cr_choices_begin(cr_choices *choices, const char *list, bool continued, int to)
{
    CR_ASSUME(list);
    choices->at = list[0] == '0' ? list + 1 : list;
    choices->continued = continued;
    choices->to = to;
    cr_choices_tell(choices, 0, 0);
}

/* Pairs that are before it belong to loops that were there before, or at the same time. */
bool cr_choices_take(cr_choices *choices, size_t *ret_chosen)
{
    uint64_t number = 0, chosen = 0;
    choices->number =
        choices->continued ? atomic_fetch_add(&chosen_before, 1) + 1 : choices->number + 1;
    while (*choices->at) {
        const char *end = take_pair(choices->at, &number, &chosen);
        CR_ASSUME(end); /* lists were checked when the options were read */
        if (number > choices->number) {
            *ret_chosen = 0;
            return true;
        }
        choices->at = *end == ',' ? end + 1 : end;
        if (number == choices->number) {
            *ret_chosen = (size_t)chosen;
            return true;
        }
    }
    return false;
}

void cr_choices_tell(const cr_choices *choices, size_t chosen, size_t of)
{
    crank_choice choice = {
        .chosen = chosen < UINT32_MAX ? (uint32_t)chosen : UINT32_MAX,
        .options = of < UINT32_MAX ? (uint32_t)of : UINT32_MAX,
    };
    if (choices->to)
        (void)choices->sys->write(choices->sys->context, choices->to, &choice, sizeof choice);
}
