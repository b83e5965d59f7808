/* SPDX-License-Identifier: MIT */
/* certs.h: what tests of TLS share: certificates, which are made when the program starts, and pairs of streams.
 *
 * A file is a memfd of the test's own, named by /proc, so that none is left. OpenSSL allocates much once per process:
 * what is made here has it do that before the audit looks. */
#ifndef CERTS_H
#define CERTS_H
#include <crank/tls.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/mman.h>
#include <unistd.h>
#include "test.h"

/* A sanitizer brings its own malloc and its own report of leaks, which knows what a thread still has. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CERTS_SANITIZED 1
#elif defined(__has_feature)
#define CERTS_SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define CERTS_SANITIZED 0
#endif

enum { CERTS_PEM_MAX = 2048, CERTS_SEEN_MAX = 64 };

/* Of one certificate, as PEM. */
typedef struct certs_pem {
    char certificate[CERTS_PEM_MAX], key[CERTS_PEM_MAX];
} certs_pem;

/* What a certificate is made of; zeros: by the authority of the tests, from 2025 to 2045. */
typedef struct certs_wanted {
    const char *name;        /* CN=... */
    const char *hosts;       /* "DNS:localhost,IP:127.0.0.1"; NULL: none */
    const certs_pem *issuer; /* NULL: it is signed by itself */
    bool is_authority;
    const char *from, *until; /* "20250101000000Z" */
} certs_wanted;

static inline void certs_need(bool good, const char *what)
{
    if (!good)
        test_fail(__FILE__, __LINE__, "OpenSSL: %s: %s", what, ERR_reason_error_string(ERR_peek_error()));
}

/* 0 or more, or the test fails: where tasks of its own would go on with what is its own. */
#define CERTS_OK(call) \
    do { \
        long certs_result_ = (long)(call); \
        if (certs_result_ < 0) \
            test_fail(__FILE__, __LINE__, "%s gives %ld: %s", #call, certs_result_, crank_error()); \
    } while (0)

static inline void *certs_have(void *object, const char *file, int line)
{
    if (!object)
        test_fail(file, line, "there is none: %s", crank_error());
    return object;
}
/* The same of what is made, or answered. */
#define CERTS_HAVE(object) ((__typeof__(object))certs_have((object), __FILE__, __LINE__))

static inline void certs_extend(X509 *certificate, int kind, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, kind, value);
    certs_need(extension && X509_add_ext(certificate, extension, -1), value);
    X509_EXTENSION_free(extension);
}

static inline void certs_write(X509 *certificate, EVP_PKEY *key, certs_pem *ret_pem)
{
    BIO *bio = BIO_new(BIO_s_mem());
    certs_need(bio && PEM_write_bio_X509(bio, certificate), "a certificate is written");
    int n = BIO_read(bio, ret_pem->certificate, CERTS_PEM_MAX - 1);
    ret_pem->certificate[n > 0 ? n : 0] = '\0';
    certs_need(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), "a key is written");
    n = BIO_read(bio, ret_pem->key, CERTS_PEM_MAX - 1);
    ret_pem->key[n > 0 ? n : 0] = '\0';
    BIO_free(bio);
}

static inline X509 *certs_read(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return certificate;
}
static inline EVP_PKEY *certs_read_key(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return key;
}

static inline void certs_make(const certs_wanted *wanted, certs_pem *ret_pem)
{
    static long serial = 1;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *made = X509_new(), *issuer = wanted->issuer ? certs_read(wanted->issuer->certificate) : NULL;
    EVP_PKEY *signer = wanted->issuer ? certs_read_key(wanted->issuer->key) : key;
    X509_NAME *name = X509_get_subject_name(made);
    X509_set_version(made, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made), serial++);
    ASN1_TIME_set_string(X509_getm_notBefore(made), wanted->from ? wanted->from : "20250101000000Z");
    ASN1_TIME_set_string(X509_getm_notAfter(made), wanted->until ? wanted->until : "20450101000000Z");
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)wanted->name, -1, -1, 0);
    X509_set_issuer_name(made, issuer ? X509_get_subject_name(issuer) : name);
    X509_set_pubkey(made, key);
    certs_extend(made, NID_basic_constraints, wanted->is_authority ? "critical,CA:TRUE" : "CA:FALSE");
    if (wanted->hosts)
        certs_extend(made, NID_subject_alt_name, wanted->hosts);
    certs_need(X509_sign(made, signer, EVP_sha256()), "a certificate is signed");
    certs_write(made, key, ret_pem);
    X509_free(made);
    X509_free(issuer);
    if (signer != key)
        EVP_PKEY_free(signer);
    EVP_PKEY_free(key);
}

/* ---- What all tests have ---- */

/* Of what OpenSSL allocates all is counted but what a thread's queue of errors keeps for the next error, which is no
 * more than its sixteen places have. */
static inline bool certs_is_kept(const char *file) { return file && strstr(file, "/err/"); }
void *__libc_malloc(size_t size);
void *__libc_realloc(void *memory, size_t size);
static inline void *certs_allocate(size_t size, const char *file, int line)
{
    (void)line;
    return certs_is_kept(file) && !CERTS_SANITIZED ? __libc_malloc(size) : malloc(size);
}
static inline void *certs_resize(void *memory, size_t size, const char *file, int line)
{
    (void)line;
    return certs_is_kept(file) && !CERTS_SANITIZED ? __libc_realloc(memory, size) : realloc(memory, size);
}
static inline void certs_free(void *memory, const char *file, int line)
{
    (void)file, (void)line;
    free(memory);
}

