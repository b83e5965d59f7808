/* SPDX-License-Identifier: MIT */
/* gcc must say: void value not ignored as it ought to be */
/* clang must say: variable has incomplete type 'typeof (((void)0 , (nothing())))' (aka 'void') */
#include <crank.h>
static void nothing(void) {}
static int numbers(void) { return crank_yield(nothing()); }
static int app(void)
{
    CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(numbers);
    return crank_next(g, NULL);
}
int main(void) { return crank_run(app); }
