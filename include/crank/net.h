/* SPDX-License-Identifier: MIT */
#ifndef CRANK_NET_H
#define CRANK_NET_H
/* Addresses of the network. An address is text: "1.2.3.4:80", "[::1]:80", "[fe80::1%eth0]:80" (the interface by name or
 * number), "unix:/path", "unix:@name" (abstract); where names are looked up also "host:80", where a program
 * listens also "*:80" (all interfaces, both families). The port is 0 to 65535, decimal. Nothing is trimmed or guessed:
 * what has another form is refused with -EINVAL, and crank_error shows the place. */
#include "base.h"
/* Not a system header, as scope.h is none: gcc would then keep silent about an ignored result. */

CRANK_BEGIN_DECLS

/* ---- Addresses ------------------------------------------------------------------------------------------------- */

/* A value, which is assigned and passed like a number. All zeros are no address. */
typedef struct crank_address {
    uint64_t opaque[16];
} crank_address;

/* An address from its text; looks no host name up. 0; fails with -EINVAL (another form, a name, or "*"), -ENAMETOOLONG
 * (more than 107 bytes behind "unix:"), -ENODEV (no interface has this name), -EMFILE and -ENFILE (none left to ask for
 * the interface): then *ret_address is untouched and crank_error shows what is wrong, and where. */
CRANK_API int crank_address_parse(const char *text, crank_address *ret_address);
/* The text of an address into buf, cut to size and terminated; gives the length it would have. "" where there is none.
 * An interface is shown by its number. Parsing the text gives an equal address, but for some unix addresses that other
 * programs chose: an abstract name that is empty or has a 0 in it, shown as '@'; a path of 108 bytes; a path that
 * begins with '@', shown as "./@". */
CRANK_API size_t crank_address_format(const crank_address *address, char *buf, size_t size);
/* Are they one address? An IPv4 address mapped into IPv6, "[::ffff:1.2.3.4]:80", is that IPv4 address. */
CRANK_API bool crank_address_equal(const crank_address *a, const crank_address *b);

CRANK_END_DECLS
#endif
