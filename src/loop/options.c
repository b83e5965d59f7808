/* SPDX-License-Identifier: MIT */
/* options.c: options, environment, defaults.
 *
 * An option that is given wins over its variable; a variable over the default. A value that means
 * nothing is an error with a sentence that says what is known, never a silent default. A
 * set-user-ID program takes nothing from its environment: secure_getenv gives it none.
 *
 * After this every field of loop->options says what holds, and no other file looks at the
 * environment. */
#include "loop/options.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "world/choices.h"
#include "world/weather.h"

#define STACK_DEFAULT ((size_t)192 * 1024)
#define STACK_MOST ((size_t)8 * 1024 * 1024)
#define GRACE_DEFAULT 10.0
#define BLOCKED_DEFAULT 0.1

/* A variable that is set to nothing is not set. So that a shell's VAR= switches off what the
 * environment had on. */
static const char *variable(const char *name)
{
    const char *value = secure_getenv(name);
    return value && *value ? value : NULL;
}

/* The default is not chosen by what the kernel can do, so that a program behaves the same
 * everywhere. */
static int fill_backend(crank_options *options, const char **ret_why)
{
    static const char *const names[] = { [CRANK_BACKEND_SIM] = "sim",
        [CRANK_BACKEND_EPOLL] = "epoll",
        [CRANK_BACKEND_URING] = "uring" };
    if ((unsigned)options->backend > CRANK_BACKEND_URING) {
        *ret_why = "options.backend is not one of CRANK_BACKEND_DEFAULT, _SIM, _EPOLL, _URING";
        return -EINVAL;
    }
    if (options->backend != CRANK_BACKEND_DEFAULT)
        return 0;
    const char *value = variable("CRANK_BACKEND");
    if (!value) {
        options->backend = CRANK_BACKEND_EPOLL;
        return 0;
    }
    for (unsigned i = CRANK_BACKEND_SIM; i <= CRANK_BACKEND_URING; i++)
        if (strcmp(value, names[i]) == 0) {
            options->backend = (crank_backend)i;
            return 0;
        }
    *ret_why = "CRANK_BACKEND is none of sim, epoll, uring";
    return -EINVAL;
}

/* strtoull takes a sign and leading blanks; a seed has neither. */
static int fill_seed(crank_options *options, const char **ret_why)
{
    const char *value = options->seed ? NULL : variable("CRANK_SEED");
    if (!value)
        return 0;
    char *end;
    errno = 0;
    unsigned long long seed = strtoull(value, &end, 0);
    if (errno || *end || *value < '0' || *value > '9') {
        *ret_why = "CRANK_SEED is not a number from 0 to 2^64 - 1";
        return -EINVAL;
    }
    options->seed = seed;
    return 0;
}

/* Without a list there is nothing to tell of. */
static int fill_choices(crank_options *options, const char **ret_why)
{
    const char *list = options->choices ? NULL : variable("CRANK_CHOICES");
    const char *to = list ? variable("CRANK_CHOICES_TO") : NULL;
    if (list)
        options->choices = list;
    if (options->choices && !cr_choices_valid(options->choices)) {
        *ret_why =
            list ? "CRANK_CHOICES is not a list of AT:CHOSEN, with AT from 1 and rising, or 0"
                 : "options.choices is not a list of AT:CHOSEN, with AT from 1 and rising, or 0";
        return -EINVAL;
    }
    if (!to)
        return 0;
    char *end;
    long fd = strtol(to, &end, 10);
    if (*end || fd <= 0 || fd > INT_MAX) {
        *ret_why = "CRANK_CHOICES_TO is not a descriptor above 0";
        return -EINVAL;
    }
    options->choices_to = (int)fd;
    return 0;
}

/* The text is read when the simulator is open: here it is only looked at. */
static int fill_weather(crank_options *options, const char **ret_why)
{
    cr_weather weather;
    if (!options->sim_net)
        options->sim_net = variable("CRANK_SIM_NET");
    return options->sim_net ? cr_weather_read(options->sim_net, &weather, ret_why) : 0;
}

