/* SPDX-License-Identifier: MIT */
/* torture.c: call capture gives a task exactly what fn(args...) would have got, and its result exactly back.
 *
 * What is checked is the calling convention: which register, which stack word, which half of it. So every class of
 * argument appears where it is passed in registers and where registers have run out. signatures.py adds a thousand
 * calls at random; this file holds the cases that have a name. It is compiled in ten ways by tests/build/capture.sh. */
#include "test.h"

typedef struct {
    char a;
} tiny;
typedef struct {
    int a, b;
} pair;
typedef struct {
    long a, b;
} wide;
typedef struct {
    float x;
} one_float;
typedef struct {
    float x, y;
} two_floats;
typedef struct {
    float x, y, z;
} three_floats;
typedef struct {
    float x, y, z, w;
} four_floats;
typedef struct {
    double x, y;
} two_doubles;
typedef struct {
    float f;
    int i;
} float_int;
typedef struct {
    double d;
    long l;
} double_long;
typedef struct {
    long l;
    double d;
} long_double;
typedef struct {
    char text[13];
} odd_size;
typedef struct {
    short a;
    char b;
    double d;
} mixed;
typedef struct {
    void *p;
    float f;
    short s;
} pointer_float;
typedef union {
    double d;
    long l;
} either;

static int calls;

/* ---- results --------------------------------------------------------------------------------------------------- */

static char give_char(int v) { return (char)v; }
static signed char give_schar(int v) { return (signed char)v; }
static unsigned char give_uchar(int v) { return (unsigned char)v; }
static short give_short(int v) { return (short)v; }
static unsigned short give_ushort(int v) { return (unsigned short)v; }
static int give_int(int v) { return v; }
static unsigned give_unsigned(int v) { return (unsigned)v; }
static long give_long(long v) { return v; }
static unsigned long give_ulong(unsigned long v) { return v; }
static long long give_long_long(long long v) { return v; }
static bool give_bool(int v) { return v > 3; }
static float give_float(float v) { return v * 2; }
static double give_double(double v) { return v * 2; }
static char *give_pointer(char *p) { return p + 1; }
static void give_nothing(int v) { calls += v; }
enum colour { RED = 1, BLUE = 7 };
static enum colour give_enum(enum colour c) { return c == RED ? BLUE : RED; }

TEST_SIM(capture, keeps_the_sign_of_small_results)
{
    /* Failures are negative results, so the positive half is awaited and the negative half asked for. */
    EXPECT_EQ(crank_await(crank_spawn(give_schar, 100)), 100);
    EXPECT_EQ(crank_await(crank_spawn(give_schar, -3)), -3);
    EXPECT_EQ(crank_await(crank_spawn(give_char, 65)), 'A');
    EXPECT_EQ(crank_await(crank_spawn(give_uchar, 200)), 200);
    EXPECT_EQ(crank_await(crank_spawn(give_short, -3)), -3);
    EXPECT_EQ(crank_await(crank_spawn(give_short, 0x18001)), -32767);
    EXPECT_EQ(crank_await(crank_spawn(give_ushort, -1)), 65535);
    EXPECT_EQ(crank_await(crank_spawn(give_int, -3)), -3);
    EXPECT_EQ(crank_await(crank_spawn(give_int, INT32_MIN)), INT32_MIN);
    EXPECT_EQ(crank_await(crank_spawn(give_unsigned, -1)), 4294967295L);
    return 0;
}

TEST_SIM(capture, keeps_every_bit_of_wide_results)
{
    EXPECT_EQ(crank_await(crank_spawn(give_long, INT64_MAX)), INT64_MAX);
    EXPECT_EQ(crank_await(crank_spawn(give_ulong, 0x0123456789abcdefUL)), 0x0123456789abcdef);
    EXPECT_EQ(crank_await(crank_spawn(give_long_long, 0x7ffffffffffffffLL)), 0x7ffffffffffffff);
    EXPECT_EQ(crank_await(crank_spawn(give_bool, 4)), 1);
    EXPECT_EQ(crank_await(crank_spawn(give_bool, 3)), 0);
    EXPECT_EQ(crank_await(crank_spawn(give_enum, RED)), BLUE);
    return 0;
}

