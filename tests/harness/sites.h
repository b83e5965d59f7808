/* SPDX-License-Identifier: MIT */
/* sites.h: the places from which the library calls the OS. */
#ifndef TEST_SITES_H
#define TEST_SITES_H
#include "failing.h"

/* Fill in the key and the trail of a site whose other fields are set, from the frame of a function of the table: the
 * key, which is not 0. */
uint64_t test_site_read(test_site *site, const uintptr_t *frame);
/* Count one call of this site in the table of TEST_SITES_MAX, which has room for it. */
void test_site_note(test_site *sites, const test_site *site);
#endif
