/* SPDX-License-Identifier: MIT */
/* fiber.c: what a switch keeps, what a first run gets, when the loop gets the processor back. Fibers without tasks:
 * they leave by hand. */
#include "context/fiber.h"
#include "context/stack.h"

#include "test.h"

#include <errno.h>
#include <unwind.h>

enum { RECORD_BYTES = 192 };
typedef void function(void);

static cr_sched runner;
static cr_stacks *stacks;
static char trail[64];
static size_t trail_length;

static void note(char letter)
{
    EXPECT(trail_length < sizeof trail - 1);
    trail[trail_length++] = letter;
    trail[trail_length] = '\0';
}

static void open_runner(void)
{
    cr_sched_init(&runner);
    runner.steps = 1000;
    trail_length = 0;
    EXPECT_EQ(cr_stacks_new(&cr_sys_real, 0, &runner.stacks, &stacks), 0);
    runner.stack_usable = (uint32_t)cr_stacks_usable(stacks);
}

static void close_runner(void)
{
    while (runner.large_free) {
        void *next = *(void **)runner.large_free;
        free(runner.large_free);
        runner.large_free = next;
    }
    cr_stacks_free(stacks);
}

/* A new fiber of function with what the stub captured last. */
static cr_fiber *new_fiber(function *fn, bool many)
{
    void *memory = NULL;
    EXPECT_EQ(posix_memalign(&memory, 64, RECORD_BYTES), 0);
    memset(memory, 0xa5, RECORD_BYTES);
    cr_fiber *fiber = memory;
    fiber->run = CR_RUN_NEW;
    fiber->flags = many ? CR_FIBER_FLAG_LARGE : 0;
    fiber->function = fn;
    if (!many)
        *cr_fiber_small(fiber) = *cr_fiber_captured_small();
    if (many) {
        fiber->many = malloc(sizeof *fiber->many);
        EXPECT(fiber->many != NULL);
        *fiber->many = *cr_fiber_captured_large();
    }
    return fiber;
}

static cr_fiber *start(function *fn)
{
    cr_fiber *fiber = new_fiber(fn, false);
    cr_sched_push(&runner, fiber);
    return fiber;
}

/* Run until nothing is ready, giving stacks to who has none. */
static void run_all(void)
{
    for (;;) {
        cr_fiber *asked = cr_sched_enter(&runner);
        if (!asked)
            break;
        EXPECT_EQ(asked->run, CR_RUN_NEW);
        EXPECT(runner.stacks == NULL);
        EXPECT_EQ(cr_stacks_refill(stacks), 0);
        cr_sched_push_front(&runner, asked);
    }
}

static cr_fiber *self(void) { return runner.current; }

CRANK_NORETURN static void leave(void)
{
    cr_stack_push(&runner.stacks, self()->stack);
    cr_fiber_leave(&runner);
}

static long park(void) { return cr_fiber_park(&runner, self(), &runner); }

/* To the back of the line. */
static long yield(long wake)
{
    self()->wake = wake;
    cr_sched_push(&runner, self());
    return park();
}

static void note_three_times(void)
{
    static char next = 'a';
    char mine = next++;
    for (int i = 0; i < 3; i++) {
        note(mine);
        EXPECT_EQ(yield(mine + i), mine + i);
    }
    leave();
}

TEST(fiber, ready_ones_run_first_in_first_out)
{
    open_runner();
    cr_fiber *fibers[] = { start(note_three_times), start(note_three_times), start(note_three_times) };
    run_all();
    EXPECT_STR(trail, "abcabcabc");
    EXPECT(runner.current == NULL);
    EXPECT_EQ(runner.switches, 12);
    for (int i = 0; i < 3; i++)
        free(fibers[i]);
    close_runner();
}

static void park_once(void)
{
    note('p');
    EXPECT_EQ(park(), 42);
    note('w');
    leave();
}

TEST(fiber, a_parked_one_waits_until_it_is_pushed)
{
    open_runner();
    cr_fiber *fiber = start(park_once);
    run_all();
    EXPECT_STR(trail, "p");
    EXPECT(fiber->wait == &runner);
    run_all();
    EXPECT_STR(trail, "p");
    fiber->wake = 42;
    cr_sched_push(&runner, fiber);
    run_all();
    EXPECT_STR(trail, "pw");
    free(fiber);
    close_runner();
}

