/* SPDX-License-Identifier: MIT */
/* simulated.c: OpenSSL's chance, from the simulator's seed.
 *
 * A library context of its own has one provider more, whose random numbers are crank_random's; it
 * is named before the first number is drawn, for OpenSSL keeps to the kind that it began with. The
 * default context of the process, with which all else is done, stays as it is. */
#include "tls/simulated.h"

#include <crank/layer.h>
#include <crank/run.h>
#include <limits.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <string.h>

#define KIND "CRANK-SEED"
enum { STRENGTH_BITS = 256 };

bool cr_tls_simulated_now(void)
{
    const char *backend = crank_backend_name();
    return backend && strcmp(backend, "sim") == 0;
}

/* ---- The generator: it has no state, so that the provider's stands for it ---- */

static void *new_generator(void *provider, void *parent, const OSSL_DISPATCH *parent_calls)
{
    (void)parent, (void)parent_calls;
    return provider;
}
static void free_generator(void *generator) { (void)generator; }

static int instantiate(void *generator, unsigned strength, int prediction_resistance,
    const unsigned char *text, size_t size, const OSSL_PARAM params[])
{
    (void)generator, (void)strength, (void)prediction_resistance;
    (void)text, (void)size, (void)params;
    return 1;
}
static int uninstantiate(void *generator)
{
    (void)generator;
    return 1;
}

static int generate(void *generator, unsigned char *out, size_t size, unsigned strength,
    int prediction_resistance, const unsigned char *more, size_t more_size)
{
    (void)generator, (void)strength, (void)prediction_resistance, (void)more, (void)more_size;
    for (size_t at = 0; at < size;) {
        uint64_t number = crank_random();
        size_t n = size - at < sizeof number ? size - at : sizeof number;
        memcpy(out + at, &number, n);
        at += n;
    }
    return 1;
}

static int enable_locking(void *generator)
{
    (void)generator;
    return 1;
}
static int lock(void *generator)
{
    (void)generator;
    return 1;
}
static void unlock(void *generator) { (void)generator; }

static int get_params(void *generator, OSSL_PARAM params[])
{
    (void)generator;
    OSSL_PARAM *state = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_STATE);
    OSSL_PARAM *strength = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_STRENGTH);
    OSSL_PARAM *most = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_MAX_REQUEST);
    return (!state || OSSL_PARAM_set_int(state, EVP_RAND_STATE_READY)) &&
           (!strength || OSSL_PARAM_set_uint(strength, STRENGTH_BITS)) &&
           (!most || OSSL_PARAM_set_size_t(most, INT_MAX));
}

#define CALL(number, function) \
    { \
        (number), (void (*)(void))(function) \
    }
static const OSSL_DISPATCH generator_calls[] = {
    CALL(OSSL_FUNC_RAND_NEWCTX, new_generator),
    CALL(OSSL_FUNC_RAND_FREECTX, free_generator),
    CALL(OSSL_FUNC_RAND_INSTANTIATE, instantiate),
    CALL(OSSL_FUNC_RAND_UNINSTANTIATE, uninstantiate),
    CALL(OSSL_FUNC_RAND_GENERATE, generate),
    CALL(OSSL_FUNC_RAND_ENABLE_LOCKING, enable_locking),
    CALL(OSSL_FUNC_RAND_LOCK, lock),
    CALL(OSSL_FUNC_RAND_UNLOCK, unlock),
    CALL(OSSL_FUNC_RAND_GET_CTX_PARAMS, get_params),
    { 0, NULL },
};

/* ---- The provider ---- */

static const OSSL_ALGORITHM generators[] = {
    { KIND, "provider=crank", generator_calls, "the seed of a simulated run" },
    { NULL, NULL, NULL, NULL },
};

static const OSSL_ALGORITHM *query(void *provider, int operation, int *ret_no_cache)
{
    (void)provider;
    *ret_no_cache = 0;
    return operation == OSSL_OP_RAND ? generators : NULL;
}

static const OSSL_DISPATCH provider_calls[] = {
    CALL(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
    { 0, NULL },
};

static int open_provider(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *core,
    const OSSL_DISPATCH **ret_calls, void **ret_provider)
{
    (void)core;
    *ret_calls = provider_calls;
    *ret_provider = (void *)(uintptr_t)handle;
    return 1;
}

bool cr_tls_simulated_open(cr_tls_simulated *s)
{
    *s = (cr_tls_simulated){ .library = OSSL_LIB_CTX_new() };
    if (!s->library || !OSSL_PROVIDER_add_builtin(s->library, "crank", open_provider))
        return false;
    s->seed = OSSL_PROVIDER_load(s->library, "crank");
    s->usual = OSSL_PROVIDER_load(s->library, "default");
    return s->seed && s->usual &&
           RAND_set_DRBG_type(s->library, KIND, "provider=crank", NULL, NULL);
}

void cr_tls_simulated_close(cr_tls_simulated *s)
{
    if (s->seed)
        (void)OSSL_PROVIDER_unload(s->seed);
    if (s->usual)
        (void)OSSL_PROVIDER_unload(s->usual);
    OSSL_LIB_CTX_free(s->library);
}
