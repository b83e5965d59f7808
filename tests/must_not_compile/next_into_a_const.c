/* SPDX-License-Identifier: MIT */
/* gcc must say: discards 'const' qualifier from pointer target type */
/* clang must say: discards qualifiers */
#include <crank.h>
static int numbers(void) { return crank_yield(1); }
static int app(void)
{
    CRANK_AUTO_GENERATOR crank_generator *g = crank_generate(numbers);
    const int value = 0;
    return crank_next(g, &value);
}
int main(void) { return crank_run(app); }
