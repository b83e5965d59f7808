/* SPDX-License-Identifier: MIT */
/* main.c: what ./bench does, in order: read the command line, prepare those who take part, measure,
 * show.
 *
 * Contenders take turns within a workload, so that a warm or a noisy minute falls on all of them.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "driver.h"

#define DISTURBED 0.08 /* share of one core taken by others in a run that counts */
#define RUN_LIMIT 120.0
/* A session with all peers is to take at most twelve minutes. So a peer runs at most so often, fewer times where the
 * rest of the session would not fit into so many seconds, and once if a run takes longer than SLOW_RUN; so does crank
 * where all is measured. A million sleepers take Python over a minute, and are left out (leave_out_slow). */
#define PEER_RUNS 3
#define OWN_RUNS 5 /* of crank's beside them; alone it runs as often as the workload says */
#define SESSION 640.0
/* One with network workloads takes at most eight, the building of peers included: peers run fewer times, and disturbed
 * runs are repeated, as there is time left. */
#define NETWORK_SESSION 420.0
#define NETWORK_RUN_LIMIT 25.0
#define SLOW_RUN 4.0

typedef struct command {
    const char *programs; /* folder with crank_bench and crank_startup */
    const char *peers_folder;
    const char *out;
    const char *markdown;
    const char *svg;
    bool with_peers, install;
    bool networked; /* a network workload is chosen */
    double seconds; /* that each run of one measures */
    int runs;       /* 0: as the workload says */
    bool chosen[64];
    bool any_chosen;
    bool wanted[CONTENDERS_MAX]; /* peers asked for by name */
    bool any_wanted;
} command;

static contender contenders[CONTENDERS_MAX + 1];
static size_t contender_count = 1;
static contender peers[CONTENDERS_MAX];
static size_t peer_count;

static int unknown(const char *name)
{
    fprintf(stderr, "bench: unknown \"%s\"; known:", name);
    for (size_t i = 0; i < workload_count; i++)
        fprintf(stderr, " %s", workloads[i].name);
    fputs("; peers:", stderr);
    for (size_t i = 0; i < peer_count; i++)
        fprintf(stderr, " %s", peers[i].name);
    fputs("; list, --help\n", stderr);
    return 2;
}

static bool choose(command *c, const char *name)
{
    if (workload_choose(name, c->chosen))
        return c->any_chosen = true;
    for (size_t i = 0; i < peer_count; i++)
        if (c->with_peers && !strcmp(peers[i].name, name))
            return c->wanted[i] = c->any_wanted = true;
    return false;
}

/* Values of options, as written. */
typedef struct given {
    const char *backend, *runs, *seconds;
} given;

