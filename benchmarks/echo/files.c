/* SPDX-License-Identifier: MIT */
/* files.c: what a measured server is given, in a folder that goes with the run: the files of known bytes that it
 * answers with, and a certificate.
 *
 * The certificate is made by openssl's program, as examples/certificates.sh makes one, but signs itself: the load
 * checks none. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../measure.h"
#include "load.h"

static char folder[200];

char files_byte(size_t offset) { return (char)(offset * 2654435761u >> 24 & 0xff); }

static bool folder_make(void)
{
    const char *top = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.150s/crank-bench-XXXXXX", top && *top ? top : "/tmp");
    return mkdtemp(folder) != NULL;
}

/* An old one: of a file of this second a server may say other things than later. */
static bool file_make(const char *name, size_t size)
{
    static const struct timespec old[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
    char path[220];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    for (size_t i = 0; file && i < size; i++)
        putc(files_byte(i), file);
    return file && fclose(file) == 0 && utimensat(AT_FDCWD, path, old, 0) == 0;
}

bool files_make(void)
{
    if (folder_make() && setenv("BENCH_FILES", folder, 1) == 0 && file_make("1k", 1024) && file_make("1m", 1 << 20))
        return true;
    perror("load: files");
    return false;
}

bool files_make_certificate(void)
{
    char command[1200], certificate[220], key[220];
    if (!folder_make()) {
        perror("load: a folder for a certificate");
        return false;
    }
    snprintf(certificate, sizeof certificate, "%s/certificate", folder);
    snprintf(key, sizeof key, "%s/key", folder);
    snprintf(command, sizeof command,
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=localhost "
        "-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout %s -out %s 2>%s/said || { cat %s/said >&2; false; }",
        key, certificate, folder, folder);
    bool made = system(command) == 0; /* NOLINT: of names that were made here */
    if (!made)
        fprintf(stderr, "load: openssl makes no certificate; it is of Debian's package openssl\n");
    return made && setenv("BENCH_CERTIFICATE", certificate, 1) == 0 && setenv("BENCH_KEY", key, 1) == 0;
}

void files_remove(void)
{
    static const char *const names[] = { "1k", "1m", "certificate", "key", "said" };
    char path[220];
    if (!*folder)
        return;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}
