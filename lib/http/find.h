/* SPDX-License-Identifier: MIT */
/* find.h: from a request's path to an open file. */
#ifndef CR_HTTP_FIND_H
#define CR_HTTP_FIND_H
#include "http/exchange.h"

enum { CR_HTTP_FIND_FOLDER = 1 };

/* A file that was found. */
typedef struct cr_http_found {
    crank_stream *file; /* the caller's to close */
    crank_file_info info;
    bool is_gzip; /* it is the one beside, with ".gz" behind its name */
} cr_http_found;

/* Open the file of a path below the folder, "/a/b.txt", or of a path of the program's own where the
 * folder is NULL. gzip: a file beside, with ".gz" behind its name, is preferred if it is not older.
 * 0; CR_HTTP_FIND_FOLDER: it is a folder; fails with -ENOENT (nothing that a client may have),
 * -EACCES, else as crank_open. */
int cr_http_find_file(cr_http_message *message, const char *folder, const char *path, bool gzip,
    cr_http_found *ret_found);
#endif