/* Where the value of an option that takes one goes; NULL for another word. */
static const char **valued(command *c, const char *word, given *ret)
{
    const struct {
        const char *word;
        const char **place;
    } options[] = {
        { "--backend", &ret->backend },
        { "--runs", &ret->runs },
        { "--seconds", &ret->seconds },
        { "--markdown", &c->markdown },
        { "--svg", &c->svg },
        { "--programs", &c->programs },
        { "--peers-folder", &c->peers_folder },
        { "--out", &c->out },
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (!strcmp(options[i].word, word))
            return options[i].place;
    return NULL;
}

static bool set_backend(const char *name)
{
    if (strcmp(name, "sim") != 0 && strcmp(name, "epoll") != 0 && strcmp(name, "uring") != 0)
        return false;
    return setenv("CRANK_BACKEND", name, 1) == 0;
}

static int list(void)
{
    workload_list(stdout);
    for (size_t p = 0; p < peer_count; p++)
        printf("--peers %-14s %s\n", peers[p].name, peer_installed(&peers[p]) ? "installed" : "not installed");
    return 0;
}

/* Take over what was written. -1: go on; else the exit status. */
static int settle(command *c, const given *g)
{
    for (size_t i = 0; i < workload_count; i++) {
        if (!c->any_chosen)
            c->chosen[i] = !network_of(&workloads[i]);
        c->networked |= c->chosen[i] && network_of(&workloads[i]);
    }
    if (g->backend && !set_backend(g->backend))
        return fprintf(stderr, "bench: unknown backend \"%s\"; known: sim epoll uring\n", g->backend), 2;
    if (c->networked && g->backend && !strcmp(g->backend, "sim"))
        return fputs("bench: the simulator has no clients outside: --backend epoll or uring\n", stderr), 2;
    c->runs = g->runs ? atoi(g->runs) : 0;
    if (g->runs && (c->runs < 1 || c->runs > SAMPLES_MAX))
        return fprintf(stderr, "bench: --runs takes 1 to %d\n", SAMPLES_MAX), 2;
    c->seconds = g->seconds ? atof(g->seconds) : 2;
    if (!(c->seconds >= 0.05 && c->seconds <= 20))
        return fputs("bench: --seconds takes 0.05 to 20\n", stderr), 2;
    return -1;
}

/* -1: go on; else the exit status. */
static int parse(command *c, int argc, char **argv)
{
    given g = { NULL, NULL, NULL };
    for (int i = 1; i < argc; i++) {
        const char **place = valued(c, argv[i], &g);
        if (place) {
            if (++i == argc)
                return fprintf(stderr, "bench: %s wants a value; see --help\n", argv[i - 1]), 2;
            *place = argv[i];
            if (!peer_count && place == &c->peers_folder)
                peer_count = peer_load_all(c->peers_folder, peers, CONTENDERS_MAX);
        } else if (!strcmp(argv[i], "--peers")) {
            c->with_peers = true;
        } else if (!strcmp(argv[i], "--install")) {
            c->install = true;
        } else if (!strcmp(argv[i], "list")) {
            return list();
        } else if (!choose(c, argv[i])) {
            return unknown(argv[i]);
        }
    }
    return settle(c, &g);
}

static void prepare_crank(const command *c)
{
    static char bench[1024];
    snprintf(bench, sizeof bench, "%s/crank_bench", c->programs);
    snprintf(contenders[0].name, sizeof contenders[0].name, "crank");
    contenders[0].argv[0] = bench;
    contenders[0].argc = 1;
}

/* Does it take part in anything that is chosen? */
static bool takes_part(const command *c, const contender *peer)
{
    for (size_t i = 0; i < workload_count; i++)
        if (c->chosen[i] && peer_does(peer, &workloads[i]))
            return true;
    return false;
}

/* A session of all there is does not spend minutes on one number: what takes a peer so long is left out, and said. */
static void leave_out_slow(const command *c, contender *peer)
{
    if (!peer->named)
        return;
    if (c->any_chosen || c->any_wanted)
        peer_add_named(peer);
    else
        fprintf(stderr, "bench: without %s of %s, over a minute a run: ./bench %s --peers %s\n", peer->named,
            peer->name, peer->named, peer->name);
}

static void prepare_peers(const command *c)
{
    for (size_t i = 0; c->with_peers && i < peer_count && contender_count < CONTENDERS_MAX; i++) {
        contender *peer = &peers[i];
        leave_out_slow(c, peer);
        if (c->any_wanted ? !c->wanted[i] : !takes_part(c, peer))
            continue;
        bool ready = peer_installed(peer);
        if (!ready && (c->install || c->any_wanted))
            ready = c->install ? peer_install(peer) && peer_installed(peer) : false;
        if (!ready && !c->install)
            fprintf(stderr, "bench: %s is not installed%s%s\n", peer->name, peer->packages ? ": " : "",
                peer->packages ? peer->packages : "");
        if (ready && peer_prepare(peer, c->out))
            contenders[contender_count++] = *peer;
    }
}

/* An empty program's time comes from outside, and its memory from a second run, traced. */
static bool run_startup(const command *c, contender *who, record *r)
{
    char own[1024], *argv[ARGV_MAX + 1] = { 0 };
    process_run run;
    for (size_t i = 0; i < who->argc; i++)
        argv[i] = who->argv[i];
    if (who->folder) {
        argv[who->argc] = (char *)(intptr_t) "startup";
    } else {
        snprintf(own, sizeof own, "%s/crank_startup", c->programs);
        argv[0] = own;
    }
    if (process_measure(argv, false, RUN_LIMIT, &run) < 0 || run.status != 0)
        return false;
    record_add(r, "startup_ms", run.wall * 1e3, "ms");
    double peak = process_peak(argv);
    if (peak > 0)
        record_add(r, "startup_mb", peak, "MB");
    return true;
}

static bool run_program(const command *c, const workload *w, contender *who, record *r)
{
    char *argv[ARGV_MAX + 1] = { 0 };
    process_run run;
    const network *net = network_of(w);
    for (size_t i = 0; i < who->argc; i++)
        argv[i] = who->argv[i];
    argv[who->argc] = (char *)(intptr_t)w->name;
    char **words = net ? network_command(net, who, c->programs, c->seconds) : argv;
    double limit = net ? NETWORK_RUN_LIMIT + c->seconds : RUN_LIMIT;
    if (process_measure(words, w->every_core, limit, &run) < 0 || run.status != 0) {
        fprintf(stderr, "bench: %s %s: exit status %d\n", who->name, w->name, run.status);
        return false;
    }
    return record_read(r, run.output) > 0;
}

/* How often crank runs. */
static int own_runs(const command *c, const workload *w)
{
    if (c->runs)
        return c->runs;
    return c->with_peers && w->runs > OWN_RUNS ? OWN_RUNS : w->runs;
}

/* Another program than crank, which is no bar to be met: it runs fewer times. */
static bool is_peer(const contender *one) { return one->folder && !one->bar; }

/* Does a run that takes so long stand alone? */
static bool is_slow(const command *c, const contender *one, const workload *w, double seconds)
{
    bool all = c->with_peers && !c->any_chosen && !c->runs;
    return (one->folder || all) && !network_of(w) && seconds > SLOW_RUN;
}

/* How often a peer may run in this workload, so that as often in all that follow fits into the session. */
static int peer_runs(const command *c, size_t work)
{
    double fixed = progress_seconds(), each = 0;
    for (size_t w = work; w < workload_count; w++)
        for (size_t i = 0; c->chosen[w] && i < contender_count; i++) {
            double cost = peer_does(&contenders[i], &workloads[w]) ? progress_cost(w, i) : 0;
            if (is_slow(c, &contenders[i], &workloads[w], cost))
                fixed += cost;
            else if (!is_peer(&contenders[i]))
                fixed += cost * own_runs(c, &workloads[w]);
            else
                each += cost;
        }
    double session = c->networked ? NETWORK_SESSION : SESSION;
    double fit = each > 0 ? (session - fixed) / each : PEER_RUNS;
    return fit >= PEER_RUNS ? PEER_RUNS : fit < 1 ? 1 : (int)fit;
}

/* How often this contender runs. */
static int wanted_runs(const command *c, const workload *w, const contender *who, const record *r)
{
    int wanted = c->runs ? c->runs : w->runs;
    if (!is_peer(who))
        return r->slow > 0 ? 1 : own_runs(c, w);
    if (!c->runs && wanted > r->most)
        wanted = r->most;
    return r->slow > 0 ? 1 : wanted;
}

/* Seconds that the rest of the session takes at the least: peers run once where they have not yet. */
static double least_to_go(const command *c, const outcome *o, size_t work)
{
    double seconds = 0;
    for (size_t w = work; w < workload_count; w++)
        for (size_t i = 0; c->chosen[w] && i < contender_count; i++) {
            int least = is_peer(&contenders[i]) ? 1 : own_runs(c, &workloads[w]);
            int done = (int)outcome_at(o, w, i)->runs;
            if (done < least && peer_does(&contenders[i], &workloads[w]))
                seconds += progress_cost(w, i) * (least - done);
        }
    return seconds;
}

/* Is there room for one more run of this one? Always in a session without network workloads, which keeps its limit by
 * peer_runs alone. */
static bool time_for_more(const command *c, const outcome *o, size_t work, size_t who)
{
    double after = progress_seconds() + progress_cost(work, who) + least_to_go(c, o, work);
    return !c->networked || after < NETWORK_SESSION;
}

/* One run of one contender; a disturbed one is not kept while there are others left to try. */
static bool run_once(const command *c, const outcome *o, size_t work, size_t index)
{
    record *r = outcome_at(o, work, index);
    const workload *w = &workloads[work];
    contender *who = &contenders[index];
    record kept = *r;
    quiet_wait(who->folder ? 0.5 : 2, w->every_core);
    quiet_window window = quiet_begin();
    bool startup = !strcmp(w->name, "startup");
    if (!(startup ? run_startup(c, who, r) : run_program(c, w, who, r)))
        return false;
    bool disturbed = quiet_foreign(&window) > DISTURBED || quiet_slowness(w->every_core) > QUIET_SLOW;
    double took = quiet_begin().started - window.started;
    if (is_slow(c, who, w, took) && r->runs == 0 && wanted_runs(c, w, who, r) > 1)
        r->slow = took;
    if (disturbed && r->slow <= 0 && (int)kept.repeated < wanted_runs(c, w, who, r) &&
        time_for_more(c, o, work, index)) {
        *r = kept;
        r->repeated++;
        return true;
    }
    r->disturbed |= disturbed;
    r->runs++;
    return true;
}

/* The next run of one contender, if there is one, and its result once it was the last. */
static bool take_turn(const command *c, size_t work, size_t who, outcome *o, bool *ret_failed)
{
    const workload *w = &workloads[work];
    contender *one = &o->contenders[who];
    record *r = outcome_at(o, work, who);
    int wanted = wanted_runs(c, w, one, r);
    if (*ret_failed || (int)r->runs >= wanted || !peer_does(one, w))
        return false;
    progress_at(work, who, (int)r->runs + 1, wanted);
    quiet_window before = quiet_begin();
    *ret_failed = !run_once(c, o, work, who);
    progress_ran(work, who, quiet_begin().started - before.started);
    if (is_peer(one) && r->runs > 0 && !time_for_more(c, o, work, who))
        r->most = (int)r->runs;
    int left = *ret_failed ? 0 : wanted_runs(c, w, one, r) - (int)r->runs;
    progress_expect(work, who, left);
    if (left == 0) {
        progress_clear();
        record_print(r, one->name, stdout);
        progress_save();
    }
    return true;
}

static int measure(const command *c, size_t work, outcome *o)
{
    bool failed[CONTENDERS_MAX + 1] = { false };
    int most = workloads[work].runs == 1 ? SAMPLES_MAX : peer_runs(c, work);
    for (size_t i = 0; i < contender_count; i++)
        outcome_at(o, work, i)->most = is_peer(&contenders[i]) ? most : SAMPLES_MAX;
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < contender_count; i++)
            more |= take_turn(c, work, i, o, &failed[i]);
    }
    return failed[0];
}

