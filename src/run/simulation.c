/* SPDX-License-Identifier: MIT */
/* simulation.c: crank/sim.h, the simulated network as a program sees it.
 *
 * Owns on which host a task is: an internal task-local, so that it is inherited as they are, and a
 * task on host 0 has none. The simulator alone pays for it: the network asks for the running task's
 * host when a socket is made or a name is looked up. All else is handed to the world
 * (world/hosts.h, world/net.h), which knows hosts by number.
 *
 * It stands this high because a host's end is that of its tasks. Outside the simulator a call that
 * only changes what the network is like does nothing, so that a test runs there too. */
#include <crank/scope.h>
#include <crank/sim.h>

#include <string.h>

#include "backend/sim.h"
#include "scope/cancel.h"
#include "net/address.h"
#include "scope/join.h"
#include "task/error.h"
#include "task/local.h"
#include "task/sleep.h"
#include "world/hosts.h"
#include "world/net.h"
#include "world/resolver.h"
#include "world/weather.h"
#include "world/world.h"

/* ---- Which host ---- */

static const crank_local host_key;

static int host_of(const cr_task *task) { return (int)(intptr_t)cr_local_of(task, &host_key); }

static int here(void)
{
    const cr_task *self = cr_self();
    return self ? host_of(self) : 0;
}

int crank_sim_host_id(void) { return here(); }

/* NULL: nothing is simulated. */
static cr_world *world_of(const char *call)
{
    const crank_loop *loop = cr_checked_loop(call);
    return loop->simulated ? cr_sim_world(loop->backend) : NULL;
}

/* What makes something go wrong must not seem to have done so. */
static int not_simulated(const char *call)
{
    return cr_error_set(-ENOTSUP, "%s: this run is not simulated; CRANK_BACKEND=sim is", call);
}

/* A host's number, or CR_HOST_EVERY. */
static int find(const cr_world *world, const char *name, const char *call, int *ret_host)
{
    int host = name ? cr_host_find(world, name) : CR_HOST_EVERY;
    *ret_host = host;
    if (host == -ENOENT)
        return cr_error_set(host,
            "%s: no host of the simulated network is called %s; crank_sim_host makes one", call,
            name);
    return 0;
}

static int find_two(const cr_world *world, const char *names[2], const char *call, int ret_hosts[2])
{
    int err = find(world, names[0], call, &ret_hosts[0]);
    return err < 0 ? err : find(world, names[1], call, &ret_hosts[1]);
}

/* ---- Hosts ---- */

/* As a spawn fails; the captured call is given up with the next one. */
static crank_task *no_host(int err, const char *name)
{
    (void)cr_error_set(
        err, "crank_sim_host: cannot make the host %s: %s", name, cr_failure_error_words(err));
    errno = -err;
    return NULL;
}

/* The task takes the host from its parent, which has it for as long as the spawn takes. */
crank_task *crank_sim_host_(const char *name, crank_function_ *fn, const crank_site *site)
{
    struct cr_locals *before;
    cr_task *self = cr_checked_self("crank_sim_host");
    cr_world *world = world_of("crank_sim_host");
    CR_CHECK(name && *name, "crank_sim_host: the host has no name");
    if (!world)
        return crank_spawn_(0, fn, site);
    int host = cr_host_add(world, name);
    int err = host < 0 ? host : cr_local_replace(self, &host_key, (void *)(intptr_t)host, &before);
    if (err < 0)
        return no_host(err, name);
    world->net.hosts.here = here;
    cr_net_start(world, host);
    crank_task *task = crank_spawn_(0, fn, site);
    cr_local_restore(self, before);
    return task;
}

/* ---- Links ---- */

/* Also true of what is not a number. */
static bool is_wrong(double value) { return !(value >= 0); }

/* Also true of what is not a number. */
static bool is_no_share(double value) { return !(value >= 0 && value <= 1); }

/* The fields are looked at outside the simulator too: a test that is wrong is wrong everywhere. */
int crank_sim_set_link(const char *from, const char *to, const crank_sim_link *link)
{
    int hosts[2];
    cr_world *world = world_of("crank_sim_set_link");
    CR_CHECK(link, "crank_sim_set_link: the link is NULL");
    if (is_wrong(link->latency) || is_wrong(link->jitter) || is_wrong(link->tail) ||
        is_wrong(link->bandwidth))
        return cr_error_set(-EINVAL, "crank_sim_set_link: a field is negative or not a number");
    if (is_no_share(link->loss) || is_no_share(link->copies))
        return cr_error_set(-EINVAL, "crank_sim_set_link: loss and copies are shares, from 0 to 1");
    if (!world)
        return 0;
    int err = find_two(world, (const char *[2]){ from, to }, "crank_sim_set_link", hosts);
    if (err < 0)
        return err;
    cr_link set = cr_weather_link(link->latency, link->jitter, link->tail, link->bandwidth);
    set.loss = link->loss;
    set.copies = link->copies;
    cr_host_link(world, hosts[0], hosts[1], &set);
    return 0;
}

