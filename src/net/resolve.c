/* SPDX-License-Identifier: MIT */
/* resolve.c: from a host's name to its addresses.
 *
 * Owns the wait for an answer, and what needs no lookup: numbers, and "localhost", which is the
 * loopback of both families on every machine (RFC 6761), whatever a hosts file lacks. Under the
 * simulator the names are the world's, which needs no thread: it answers in the same instant, or
 * when it was told to. */
#include "net/resolve.h"

#include <string.h>
#include <strings.h>

#include <crank/task.h>
#include "backend/sim.h"
#include "base/check.h"
#include "base/text.h"
#include "net/lookup.h"
#include "task/error.h"
#include "world/resolver.h"

/* ---- Waiting for the answer ---- */

/* The thread that asks goes on; the task does not wait for it. */
static bool abort_lookup(cr_task *task)
{
    cr_lookup_abandon(task->wait_object);
    return true;
}

static size_t describe_lookup(const cr_task *task, char *buf, size_t size)
{
    const cr_lookup *lookup = task->wait_object;
    return cr_text_format(buf, size, "%s", lookup->question->name);
}

static const cr_wait_ops lookup_wait = {
    .what = "waits for the addresses of",
    .hibernatable = true,
    .abort = abort_lookup,
    .describe = describe_lookup,
};

typedef struct answer {
    int count; /* or a negative errno */
    struct sockaddr_in6 addresses[CR_LOOKUP_MAX];
} answer;

/* The answer is copied: the question is freed with its last lookup. */
static int ask_threads(const cr_caller *w, const char *name, answer *ret_answer)
{
    cr_lookup *lookup;
    int err = cr_checkpoint_again(w);
    if (err == 0)
        err = cr_lookup_begin(w->loop, w->self, name, &lookup);
    if (err < 0)
        return err;
    w->self->wait_object = lookup;
    err = cr_park_int(w, &lookup_wait);
    if (err < 0)
        return err;
    int count = lookup->question->result;
    if (count > 0)
        memcpy(ret_answer->addresses, lookup->question->addresses,
            (size_t)count * sizeof *ret_answer->addresses);
    cr_lookup_end(lookup);
    return count;
}

/* Also as a name that ends in a dot, which means that nothing is to be added to it. */
static bool is_localhost(const char *name)
{
    return strcasecmp(name, "localhost") == 0 || strcasecmp(name, "localhost.") == 0;
}

/* IPv6 first, as resolvers sort them. */
static int answer_localhost(answer *ret_answer)
{
    const struct sockaddr_in v4 = { .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    ret_answer->addresses[0] =
        (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    memset(&ret_answer->addresses[1], 0, sizeof *ret_answer->addresses);
    memcpy(&ret_answer->addresses[1], &v4, sizeof v4);
    return 2;
}

/* The others run meanwhile, as they would beside a thread. */
static int ask_world(const cr_caller *w, const char *name, answer *ret_answer)
{
    const cr_sys *sys = w->loop->sys;
    int64_t delay = cr_resolver_delay(cr_sim_world(w->loop->backend), name);
    int err = crank_sleep((double)delay / (double)CR_SECOND);
    if (err < 0)
        return err;
    return sys->resolve(sys->context, name, ret_answer->addresses, CR_LOOKUP_MAX);
}

static int look_up(const cr_caller *w, const char *name, answer *ret_answer)
{
    if (is_localhost(name))
        return answer_localhost(ret_answer);
    return w->loop->simulated ? ask_world(w, name, ret_answer) : ask_threads(w, name, ret_answer);
}

/* What a failed lookup says. */
static int refuse(const cr_caller *w, const char *name, int err)
{
    if (err == -ECANCELED)
        return cr_error_set_cut("looking up %s was cut short", name);
    if (err == -ENOENT && w->loop->simulated)
        return cr_error_set(
            err, "no host of the simulated network is called %s; crank_sim_name gives names", name);
    if (err == -ENOENT)
        return cr_error_set(err, "no host is called %s", name);
    if (err == -EAGAIN)
        return cr_error_set(err, "no name server has answered for %s", name);
    return cr_error_set(err, "cannot look up %s: %s", name, cr_failure_error_words(err));
}

/* ---- The addresses ---- */

static crank_address with_port(const struct sockaddr_in6 *from, unsigned port)
{
    crank_address address;
    cr_address_from_sockaddr(&address, (const struct sockaddr *)from, sizeof *from);
    return cr_address_with_port(&address, port);
}

/* In heap memory: 64 addresses are too much for a small stack. */
static int resolve_name(
    const cr_caller *w, const cr_address_parts *parts, cr_resolved **ret_resolved)
{
    const cr_sys *sys = w->loop->sys;
    answer *found = cr_alloc(sys, sizeof *found);
    int count = found ? look_up(w, parts->name, found) : -ENOMEM;
    if (count < 0) {
        cr_free(sys, found);
        return refuse(w, parts->name, count);
    }
    cr_resolved *resolved =
        cr_alloc(sys, sizeof *resolved + (size_t)count * sizeof *resolved->addresses);
    for (int i = 0; resolved && i < count; i++)
        resolved->addresses[i] = with_port(&found->addresses[i], parts->port);
    cr_free(sys, found);
    if (!resolved)
        return refuse(w, parts->name, -ENOMEM);
    resolved->count = (size_t)count;
    resolved->named = true;
    *ret_resolved = resolved;
    return 0;
}

int cr_resolve_parts(
    const cr_caller *w, const char *text, const cr_address_parts *parts, cr_resolved **ret_resolved)
{
    if (parts->kind == CR_ADDRESS_NAME)
        return resolve_name(w, parts, ret_resolved);
    if (parts->kind == CR_ADDRESS_ANY)
        return cr_error_set(
            -EINVAL, "cannot connect to %s: it means all interfaces; name one", text);
    cr_resolved *resolved = cr_alloc(w->loop->sys, sizeof *resolved + sizeof *resolved->addresses);
    if (!resolved)
        return cr_error_set(-ENOMEM, "%s: out of memory", text);
    resolved->count = 1;
    resolved->named = false;
    resolved->addresses[0] = parts->address;
    *ret_resolved = resolved;
    return 0;
}

static ssize_t resolve(const char *name, unsigned port, crank_address *ret_addresses, size_t max)
{
    cr_caller w;
    cr_address_parts parts;
    cr_resolved *resolved;
    int err = cr_checkpoint(&w, "crank_resolve");
    if (err < 0)
        return err;
    if (port > UINT16_MAX)
        return cr_error_set(-EINVAL, "crank_resolve: the port %u is above 65535", port);
    err = cr_address_split_host(name, port, &parts);
    if (err == 0)
        err = cr_resolve_parts(&w, name, &parts, &resolved);
    if (err < 0)
        return err;
    size_t count = resolved->count;
    for (size_t i = 0; i < count && i < max; i++)
        ret_addresses[i] = resolved->addresses[i];
    cr_free(w.loop->sys, resolved);
    return (ssize_t)count;
}

ssize_t crank_resolve(const char *name, unsigned port, crank_address *ret_addresses, size_t max)
{
    CR_CHECK(name, "crank_resolve: the name is NULL");
    CR_CHECK(ret_addresses || max == 0, "crank_resolve: where to put the addresses is NULL");
    return resolve(name, port, ret_addresses, max);
}
