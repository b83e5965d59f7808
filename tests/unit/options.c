/* SPDX-License-Identifier: MIT */
/* options.c: what a run was asked for. */
#include "loop/options.h"
#include "loops.h"

extern char **environ;

/* Not setenv, which keeps what it has copied. Arguments are NAME=value or NULL. */
static void environment(const char *first, const char *second, const char *third)
{
    static char text[3][160];
    static char *variables[4];
    const char *const given[] = { first, second, third };
    size_t count = 0;
    for (size_t i = 0; i < CRANK_COUNT(given); i++)
        if (given[i]) {
            snprintf(text[count], sizeof text[count], "%s", given[i]);
            variables[count] = text[count];
            count++;
        }
    variables[count] = NULL;
    environ = variables;
}

static crank_options filled(const crank_options *given)
{
    crank_options options;
    const char *why = NULL;
    EXPECT_EQ(cr_options_fill(given, &options, &why), 0);
    EXPECT(!why);
    return options;
}

static void expect_refused(const crank_options *given, const char *sentence)
{
    crank_options options;
    const char *why = NULL;
    EXPECT_EQ(cr_options_fill(given, &options, &why), -EINVAL);
    EXPECT_CONTAINS(why, sentence);
}

TEST(options, have_defaults)
{
    environment(NULL, NULL, NULL);
    crank_options options = filled(NULL);
    EXPECT_EQ(options.backend, CRANK_BACKEND_EPOLL);
    EXPECT_EQ(options.seed, 0);
    EXPECT_EQ(options.stack_size, 192 * 1024);
    EXPECT_EQ(options.debug, false);
    EXPECT_NEAR(options.grace, 10, 0);
    EXPECT_NEAR(options.blocked_after, 0.1, 0);
    EXPECT_EQ(options.threads_max, 0); /* the workers choose, if ever there are any */
}

TEST(options, are_taken_from_the_environment)
{
    environment("CRANK_BACKEND=sim", "CRANK_SEED=18446744073709551615", "CRANK_DEBUG=1");
    crank_options options = filled(NULL);
    EXPECT_EQ(options.backend, CRANK_BACKEND_SIM);
    EXPECT(options.seed == UINT64_MAX);
    EXPECT(options.debug && !options.print_trace_hash);
    environment("CRANK_TRACE_HASH=1", NULL, NULL);
    EXPECT(filled(NULL).print_trace_hash);
    environment("CRANK_BACKEND=epoll", "CRANK_SEED=0x10", "CRANK_DEBUG=0");
    options = filled(NULL);
    EXPECT_EQ(options.backend, CRANK_BACKEND_EPOLL);
    EXPECT_EQ(options.seed, 16);
    EXPECT(!options.debug);
    environment("CRANK_BACKEND=uring", NULL, NULL);
    EXPECT_EQ(filled(NULL).backend, CRANK_BACKEND_URING);
}

TEST(options, win_over_the_environment)
{
    environment("CRANK_BACKEND=nonsense", "CRANK_SEED=5", NULL);
    crank_options given = {
        .backend = CRANK_BACKEND_SIM, .seed = 9, .debug = true, .grace = 3, .stack_size = 4096, .threads_max = 2
    };
    crank_options options = filled(&given);
    EXPECT_EQ(options.backend, CRANK_BACKEND_SIM);
    EXPECT_EQ(options.seed, 9);
    EXPECT_EQ(options.stack_size, 4096);
    EXPECT_EQ(options.threads_max, 2);
    EXPECT_NEAR(options.grace, 3, 0);
}

