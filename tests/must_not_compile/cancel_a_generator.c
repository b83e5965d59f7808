/* SPDX-License-Identifier: MIT */
/* gcc must say: incompatible pointer type */
/* clang must say: incompatible pointer types */
#include <crank.h>
static int numbers(void) { return crank_yield(1); }
static int app(void)
{
    CRANK_AUTO_GENERATOR crank_generator *generator = crank_generate(numbers);
    return crank_cancel(generator);
}
int main(void) { return crank_run(app); }
