/* SPDX-License-Identifier: MIT */
/* weather.c: the weather of the simulated network, from a line of text.
 *
 * Owns the text's keys. A program that says nothing of hosts is one host, and it is such programs
 * that the text is for: so the weather lies between the sockets of one host, too, where a link
 * (hosts.h) never does. A key that is not known and a number that means nothing are refused, for a
 * test that ran in fair weather by mistake would pass. */
#include "world/weather.h"

#include <stdlib.h>
#include <string.h>

#include "world/hosts.h"

enum key {
    LATENCY,
    JITTER,
    TAIL,
    BANDWIDTH,
    LOSS, /* the first of the shares */
    COPIES,
    REFUSE,
    RESET,
    HALF,
    ACCEPT,
    LOOKUP,
    SPAWN,
    KEYS
};
static const char *const names[KEYS] = { "latency", "jitter", "tail", "bandwidth", "loss", "copies",
    "refuse", "reset", "half", "accept", "lookup", "spawn" };

/* As cr_loop_nanoseconds, which this rank does not know. */
static int64_t span(double seconds)
{
    double ns = seconds * (double)CR_SECOND;
    return ns >= (double)CR_NEVER ? CR_NEVER / 4 : (int64_t)(ns + 0.5);
}

/* So many bytes that they do not show are as good as any number; some, but less than one, are
 * one. */
cr_link cr_weather_link(double latency, double jitter, double tail, double bandwidth)
{
    cr_link link = { .latency = span(latency), .jitter = span(jitter), .tail = span(tail) };
    if (bandwidth > 0 && bandwidth < 1)
        link.bandwidth = 1;
    else if (bandwidth < (double)CR_NEVER)
        link.bandwidth = (uint64_t)bandwidth;
    return link;
}

/* KEY=NUMBER at *at, which goes to behind it. The comparison is false for what is not a number. */
static const char *read_one(const char **at, double values[KEYS])
{
    size_t length = strcspn(*at, "=,");
    char *end;
    int key = 0;
    while (key < KEYS && (strlen(names[key]) != length || strncmp(names[key], *at, length) != 0))
        key++;
    if (key == KEYS)
        return "CRANK_SIM_NET has a key that is none of latency, jitter, tail, bandwidth, loss, "
               "copies, refuse, reset, half, accept, lookup, spawn";
    const char *number = *at + length + ((*at)[length] == '=');
    values[key] = strtod(number, &end);
    if ((*at)[length] != '=' || end == number || (*end && *end != ','))
        return "CRANK_SIM_NET is not a list of KEY=NUMBER,KEY=NUMBER";
    if (!(values[key] >= 0) || (key >= LOSS && values[key] > 1))
        return "CRANK_SIM_NET has a number below 0, or a share above 1";
    *at = *end ? end + 1 : end;
    return NULL;
}

int cr_weather_read(const char *text, cr_weather *ret_weather, const char **ret_why)
{
    double values[KEYS] = { 0 };
    do {
        const char *why = read_one(&text, values);
        if (why) {
            *ret_why = why;
            return -EINVAL;
        }
    } while (*text);
    /* Written at the end only: a text with a mistake changes nothing. */
    *ret_weather = (cr_weather){
        .link = cr_weather_link(values[LATENCY], values[JITTER], values[TAIL], values[BANDWIDTH]),
        .faults = { values[REFUSE], values[RESET], values[HALF], values[ACCEPT], values[LOOKUP],
            values[SPAWN] },
    };
    ret_weather->link.loss = values[LOSS];
    ret_weather->link.copies = values[COPIES];
    return 0;
}

void cr_weather_set(cr_world *world, const cr_weather *weather)
{
    world->net.faults = weather->faults;
    world->net.hosts.within.link = weather->link;
    cr_host_link(world, CR_HOST_EVERY, CR_HOST_EVERY, &weather->link);
}
