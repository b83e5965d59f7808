/* SPDX-License-Identifier: MIT */
/* tls.c: a client and a server, and between them a third party that changes, drops, repeats and adds bytes.
 *
 * Each piece that passes takes a byte of the script: what is done to it. Whatever that is, both ends come to an end and
 * what the client reads is what the server wrote, or a failure with a sentence. */
#include "fuzz.h"
#include <crank/tls.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PIECE = 4096 };

/* Made once: it takes longer than a script. */
static crank_tls *server, *client;

static void fill_files(FILE *certificate_file, FILE *key_file)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_EXTENSION *hosts = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost");
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_TIME_set_string(X509_getm_notBefore(certificate), "20250101000000Z");
    ASN1_TIME_set_string(X509_getm_notAfter(certificate), "20450101000000Z");
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_set_pubkey(certificate, key);
    X509_add_ext(certificate, hosts, -1);
    FUZZ_EXPECT(X509_sign(certificate, key, EVP_sha256()));
    FUZZ_EXPECT(PEM_write_X509(certificate_file, certificate));
    FUZZ_EXPECT(PEM_write_PrivateKey(key_file, key, NULL, NULL, 0, NULL, NULL));
    X509_EXTENSION_free(hosts);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void make_both(void)
{
    char paths[2][32];
    FILE *files[2];
    for (int i = 0; i < 2; i++) {
        int fd = memfd_create("pem", MFD_CLOEXEC);
        files[i] = fdopen(fd, "w");
        FUZZ_EXPECT(files[i]);
        snprintf(paths[i], sizeof paths[i], "/proc/self/fd/%d", fd);
    }
    fill_files(files[0], files[1]);
    fflush(files[0]);
    fflush(files[1]);
    server = crank_tls_server(paths[0], paths[1]);
    client = crank_tls_client(paths[0]);
    FUZZ_EXPECT(server && client);
    fclose(files[0]);
    fclose(files[1]);
}

/* What is done to a piece. The rest of the bytes are let pass. */
enum deed { CHANGE = 250, DROP, REPEAT, ADD, CUT, END };

static int pass(crank_stream *to, char *piece, size_t size, fuzz_bytes *script)
{
    unsigned deed = fuzz_byte(script);
    if (deed == CHANGE)
        piece[fuzz_number(script, 2) % size] ^= (char)(fuzz_byte(script) | 1);
    if (deed == DROP)
        return 0;
    if (deed == REPEAT)
        crank_try(crank_write(to, piece, size));
    if (deed == ADD)
        for (unsigned n = fuzz_byte(script); n > 0; n--) {
            char byte = (char)fuzz_byte(script);
            crank_try(crank_write(to, &byte, 1));
        }
    if (deed == CUT)
        size = fuzz_number(script, 2) % size;
    if (size > 0)
        crank_try(crank_write(to, piece, size));
    return deed == END || deed == CUT ? -ENODATA : 0;
}
static int carry(crank_stream *from, crank_stream *to, fuzz_bytes *script)
{
    char piece[PIECE];
    ssize_t n;
    int err = 0;
    while (err == 0 && (n = crank_read(from, piece, sizeof piece)) > 0)
        err = pass(to, piece, (size_t)n, script);
    if (err == -ECANCELED)
        return err;
    crank_error_clear();
    if (crank_write_eof(to) < 0)
        crank_error_clear();
    return 0;
}

static int echo(crank_stream **stream)
{
    char line[100];
    int err = crank_tls_start(server, stream, NULL);
    ssize_t n = err < 0 ? err : crank_read_line(*stream, line, sizeof line);
    if (n > 0)
        err = crank_printf(*stream, "%s", line);
    FUZZ_SAY("server: %zd %s\n", n, n < 0 ? crank_error() : "");
    crank_error_clear();
    (void)crank_close(*stream);
    *stream = NULL;
    crank_error_clear();
    return 0;
}

static void run(const uint8_t *data, size_t size)
{
    fuzz_bytes script = { data, size };
    crank_stream *s[4];
    char line[100] = "";
    if (!server)
        make_both();
    FUZZ_EQUAL(crank_socket_pair(&s[0], &s[1]), 0);
    FUZZ_EQUAL(crank_socket_pair(&s[2], &s[3]), 0);
    crank_task *tasks[] = { crank_spawn(carry, s[1], s[2], &script), crank_spawn(carry, s[2], s[1], &script),
        crank_spawn(echo, &s[3]) };
    int err = crank_tls_start(client, &s[0], "localhost");
    if (err == 0)
        err = crank_printf(s[0], "hello\n");
    ssize_t n = err < 0 ? err : crank_within(20, crank_read_line(s[0], line, sizeof line));
    FUZZ_SAY("client: %zd %s\n", n, n < 0 ? crank_error() : line);
    FUZZ_EXPECT(n < 0 ? n != -ECANCELED && *crank_error() : n == 0 || strcmp(line, "hello\n") == 0);
    crank_error_clear();
    (void)crank_close(s[0]);
    (void)crank_within(20, crank_await(tasks[2]));
    crank_error_clear();
    for (int i = 0; i < 2; i++) {
        crank_cancel(tasks[i]);
        (void)crank_await(tasks[i]);
    }
    for (int i = 1; i < 4; i++)
        (void)crank_close(s[i]);
    crank_error_clear();
}

const fuzz_target fuzz_this = { .name = "tls", .length = 40, .in_task = true, .run = run };