TEST(fiber, a_new_one_begins_with_nothing_of_its_arguments_left_in_its_fields)
{
    open_runner();
    cr_fiber *fiber = start(park_once);
    run_all();
    EXPECT_EQ(fiber->run, CR_RUN_RESUME);
    EXPECT(fiber->scope == NULL && fiber->generator == NULL);
    EXPECT(*(void **)(void *)((char *)fiber + CR_FIBER_CHILD) == NULL);
    char *low;
    char *high;
    EXPECT(cr_stacks_find(stacks, fiber->stack, &low, &high));
    fiber->wake = 42;
    cr_sched_push(&runner, fiber);
    run_all();
    EXPECT(runner.stacks == fiber->stack);
    free(fiber);
    close_runner();
}

TEST(fiber, the_loop_gets_the_processor_back_when_the_steps_are_used_up)
{
    open_runner();
    cr_fiber *fibers[] = { start(park_once), start(park_once), start(park_once) };
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(cr_stacks_refill(stacks), 0);
    run_all();
    for (int i = 0; i < 3; i++) {
        fibers[i]->wake = 42;
        cr_sched_push(&runner, fibers[i]);
    }
    runner.steps = 2;
    EXPECT(cr_sched_enter(&runner) == NULL);
    EXPECT_STR(trail, "pppww");
    EXPECT(runner.head == fibers[2]);
    runner.steps = 2;
    EXPECT(cr_sched_enter(&runner) == NULL);
    EXPECT_STR(trail, "pppwww");
    EXPECT(runner.head == NULL && runner.tail == &runner.head);
    for (int i = 0; i < 3; i++)
        free(fibers[i]);
    close_runner();
}

struct called {
    char *at;   /* a variable of the function's */
    double sum; /* of a + b */
    double a, b;
};
static void call_me(void *arg)
{
    struct called *c = arg;
    char here[8192] __attribute__((aligned(16)));
    memset(here, 1, sizeof here);
    __asm__ volatile("" : : "r"(here) : "memory");
    EXPECT_EQ((uintptr_t)here % 16, 0);
    c->at = here;
    c->sum = c->a + c->b;
    errno = EDOM;
}
static void call_on_the_loops_stack(void)
{
    char mine[64];
    memset(mine, 7, sizeof mine);
    struct called c = { .a = 0.25, .b = 2 };
    for (int i = 0; i < 3; i++) {
        errno = 0;
        cr_sched_call(&runner, call_me, &c);
        EXPECT_EQ(errno, EDOM);
        EXPECT_NEAR(c.sum, 2.25, 0);
        EXPECT_EQ(mine[63], 7);
        EXPECT_EQ(yield(5), 5);
    }
#if !CR_SWITCH_SANITIZED
    char *top = self()->stack;
    EXPECT(c.at > top || c.at + runner.stack_usable < top);
#endif
    leave();
}
TEST(fiber, can_call_a_function_on_the_loops_stack)
{
    open_runner();
    cr_fiber *fibers[] = { start(call_on_the_loops_stack), start(call_on_the_loops_stack) };
    run_all();
    for (int i = 0; i < 2; i++)
        free(fibers[i]);
    close_runner();
}

TEST(fiber, what_is_no_fiber_is_handed_to_the_loop)
{
    open_runner();
    cr_fiber *fiber = start(park_once);
    cr_fiber callback = { .run = CR_RUN_SERVICE };
    EXPECT_EQ(cr_stacks_refill(stacks), 0);
    cr_sched_push(&runner, &callback);
    EXPECT(cr_sched_enter(&runner) == &callback);
    EXPECT_STR(trail, "p");
    EXPECT(runner.head == NULL && runner.current == NULL);
    cr_sched_push(&runner, &callback);
    EXPECT(cr_sched_enter(&runner) == &callback);
    fiber->wake = 42;
    cr_sched_push(&runner, fiber);
    run_all();
    free(fiber);
    close_runner();
}

static double opaque(double value)
{
    volatile double hidden = value;
    return hidden;
}