TEST_SIM(capture, gives_reals_pointers_and_nothing)
{
    char text[] = "xy";
    EXPECT(crank_await_double(crank_spawn(give_float, 1.25f)) == 2.5);
    EXPECT(crank_await_double(crank_spawn(give_double, -0.1)) == -0.2);
    EXPECT(crank_await_ptr(crank_spawn(give_pointer, text)) == text + 1);
    calls = 0;
    EXPECT_EQ(crank_await(crank_spawn(give_nothing, 5)), 0);
    EXPECT_EQ(calls, 5);
    return 0;
}

/* ---- conversion and small arguments ------------------------------------------------------------------------------ */

static int take_scalars(int a, double b, const char *c, float d, char e, unsigned long f)
{
    EXPECT_EQ(a, 7);
    EXPECT(b == 3.0);
    EXPECT_STR(c, "hi");
    EXPECT(d == 2.0f);
    EXPECT_EQ(e, 'A');
    EXPECT_EQ(f, -1);
    return 1;
}

TEST_SIM(capture, converts_arguments_as_a_call_does)
{
    EXPECT_EQ(crank_await(crank_spawn(take_scalars, (int)7.9, 3, "hi", 2, 65, (unsigned long)-1)), 1);
    return 0;
}

static int take_small(signed char a, unsigned char b, short c, unsigned short d, bool e, bool f, signed char g, short h)
{
    EXPECT_EQ(a, -1);
    EXPECT_EQ(b, 255);
    EXPECT_EQ(c, -32768);
    EXPECT_EQ(d, 65535);
    EXPECT_EQ(e, 1);
    EXPECT_EQ(f, 0);
    EXPECT_EQ(g, -128);
    EXPECT_EQ(h, -1);
    return 1;
}

TEST_SIM(capture, passes_small_integers_in_registers_and_on_the_stack)
{
    EXPECT_EQ(crank_await(crank_spawn(take_small, -1, 255, -32768, 65535, 7, 0, -128, -1)), 1);
    return 0;
}

/* ---- structures -------------------------------------------------------------------------------------------------- */

static int take_structs(tiny a, pair b, wide c, two_doubles d, float_int e)
{
    EXPECT_EQ(a.a, 'q');
    EXPECT_EQ(b.a, 1);
    EXPECT_EQ(b.b, -2);
    EXPECT_EQ(c.a, INT64_MIN);
    EXPECT_EQ(c.b, 5);
    EXPECT(d.x == 1.5 && d.y == -2.5);
    EXPECT(e.f == 0.5f);
    EXPECT_EQ(e.i, 9);
    return 1;
}

static int take_floats(one_float a, two_floats b, three_floats c, four_floats d)
{
    EXPECT(a.x == 1.0f);
    EXPECT(b.x == 2.0f && b.y == 3.0f);
    EXPECT(c.x == 4.0f && c.y == 5.0f && c.z == 6.0f);
    EXPECT(d.x == 7.0f && d.y == 8.0f && d.z == 9.0f && d.w == 10.0f);
    return 1;
}

static int take_mixed(double_long a, long_double b, odd_size c, mixed d, pointer_float e, either f)
{
    EXPECT(a.d == 1.25);
    EXPECT_EQ(a.l, -7);
    EXPECT_EQ(b.l, 8);
    EXPECT(b.d == 2.25);
    EXPECT_STR(c.text, "twelve bytes");
    EXPECT_EQ(d.a, -3);
    EXPECT_EQ(d.b, 'z');
    EXPECT(d.d == 3.25);
    EXPECT(e.p == &calls);
    EXPECT(e.f == 4.25f);
    EXPECT_EQ(e.s, -9);
    EXPECT_EQ(f.l, 77);
    return 1;
}