/* What is to come of the workloads chosen, as far as it is known. */
static void expect_all(const command *c)
{
    for (size_t work = 0; work < workload_count; work++)
        for (size_t i = 0; c->chosen[work] && i < contender_count; i++) {
            record known = { .most = PEER_RUNS };
            known.slow = is_slow(c, &contenders[i], &workloads[work], progress_cost(work, i));
            if (peer_does(&contenders[i], &workloads[work]))
                progress_expect(work, i, wanted_runs(c, &workloads[work], &contenders[i], &known));
        }
}

static int write_file(const char *path, const outcome *o, void (*show)(const outcome *, FILE *))
{
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!path)
        return 0;
    if (file)
        show(o, file);
    if (!file || fclose(file) != 0) {
        perror(path);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    command c = { .programs = ".", .peers_folder = ".", .out = "peers" };
    int status = parse(&c, argc, argv);
    if (status >= 0)
        return status;
    quiet_raise_priority();
    prepare_crank(&c);
    network_warn(c.chosen);
    if (c.networked)
        contender_count += network_plain(c.programs, contenders + contender_count, CONTENDERS_MAX);
    prepare_peers(&c);
    outcome o = { contenders, contender_count, calloc(workload_count * contender_count, sizeof(record)) };
    if (!o.records) {
        perror("bench");
        return 1;
    }
    progress_open(&o, c.out);
    expect_all(&c);
    status = 0;
    for (size_t work = 0; work < workload_count; work++)
        if (c.chosen[work])
            status |= measure(&c, work, &o);
    progress_close();
    if (c.with_peers || c.networked)
        table_print(&o, stdout);
    status |= write_file(c.markdown, &o, table_markdown);
    status |= write_file(c.svg, &o, picture_svg);
    free(o.records);
    return status;
}
