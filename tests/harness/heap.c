/* SPDX-License-Identifier: MIT */
/* heap.c: counts live heap blocks by standing in front of malloc.
 *
 * Owns a table of live blocks. A block that does not come from the functions below is not in the table and is ignored
 * when freed. mallinfo would not do: it counts what lies in the per-thread caches as in use.
 * A sanitizer brings its own malloc and its own leak report, and a static program cannot have a second malloc; there
 * the counts are always zero. */
#include "internal.h"
#include "base/base.h"

#if CR_SWITCH_SANITIZED || defined(TEST_STATIC)

void test_heap_count(size_t *ret_blocks, size_t *ret_bytes) { *ret_blocks = *ret_bytes = 0; }
unsigned test_heap_mark(void) { return 0; }
void test_heap_describe(unsigned mark, char *buf, size_t size)
{
    (void)mark;
    snprintf(buf, size, "unknown");
}

#else
#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *memory, size_t size);
void __libc_free(void *memory);
void *__libc_memalign(size_t alignment, size_t size);

/* A power of two, far more than a test holds at once: the probe sequences stay short. */
enum { SLOTS = 1 << 21 };

typedef struct block {
    uintptr_t address; /* 0: never used, 1: was used */
    uint32_t size;     /* cut to 32 bits */
    unsigned serial;
} block;

static block blocks[SLOTS];
static size_t live_blocks;
static size_t live_bytes;
static unsigned next_serial;
static atomic_flag busy = ATOMIC_FLAG_INIT;

static void lock(void)
{
    while (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire))
        continue;
}

static void unlock(void) { atomic_flag_clear_explicit(&busy, memory_order_release); }

/* Neighbours in the heap are neighbours in the table: it then touches as few pages as the heap does. */
static size_t slot_of(const void *memory) { return ((uintptr_t)memory >> 4) & (SLOTS - 1); }

static void note(const void *memory, size_t size)
{
    if (!memory)
        return;
    lock();
    size_t at = slot_of(memory);
    for (size_t probes = 0; blocks[at].address > 1 && probes < SLOTS; probes++)
        at = (at + 1) & (SLOTS - 1);
    blocks[at] = (block){ (uintptr_t)memory, (uint32_t)size, next_serial++ };
    live_blocks++;
    live_bytes += (uint32_t)size;
    unlock();
}

static void forget(const void *memory)
{
    if (!memory)
        return;
    lock();
    size_t at = slot_of(memory);
    for (size_t probes = 0; blocks[at].address && probes < SLOTS; probes++) {
        if (blocks[at].address == (uintptr_t)memory) {
            blocks[at].address = blocks[(at + 1) & (SLOTS - 1)].address ? 1 : 0;
            live_blocks--;
            live_bytes -= blocks[at].size;
            break;
        }
        at = (at + 1) & (SLOTS - 1);
    }
    unlock();
}

void *malloc(size_t size)
{
    void *memory = __libc_malloc(size);
    note(memory, size);
    return memory;
}

void *calloc(size_t n, size_t size)
{
    void *memory = __libc_calloc(n, size);
    note(memory, n * size);
    return memory;
}

void *realloc(void *memory, size_t size)
{
    forget(memory);
    void *moved = __libc_realloc(memory, size);
    if (moved)
        note(moved, size);
    else if (size)
        note(memory, 0);
    return moved;
}

void free(void *memory)
{
    forget(memory);
    __libc_free(memory);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    void *memory = __libc_memalign(alignment, size);
    note(memory, size);
    return memory;
}

void *memalign(size_t alignment, size_t size) { return aligned_alloc(alignment, size); }

int posix_memalign(void **ret_memory, size_t alignment, size_t size)
{
    if (alignment == 0 || alignment % sizeof *ret_memory || (alignment & (alignment - 1)))
        return EINVAL;
    int saved = errno;
    void *memory = aligned_alloc(alignment, size);
    errno = saved;
    if (!memory)
        return ENOMEM;
    *ret_memory = memory;
    return 0;
}

void test_heap_count(size_t *ret_blocks, size_t *ret_bytes)
{
    lock();
    *ret_blocks = live_blocks;
    *ret_bytes = live_bytes;
    unlock();
}

unsigned test_heap_mark(void) { return next_serial; }

void test_heap_describe(unsigned mark, char *buf, size_t size)
{
    size_t used = 0;
    buf[0] = 0;
    for (size_t i = 0; i < SLOTS && used + 16 < size; i++)
        if (blocks[i].address > 1 && blocks[i].serial >= mark)
            used += (size_t)snprintf(buf + used, size - used, "%s%u", used ? ", " : "", blocks[i].size);
}
#endif

size_t test_heap_bytes(void)
{
    size_t count, bytes;
    test_heap_count(&count, &bytes);
    return bytes;
}