TEST_SIM(capture, passes_structures_of_every_class)
{
    EXPECT_EQ(crank_await(crank_spawn(take_structs, (tiny){ 'q' }, ((pair){ 1, -2 }), ((wide){ INT64_MIN, 5 }),
                  ((two_doubles){ 1.5, -2.5 }), ((float_int){ 0.5f, 9 }))),
        1);
    EXPECT_EQ(crank_await(crank_spawn(take_floats, (one_float){ 1 }, ((two_floats){ 2, 3 }),
                  ((three_floats){ 4, 5, 6 }), ((four_floats){ 7, 8, 9, 10 }))),
        1);
    EXPECT_EQ(crank_await(crank_spawn(take_mixed, ((double_long){ 1.25, -7 }), ((long_double){ 8, 2.25 }),
                  (odd_size){ "twelve bytes" }, ((mixed){ -3, 'z', 3.25 }), ((pointer_float){ &calls, 4.25f, -9 }),
                  (either){ .l = 77 })),
        1);
    return 0;
}

static int take_two_wide(wide a, wide b)
{
    EXPECT_EQ(a.a + a.b + b.a + b.b, 1 + 2 + 4 + 8);
    return 1;
}

static int take_two_long_double(long double a, long double b)
{
    EXPECT(a == 1.5L && b == -2.5L);
    return 1;
}

static int take_two_mixed(double_long a, long_double b)
{
    EXPECT(a.d == 0.5 && a.l == 3 && b.l == 4 && b.d == 0.25);
    return 1;
}

TEST_SIM(capture, passes_the_largest_pairs_in_the_small_form)
{
    EXPECT_EQ(crank_await(crank_spawn(take_two_wide, ((wide){ 1, 2 }), ((wide){ 4, 8 }))), 1);
    EXPECT_EQ(crank_await(crank_spawn(take_two_long_double, 1.5L, -2.5L)), 1);
    EXPECT_EQ(crank_await(crank_spawn(take_two_mixed, ((double_long){ 0.5, 3 }), ((long_double){ 4, 0.25 }))), 1);
    return 0;
}

static int take_split(int a, int b, int c, int d, int e, wide f, int g)
{
    EXPECT_EQ(a + b + c + d + e, 15);
    EXPECT_EQ(f.a, 100);
    EXPECT_EQ(f.b, 200);
    EXPECT_EQ(g, 6);
    return 1;
}

TEST_SIM(capture, keeps_a_structure_whole_when_one_register_is_left)
{
    EXPECT_EQ(crank_await(crank_spawn(take_split, 1, 2, 3, 4, 5, ((wide){ 100, 200 }), 6)), 1);
    return 0;
}

static int take_long_doubles(long double a, double b, long double c, int d, long double e)
{
    EXPECT(a == 1.0L / 3 && b == 0.5 && c == -2.0L && d == 4 && e == 1e300L * 1e300L);
    return 1;
}

TEST_SIM(capture, keeps_the_precision_of_long_double)
{
    EXPECT_EQ(crank_await(crank_spawn(take_long_doubles, 1.0L / 3, 0.5, -2.0L, 4, 1e300L * 1e300L)), 1);
    return 0;
}

/* ---- how many ---------------------------------------------------------------------------------------------------- */

static long sum0(void) { return 1000; }
static long sum1(long a) { return a; }
static long sum2(long a, long b) { return a + 2 * b; }
static long sum3(long a, long b, long c) { return sum2(a, b) + 3 * c; }
static long sum4(long a, long b, long c, long d) { return sum3(a, b, c) + 4 * d; }
static long sum5(long a, long b, long c, long d, long e) { return sum4(a, b, c, d) + 5 * e; }
static long sum6(long a, long b, long c, long d, long e, long f) { return sum5(a, b, c, d, e) + 6 * f; }
static long sum7(long a, long b, long c, long d, long e, long f, long g) { return sum6(a, b, c, d, e, f) + 7 * g; }
static long sum8(long a, long b, long c, long d, long e, long f, long g, long h)
{
    return sum7(a, b, c, d, e, f, g) + 8 * h;
}
static long sum14(
    long a, long b, long c, long d, long e, long f, long g, long h, long i, long j, long k, long l, long m, long n)
{
    return sum8(a, b, c, d, e, f, g, h) + 9 * i + 10 * j + 11 * k + 12 * l + 13 * m + 14 * n;
}
static double real14(double a, double b, double c, double d, double e, double f, double g, double h, double i, double j,
    double k, double l, double m, double n)
{
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 10 * j + 11 * k + 12 * l + 13 * m +
           14 * n;
}
static long both14(int a, double b, int c, double d, int e, double f, int g, double h, int i, double j, int k, double l,
    int m, double n)
{
    return a + 3 * c + 5 * e + 7 * g + 9 * i + 11 * k + 13 * m +
           (long)(2 * b + 4 * d + 6 * f + 8 * h + 10 * j + 12 * l + 14 * n);
}

