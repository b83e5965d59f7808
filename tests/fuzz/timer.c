/* SPDX-License-Identifier: MIT */
/* timer.c: the timer structure beside a list that is searched from end to end.
 *
 * Timers are started at deadlines near and far, equal and past, stopped, and taken when due, while time goes on by
 * little and by leaps; in half of the scripts memory does not grow, so that starting fails. */
#include "fuzz.h"
#include "loop/timer.h"

enum { TIMERS = 2500 }; /* enough for the structure to turn its wheel back */
enum { TOGGLE, TOGGLE_MANY, PASS_LITTLE, PASS_TO_NEXT, LEAP, TAKE, OPS };

static cr_timers *timers;
static cr_timer timer[TIMERS];
static struct {
    int64_t deadline;
    uint64_t age; /* 0: not started */
} model[TIMERS];
static uint64_t ages;
static size_t count;
static int64_t now;
static bool poor;

static void *no_resize(void *context, void *memory, size_t size)
{
    (void)context, (void)memory, (void)size;
    return NULL;
}

/* A number with as many bits as the first byte says, so that all magnitudes come. */
static int64_t some_span(fuzz_bytes *script)
{
    unsigned bits = fuzz_byte(script) % 63;
    uint64_t low = fuzz_number(script, bits > 24 ? 3 : 1);
    return (int64_t)((UINT64_C(1) << bits | low) & INT64_MAX);
}
static int64_t some_deadline(fuzz_bytes *script)
{
    unsigned how = fuzz_byte(script);
    int64_t deadline;
    switch (how % 8) {
    case 0: return CR_NEVER;
    case 1: return now - some_span(script) % (now + 1);
    case 2: return model[how / 8].deadline;         /* equal to another's */
    case 3: return (int64_t)fuzz_number(script, 8); /* negative ones too */
    default: return __builtin_add_overflow(now, some_span(script), &deadline) ? CR_NEVER : deadline;
    }
}

static size_t first_of_all(void)
{
    size_t first = TIMERS;
    for (size_t i = 0; i < TIMERS; i++)
        if (model[i].age && (first == TIMERS || model[i].deadline < model[first].deadline ||
                                (model[i].deadline == model[first].deadline && model[i].age < model[first].age)))
            first = i;
    return first;
}

static void toggle(size_t i, int64_t deadline)
{
    if (model[i].age) {
        FUZZ_SAY("stop %zu\n", i);
        cr_timers_stop(timers, &timer[i]);
        model[i].age = 0;
        count--;
        return;
    }
    int err = cr_timers_start(timers, &timer[i], (enum cr_timer_kind)(i % CR_TIMER_KINDS), deadline);
    FUZZ_SAY("start %zu at %lld: %d\n", i, (long long)deadline, err);
    FUZZ_EXPECT(err == 0 || (poor && err == -ENOMEM));
    if (err < 0)
        return;
    model[i].deadline = deadline;
    model[i].age = ++ages;
    count++;
}

static void take(unsigned most)
{
    for (size_t first = first_of_all(); most-- > 0; first = first_of_all()) {
        cr_timer *due = cr_timers_pop(timers, now);
        if (first == TIMERS || model[first].deadline > now) {
            FUZZ_EXPECT(!due);
            return;
        }
        FUZZ_EXPECT(due == &timer[first]);
        FUZZ_EQUAL(cr_timer_kind(due), first % CR_TIMER_KINDS);
        model[first].age = 0;
        count--;
    }
}

static void pass(int64_t span)
{
    if (__builtin_add_overflow(now, span, &now))
        now = CR_NEVER - 1;
    FUZZ_SAY("it is %lld\n", (long long)now);
}

static void step(fuzz_bytes *script)
{
    unsigned byte = fuzz_byte(script), arg = byte / OPS; /* at most 42 */
    size_t first;
    switch (byte % OPS) {
    case TOGGLE: toggle(fuzz_number(script, 2) % TIMERS, some_deadline(script)); break;
    case TOGGLE_MANY: {
        int64_t base = some_deadline(script);
        for (size_t i = arg; i < TIMERS; i += arg % 8 ? 64 * (arg % 8) : 1)
            toggle(i, base < CR_NEVER - TIMERS * 4096 && base > 0 ? base + (int64_t)i * 4096 % 65536 : base);
        break;
    }
    case PASS_LITTLE: pass(arg * INT64_C(100000)); break;
    case PASS_TO_NEXT:
        first = first_of_all();
        if (first < TIMERS && model[first].deadline > now && model[first].deadline < CR_NEVER)
            pass(model[first].deadline - now);
        break;
    case LEAP: pass(some_span(script) >> 8); break;
    default: take(arg + 1);
    }
}

static void run(const uint8_t *data, size_t size)
{
    fuzz_bytes script = { data, size };
    cr_sys sys = cr_sys_real;
    memset(model, 0, sizeof model);
    ages = count = 0;
    poor = fuzz_byte(&script) & 1;
    if (poor)
        sys.resize = no_resize;
    now = (int64_t)fuzz_number(&script, 4);
    FUZZ_EQUAL(cr_timers_new(&sys, now, &timers), 0);
    while (script.left > 0) {
        step(&script);
        size_t first = first_of_all();
        FUZZ_EQUAL(cr_timers_count(timers), count);
        FUZZ_EQUAL(cr_timers_next(timers), first == TIMERS ? CR_NEVER : model[first].deadline);
    }
    now = CR_NEVER;
    take(TIMERS);
    FUZZ_EQUAL(cr_timers_count(timers), 0);
    cr_timers_free(timers);
}

const fuzz_target fuzz_this = { .name = "timer", .length = 300, .run = run };