int crank_sim_cut(const char *from, const char *to, bool one_way)
{
    int hosts[2];
    cr_world *world = world_of("crank_sim_cut");
    if (!world)
        return not_simulated("crank_sim_cut");
    int err = find_two(world, (const char *[2]){ from, to }, "crank_sim_cut", hosts);
    if (err < 0)
        return err;
    cr_net_cut(world, hosts[0], hosts[1]);
    if (!one_way)
        cr_net_cut(world, hosts[1], hosts[0]);
    return 0;
}

/* Both ways, whichever was cut: the two calls are alike where a host is every host. */
int crank_sim_heal(const char *from, const char *to)
{
    int hosts[2];
    cr_world *world = world_of("crank_sim_heal");
    if (!world)
        return 0;
    int err = find_two(world, (const char *[2]){ from, to }, "crank_sim_heal", hosts);
    if (err < 0)
        return err;
    cr_net_heal(world, hosts[0], hosts[1]);
    cr_net_heal(world, hosts[1], hosts[0]);
    return 0;
}

int crank_sim_reset(const char *a, const char *b)
{
    int hosts[2];
    cr_world *world = world_of("crank_sim_reset");
    if (!world)
        return not_simulated("crank_sim_reset");
    int err = find_two(world, (const char *[2]){ a, b }, "crank_sim_reset", hosts);
    if (err < 0)
        return err;
    cr_net_reset(world, hosts[0], hosts[1]);
    cr_net_reset(world, hosts[1], hosts[0]);
    return 0;
}

/* ---- Faults and names ---- */

int crank_sim_set_faults(const crank_sim_faults *faults)
{
    cr_world *world = world_of("crank_sim_set_faults");
    CR_CHECK(faults, "crank_sim_set_faults: the faults are NULL; zeros are none");
    if (is_no_share(faults->refuse) || is_no_share(faults->reset) || is_no_share(faults->half) ||
        is_no_share(faults->accept) || is_no_share(faults->lookup) || is_no_share(faults->spawn))
        return cr_error_set(-EINVAL, "crank_sim_set_faults: a share is not from 0 to 1");
    if (!world)
        return not_simulated("crank_sim_set_faults");
    world->net.faults = (cr_faults){ faults->refuse, faults->reset, faults->half, faults->accept,
        faults->lookup, faults->spawn };
    return 0;
}

/* One address, or those of a host: how many are filled in. */
static int read_address(
    const cr_world *world, const char *text, struct sockaddr_in6 ret_addresses[2])
{
    cr_address_parts parts;
    socklen_t size;
    int err = cr_address_split_host(text, 0, &parts);
    if (err < 0)
        return err;
    if (parts.kind == CR_ADDRESS_NAME)
        return cr_resolver_host(world, parts.name, ret_addresses);
    if (parts.kind != CR_ADDRESS_NUMBER)
        return -EINVAL;
    const struct sockaddr *address = cr_address_sockaddr(&parts.address, &size);
    memset(&ret_addresses[0], 0, sizeof ret_addresses[0]);
    memcpy(&ret_addresses[0], address, size);
    return 1;
}

/* Blanks may stand around a comma. */
static int read_addresses(const cr_world *world, const char *text, cr_known *known)
{
    while (*(text += strspn(text, ", "))) {
        char one[CR_KNOWN_NAME_MAX + 1];
        size_t length = strcspn(text, ", ");
        if (length >= sizeof one || known->count + 2 > CR_KNOWN_MAX)
            return -E2BIG;
        memcpy(one, text, length);
        one[length] = '\0';
        int n = read_address(world, one, &known->addresses[known->count]);
        if (n < 0)
            return n;
        known->count += (unsigned)n;
        text += length;
    }
    return known->count > 0 ? 0 : -EINVAL;
}

static int cannot_name(const char *name, const char *why, int err)
{
    return cr_error_set(err, "crank_sim_name: cannot name %s: %s", name, why);
}

