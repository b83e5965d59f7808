/* SPDX-License-Identifier: MIT */
/* address.h: addresses as the rank net uses them: in the form of the kernel, and as text that may
 * also name a host. */
#ifndef CR_ADDRESS_H
#define CR_ADDRESS_H
#include <crank/net.h>
#include <sys/socket.h>

/* The bytes of a host's name, a dot at its end included; and room for every address's text. */
enum { CR_HOST_NAME_MAX = 254, CR_ADDRESS_ROOM = 160 };

enum cr_address_kind {
    CR_ADDRESS_NUMBER, /* of IPv4 or IPv6 */
    CR_ADDRESS_LOCAL,  /* unix */
    CR_ADDRESS_NAME,   /* a host's name, well-formed, to be looked up */
    CR_ADDRESS_ANY     /* "*": all interfaces, both families */
};

typedef struct cr_address_parts {
    enum cr_address_kind kind;
    unsigned port;                   /* 0 of a unix address */
    crank_address address;           /* of a number or unix address; else all zeros */
    char name[CR_HOST_NAME_MAX + 1]; /* of a name; else "" */
} cr_address_parts;

/* Take apart what a program gives for an address: "host:80" and "*:80" too. Asks no name server. 0;
 * fails as crank_address_parse does, with *ret_parts untouched. */
int cr_address_split(const char *text, cr_address_parts *ret_parts);
/* The same for a host by itself, "1.2.3.4", "fe80::1%eth0" or "host". */
int cr_address_split_host(const char *host, unsigned port, cr_address_parts *ret_parts);
/* The form the kernel takes, inside *address; *ret_size is 0 where that is no address. */
const struct sockaddr *cr_address_sockaddr(const crank_address *address, socklen_t *ret_size);
/* AF_INET, AF_INET6 or AF_UNIX; AF_UNSPEC of all zeros. */
int cr_address_family(const crank_address *address);
/* 0 of a unix address. */
unsigned cr_address_port(const crank_address *address);
/* The same address of IPv4 or IPv6 with another port. */
crank_address cr_address_with_port(const crank_address *address, unsigned port);
/* From what the kernel gives. No address: an unnamed unix socket, another family, too short. */
void cr_address_from_sockaddr(
    crank_address *ret_address, const struct sockaddr *from, socklen_t size);
#endif
