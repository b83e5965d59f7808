/* SPDX-License-Identifier: MIT */
/* fuzz.h: how a fuzz target is written.
 *
 * A target is one file that defines fuzz_this: a function that decodes bytes into calls of one part of the library and
 * fails where the part does not do what a small model of it does. Any bytes are a valid script, and no bytes at all
 * are the shortest. The same file is linked with libFuzzer, which seeks bytes, and with replay.c, which replays the
 * committed ones of corpus/NAME and makes others from seeds. */
#ifndef FUZZ_H
#define FUZZ_H
#include <crank.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct fuzz_target {
    const char *name;
    size_t length;   /* of a script made from a seed, at most */
    bool in_task;    /* run is called in a task, under the simulator */
    bool may_report; /* what the runtime reports unasked is no failure */
    void (*run)(const uint8_t *data, size_t size);
} fuzz_target;
extern const fuzz_target fuzz_this;

/* Run a script: the target's own way. */
void fuzz_run(const uint8_t *data, size_t size);
/* For main programs: options of a run in which whatever is reported is judged. */
crank_options fuzz_options(void);
/* The main program's: the script has failed. */
CRANK_NORETURN void fuzz_stop(void);

/* Say what is wrong and stop: how, the main program knows. */
CRANK_NORETURN void fuzz_fail(const char *file, int line, const char *format, ...) CRANK_PRINTF(3, 4);
/* Print the steps of the script that is run: to read what a failing one does. */
extern bool fuzz_explains;
#define FUZZ_SAY(...) (fuzz_explains ? (void)fprintf(stderr, __VA_ARGS__) : (void)0)

#define FUZZ_EXPECT(condition) ((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, "%s does not hold", #condition))
#define FUZZ_EQUAL(a, b) \
    do { \
        long long fuzz_a_ = (long long)(a), fuzz_b_ = (long long)(b); \
        if (fuzz_a_ != fuzz_b_) \
            fuzz_fail(__FILE__, __LINE__, "%s is %lld, expected %s, which is %lld", #a, fuzz_a_, #b, fuzz_b_); \
    } while (0)

/* The bytes of a script, taken one by one; 0 for ever after the last. */
typedef struct fuzz_bytes {
    const uint8_t *at;
    size_t left;
} fuzz_bytes;
static inline unsigned fuzz_byte(fuzz_bytes *bytes)
{
    if (bytes->left == 0)
        return 0;
    bytes->left--;
    return *bytes->at++;
}
static inline uint64_t fuzz_number(fuzz_bytes *bytes, int count)
{
    uint64_t number = 0;
    while (count-- > 0)
        number = number << 8 | fuzz_byte(bytes);
    return number;
}
#endif