TEST_SIM(capture, takes_from_none_to_fourteen)
{
    EXPECT_EQ(crank_await(crank_spawn(sum0)), 1000);
    EXPECT_EQ(crank_await(crank_spawn(sum1, 1)), 1);
    EXPECT_EQ(crank_await(crank_spawn(sum2, 1, 2)), 5);
    EXPECT_EQ(crank_await(crank_spawn(sum3, 1, 2, 3)), 14);
    EXPECT_EQ(crank_await(crank_spawn(sum4, 1, 2, 3, 4)), 30);
    EXPECT_EQ(crank_await(crank_spawn(sum5, 1, 2, 3, 4, 5)), 55);
    EXPECT_EQ(crank_await(crank_spawn(sum6, 1, 2, 3, 4, 5, 6)), 91);
    EXPECT_EQ(crank_await(crank_spawn(sum7, 1, 2, 3, 4, 5, 6, 7)), 140);
    EXPECT_EQ(crank_await(crank_spawn(sum8, 1, 2, 3, 4, 5, 6, 7, 8)), 204);
    EXPECT_EQ(crank_await(crank_spawn(sum14, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)), 1015);
    EXPECT(crank_await_double(crank_spawn(real14, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)) == 1015.0);
    EXPECT_EQ(crank_await(crank_spawn(both14, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)), 1015);
    return 0;
}

TEST_SIM(capture, keeps_the_arguments_of_many_calls_apart)
{
    crank_task *tasks[200];
    for (int i = 0; i < 200; i++)
        tasks[i] = i % 2 ? crank_spawn(sum8, i, 0, i, 0, i, 0, i, 0) : crank_spawn(sum2, i, i);
    for (int i = 199; i >= 0; i--)
        EXPECT_EQ(crank_await(tasks[i]), i % 2 ? 16 * i : 3 * i);
    return 0;
}

/* ---- the function ------------------------------------------------------------------------------------------------ */

static int length_by(int (*measure)(const char *), const char *text) { return measure(text); }
static int measure(const char *text) { return (int)strlen(text); }

TEST_SIM(capture, takes_function_pointers_as_function_and_as_argument)
{
    int (*by)(int (*)(const char *), const char *) = length_by;
    int (*const table[])(const char *) = { measure };
    EXPECT_EQ(crank_await(crank_spawn(by, measure, "four")), 4);
    EXPECT_EQ(crank_await(crank_spawn(*by, measure, "seven")), 5);
    EXPECT_EQ(crank_await(crank_spawn(table[0], "six")), 3);
    return 0;
}

static int CRANK_PRINTF(3, 4) formatted(char *buf, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(buf, size, format, args);
    va_end(args);
    return length;
}

TEST_SIM(capture, calls_functions_with_variable_arguments)
{
    char text[64];
    EXPECT_EQ(
        crank_await(crank_spawn(formatted, text, sizeof text, "%d %.2f %s %c %ld", 1, 2.5, "three", '4', 5L)), 16);
    EXPECT_STR(text, "1 2.50 three 4 5");
    EXPECT_EQ(crank_await(crank_spawn(snprintf, text, sizeof text, "%g %g %d", 0.5, 0.25, 3)), 10);
    EXPECT_STR(text, "0.5 0.25 3");
    return 0;
}

static int next_index;
static long first(long v) { return v + 1; }
static long second(long v) { return v + 2; }

TEST_SIM(capture, evaluates_function_and_arguments_once)
{
    long (*const functions[])(long) = { first, second };
    long value = 10;
    next_index = 0;
    EXPECT_EQ(crank_await(crank_spawn(functions[next_index++], value++)), 11);
    EXPECT_EQ(next_index, 1);
    EXPECT_EQ(value, 11);
    EXPECT_EQ(crank_await(crank_spawn(functions[next_index++], value++)), 13);
    EXPECT_EQ(next_index, 2);
    return 0;
}