/* More values than there are callee-saved registers, alive across a switch. */
static void keep_values(void)
{
    static int next = 1;
    double d[10];
    long l[12];
    double base = next++ * 1000;
    double a = opaque(base + 1), b = opaque(base + 2), c = opaque(base + 3), e = opaque(base + 4);
    double f = opaque(base + 5), g = opaque(base + 6), h = opaque(base + 7), i = opaque(base + 8);
    for (int k = 0; k < 10; k++)
        d[k] = opaque(base * k);
    for (int k = 0; k < 12; k++)
        l[k] = (long)opaque(base - k);
    long p = l[0], q = l[1], r = l[2], s = l[3], t = l[4], u = l[5], v = l[6], w = l[7], x = l[8], y = l[9];
    for (int round = 0; round < 5; round++) {
        yield(0);
        EXPECT(a == base + 1 && b == base + 2 && c == base + 3 && e == base + 4);
        EXPECT(f == base + 5 && g == base + 6 && h == base + 7 && i == base + 8);
        EXPECT((double)p == base && (double)q == base - 1 && (double)r == base - 2 && (double)s == base - 3);
        EXPECT((double)t == base - 4 && (double)u == base - 5 && (double)v == base - 6 && (double)w == base - 7);
        EXPECT((double)x == base - 8 && (double)y == base - 9);
        for (int k = 0; k < 10; k++)
            EXPECT(d[k] == base * k);
    }
    note('k');
    leave();
}

TEST(fiber, keeps_its_registers)
{
    open_runner();
    cr_fiber *fibers[] = { start(keep_values), start(keep_values), start(keep_values) };
    run_all();
    EXPECT_STR(trail, "kkk");
    for (int i = 0; i < 3; i++)
        free(fibers[i]);
    close_runner();
}

/* So that the next fibers begin one out of the other and not out of the loop. */
static void make_two_stacks(void)
{
    cr_fiber *fibers[] = { start(note_three_times), start(note_three_times) };
    run_all();
    for (int i = 0; i < 2; i++)
        free(fibers[i]);
    trail_length = 0;
}

/* Without libm, which has fesetround. */
#if defined(__x86_64__)
#define ROUNDING (UINT64_C(0x6000) | UINT64_C(0xc00) << 32)
#define UPWARDS (UINT64_C(0x4000) | UINT64_C(0x800) << 32)
#else
#define ROUNDING (UINT64_C(3) << 22)
#define UPWARDS (UINT64_C(1) << 22)
#endif

static uint64_t rounding(void) { return cr_fiber_floating_control() & ROUNDING; }

static void round_upwards(void)
{
    EXPECT(rounding() == 0);
    cr_fiber_floating_control_set(cr_fiber_floating_control() | UPWARDS);
    yield(0);
    EXPECT_EQ(rounding(), UPWARDS);
    note('u');
    yield(0);
    leave();
}

static void round_to_nearest(void)
{
    EXPECT_EQ(rounding(), 0);
    yield(0);
    EXPECT_EQ(rounding(), 0);
    note('n');
    leave();
}

TEST(fiber, keeps_its_rounding_mode_to_itself)
{
    open_runner();
    make_two_stacks();
    cr_fiber *fibers[] = { start(round_upwards), start(round_to_nearest) };
    run_all();
    EXPECT_EQ(rounding(), 0);
    EXPECT_STR(trail, "un");
    for (int i = 0; i < 2; i++)
        free(fibers[i]);
    close_runner();
}

static void set_errno(void)
{
    static int next = 100;
    int mine = next++;
    EXPECT_EQ(errno, 0);
    for (int i = 0; i < 3; i++) {
        errno = mine;
        yield(0);
        EXPECT_EQ(errno, mine);
    }
    note('e');
    leave();
}

TEST(fiber, keeps_its_errno_to_itself)
{
    open_runner();
    make_two_stacks();
    cr_fiber *fibers[] = { start(set_errno), start(set_errno) };
    errno = EXDEV;
    run_all();
    EXPECT_EQ(errno, EXDEV);
    EXPECT_STR(trail, "ee");
    for (int i = 0; i < 2; i++)
        free(fibers[i]);
    close_runner();
}

typedef struct pair {
    long a, b;
} pair;
typedef struct reals {
    double a, b;
} reals;

static double few(pair p, reals r)
{
    EXPECT(p.a == 1 && p.b == -2 && r.a == 3.5 && r.b == -4.25);
    note('f');
    return 6.5;
}

static void few_then_leave(pair p, reals r)
{
    few(p, r);
    leave();
}

static long many(int a, double b, pair c, float d, short e, reals f, const char *g, long h, double i, char j, pair k,
    unsigned l, double m, double n)
{
    EXPECT(a == -1 && b == 2.5 && c.a == 3 && c.b == -3 && d == 4.5f && e == -5);
    EXPECT(f.a == 6.5 && f.b == -6.5 && !strcmp(g, "seven") && h == 1L << 40 && i == 9.5);
    EXPECT(j == 'j' && k.a == 11 && k.b == 12 && l == 4000000000u && m == 13.5 && n == 14.5);
    note('m');
    return -77;
}

