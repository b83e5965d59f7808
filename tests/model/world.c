/* SPDX-License-Identifier: MIT */
/* world.c: what the OS is in the model: memory that tells of its end, a clock, eventfds and epoll.
 *
 * Freed memory is filled and kept until the execution is over. Descriptors are numbers above those of the process; only
 * edge-triggered waiting for eventfds is here, which is all that a loop without descriptors of its own asks for. */
#include "model.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { BLOCKS_MAX = 4096, FILES_MAX = 64, FIRST_FD = 5000 };

typedef struct block {
    char *memory;
    size_t size;
    bool freed;
} block;

typedef struct file {
    bool open;
    bool is_epoll;
    bool edge; /* an eventfd: written to since that was last told */
    int epfd;  /* it is watched by, 0: nobody */
    struct epoll_event event;
} file;

static block blocks[BLOCKS_MAX];
static size_t block_count;
static file files[FILES_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- Memory */

void *model_malloc(size_t size)
{
    char *memory = malloc(size);
    pthread_mutex_lock(&lock);
    if (block_count == BLOCKS_MAX)
        model_fail("more than %d blocks of memory", BLOCKS_MAX);
    blocks[block_count++] = (block){ memory, size, false };
    pthread_mutex_unlock(&lock);
    return memory;
}

void *model_calloc(size_t count, size_t size)
{
    void *memory = model_malloc(count * size);
    return memory ? memset(memory, 0, count * size) : NULL;
}

/* Under the lock. NULL: it was allocated by others (libc's strdup). */
static block *block_of(const void *memory)
{
    for (size_t i = block_count; i > 0; i--)
        if (blocks[i - 1].memory == memory)
            return &blocks[i - 1];
    return NULL;
}

void *model_realloc(void *memory, size_t size)
{
    void *larger = model_malloc(size);
    if (memory) {
        pthread_mutex_lock(&lock);
        const block *old = block_of(memory);
        size_t known = old ? old->size : 0;
        pthread_mutex_unlock(&lock);
        memcpy(larger, memory, known < size ? known : size);
        model_free(memory);
    }
    return larger;
}

void model_free(void *memory)
{
    pthread_mutex_lock(&lock);
    block *known = memory ? block_of(memory) : NULL;
    if (known && known->freed)
        model_fail("memory is freed twice");
    if (known) {
        memset(known->memory, 0xdd, known->size);
        known->freed = true;
    }
    pthread_mutex_unlock(&lock);
    if (!known)
        free(memory);
}

void model_check_alive(const volatile void *address)
{
    const char *at = (const char *)(uintptr_t)address;
    if (!at)
        return;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < block_count; i++)
        if (blocks[i].freed && at >= blocks[i].memory && at < blocks[i].memory + blocks[i].size)
            model_fail("freed memory is used: %zu bytes, at %zu", blocks[i].size, (size_t)(at - blocks[i].memory));
    pthread_mutex_unlock(&lock);
}

void model_world_end(void)
{
    size_t left = 0;
    for (size_t i = 0; i < block_count; i++) {
        left += !blocks[i].freed;
        free(blocks[i].memory);
    }
    block_count = 0;
    if (left)
        model_fail("%zu blocks of memory were not freed", left);
    for (size_t i = 0; i < FILES_MAX; i++)
        if (files[i].open)
            model_fail("a descriptor was not closed");
}

/* ---- The clock and the machine */

int model_clock_gettime(clockid_t clock, struct timespec *ret)
{
    (void)clock;
    int64_t instant = model_now();
    *ret = (struct timespec){ instant / 1000000000, instant % 1000000000 };
    return 0;
}

int model_affinity(pid_t pid, size_t size, cpu_set_t *set)
{
    (void)pid;
    memset(set, 0, size);
    CPU_SET(0, set);
    CPU_SET(1, set);
    return 0;
}

/* ---- Descriptors */

static file *file_of(int fd)
{
    if (fd < FIRST_FD || fd >= FIRST_FD + FILES_MAX || !files[fd - FIRST_FD].open)
        model_fail("descriptor %d is not open", fd);
    return &files[fd - FIRST_FD];
}

static int file_new(bool is_epoll)
{
    for (int i = 0; i < FILES_MAX; i++)
        if (!files[i].open) {
            files[i] = (file){ .open = true, .is_epoll = is_epoll };
            return FIRST_FD + i;
        }
    model_fail("more than %d descriptors", FILES_MAX);
}

int model_eventfd(unsigned value, int flags)
{
    (void)flags;
    (void)value;
    return file_new(false);
}

/* None is to be had: waits have timeouts. */
int model_timerfd_create(int clock, int flags)
{
    (void)clock;
    (void)flags;
    errno = EMFILE;
    return -1;
}

int model_epoll_create1(int flags)
{
    (void)flags;
    return file_new(true);
}

int model_epoll_ctl(int epfd, int how, int fd, struct epoll_event *event)
{
    file *f = file_of(fd);
    (void)file_of(epfd);
    f->epfd = how == EPOLL_CTL_DEL ? 0 : epfd;
    if (event)
        f->event = *event;
    return 0;
}

static file *told_by(int epfd)
{
    for (int i = 0; i < FILES_MAX; i++)
        if (files[i].open && files[i].epfd == epfd && files[i].edge)
            return &files[i];
    return NULL;
}

static bool has_edge(const void *about) { return told_by((int)((const file *)about - files) + FIRST_FD) != NULL; }

int model_epoll_pwait2(int epfd, struct epoll_event *events, int n, const struct timespec *span, const void *mask)
{
    const file *f = file_of(epfd);
    (void)mask;
    model_point(NULL, true);
    int64_t deadline = span ? model_now() + (int64_t)span->tv_sec * 1000000000 + span->tv_nsec : INT64_MAX;
    bool looks = span && span->tv_sec == 0 && span->tv_nsec == 0;
    if (!looks)
        (void)model_wait(has_edge, f, deadline);
    int count = 0;
    for (file *told; count < n && (told = told_by(epfd)); count++) {
        told->edge = false;
        events[count] = told->event;
    }
    return count;
}

ssize_t model_write(int fd, const void *buf, size_t size)
{
    if (fd < FIRST_FD)
        return write(fd, buf, size);
    model_point(NULL, true);
    file_of(fd)->edge = true;
    return (ssize_t)size;
}

int model_close(int fd)
{
    if (fd < FIRST_FD)
        return close(fd);
    model_point(NULL, true);
    file_of(fd)->open = false;
    return 0;
}
