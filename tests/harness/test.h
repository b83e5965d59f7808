/* SPDX-License-Identifier: MIT */
/* test.h: how a test is written.
 *
 * A test file holds tests and nothing that starts them; the runner gives each test a process of its own, with a
 * timeout, and afterwards looks for what it left behind: descriptors, threads, children, mappings, heap. A name is a
 * subject and a sentence that is true of it. Under the simulator time is exact: assert equal times, never ranges.
 *
 *     TEST(heap, gives_the_smallest_first) { ... }                         no loop; plain C
 *     TEST_EACH_BACKEND(lock, is_fair) { ... return 0; }                   a task; on sim, epoll and uring
 *     TEST_SIM(sleep, takes_exactly_as_long) { ... return 0; }             a task; on sim alone
 *     TEST_CHECKS(await, of_oneself_is_refused, "itself") { ... return 0; }   a task that must abort saying so, on sim
 *     TEST_CHECKS_OUTSIDE(sleep, needs_a_run, "outside") { ... }           plain C that must abort saying so
 *     TEST_SEEDS(queue, loses_nothing, 500) { ... seed ... return 0; }     a task, once for each seed, on sim
 *     TEST_EXPLORED(lock, is_held_by_one, 300) { ... return 0; }           a task, through all its schedules, or so
 *                                                                          many and some by chance; failures are shrunk
 *
 * A task's body is the app of the run and must return 0; it may use crank_try. */
#ifndef TEST_H
#define TEST_H
#include <crank.h>
#include <crank/explore.h>
#include <crank/loop.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum test_kind { TEST_KIND_PLAIN, TEST_KIND_APP, TEST_KIND_SEEDS, TEST_KIND_EXPLORED };

/* What the runner needs of the library, reached through the tests that need a loop: a test file without such a test
 * links without the layers above it. */
typedef struct test_runtime {
    long (*run)(const crank_options *options, long (*fn)(void *), void *arg);
    const char *(*backend_name)(void);
    const char *(*errno_name)(int error);
    void (*error_print)(void);
    void (*error_clear)(void);
} test_runtime;
#define TEST_RUNTIME_ \
    &(const test_runtime) { crank_run_raw, crank_backend_name, crank_errno_name, crank_error_print, crank_error_clear }

typedef struct test_case {
    const char *subject;
    const char *sentence;
    const char *file;
    int line;
    enum test_kind kind;
    crank_backend backend; /* CRANK_BACKEND_DEFAULT: one test for each of them */
    void (*plain)(void);
    int (*app)(void);
    int (*seeded)(uint64_t seed);
    const test_runtime *runtime; /* NULL where the test needs no loop */
    const char *says;            /* what the abort must say, NULL when it must not abort */
    uint64_t seeds;
    uint64_t schedules;
    int (*explore)(const crank_exploration *exploration, crank_explore_result *ret_explored);
    struct test_case *next;
} test_case;

void test_register(test_case *test);

/* Fail the test now, from any task or thread: print and leave the process. */
CRANK_NORETURN void test_fail(const char *file, int line, const char *format, ...) CRANK_PRINTF(3, 4);
/* Leave the test as skipped, with the reason. */
CRANK_NORETURN void test_skip(const char *format, ...) CRANK_PRINTF(1, 2);
/* Go on only under --long; otherwise the test is skipped. First statement of a test slower than 50 ms. */
void test_needs_long(void);
/* Memory of the test's own: zeroed, and given back by itself when the test has ended, however it did. */
void *test_memory(size_t size);
/* A descriptor of the test's own, closed by itself then; gives fd. */
int test_descriptor(int fd);
/* Bytes of the heap that are in use; 0 where that is not counted: under a sanitizer. */
size_t test_heap_bytes(void);
/* Collect what is written to stderr, until test_captured gives it as a string (valid until the next capture). */
void test_capture(void);
const char *test_captured(void);

/* What is made with _new a test has, or, where calls to the OS are made to fail (failures.c), cannot go on. */
void *test_made(void *object, const char *file, int line);
#define TEST_MADE_(call) ((__typeof__(call))test_made((call), __FILE__, __LINE__))
#define crank_barrier_new(...) TEST_MADE_((crank_barrier_new)(__VA_ARGS__))
#define crank_condition_new(...) TEST_MADE_((crank_condition_new)(__VA_ARGS__))
#define crank_event_new() TEST_MADE_((crank_event_new)())
#define crank_lock_new() TEST_MADE_((crank_lock_new)())
#define crank_queue_new(...) TEST_MADE_((crank_queue_new)(__VA_ARGS__))
#define crank_queue_new_lifo(...) TEST_MADE_((crank_queue_new_lifo)(__VA_ARGS__))
#define crank_queue_new_priority(...) TEST_MADE_((crank_queue_new_priority)(__VA_ARGS__))
#define crank_semaphore_new(...) TEST_MADE_((crank_semaphore_new)(__VA_ARGS__))
#define crank_semaphore_new_bounded(...) TEST_MADE_((crank_semaphore_new_bounded)(__VA_ARGS__))
#undef crank_future_new
#define crank_future_new() TEST_MADE_(CRANK_FUTURE_NEW_(__COUNTER__))
#define crank_loop_new(...) TEST_MADE_((crank_loop_new)(__VA_ARGS__))
#define crank_waker_new(...) TEST_MADE_((crank_waker_new)(__VA_ARGS__))

