/* SPDX-License-Identifier: MIT */
/* descriptors.c: how many descriptors the process may have.
 *
 * The soft limit of 1,024 that programs are started with exists for select, which nothing of
 * crank's calls; servers that are to have more raise it to the hard one, as Go's runtime does. */
#include <crank/net.h>

#include "loop/loop.h"

size_t crank_descriptors_max(void)
{
    const cr_sys *sys = cr_loop_here ? cr_loop_here->sys : &cr_sys_real;
    return sys->descriptors_max(sys->context);
}
