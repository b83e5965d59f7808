/* SPDX-License-Identifier: MIT */
/* gcc must say: discards 'const' qualifier from pointer target type */
/* clang must say: discards qualifiers */
#include <crank.h>
static int clear(char *text) { return text[0] = 0; }
int main(void)
{
    const char text[] = "x";
    crank_drop(crank_spawn(clear, text));
    return 0;
}