static void many_then_leave(int a, double b, pair c, float d, short e, reals f, const char *g, long h, double i, char j,
    pair k, unsigned l, double m, double n)
{
    EXPECT_EQ(many(a, b, c, d, e, f, g, h, i, j, k, l, m, n), -77);
    leave();
}

#define MANY_VALUES \
    -1, 2.5, (pair){ 3, -3 }, 4.5f, -5, (reals){ 6.5, -6.5 }, "seven", 1L << 40, 9.5, 'j', (pair){ 11, 12 }, \
        4000000000u, 13.5, 14.5

TEST(fiber, gets_the_arguments_its_call_was_captured_with)
{
    open_runner();
    ((void (*)(pair, reals))crank_few_())((pair){ 1, -2 }, (reals){ 3.5, -4.25 });
    cr_fiber *small = new_fiber((function *)few_then_leave, false);
    ((__typeof__(&many_then_leave))crank_many_())(MANY_VALUES);
    cr_fiber *large = new_fiber((function *)many_then_leave, true);
    memset(cr_fiber_captured_small(), 0, sizeof(cr_small_args));
    memset(cr_fiber_captured_large(), 0, sizeof(cr_large_args));
    cr_sched_push(&runner, small);
    cr_sched_push(&runner, large);
    run_all();
    EXPECT_STR(trail, "fm");
    EXPECT(runner.large_free != NULL);
    free(small);
    free(large);
    close_runner();
}

TEST(fiber, a_captured_call_can_be_made_here_and_now)
{
    cr_returned returned = { 0 };
    trail_length = 0;
    ((void (*)(pair, reals))crank_few_())((pair){ 1, -2 }, (reals){ 3.5, -4.25 });
    cr_call_captured((function *)few, cr_fiber_captured_small(), NULL, &returned);
    EXPECT(returned.real == 6.5);
    ((__typeof__(&many))crank_many_())(MANY_VALUES);
    cr_call_captured((function *)many, NULL, cr_fiber_captured_large(), &returned);
    EXPECT_EQ((long)returned.integer, -77);
    EXPECT_STR(trail, "fm");
}

TEST(fiber, the_small_stub_writes_where_it_is_told)
{
    cr_small_args place = { 0 };
    cr_capture_into(&place);
    EXPECT(cr_fiber_captured_small() == &place);
    ((void (*)(long, double))crank_few_())(5, 7.5);
    cr_capture_into(NULL);
    EXPECT(cr_fiber_captured_small() != &place);
    double real;
    memcpy(&real, &place.vector[0], sizeof real);
    EXPECT(place.general[0] == 5 && real == 7.5);
}

static _Unwind_Reason_Code count_frame(struct _Unwind_Context *context, void *count)
{
    (void)context;
    return ++*(int *)count < 50 ? _URC_NO_REASON : _URC_END_OF_STACK;
}

static void look_back(void)
{
    int depth = 0;
    _Unwind_Backtrace(count_frame, &depth);
    EXPECT(depth >= 1 && depth < 10);
    note('b');
    leave();
}

TEST(fiber, a_backtrace_ends_at_its_base)
{
    open_runner();
    cr_fiber *fiber = start(look_back);
    run_all();
    EXPECT_STR(trail, "b");
    free(fiber);
    close_runner();
}

static cr_side outside;
static cr_side inside;

static void side_entry(void *arg)
{
    cr_side_entered(&inside);
    double kept = opaque(2.5);
    for (int i = 0; i < 3; i++) {
        note(*(char *)arg);
        EXPECT_EQ(cr_side_swap(&inside, &outside, i), i + 11);
        EXPECT(kept == 2.5);
    }
    note('e');
    cr_side_leave(&inside, &outside, 3);
}

static void alternate(void)
{
    char letter = 'i';
    EXPECT_EQ(runner.stacks ? 0 : cr_stacks_refill(stacks), 0);
    void *top = cr_stack_pop(&runner.stacks);
    cr_side_prepare(&inside, &runner, top, side_entry, &letter);
    double kept = opaque(7.5);
    for (int i = 0; i < 4; i++) {
        EXPECT_EQ(cr_side_swap(&outside, &inside, i + 10), i);
        note('o');
        yield(0);
        EXPECT(kept == 7.5);
    }
    cr_stack_push(&runner.stacks, top);
    leave();
}

TEST(fiber, may_alternate_between_two_stacks)
{
    open_runner();
    cr_fiber *fiber = start(alternate);
    run_all();
    EXPECT_STR(trail, "ioioioeo");
    free(fiber);
    close_runner();
}