/* Nothing is known of the name until all of it has been read: a copy is given away last. */
int crank_sim_name(const char *name, const char *addresses, int error, double delay)
{
    cr_known known = { .error = error };
    cr_world *world = world_of("crank_sim_name");
    CR_CHECK(name, "crank_sim_name: the name is NULL");
    size_t length = strlen(name);
    if (length == 0 || length > CR_KNOWN_NAME_MAX)
        return cr_error_set(-EINVAL, "crank_sim_name: a name has 1 to 253 bytes");
    if (is_wrong(delay) || error > 0 || !addresses != (error < 0))
        return cannot_name(
            name, "it has either addresses or a negative error, and a delay from 0", -EINVAL);
    if (!world)
        return 0;
    memcpy(known.name, name, length);
    known.delay = cr_loop_nanoseconds(delay);
    int err = addresses ? read_addresses(world, addresses, &known) : 0;
    if (err == 0)
        err = cr_resolver_give(world, &known);
    return err < 0 ? cannot_name(name, cr_failure_error_words(err), err) : 0;
}

/* ---- Settling ---- */

/* State of one wait, on the waiting task's stack. */
typedef struct settling {
    int64_t cushion;
    uint64_t switches; /* when the timer was started: while it waits others alone are counted */
} settling;

static bool abort_settling(cr_task *task)
{
    cr_timer_stop(cr_loop_here, &task->timer);
    return true;
}

/* Once more, if any other task has run meanwhile. */
static void settling_due(crank_loop *loop, cr_task *self)
{
    settling *s = self->wait_object;
    int err = 0;
    bool quiet = s->switches == loop->runner.switches;
    s->switches = loop->runner.switches;
    if (!quiet)
        err = cr_timer_start(loop, &self->timer, CR_TIMER_TASK, cr_after(cr_now(loop), s->cushion));
    if (quiet || err < 0)
        cr_wake(loop, self, err);
}

static const cr_wait_ops settling_wait = {
    .what = "waits until nothing else runs for",
    .abort = abort_settling,
    .on_timeout = settling_due,
    .describe = cr_sleep_describe,
};

/* Virtual time passes only when nothing is ready: a timer that is due has waited for all that could
 * run before. So a cushion of nothing is a nanosecond. For real it is one turn at least. */
int crank_sim_settle(double cushion)
{
    cr_caller w;
    int err = cr_checkpoint(&w, "crank_sim_settle");
    if (err < 0)
        return err;
    if (is_wrong(cushion))
        return cr_error_set(-EINVAL, "crank_sim_settle: the cushion is not a number from 0");
    int64_t span = cr_loop_nanoseconds(cushion);
    settling s = { .cushion = span > 0 ? span : 1, .switches = w.loop->runner.switches };
    err =
        cr_timer_start(w.loop, &w.self->timer, CR_TIMER_TASK, cr_after(cr_now(w.loop), s.cushion));
    if (err == 0) {
        w.self->wait_object = &s;
        err = (int)cr_park(&w, &settling_wait);
    }
    return err == -ENOMEM ? cr_error_set(err, "crank_sim_settle: out of memory for a timer") : err;
}

/* ---- Power ---- */

/* Futures have no host: they end with the tasks that wait for them, or by those that own them. */
static bool lives_on(const cr_task *task, int host)
{
    return task->fiber.life != CR_ENDED && host_of(task) == host;
}

/* A task of the host, each of which is asked to end once; NULL: none is left. A request may end
 * others, too. */
static cr_task *cancel_all(crank_loop *loop, int host)
{
    cr_task_state *tasks = cr_task_state_of(loop);
    cr_task *task;
    size_t at = 0;
    while ((task = cr_record_next(tasks, &at)))
        if (lives_on(task, host) && cr_task_requests(task) == 0)
            (void)cr_cancel_task(loop, task);
    at = 0;
    do
        task = cr_record_next(tasks, &at);
    while (task && !lives_on(task, host));
    return task;
}

/* What they spawn while they end is asked to end with the next round. */
static int end_all(crank_loop *loop, int host)
{
    cr_task *task;
    while ((task = cancel_all(loop, host))) {
        crank_task *handle = cr_task_handle(task);
        ssize_t ended = crank_wait(&handle, 1, CRANK_ALL_COMPLETED, CRANK_FOREVER);
        if (ended < 0)
            return (int)ended;
    }
    return 0;
}

/* The network first: what the tasks do while they end reaches no peer. */
int crank_sim_kill(const char *name)
{
    cr_caller w;
    int host;
    CR_CHECK(name, "crank_sim_kill: the host's name is NULL");
    int err = cr_checkpoint(&w, "crank_sim_kill");
    if (err < 0)
        return err;
    cr_world *world = world_of("crank_sim_kill");
    if (!world)
        return not_simulated("crank_sim_kill");
    err = find(world, name, "crank_sim_kill", &host);
    if (err < 0)
        return err;
    CR_CHECK(host != 0 && host != host_of(w.self),
        "crank_sim_kill: the caller waits for the tasks of %s, and is one of them or their child",
        name);
    cr_net_kill(world, host);
    return end_all(w.loop, host);
}