/* One of each in a program of several files. */
__attribute__((weak)) certs_pem certs_authority, certs_localhost;
__attribute__((weak)) bool certs_made;

static inline void certs_move(BIO *from, BIO *to)
{
    char bytes[4096];
    for (int n; (n = BIO_read(from, bytes, sizeof bytes)) > 0;)
        certs_need(BIO_write(to, bytes, n) == n, "bytes are moved");
}

/* A handshake in memory, so that what OpenSSL keeps for good is there. */
static inline void certs_shake_once(int version)
{
    SSL_CTX *contexts[] = { SSL_CTX_new(TLS_server_method()), SSL_CTX_new(TLS_client_method()) };
    SSL *sides[2];
    BIO *in[2], *out[2];
    X509 *certificate = certs_read(certs_localhost.certificate), *trusted = certs_read(certs_authority.certificate);
    EVP_PKEY *key = certs_read_key(certs_localhost.key);
    char byte = 'x';
    SSL_CTX_use_certificate(contexts[0], certificate);
    SSL_CTX_use_PrivateKey(contexts[0], key);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(contexts[1]), trusted);
    SSL_CTX_set_default_verify_paths(contexts[1]);
    SSL_CTX_set_verify(contexts[1], SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_max_proto_version(contexts[1], version);
    for (int i = 0; i < 2; i++) {
        sides[i] = SSL_new(contexts[i]);
        in[i] = BIO_new(BIO_s_mem());
        out[i] = BIO_new(BIO_s_mem());
        SSL_set_bio(sides[i], in[i], out[i]);
    }
    SSL_set_accept_state(sides[0]);
    SSL_set_connect_state(sides[1]);
    SSL_set1_host(sides[1], "localhost");
    for (int round = 0; round < 4; round++)
        for (int i = 1; i >= 0; i--) {
            SSL_do_handshake(sides[i]);
            certs_move(out[i], in[1 - i]);
        }
    certs_need(SSL_write(sides[1], &byte, 1) == 1, "a byte is written");
    certs_move(out[1], in[0]);
    certs_need(SSL_read(sides[0], &byte, 1) == 1, "a byte is read");
    for (int i = 0; i < 2; i++) {
        SSL_free(sides[i]);
        SSL_CTX_free(contexts[i]);
    }
    X509_free(certificate);
    X509_free(trusted);
    EVP_PKEY_free(key);
    ERR_clear_error();
}

__attribute__((constructor)) static inline void certs_begin(void)
{
    if (certs_made)
        return;
    certs_made = true;
    CRYPTO_set_mem_functions(certs_allocate, certs_resize, certs_free);
    certs_make(&(certs_wanted){ .name = "the tests' authority", .is_authority = true }, &certs_authority);
    certs_make(
        &(certs_wanted){ .name = "localhost", .hosts = "DNS:localhost,IP:127.0.0.1", .issuer = &certs_authority },
        &certs_localhost);
    certs_shake_once(TLS1_2_VERSION);
    certs_shake_once(TLS1_3_VERSION);
}

/* The path of a file with this text, which lasts as long as the test. */
static inline const char *certs_file(const char *text)
{
    char *path = test_memory(32);
    int fd = test_descriptor(memfd_create("pem", MFD_CLOEXEC));
    if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        test_fail(__FILE__, __LINE__, "a file cannot be written");
    snprintf(path, 32, "/proc/self/fd/%d", fd);
    return path;
}

static inline crank_tls *certs_server(const certs_pem *pem)
{
    crank_tls *tls = crank_tls_server(certs_file(pem->certificate), certs_file(pem->key));
    if (!tls)
        test_fail(__FILE__, __LINE__, "no server: %s", crank_error());
    return tls;
}
/* One that trusts the tests' authority. */
static inline crank_tls *certs_client(void)
{
    crank_tls *tls = crank_tls_client(certs_file(certs_authority.certificate));
    if (!tls)
        test_fail(__FILE__, __LINE__, "no client: %s", crank_error());
    return tls;
}

/* ---- Pairs of streams ---- */

static inline int certs_accept(crank_tls *server, crank_stream **stream)
{
    return crank_tls_start(server, stream, NULL);
}

/* What was said of the client's failure in certs_shake. */
__attribute__((weak)) char certs_said[600];

/* Shake hands over two streams that are connected, at once: what the client's side gives; *ret_accepted is the
 * server's. */
static inline int certs_shake(crank_tls *client, const char *name, crank_stream **here, crank_tls *server,
    crank_stream **there, int *ret_accepted)
{
    crank_task *accepting = crank_spawn(certs_accept, server, there);
    int err = crank_tls_start(client, here, name);
    snprintf(certs_said, sizeof certs_said, "%s", crank_error());
    *ret_accepted = (int)crank_await(accepting);
    return err;
}

/* An encrypted pair, for localhost. */
static inline void certs_pair(crank_stream **here, crank_stream **there)
{
    CRANK_AUTO_TLS crank_tls *server = certs_server(&certs_localhost);
    CRANK_AUTO_TLS crank_tls *client = certs_client();
    int accepted;
    EXPECT_EQ(crank_socket_pair(here, there), 0);
    int err = certs_shake(client, "localhost", here, server, there, &accepted);
    if (err < 0 || accepted < 0)
        test_fail(__FILE__, __LINE__, "no pair: %s", crank_error());
}
#endif
