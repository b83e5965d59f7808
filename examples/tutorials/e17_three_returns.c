/* SPDX-License-Identifier: MIT */
/* E17: a function with three returns gives 1; the compiler drops the other two.
 *
 * The tutorial shows with dis that only "RETURN_CONST 1" is left. So it is here: objdump -d shows
 * one "mov $0x1,%eax" and one "ret". E18 changes one word. */
#include <stdio.h>

static int myfunc(void)
{
    return 1;
    return 2;
    return 3;
}

int main(void)
{
    printf("%d\n", myfunc());
    return 0;
}
