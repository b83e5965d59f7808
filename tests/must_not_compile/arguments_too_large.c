/* SPDX-License-Identifier: MIT */
/* must say: the arguments of a task take at most 176 bytes together */
#include <crank.h>

struct pair {
    long a, b;
};
static int twelve(struct pair a, struct pair b, struct pair c, struct pair d, struct pair e, struct pair f,
    struct pair g, struct pair h, struct pair i, struct pair j, struct pair k, struct pair l)
{
    return (int)(a.a + b.a + c.a + d.a + e.a + f.a + g.a + h.a + i.a + j.a + k.a + l.a);
}

int main(void)
{
    struct pair z = { 0, 0 };
    crank_spawn(twelve, z, z, z, z, z, z, z, z, z, z, z, z);
    return 0;
}
