/* SPDX-License-Identifier: MIT */
/* fields.h: what may stand in a field that a program sets. */
#ifndef CR_HTTP_FIELDS_H
#define CR_HTTP_FIELDS_H
#include "http/exchange.h"

/* Are all bytes fit for the value of a field: no control but a tab? */
bool cr_http_fields_is_value(const char *text);
#endif
