/* SPDX-License-Identifier: MIT */
/* slots.c: the slots of the io_uring backend's operations: which of them is taken. */
#include "backend/slots.h"
#include "base/base.h"
#include "test.h"

/* A slot stays on the list behind the one that was given last: else the table would grow for ever. */
TEST(slots, that_are_given_back_are_all_taken_again)
{
    enum { MANY = 100 };
    cr_slots slots;
    cr_op ops[MANY];
    cr_slots_init(&slots);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < MANY; i++)
            EXPECT(cr_slots_take(&slots, &cr_sys_real, &ops[i]));
        for (int i = 0; i < MANY; i++)
            EXPECT(slots.all[ops[i].slot].op == &ops[i]);
        for (int i = 0; i < MANY; i++)
            cr_slots_give(&slots, ops[i].slot);
    }
    EXPECT_EQ(slots.count, 128);
    cr_free(&cr_sys_real, slots.all);
}
