/* SPDX-License-Identifier: MIT */
/* attached.c: which descriptors are attached to a backend.
 *
 * Owns the generations. A number is used again as soon as it is closed; its generation goes on, so
 * that an operation for what had the number before is recognised. */
#include "backend/attached.h"

#include "base/check.h"

#include <string.h>

#define ROOM_FIRST 16

static size_t index_of(const cr_attached *all, int number) { return (size_t)(number - all->first); }

int cr_attached_add(cr_attached *all, const cr_sys *sys, int number, cr_fd *ret_fd)
{
    size_t at = index_of(all, number);
    size_t room = all->room ? all->room : ROOM_FIRST;
    while (room <= at)
        room *= 2;
    if (room > all->room) {
        uint32_t *grown = cr_resize(sys, all->generations, room * sizeof *grown);
        if (!grown)
            return -ENOMEM;
        memset(grown + all->room, 0, (room - all->room) * sizeof *grown);
        all->generations = grown;
        all->room = room;
    }
    CR_ASSERT(all->generations[at] % 2 == 0);
    *ret_fd = (cr_fd){ .number = number, .generation = ++all->generations[at] };
    return 0;
}

void cr_attached_remove(cr_attached *all, cr_fd fd)
{
    CR_ASSERT(all->generations[index_of(all, fd.number)] == fd.generation);
    all->generations[index_of(all, fd.number)]++;
}

bool cr_attached_has(const cr_attached *all, const cr_op *op)
{
    return op->fd >= all->first && index_of(all, op->fd) < all->room &&
           all->generations[index_of(all, op->fd)] == op->generation;
}

bool cr_attached_number(const cr_attached *all, int number)
{
    return number >= all->first && index_of(all, number) < all->room &&
           all->generations[index_of(all, number)] % 2 == 1;
}