TEST(options, of_the_watchdog_are_seconds_and_nought_in_the_environment_is_never)
{
    environment("CRANK_BLOCKED_AFTER=0.5", NULL, NULL);
    EXPECT_NEAR(filled(NULL).blocked_after, 0.5, 0);
    EXPECT_NEAR(filled(&(crank_options){ .blocked_after = 2 }).blocked_after, 2, 0);
    EXPECT(filled(&(crank_options){ .blocked_after = -1 }).blocked_after < 0);
    environment("CRANK_BLOCKED_AFTER=0", NULL, NULL);
    EXPECT(filled(NULL).blocked_after < 0);
    environment("CRANK_BLOCKED_AFTER=inf", NULL, NULL);
    EXPECT(filled(NULL).blocked_after > 1e300);
    environment("CRANK_BLOCKED_AFTER=soon", NULL, NULL);
    expect_refused(NULL, "CRANK_BLOCKED_AFTER is not a number of seconds");
    environment("CRANK_BLOCKED_AFTER=nan", NULL, NULL);
    expect_refused(NULL, "CRANK_BLOCKED_AFTER is not a number of seconds");
    environment(NULL, NULL, NULL);
    expect_refused(&(crank_options){ .blocked_after = (double)NAN }, "options.blocked_after");
}

TEST(options, of_the_weather_are_keys_and_numbers)
{
    static const char *const wrong[][2] = {
        { "rain=1", "CRANK_SIM_NET has a key that is none of latency, jitter" },
        { "Latency=1", "CRANK_SIM_NET has a key" },
        { "latency", "CRANK_SIM_NET is not a list of KEY=NUMBER" },
        { "latency=", "CRANK_SIM_NET is not a list of KEY=NUMBER" },
        { "latency=1;reset=0", "CRANK_SIM_NET is not a list of KEY=NUMBER" },
        { "latency=1,,reset=0", "CRANK_SIM_NET has a key" },
        { "latency=-1", "CRANK_SIM_NET has a number below 0" },
        { "jitter=nan", "CRANK_SIM_NET has a number below 0" },
        { "reset=1.01", "CRANK_SIM_NET has a number below 0, or a share above 1" },
        { "loss=2", "CRANK_SIM_NET has a number below 0, or a share above 1" },
    };
    char line[100];
    for (size_t i = 0; i < CRANK_COUNT(wrong); i++) {
        snprintf(line, sizeof line, "CRANK_SIM_NET=%s", wrong[i][0]);
        environment(line, NULL, NULL);
        expect_refused(NULL, wrong[i][1]);
        environment(NULL, NULL, NULL);
        expect_refused(&(crank_options){ .sim_net = wrong[i][0] }, wrong[i][1]);
    }
    environment(
        "CRANK_SIM_NET=latency=0.05,jitter=1e-3,tail=2,bandwidth=1e6,refuse=0,reset=1,half=.5,accept=0,lookup=0", NULL,
        NULL);
    EXPECT_CONTAINS(filled(NULL).sim_net, "latency=0.05");
    EXPECT_STR(filled(&(crank_options){ .sim_net = "reset=1" }).sim_net, "reset=1");
    environment(NULL, NULL, NULL);
}

TEST(options, set_to_nothing_in_the_environment_are_not_set)
{
    environment("CRANK_BACKEND=", "CRANK_SEED=", "CRANK_DEBUG=");
    EXPECT_EQ(filled(NULL).backend, CRANK_BACKEND_EPOLL);
}

TEST(options, unknown_in_the_environment_are_refused_with_what_is_known)
{
    static const char *const seeds[] = { "x", "-1", "+1", " 1", "1x", "18446744073709551616", "1.5" };
    environment("CRANK_BACKEND=kqueue", NULL, NULL);
    expect_refused(NULL, "sim, epoll, uring");
    for (size_t i = 0; i < CRANK_COUNT(seeds); i++) {
        char variable[64];
        snprintf(variable, sizeof variable, "CRANK_SEED=%s", seeds[i]);
        environment(variable, NULL, NULL);
        expect_refused(NULL, "CRANK_SEED is not a number");
    }
    environment("CRANK_DEBUG=yes", NULL, NULL);
    expect_refused(NULL, "CRANK_DEBUG is neither 0 nor 1");
    environment("CRANK_TRACE_HASH=2", NULL, NULL);
    expect_refused(NULL, "CRANK_TRACE_HASH is neither 0 nor 1");
}

