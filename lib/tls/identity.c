/* SPDX-License-Identifier: MIT */
/* identity.c: certificates and keys, from their files to OpenSSL.
 *
 * Files are read by crank, so that the loop goes on, and taken apart from memory, which is a matter
 * of a fraction of a millisecond. Each message names the file, says what it is not, and what to do.
 * A key's bytes do not stay in memory behind the call. */
#include "tls/identity.h"

#include <crank/error.h>
#include <crank/stream.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tls/reason.h"

/* OpenSSL would ask for a pass phrase at the terminal. */
static int refuse_phrase(char *buf, int size, int writes, void *asked)
{
    (void)buf, (void)size, (void)writes;
    *(bool *)asked = true;
    return -1;
}

/* A file that was read. */
typedef struct pem {
    const char *path;
    char *data;
    size_t size;
    BIO *bio;
} pem;

/* OpenSSL's queue is empty behind it. */
static int open_pem(pem *p, const char *path)
{
    *p = (pem){ .path = path };
    int err = crank_read_file(path, &p->data, &p->size);
    if (err < 0)
        return err;
    ERR_clear_error();
    p->bio = p->size <= INT_MAX ? BIO_new_mem_buf(p->data, (int)p->size) : NULL;
    if (p->bio)
        return 0;
    ERR_clear_error();
    free(p->data);
    return crank_fail(ENOMEM, "out of memory for %.200s", path);
}

static void close_pem(pem *p)
{
    ERR_clear_error();
    OPENSSL_cleanse(p->data, p->size);
    BIO_free(p->bio);
    free(p->data);
}

/* The next certificate of a file, for the caller to free; NULL: there is none, and OpenSSL's queue
 * says why. */
static X509 *next_certificate(const pem *p, OSSL_LIB_CTX *library)
{
    bool asked = false;
    X509 *certificate = X509_new_ex(library, NULL);
    if (certificate && PEM_read_bio_X509(p->bio, &certificate, refuse_phrase, &asked))
        return certificate;
    X509_free(certificate);
    return NULL;
}

/* Has the file come to its end? Else what stands there is no certificate. */
static bool is_at_end(void)
{
    unsigned long error = ERR_peek_last_error();
    return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

static int refuse_certificate(const char *path)
{
    if (is_at_end())
        return crank_fail(EINVAL,
            "%.200s has no certificate: a PEM file has a line -----BEGIN CERTIFICATE-----", path);
    return cr_tls_reason_fail(EINVAL, "%.200s has a certificate that cannot be used", path);
}

/* ---- One's own ---- */

static int use_chain(SSL_CTX *context, OSSL_LIB_CTX *library, const pem *p)
{
    X509 *certificate = next_certificate(p, library);
    if (!certificate)
        return refuse_certificate(p->path);
    bool good = SSL_CTX_use_certificate(context, certificate);
    X509_free(certificate);
    while (good && (certificate = next_certificate(p, library))) {
        good = SSL_CTX_add0_chain_cert(context, certificate) == 1;
        if (!good)
            X509_free(certificate);
    }
    return good && is_at_end() ? 0 : refuse_certificate(p->path);
}

static int load_chain(SSL_CTX *context, OSSL_LIB_CTX *library, const char *path)
{
    pem p;
    int err = open_pem(&p, path);
    if (err < 0)
        return err;
    err = use_chain(context, library, &p);
    close_pem(&p);
    return err;
}

static int refuse_key(const pem *p, bool asked)
{
    static const char mark[] = "PRIVATE KEY-----";
    if (asked)
        return crank_fail(EINVAL,
            "the key in %.200s is under a pass phrase, which is never asked for; without one: "
            "openssl pkey -in %.200s -out plain.key",
            p->path, p->path);
    if (!memmem(p->data, p->size, mark, sizeof mark - 1))
        return crank_fail(EINVAL,
            "%.200s has no key: a PEM file has a line -----BEGIN PRIVATE KEY-----", p->path);
    return cr_tls_reason_fail(EINVAL, "%.200s has a key that cannot be used", p->path);
}

/* OpenSSL compares it with the certificate that the context has. */
static int use_key(SSL_CTX *context, EVP_PKEY *key, const char *path, const char *certificate)
{
    if (SSL_CTX_use_PrivateKey(context, key) && SSL_CTX_check_private_key(context))
        return 0;
    if (ERR_GET_LIB(ERR_peek_last_error()) == ERR_LIB_X509)
        return crank_fail(EINVAL, "the key in %.200s is not that of the certificate in %.200s",
            path, certificate);
    return cr_tls_reason_fail(EINVAL, "%.200s has a key that cannot be used", path);
}

static int load_key(
    SSL_CTX *context, OSSL_LIB_CTX *library, const char *path, const char *certificate)
{
    pem p;
    bool asked = false;
    int err = open_pem(&p, path);
    if (err < 0)
        return err;
    EVP_PKEY *key = PEM_read_bio_PrivateKey_ex(p.bio, NULL, refuse_phrase, &asked, library, NULL);
    err = key ? use_key(context, key, path, certificate) : refuse_key(&p, asked);
    EVP_PKEY_free(key);
    close_pem(&p);
    return err;
}

int cr_tls_identity_load(
    SSL_CTX *context, OSSL_LIB_CTX *library, const char *certificate, const char *key)
{
    int err = load_chain(context, library, certificate);
    return err < 0 ? err : load_key(context, library, key ? key : certificate, certificate);
}

/* ---- Trusted ones ---- */

/* Each one for itself, also where it is no authority's: a server's own is enough. */
static int add_trusted(SSL_CTX *context, OSSL_LIB_CTX *library, const pem *p)
{
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
    size_t count = 0;
    bool good = true;
    for (X509 *certificate; good && (certificate = next_certificate(p, library)); count++) {
        good = X509_STORE_add_cert(store, certificate);
        X509_free(certificate);
    }
    return good && count > 0 && is_at_end() ? 0 : refuse_certificate(p->path);
}

static int trust_system(SSL_CTX *context)
{
    return SSL_CTX_set_default_verify_paths(context)
               ? 0
               : cr_tls_reason_fail(ENOMEM, "what the system trusts cannot be read");
}

/* OpenSSL looks into a folder when it is shown a certificate: by a name that is a hash. */
static int trust_folder(SSL_CTX *context, const char *path)
{
    crank_error_clear();
    return SSL_CTX_load_verify_dir(context, path)
               ? 0
               : cr_tls_reason_fail(EINVAL, "%.200s cannot be used", path);
}

int cr_tls_identity_trust(SSL_CTX *context, OSSL_LIB_CTX *library, const char *path)
{
    pem p;
    if (!path)
        return trust_system(context);
    int err = open_pem(&p, path);
    if (err == -EISDIR)
        return trust_folder(context, path);
    if (err < 0)
        return err;
    err = add_trusted(context, library, &p);
    close_pem(&p);
    return err;
}