/* Can only be switched on: a program that has set it keeps it, whatever the variable says. */
static int fill_switch(bool *option, const char *name, const char *why, const char **ret_why)
{
    const char *value = *option ? NULL : variable(name);
    if (!value)
        return 0;
    if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0) {
        *ret_why = why;
        return -EINVAL;
    }
    *option = *value == '1';
    return 0;
}

/* A variable that is a number of seconds, for an option that was left open: false where it is set
 * and is none, or is below the least. */
static bool seconds_of(const char *name, double least, double *seconds)
{
    const char *value = *seconds != 0 ? NULL : variable(name);
    char *end = NULL;
    if (!value)
        return true;
    *seconds = strtod(value, &end);
    return end != value && !*end && *seconds >= least;
}

/* Also a way to try on a program, without building it again, what it saves. */
static int fill_hibernation(crank_options *options, const char **ret_why)
{
    if (seconds_of("CRANK_HIBERNATE_AFTER", 0, &options->hibernate_after))
        return 0;
    *ret_why = "CRANK_HIBERNATE_AFTER is not a number of seconds";
    return -EINVAL;
}

/* Also a way to be rid of the watchdog: 0 in the variable means, unlike in the option, never. */
static int fill_watchdog(crank_options *options, const char **ret_why)
{
    bool open = options->blocked_after == 0;
    if (!seconds_of("CRANK_BLOCKED_AFTER", -HUGE_VAL, &options->blocked_after)) {
        *ret_why = "CRANK_BLOCKED_AFTER is not a number of seconds";
        return -EINVAL;
    }
    if (open && options->blocked_after == 0)
        options->blocked_after = variable("CRANK_BLOCKED_AFTER") ? -1 : BLOCKED_DEFAULT;
    return 0;
}

/* Zero is what a field has that was not named: it must mean the default. */
static int fill_numbers(crank_options *options, const char **ret_why)
{
    if ((unsigned)options->leftovers > CRANK_CANCEL)
        *ret_why = "options.leftovers is neither CRANK_AWAIT nor CRANK_CANCEL";
    else if (isnan(options->grace) || options->grace < 0)
        *ret_why = "options.grace is not a number of seconds";
    else if (isnan(options->hibernate_after) || options->hibernate_after < 0)
        *ret_why = "options.hibernate_after is not a number of seconds";
    else if (options->stack_size > STACK_MOST)
        *ret_why = "options.stack_size is more than 8 MiB";
    else if (isnan(options->blocked_after))
        *ret_why = "options.blocked_after is not a number of seconds";
    else {
        if (options->grace == 0)
            options->grace = GRACE_DEFAULT;
        if (options->stack_size == 0)
            options->stack_size = STACK_DEFAULT;
        return 0;
    }
    return -EINVAL;
}

/* 0 asks for nothing, in each of them. */
const char *cr_options_ignored(void)
{
    static const char *const simulators[] = { "CRANK_SEED", "CRANK_CHOICES", "CRANK_SIM_NET",
        "CRANK_TRACE_HASH" };
    for (size_t i = 0; i < sizeof simulators / sizeof simulators[0]; i++)
        if (variable(simulators[i]) && strcmp(variable(simulators[i]), "0") != 0)
            return simulators[i];
    return NULL;
}

/* Nothing is given on failure. threads_max stays as given: what 0 means depends on the machine,
 * which is asked when the first worker is needed (thread/workers.c). */
int cr_options_fill(const crank_options *given, crank_options *ret_options, const char **ret_why)
{
    crank_options options = given ? *given : (crank_options){ .seed = 0 };
    int err = fill_backend(&options, ret_why);
    if (!err)
        err = fill_seed(&options, ret_why);
    if (!err)
        err = fill_choices(&options, ret_why);
    if (!err)
        err = fill_weather(&options, ret_why);
    if (!err)
        err = fill_switch(&options.debug, "CRANK_DEBUG", "CRANK_DEBUG is neither 0 nor 1", ret_why);
    if (!err)
        err = fill_switch(&options.print_trace_hash, "CRANK_TRACE_HASH",
            "CRANK_TRACE_HASH is neither 0 nor 1", ret_why);
    if (!err)
        err = fill_hibernation(&options, ret_why);
    if (!err)
        err = fill_watchdog(&options, ret_why);
    if (!err)
        err = fill_numbers(&options, ret_why);
    if (!err)
        *ret_options = options;
    return err;
}
