/* SPDX-License-Identifier: MIT */
/* resolve.h: the addresses that an address's text may mean. */
#ifndef CR_RESOLVE_H
#define CR_RESOLVE_H
#include "net/address.h"
#include "task/wait.h"

/* As many as one name may mean; heap memory of the caller's. */
typedef struct cr_resolved {
    size_t count;
    bool named; /* by a name that was looked up */
    crank_address addresses[];
} cr_resolved;

/* What parts mean, to connect to: "*" is refused. Waits only for a name. 0 with *ret_resolved,
 * which is freed by cr_free; or a negative errno, of which crank_error tells. */
int cr_resolve_parts(const cr_caller *w, const char *text, const cr_address_parts *parts,
    cr_resolved **ret_resolved);
#endif
