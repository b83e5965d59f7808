/* SPDX-License-Identifier: MIT */
/* find.h: from a request's path to an open file. */
#ifndef CR_HTTP_FIND_H
#define CR_HTTP_FIND_H
#include <sys/stat.h>
#include "http/exchange.h"

enum { CR_HTTP_FIND_FOLDER = 1 };

/* What is looked for, and what there is. */
typedef struct cr_http_find {
    const char *folder; /* out of which no way leads; NULL: the program has named the file itself */
    char *whole;        /* its name, with the folder's in front and room for ".gz" behind */
    char *name;         /* the part of it behind the folder's */
    bool gzip;    /* a file beside, with ".gz" behind its name, is preferred if none is older */
    int fd;       /* -1, or of the regular file that was found: the caller's to close */
    bool is_gzip; /* it is the one beside */
    struct stat status;
} cr_http_find;

/* The name of a path below the folder, "/a/b.txt", or of a path of the program's own. 0; -ENOENT:
 * no file can be meant; -ENOMEM. */
int cr_http_find_name(
    cr_http_find *find, cr_http_message *message, const char *folder, const char *path);
/* 0: it is open; CR_HTTP_FIND_FOLDER: it is a folder; a negative errno, -ENOENT for what is no
 * regular file. May block: for a worker thread. */
int cr_http_find_open(cr_http_find *find);
/* The same with what the kernel has in memory, which does not block; -EAGAIN: that is not
 * enough. */
int cr_http_find_now(cr_http_find *find);
#endif
