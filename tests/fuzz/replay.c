/* SPDX-License-Identifier: MIT */
/* replay.c: a main program without libFuzzer: scripts from files, and from seeds.
 *
 *     fuzz_NAME [--explain] FILE or FOLDER...        replay each
 *     fuzz_NAME [--explain] --seeds FIRST COUNT      make and run so many
 *
 * Many scripts from seeds share one run of a loop: opening one takes longer than a script. Where one fails, or the
 * library aborts, it says how to run that one alone. The last line is "N passed, N failed, N skipped". */
#include "fuzz.h"
#include <dirent.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SCRIPT_MAX = 1 << 16, BATCH = 5000 };

static struct {
    const char *program;
    const char *file; /* that is replayed; NULL: the seed counts */
    uint64_t seed;
    uint64_t end; /* of the batch */
    size_t scripts, bytes;
} now;

static void say_which(void)
{
    char text[512];
    int length = now.file ? snprintf(text, sizeof text, "    again: %s --explain %s\n", now.program, now.file)
                          : snprintf(text, sizeof text, "    again: %s --explain --seeds %llu 1\n", now.program,
                                (unsigned long long)now.seed);
    ssize_t written = write(STDERR_FILENO, text, (size_t)length);
    (void)written;
}
void fuzz_stop(void)
{
    say_which();
    _exit(1);
}
/* A CHECK of the library's, or worse; the default action follows. */
static void on_abort(int sig)
{
    say_which();
    signal(sig, SIG_DFL);
    raise(sig);
}

/* ---- Files */

static void replay_file(const char *path)
{
    static uint8_t bytes[SCRIPT_MAX];
    FILE *file = fopen(path, "re");
    now.file = path;
    if (!file)
        fuzz_fail(__FILE__, __LINE__, "cannot open %s", path);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    /* Of just this size: a sanitizer then sees what reads behind it. */
    uint8_t *exact = malloc(size ? size : 1);
    if (!exact)
        fuzz_fail(__FILE__, __LINE__, "out of memory");
    memcpy(exact, bytes, size);
    fuzz_run(exact, size);
    free(exact);
    now.scripts++;
    now.bytes += size;
}

static void replay(const char *path)
{
    struct stat status;
    if (stat(path, &status) == 0 && !S_ISDIR(status.st_mode)) {
        replay_file(path);
        return;
    }
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0)
        fuzz_fail(__FILE__, __LINE__, "cannot read %s", path);
    for (int i = 0; i < count; i++) {
        char name[512];
        snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            replay_file(name);
        free(entries[i]);
    }
    free(entries);
    now.file = NULL;
}

/* ---- Seeds */

static uint64_t mix(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t mixed = (*state ^ *state >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ mixed >> 31;
}

/* Short and long ones; bytes of all values. */
static long run_batch(void *arg)
{
    static uint8_t bytes[SCRIPT_MAX];
    (void)arg;
    for (; now.seed < now.end; now.seed++) {
        uint64_t state = now.seed * UINT64_C(0x2545f4914f6cdd1d);
        size_t size = mix(&state) % fuzz_this.length + 1;
        for (size_t i = 0; i < size; i += 8) {
            uint64_t word = mix(&state);
            memcpy(&bytes[i], &word, sizeof word);
        }
        fuzz_this.run(bytes, size);
        now.scripts++;
        now.bytes += size;
    }
    return 0;
}

static void run_seeds(uint64_t first, uint64_t count)
{
    crank_options options = fuzz_options();
    now.seed = first;
    while (now.seed < first + count) {
        now.end = first + count - now.seed > BATCH ? now.seed + BATCH : first + count;
        if (fuzz_this.in_task)
            FUZZ_EQUAL(crank_run_raw(&options, run_batch, NULL), 0);
        else
            run_batch(NULL);
    }
}

static double seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    now.program = argv[0];
    signal(SIGABRT, on_abort);
    signal(SIGSEGV, on_abort);
    double begun = seconds();
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--explain") == 0) {
            fuzz_explains = true;
        } else if (strcmp(argv[i], "--seeds") == 0 && i + 2 < argc) {
            run_seeds(strtoull(argv[i + 1], NULL, 10), strtoull(argv[i + 2], NULL, 10));
            i += 2;
        } else if (argv[i][0] == '-') {
            fprintf(stderr, "%s: known are --explain, --seeds FIRST COUNT, files and folders\n", argv[0]);
            return 2;
        } else {
            replay(argv[i]);
        }
    }
    double took = seconds() - begun;
    printf("%s: %zu scripts, %zu bytes, %.2f s, %.0f a second\n", fuzz_this.name, now.scripts, now.bytes, took,
        took > 0 ? (double)now.scripts / took : 0.0);
    printf("%d passed, 0 failed, 0 skipped\n", now.scripts > 0);
    return now.scripts > 0 ? 0 : 1;
}