TEST(options, of_where_choices_are_told_are_refused_but_for_a_descriptor_of_the_programs)
{
    static const char *const refused[] = { "x", "0", "-1", "3x", "2147483648" };
    for (size_t i = 0; i < CRANK_COUNT(refused); i++) {
        char variable[64];
        snprintf(variable, sizeof variable, "CRANK_CHOICES_TO=%s", refused[i]);
        environment("CRANK_CHOICES=1:2", variable, NULL);
        expect_refused(NULL, "CRANK_CHOICES_TO is not a descriptor above 0");
    }
    environment("CRANK_CHOICES=1:2", "CRANK_CHOICES_TO=3", NULL);
    EXPECT_EQ(filled(NULL).choices_to, 3);
    environment("CRANK_CHOICES_TO=x", NULL, NULL); /* without choices there is nothing to tell of */
    EXPECT_EQ(filled(NULL).choices_to, 0);
}

TEST(options, that_mean_nothing_are_refused)
{
    environment(NULL, NULL, NULL);
    expect_refused(&(crank_options){ .backend = (crank_backend)17 }, "options.backend");
    expect_refused(&(crank_options){ .leftovers = (crank_leftovers)2 }, "options.leftovers");
    expect_refused(&(crank_options){ .stack_size = ((size_t)8 << 20) + 1 }, "options.stack_size");
    expect_refused(&(crank_options){ .grace = (double)NAN }, "options.grace");
    expect_refused(&(crank_options){ .grace = -1 }, "options.grace");
    expect_refused(&(crank_options){ .hibernate_after = (double)NAN }, "options.hibernate_after");
}

TEST(options, that_are_refused_make_no_loop)
{
    crank_options options = { .backend = (crank_backend)17 };
    const char *why;
    crank_loop *loop = NULL;
    environment(NULL, NULL, NULL);
    EXPECT_EQ(cr_loop_open(&options, NULL, &loop, &why), -EINVAL);
    EXPECT(!loop && why);
    errno = 0;
    EXPECT(!crank_loop_new(&options));
    EXPECT_EQ(errno, EINVAL);
}

static int not_permitted(void *context, unsigned entries, struct io_uring_params *params)
{
    (void)context;
    (void)entries;
    (void)params;
    return -EPERM;
}

/* A container that forbids io_uring. */
static crank_loop *forbidden_uring(bool debug)
{
    static cr_sys sys;
    crank_options options = { .backend = CRANK_BACKEND_URING, .debug = debug };
    sys = cr_sys_real;
    sys.uring_setup = not_permitted;
    return open_with(&options, &sys);
}

TEST(options, uring_where_it_is_forbidden_is_epoll_without_a_word)
{
    environment(NULL, NULL, NULL);
    test_capture();
    crank_loop *loop = forbidden_uring(false);
    EXPECT_STR(loop->backend->type->name, "epoll");
    cr_loop_close(loop);
    EXPECT_STR(test_captured(), "");
}

TEST(options, uring_where_it_is_forbidden_is_one_line_in_debug_mode)
{
    environment(NULL, NULL, NULL);
    test_capture();
    cr_loop_close(forbidden_uring(true));
    EXPECT_STR(test_captured(), "crank: note: io_uring is not available here (Operation not permitted): using epoll\n");
}

TEST(options, seconds_become_nanoseconds)
{
    EXPECT_EQ(cr_loop_nanoseconds(0.07), 70000000);
    EXPECT_EQ(cr_loop_nanoseconds(0.1), 100000000);
    EXPECT_EQ(cr_loop_nanoseconds(1e-12), 1);
    EXPECT_EQ(cr_loop_nanoseconds(0), 0);
    EXPECT_EQ(cr_loop_nanoseconds(-3), 0);
    EXPECT_EQ(cr_loop_nanoseconds(-1 / (double)0.0f), 0);
    EXPECT_EQ(cr_loop_nanoseconds(1e300), CR_NEVER);
    EXPECT_EQ(cr_loop_nanoseconds(9.3e9), CR_NEVER);
    EXPECT_EQ(cr_loop_nanoseconds(CRANK_FOREVER), CR_NEVER);
    EXPECT_EQ(cr_loop_nanoseconds((double)NAN), -1);
    EXPECT_EQ(cr_after(5, CR_NEVER), CR_NEVER);
    EXPECT_EQ(cr_after(5, 6), 11);
}
