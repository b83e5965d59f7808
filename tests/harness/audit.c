/* SPDX-License-Identifier: MIT */
/* audit.c: what a process holds before a test and what it still holds after it: the same, to the byte.
 *
 * Descriptors, threads, children and address space are read from procfs, the heap from heap.c, what runs of the library
 * have lost from runs.c. Under an emulator or a sanitizer the address space is not ours to judge and is left out. A
 * joined thread leaves procfs a little after its join has returned, so whoever looks waits for it, shortly. */
#include "internal.h"
#include "base/base.h"
#include <dirent.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void read_descriptors(test_audit *audit)
{
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir));) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] == '.' || fd == dirfd(dir))
            continue;
        if (fd < TEST_DESCRIPTORS)
            audit->descriptors[fd] = 1;
        else
            audit->high_descriptors++;
    }
    closedir(dir);
}

/* Asked first before the test, which may put another environment in place. */
static bool emulated(void)
{
    static int answer = -1;
    if (answer < 0)
        answer = getenv("TEST_EMULATED") != NULL;
    return answer;
}

static size_t count_threads(void)
{
    size_t count = 0;
    DIR *dir = opendir("/proc/self/task");
    if (!dir)
        return 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

/* Until those are alone that are always there: the first one, and the one that some tools run beside it. */
static void wait_for_threads(void)
{
    const size_t own = CR_TSAN || emulated() ? 2 : 1;
    for (int i = 0; count_threads() > own && i < 1000; i++)
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

static void *end_at_once(void *arg) { return arg; }

/* A detached thread that has ended (of the library's lookups) leaves its stack to the next thread that does: where
 * mappings are counted, they are given back. */
static void give_back_stacks(void)
{
    pthread_t thread;
    bool counted = !CR_SWITCH_SANITIZED && !emulated();
    if (counted && pthread_create(&thread, NULL, end_at_once, NULL) == 0)
        pthread_join(thread, NULL);
    wait_for_threads();
}

/* All of it but for two that grow by themselves and keep what they have: the heap, which heap.c counts, and the first
 * thread's stack. There is nothing else to allow for: the allocator has one arena here, glibc keeps no stacks of ended
 * threads, and what libraries map once the run made beforehand has had mapped. Blocks so large that they are mappings
 * of their own are unmapped when they are freed. */
static size_t read_mapped(void)
{
    char line[512];
    size_t total = 0;
    FILE *maps = CR_SWITCH_SANITIZED || emulated() ? NULL : fopen("/proc/self/maps", "re");
    if (!maps)
        return 0;
    while (fgets(line, sizeof line, maps)) {
        unsigned long low;
        unsigned long high;
        if (!strstr(line, "[heap]") && !strstr(line, "[stack]") && sscanf(line, "%lx-%lx", &low, &high) == 2)
            total += high - low;
    }
    fclose(maps);
    return total;
}

void test_audit_take(test_audit *audit)
{
    memset(audit, 0, sizeof *audit);
    read_descriptors(audit);
    wait_for_threads();
    give_back_stacks();
    audit->threads = count_threads();
    audit->mapped = read_mapped();
    test_heap_count(&audit->blocks, &audit->bytes);
    test_runs_count(&audit->lost);
}

/* What is left, a sentence each. */
typedef struct report {
    char *buf;
    size_t size;
    int left;
} report;

CRANK_PRINTF(2, 3) static void add(report *r, const char *format, ...)
{
    size_t used = strlen(r->buf);
    va_list args;
    va_start(args, format);
    vsnprintf(r->buf + used, r->size - used, format, args);
    va_end(args);
    r->left++;
}

static void compare_descriptors(report *r, const test_audit *before, const test_audit *after)
{
    for (int fd = 0; fd < TEST_DESCRIPTORS; fd++) {
        char path[32];
        char target[128] = "?";
        if (before->descriptors[fd] == after->descriptors[fd])
            continue;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(path, target, sizeof target - 1);
        target[length > 0 ? length : 1] = 0;
        add(r, "left: descriptor %d (%s) %s\n", fd, target,
            after->descriptors[fd] ? "is still open" : "was not ours to close");
    }
}

static void compare_counts(report *r, const test_audit *before, const test_audit *after)
{
    const struct {
        const char *what;
        size_t before;
        size_t after;
    } counts[] = {
        { "descriptors above the others", before->high_descriptors, after->high_descriptors },
        { "threads", before->threads, after->threads },
        { "bytes of mappings", before->mapped, after->mapped },
        { "tasks of runs that are over", before->lost.tasks, after->lost.tasks },
        { "stacks of runs that are over", before->lost.stacks, after->lost.stacks },
        { "objects of runs that are over", before->lost.objects, after->lost.objects },
        { "simulated sockets of runs that are over", before->lost.sockets, after->lost.sockets },
        { "heap blocks", before->blocks, after->blocks },
        { "heap bytes", before->bytes, after->bytes },
    };
    for (size_t i = 0; i < CRANK_COUNT(counts); i++)
        if (counts[i].after != counts[i].before)
            add(r, "left: %zu %s, %zu before\n", counts[i].after, counts[i].what, counts[i].before);
}

int test_audit_compare(const test_audit *before, char *buf, size_t size)
{
    test_audit after;
    report r = { .buf = buf, .size = size };
    buf[0] = 0;
    test_audit_take(&after);
    compare_descriptors(&r, before, &after);
    compare_counts(&r, before, &after);
    if (waitpid(-1, NULL, WNOHANG) >= 0)
        add(&r, "left: a child process\n");
    return r.left;
}
