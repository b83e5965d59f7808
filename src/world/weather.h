/* SPDX-License-Identifier: MIT */
/* weather.h: what the simulated network does to a program by chance, and its text. */
#ifndef CR_WEATHER_H
#define CR_WEATHER_H
#include "world/world.h"

/* Both together, as CRANK_SIM_NET says it. */
typedef struct cr_weather {
    cr_link link;
    cr_faults faults;
} cr_weather;

/* "latency=0.05,reset=0.001": seconds, bytes per second, shares. 0; -EINVAL with a sentence in
 * *ret_why. */
int cr_weather_read(const char *text, cr_weather *ret_weather, const char **ret_why);
/* The weather between all hosts, and between the sockets of one. */
void cr_weather_set(cr_world *world, const cr_weather *weather);
/* A link from seconds and bytes per second, which neither loses nor copies datagrams. */
cr_link cr_weather_link(double latency, double jitter, double tail, double bandwidth);
#endif