static long (*choose(crank_task **ret_other))(long)
{
    *ret_other = crank_spawn(second, 40);
    return first;
}

TEST_SIM(capture, lets_the_function_expression_spawn)
{
    crank_task *other;
    crank_task *task = crank_spawn(choose(&other), 1);
    EXPECT_EQ(crank_await(task), 2);
    EXPECT_EQ(crank_await(other), 42);
    return 0;
}

static long slow_value(long v)
{
    crank_sleep(0.5);
    return v;
}

TEST_SIM(capture, lets_arguments_spawn_and_wait)
{
    double started = crank_time();
    crank_task *task =
        crank_spawn(sum3, crank_await(crank_spawn(slow_value, 1)), slow_value(2), crank_await(crank_spawn(sum2, 1, 1)));
    EXPECT_NEAR(crank_time() - started, 1.0, 1e-9);
    EXPECT_EQ(crank_await(task), 1 + 4 + 9);
    EXPECT_EQ(crank_await(crank_spawn(sum2, crank_await(crank_spawn(slow_value, 3)), slow_value(4))), 11);
    EXPECT_EQ(crank_await(crank_spawn(sum1, crank_await(crank_spawn(sum1, crank_await(crank_spawn(sum1, 5)))))), 5);
    return 0;
}

static int spawn_with_try(int *ret_done)
{
    crank_drop(crank_spawn(sum2, crank_try(crank_fail(EPROTO, "no argument")), 2));
    *ret_done = 1;
    return 0;
}

TEST_SIM(capture, lets_an_argument_leave_the_function)
{
    int done = 0;
    EXPECT_EQ(spawn_with_try(&done), -EPROTO);
    EXPECT_EQ(done, 0);
    EXPECT_EQ(crank_await(crank_spawn(sum2, 1, 2)), 5);
    return 0;
}

static long three_waits(int a, double b, const char *c, two_doubles d)
{
    for (int i = 0; i < 3; i++)
        crank_sleep(0.1);
    return a + (long)b + (long)strlen(c) + (long)(d.x + d.y);
}

TEST_SIM(capture, serves_every_call_that_takes_a_function)
{
    char text[8] = "abc";
    two_doubles d = { 10, 20 };
    CRANK_GROUP(group);
    CRANK_POOL(pool, 1);
    long result = 0;
    EXPECT_EQ(crank_await(crank_spawn_eager(three_waits, 1, 2, text, d)), 36);
    crank_group_spawn(&group, three_waits, 1, 2, text, d);
    crank_try(crank_group_wait(&group));
    crank_pool_spawn(&pool, three_waits, 1, 2, text, d);
    crank_try(crank_pool_wait(&pool, &result, 1));
    EXPECT_EQ(result, 36);
    EXPECT_EQ(crank_await(crank_to_thread(sum14, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)), 1015);
    EXPECT_EQ(crank_await(crank_to_thread(sum2, 1, 2)), 5);
    return 0;
}

static int count_up(int from, double step, const char *name, two_floats unused)
{
    EXPECT_STR(name, "counter");
    EXPECT(unused.x == 1.0f && unused.y == 2.0f);
    for (int i = 0; i < 3; i++)
        crank_try(crank_yield((double)from + i * step));
    return 0;
}

TEST_SIM(capture, serves_generators)
{
    double sum = 0;
    crank_foreach(double, v, crank_generate(count_up, 10, 0.5, "counter", ((two_floats){ 1, 2 }))) sum += v;
    EXPECT(sum == 31.5);
    return 0;
}

static int app_with_arguments(int a, double b, wide c, const char *d)
{
    return a == 1 && b == 0.5 && c.b == 4 && strcmp(d, "d") == 0 ? 17 : 1;
}

TEST(capture, serves_run)
{
    crank_options options = { .backend = CRANK_BACKEND_SIM };
    EXPECT_EQ(crank_run_with(&options, app_with_arguments, 1, 0.5, ((wide){ 3, 4 }), "d"), 17);
}
