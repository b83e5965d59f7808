/* SPDX-License-Identifier: MIT */
/* sim.h: what the loop asks of the simulator beyond the contract. */
#ifndef CR_SIM_H
#define CR_SIM_H
#include "backend/backend.h"

/* Time passes, whatever is ready: the clock goes to an instant after the one it shows. */
void cr_sim_pass(cr_backend *backend, int64_t instant);
/* Let an open simulator take its choices from a list and tell of them: options.choices and
 * choices_to. continued: the list is the process's, see world/choices.h. */
void cr_sim_follow(cr_backend *backend, const char *choices, bool continued, int to);
/* Give an open simulator its weather: options.sim_net. */
void cr_sim_weather(cr_backend *backend, const char *text);
/* What an open simulator simulates: its network is asked for by way of the world's functions. */
struct cr_world *cr_sim_world(cr_backend *backend);
#endif
