/* SPDX-License-Identifier: MIT */
/* audit.c: what a process holds before a test and what it still holds after it.
 *
 * Descriptors, threads, children and address space are read from procfs, the heap from heap.c. Under an emulator or a
 * sanitizer the address space is not ours to judge and is left out. A joined thread leaves procfs a little after its
 * join has returned, so the comparison waits for it, shortly. */
#include "internal.h"
#include "base/base.h"
#include <dirent.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Growth of the address space that is nobody's leak: the allocator's arenas, the libraries' own. */
#define MAPPED_SLACK ((size_t)1 << 20)

static void read_descriptors(unsigned char *held)
{
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return;
    for (struct dirent *entry; (entry = readdir(dir));) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && fd != dirfd(dir) && fd >= 0 && fd < 1024)
            held[fd] = 1;
    }
    closedir(dir);
}

static int count_threads(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/task");
    if (!dir)
        return 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

/* Asked first before the test, which may put another environment in place. */
static bool emulated(void)
{
    static int answer = -1;
    if (answer < 0)
        answer = getenv("TEST_EMULATED") != NULL;
    return answer;
}

static size_t read_mapped(void)
{
    char line[512];
    size_t total = 0;
    FILE *maps = CR_ANNOUNCED || emulated() ? NULL : fopen("/proc/self/maps", "re");
    if (!maps)
        return 0;
    while (fgets(line, sizeof line, maps)) {
        unsigned long low;
        unsigned long high;
        if (!strstr(line, "[heap]") && sscanf(line, "%lx-%lx", &low, &high) == 2)
            total += high - low;
    }
    fclose(maps);
    return total;
}

void test_audit_take(test_audit *audit)
{
    memset(audit, 0, sizeof *audit);
    read_descriptors(audit->descriptors);
    audit->threads = count_threads();
    audit->mapped = read_mapped();
    test_heap_count(&audit->blocks, &audit->bytes);
}

static int wait_for_threads(int expected)
{
    int count = count_threads();
    for (int i = 0; count > expected && i < 200; i++) {
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
        count = count_threads();
    }
    return count;
}

static int compare_descriptors(const test_audit *before, const test_audit *after, char *buf, size_t size)
{
    int left = 0;
    for (int fd = 0; fd < 1024; fd++) {
        char path[32];
        char target[128] = "?";
        size_t used = strlen(buf);
        if (before->descriptors[fd] == after->descriptors[fd])
            continue;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(path, target, sizeof target - 1);
        target[length > 0 ? length : 1] = 0;
        snprintf(buf + used, size - used, "left: descriptor %d (%s) %s\n", fd, target,
            after->descriptors[fd] ? "is still open" : "was not ours to close");
        left++;
    }
    return left;
}

int test_audit_compare(const test_audit *before, char *buf, size_t size)
{
    test_audit after;
    buf[0] = 0;
    int threads = wait_for_threads(before->threads);
    test_audit_take(&after);
    int left = compare_descriptors(before, &after, buf, size);
    size_t used = strlen(buf);
    if (threads > before->threads) {
        snprintf(buf + used, size - used, "left: %d threads, %d before\n", threads, before->threads);
        left++;
    }
    used = strlen(buf);
    if (waitpid(-1, NULL, WNOHANG) >= 0) {
        snprintf(buf + used, size - used, "left: a child process\n");
        left++;
    }
    used = strlen(buf);
    if (after.mapped > before->mapped + MAPPED_SLACK) {
        snprintf(buf + used, size - used, "left: %zu KiB of mappings\n", (after.mapped - before->mapped) >> 10);
        left++;
    }
    used = strlen(buf);
    if (after.blocks > before->blocks) {
        snprintf(buf + used, size - used, "left: %zu heap blocks, %zu bytes\n", after.blocks - before->blocks,
            after.bytes - before->bytes);
        left++;
    }
    return left;
}
