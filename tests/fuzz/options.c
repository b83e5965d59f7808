/* SPDX-License-Identifier: MIT */
/* options.c: options and environment variables, valid and not, beside a second reading of what they mean.
 *
 * Where they are valid and ask for the simulator, a small program is run with them. */
#include "fuzz.h"
#include "loop/options.h"
#include <ctype.h>
#include <math.h>

enum { VARIABLES = 5, LENGTH_MAX = 24 };
enum { BACKEND, SEED, DEBUG, TRACE_HASH, HIBERNATE };
static const char *const names[VARIABLES] = { "CRANK_BACKEND", "CRANK_SEED", "CRANK_DEBUG", "CRANK_TRACE_HASH",
    "CRANK_HIBERNATE_AFTER" };
static char values[VARIABLES][LENGTH_MAX + 1]; /* "": not set */

/* One of the words that mean something, and near ones, or any bytes. */
static void fill_variable(fuzz_bytes *script, int i)
{
    static const char *const words[] = { "", "sim", "epoll", "uring", "0", "1", "7", "0x", "0xff", "08", "017", "-1",
        " 1", "1 ", "+1", "18446744073709551615", "18446744073709551616", "1e-9", "0.5", "inf", "nan", "-0.0", "1e999",
        "0x1p-3", ".", "simx", "EPOLL", "00", "2" };
    unsigned how = fuzz_byte(script);
    char *value = values[i];
    memset(value, 0, LENGTH_MAX + 1);
    if (how < 2 * CRANK_COUNT(words))
        memcpy(value, words[how / 2], strlen(words[how / 2]));
    if (how % 2 == 0 || how >= 2 * CRANK_COUNT(words))
        for (size_t at = strlen(value), end = at + how % 7; at < end && at < LENGTH_MAX; at++)
            value[at] = (char)fuzz_byte(script);
    if (value[0])
        setenv(names[i], value, 1);
    else
        unsetenv(names[i]);
}

static double some_double(fuzz_bytes *script)
{
    static const double some[] = { 0, 0, 0, 1, 0.25, -1, 1e-9, 1e300, -0.0, INFINITY, -INFINITY, NAN };
    unsigned how = fuzz_byte(script);
    double value;
    if (how < 8 * CRANK_COUNT(some))
        return some[how / 8];
    uint64_t bits = fuzz_number(script, 8);
    memcpy(&value, &bits, sizeof value);
    return value;
}
static crank_options some_options(fuzz_bytes *script)
{
    unsigned flags = fuzz_byte(script);
    crank_options options = fuzz_options();
    options.backend = flags % 8 == 7 ? (crank_backend)fuzz_byte(script) : (crank_backend)(flags % 4);
    options.debug = flags & 8;
    options.print_trace_hash = flags & 16;
    options.leftovers = flags & 32 ? (crank_leftovers)(fuzz_byte(script) % 4) : CRANK_AWAIT;
    options.seed = flags & 64 ? fuzz_number(script, 8) : 0;
    if (flags & 128) {
        options.stack_size = (size_t)fuzz_number(script, 4);
        options.threads_max = (unsigned)fuzz_byte(script);
    }
    options.grace = some_double(script);
    options.hibernate_after = some_double(script);
    return options;
}

/* ---- The second reading */