#define TEST_DEFINE_(id, ...) \
    static test_case id##_case = { __VA_ARGS__ }; \
    __attribute__((constructor)) static void id##_add(void) { test_register(&id##_case); }
#define TEST_APP_(id, subject_, sentence_, ...) \
    static int id(void); \
    TEST_DEFINE_(id, .subject = subject_, .sentence = sentence_, .file = __FILE__, .line = __LINE__, \
        .kind = TEST_KIND_APP, .app = id, .runtime = TEST_RUNTIME_, __VA_ARGS__) \
    static int id(void)
#define TEST_PLAIN_(id, subject_, sentence_, ...) \
    static void id(void); \
    TEST_DEFINE_(id, .subject = subject_, .sentence = sentence_, .file = __FILE__, .line = __LINE__, \
        .kind = TEST_KIND_PLAIN, .plain = id, __VA_ARGS__) \
    static void id(void)
#define TEST_SEEDED_(id, subject_, sentence_, ...) \
    static int id(uint64_t seed); \
    TEST_DEFINE_(id, .subject = subject_, .sentence = sentence_, .file = __FILE__, .line = __LINE__, \
        .kind = TEST_KIND_SEEDS, .seeded = id, .runtime = TEST_RUNTIME_, .backend = CRANK_BACKEND_SIM, __VA_ARGS__) \
    static int id(uint64_t seed __attribute__((unused)))

#define TEST(subject, sentence) TEST_PLAIN_(test_##subject##_##sentence, #subject, #sentence, .says = NULL)
#define TEST_CHECKS_OUTSIDE(subject, sentence, message) \
    TEST_PLAIN_(test_##subject##_##sentence, #subject, #sentence, .says = (message))
#define TEST_EACH_BACKEND(subject, sentence) \
    TEST_APP_(test_##subject##_##sentence, #subject, #sentence, .backend = CRANK_BACKEND_DEFAULT)
#define TEST_SIM(subject, sentence) \
    TEST_APP_(test_##subject##_##sentence, #subject, #sentence, .backend = CRANK_BACKEND_SIM)
#define TEST_CHECKS(subject, sentence, message) \
    TEST_APP_(test_##subject##_##sentence, #subject, #sentence, .backend = CRANK_BACKEND_SIM, .says = (message))
#define TEST_SEEDS(subject, sentence, count) \
    TEST_SEEDED_(test_##subject##_##sentence, #subject, #sentence, .seeds = (count))

#define TEST_EXPLORED(subject_, sentence_, count) \
    static int test_##subject_##_##sentence_(void); \
    TEST_DEFINE_(test_##subject_##_##sentence_, .subject = #subject_, .sentence = #sentence_, .file = __FILE__, \
        .line = __LINE__, .kind = TEST_KIND_EXPLORED, .app = test_##subject_##_##sentence_, .runtime = TEST_RUNTIME_, \
        .backend = CRANK_BACKEND_SIM, .schedules = (count), .explore = crank_explore) \
    static int test_##subject_##_##sentence_(void)

#define EXPECT(condition) ((condition) ? (void)0 : test_fail(__FILE__, __LINE__, "%s does not hold", #condition))
#define TEST_IS_REAL_(value) _Generic((value), float : 1, double : 1, long double : 1, default : 0)
/* Two integers or pointers. */
#define EXPECT_EQ(a, b) \
    do { \
        __typeof__(((void)0, (a))) expect_left_ = (a); \
        __typeof__(((void)0, (b))) expect_right_ = (b); \
        _Static_assert(__builtin_classify_type(expect_left_) != 8 && __builtin_classify_type(expect_right_) != 8, \
            "EXPECT_EQ compares integers; use EXPECT_NEAR"); \
        long long expect_a_ = (long long)expect_left_; \
        long long expect_b_ = (long long)expect_right_; \
        if (expect_a_ != expect_b_) \
            test_fail(__FILE__, __LINE__, "%s is %lld, expected %s, which is %lld", #a, expect_a_, #b, expect_b_); \
    } while (0)
#define EXPECT_STR(a, b) \
    do { \
        const char *expect_a_ = (a); \
        const char *expect_b_ = (b); \
        if (!expect_a_ || !expect_b_ || strcmp(expect_a_, expect_b_) != 0) \
            test_fail(__FILE__, __LINE__, "%s is \"%s\", expected \"%s\"", #a, expect_a_ ? expect_a_ : "(null)", \
                expect_b_ ? expect_b_ : "(null)"); \
    } while (0)
/* The first string contains the second. */
#define EXPECT_CONTAINS(a, b) \
    do { \
        const char *expect_a_ = (a); \
        const char *expect_b_ = (b); \
        if (!expect_a_ || !strstr(expect_a_, expect_b_)) \
            test_fail(__FILE__, __LINE__, "%s is \"%s\", which does not contain \"%s\"", #a, \
                expect_a_ ? expect_a_ : "(null)", expect_b_); \
    } while (0)
#define EXPECT_NEAR(a, b, epsilon) \
    do { \
        double expect_a_ = (double)(a); \
        double expect_b_ = (double)(b); \
        if (!(fabs(expect_a_ - expect_b_) <= (double)(epsilon))) \
            test_fail(__FILE__, __LINE__, "%s is %.12g, expected %s, which is %.12g", #a, expect_a_, #b, expect_b_); \
    } while (0)
#endif
