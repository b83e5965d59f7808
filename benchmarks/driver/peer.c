/* SPDX-License-Identifier: MIT */
/* peer.c: whom crank is compared with.
 *
 * A peer is a folder of benchmarks/peers with a file `peer` in it: lines of a key, a blank and a
 * value. probe, build, run and version are for the shell, which runs them in that folder with $OUT
 * naming the folder for build products. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "driver.h"

static char *word_copy(const char *text)
{
    char *copy = strdup(text);
    if (!copy) {
        perror("bench");
        exit(1);
    }
    return copy;
}

static char **field_of(contender *peer, const char *key)
{
    const struct {
        const char *key;
        char **field;
    } fields[] = {
        { "packages", &peer->packages },
        { "probe", &peer->probe },
        { "build", &peer->build },
        { "run", &peer->run },
        { "version", &peer->version },
        { "workloads", &peer->workloads },
        { "named", &peer->named },
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (!strcmp(fields[i].key, key))
            return fields[i].field;
    return NULL;
}

static bool load(const char *folder, const char *name, contender *peer)
{
    char path[1024], line[1024];
    snprintf(path, sizeof path, "%s/%s/peer", folder, name);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    *peer = (contender){ 0 };
    snprintf(peer->name, sizeof peer->name, "%.31s", name);
    while (fgets(line, (int)sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        char *value = strchr(line, ' ');
        if (!value || line[0] == '#')
            continue;
        *value++ = '\0';
        char **field = field_of(peer, line);
        if (!field)
            fprintf(stderr, "bench: %s: \"%s\" is no key of a peer\n", path, line);
        else
            *field = word_copy(value);
    }
    fclose(file);
    path[strlen(path) - strlen("/peer")] = '\0';
    peer->folder = word_copy(path);
    return peer->probe && peer->run && peer->workloads;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const contender *)a)->name, ((const contender *)b)->name);
}

size_t peer_load_all(const char *folder, contender *ret_peers, size_t max)
{
    size_t n = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && n < max && (entry = readdir(dir)) != NULL;)
        if (entry->d_name[0] != '.' && load(folder, entry->d_name, &ret_peers[n]))
            n++;
    if (dir)
        closedir(dir);
    qsort(ret_peers, n, sizeof *ret_peers, by_name);
    return n;
}

bool peer_installed(const contender *peer)
{
    process_run run;
    return process_shell(peer->probe, peer->folder, "/tmp", "/dev/null", &run) == 0;
}

void peer_add_named(contender *peer)
{
    char all[1024];
    snprintf(all, sizeof all, "%s %s", peer->workloads, peer->named);
    free(peer->workloads);
    peer->workloads = word_copy(all);
}

bool peer_does(const contender *peer, const workload *w)
{
    const network *net = network_of(w);
    const char *name = net ? net->serves : w->name, *words = peer->workloads;
    if (!peer->folder)
        return true;
    size_t length = strlen(name);
    for (const char *at = words; (at = strstr(at, name)) != NULL; at += length)
        if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

bool peer_install(const contender *peer)
{
    char command[1024];
    process_run run;
    if (!peer->packages || geteuid() != 0) {
        fprintf(stderr, "bench: %s is not installed%s%s\n", peer->name,
            peer->packages ? "; as root --install would install " : " and is no Debian package",
            peer->packages ? peer->packages : "");
        return false;
    }
    fprintf(stderr, "bench: installing for %s: %s\n", peer->name, peer->packages);
    snprintf(command, sizeof command,
        "DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends %s 1>&2", peer->packages);
    return process_shell(command, NULL, "/tmp", NULL, &run) == 0;
}

/* Let the shell expand the words of `run`, one a line, and take them as argv. */
static bool find_argv(contender *peer, const char *out)
{
    char command[1024];
    process_run run;
    snprintf(command, sizeof command, "printf '%%s\\n' %s", peer->run);
    if (process_shell(command, peer->folder, out, NULL, &run) != 0)
        return false;
    char *text = word_copy(run.output);
    for (char *word = strtok(text, "\n"); word && peer->argc < ARGV_MAX - 2; word = strtok(NULL, "\n"))
        peer->argv[peer->argc++] = word;
    return peer->argc > 0;
}

bool peer_prepare(contender *peer, const char *out)
{
    char folder[1024], log[1100];
    process_run run;
    snprintf(folder, sizeof folder, "%s/%s", out, peer->name);
    snprintf(log, sizeof log, "%s.log", folder);
    if (peer->build) {
        fprintf(stderr, "bench: building %s\n", peer->name);
        if (process_shell(peer->build, peer->folder, folder, log, &run) != 0) {
            fprintf(stderr, "bench: %s does not build, see %s\n", peer->name, log);
            return false;
        }
    }
    if (peer->version && process_shell(peer->version, peer->folder, folder, NULL, &run) == 0)
        snprintf(peer->release, sizeof peer->release, "%.*s", (int)strcspn(run.output, "\n"), run.output);
    return find_argv(peer, folder);
}