static int digit_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : 99;
}
/* Decimal, 0x and hexadecimal, 0 and octal. */
static bool read_seed(const char *text, uint64_t *ret_seed)
{
    int base = 10;
    uint64_t seed = 0;
    if (!isdigit((unsigned char)*text))
        return false;
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        base = 16;
        text += 2;
        if (digit_of(*text) >= 16)
            return false;
    } else if (text[0] == '0') {
        base = 8;
    }
    for (; *text; text++) {
        int digit = digit_of(*text);
        if (digit >= base || __builtin_mul_overflow(seed, (uint64_t)base, &seed) ||
            __builtin_add_overflow(seed, (uint64_t)digit, &seed))
            return false;
    }
    *ret_seed = seed;
    return true;
}
static bool read_switch(int variable, bool *option)
{
    const char *value = values[variable];
    if (*option || !value[0])
        return true;
    *option = strcmp(value, "1") == 0;
    return *option || strcmp(value, "0") == 0;
}
static bool read_backend(crank_options *o)
{
    static const char *const backends[] = { "", "sim", "epoll", "uring" };
    if (o->backend != CRANK_BACKEND_DEFAULT)
        return (unsigned)o->backend <= CRANK_BACKEND_URING;
    o->backend = CRANK_BACKEND_EPOLL;
    if (!values[BACKEND][0])
        return true;
    for (int i = 1; i <= 3; i++)
        if (strcmp(values[BACKEND], backends[i]) == 0) {
            o->backend = (crank_backend)i;
            return true;
        }
    return false;
}
/* The C library reads the number; what it does not read whole is none. */
static bool read_hibernation(crank_options *o)
{
    char *end;
    if (o->hibernate_after != 0 || !values[HIBERNATE][0])
        return true;
    o->hibernate_after = strtod(values[HIBERNATE], &end);
    return *end == '\0';
}
static bool read_all(crank_options *o)
{
    return read_backend(o) && (o->seed || !values[SEED][0] || read_seed(values[SEED], &o->seed)) &&
           read_switch(DEBUG, &o->debug) && read_switch(TRACE_HASH, &o->print_trace_hash) && read_hibernation(o) &&
           o->stack_size <= (size_t)8 << 20 && (unsigned)o->leftovers <= CRANK_CANCEL && o->grace >= 0 &&
           o->hibernate_after >= 0;
}

static void compare(const crank_options *given, const crank_options *filled, const crank_options *expected)
{
    FUZZ_EQUAL(filled->backend, expected->backend);
    FUZZ_EQUAL(filled->seed, expected->seed);
    FUZZ_EQUAL(filled->debug, expected->debug);
    FUZZ_EQUAL(filled->print_trace_hash, expected->print_trace_hash);
    FUZZ_EQUAL(filled->leftovers, given->leftovers);
    FUZZ_EXPECT(filled->hibernate_after == expected->hibernate_after);
    FUZZ_EXPECT(filled->grace == (given->grace != 0 ? given->grace : 10.0));
    FUZZ_EQUAL(filled->stack_size, given->stack_size ? given->stack_size : (size_t)192 * 1024);
    FUZZ_EQUAL(filled->threads_max, given->threads_max);
    FUZZ_EXPECT(filled->on_report == given->on_report);
}

/* ---- A program with them */

static int nap(void) { return crank_sleep(0.5); }
static long program(void *arg)
{
    (void)arg;
    double begin = crank_time();
    FUZZ_EQUAL(crank_await(crank_spawn(nap)), 0);
    FUZZ_EXPECT(crank_time() == begin + 0.5 || crank_time() - begin - 0.5 < 1e-8);
    return 5;
}

static void run(const uint8_t *data, size_t size)
{
    fuzz_bytes script = { data, size };
    crank_options given = some_options(&script), expected = given, filled;
    const char *why = NULL;
    for (int i = 0; i < VARIABLES; i++)
        fill_variable(&script, i);
    memset(&filled, 0x5a, sizeof filled);
    crank_options untouched = filled;
    int err = cr_options_fill(&given, &filled, &why);
    FUZZ_SAY("%d %s\n", err, why ? why : "");
    if (read_all(&expected)) {
        FUZZ_EQUAL(err, 0);
        compare(&given, &filled, &expected);
    } else {
        FUZZ_EQUAL(err, -EINVAL);
        FUZZ_EXPECT(why && why[0]);
        FUZZ_EQUAL(memcmp(&filled, &untouched, sizeof filled), 0);
    }
    if (err == 0 && filled.backend == CRANK_BACKEND_SIM && !filled.print_trace_hash) {
        long result = crank_run_raw(&given, program, NULL);
        FUZZ_EXPECT(result == 5);
    }
    for (int i = 0; i < VARIABLES; i++)
        unsetenv(names[i]);
}

const fuzz_target fuzz_this = { .name = "options", .length = 80, .may_report = true, .run = run };
