/* SPDX-License-Identifier: MIT */
/* leaks.c: tests that leave something behind, one kind each. All but the first must fail, and say which kind it was:
 * 05_audit.sh knows what each says. */
#include "test.h"
#include "scope/nursery.h"
#include "scope/spawn.h"
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096 };

static int nothing(void) { return 0; }

/* A thing of each kind that is given back. */
TEST_EACH_BACKEND(leak, none)
{
    int fd = eventfd(0, EFD_CLOEXEC);
    void *memory = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *aligned = NULL;
    EXPECT_EQ(posix_memalign(&aligned, 256, 1000), 0);
    EXPECT(fd >= 0 && memory != MAP_FAILED);
    free(aligned);
    munmap(memory, PAGE);
    close(fd);
    return (int)crank_await(crank_spawn(nothing));
}

TEST_EACH_BACKEND(leak, descriptor)
{
    EXPECT(eventfd(0, EFD_CLOEXEC) >= 0);
    return 0;
}
TEST_EACH_BACKEND(leak, high_descriptor)
{
    EXPECT_EQ(dup2(STDIN_FILENO, 1025), 1025);
    return 0;
}
TEST_EACH_BACKEND(leak, descriptor_of_another) { return close(STDIN_FILENO); }

/* The runner ends it with all that the test has started. */
TEST_EACH_BACKEND(leak, child)
{
    pid_t pid = fork();
    EXPECT(pid >= 0);
    while (pid == 0)
        pause();
    return 0;
}
TEST_EACH_BACKEND(leak, dead_child)
{
    pid_t pid = fork();
    EXPECT(pid >= 0);
    if (pid == 0)
        _exit(0);
    return 0;
}

static void *stay(void *arg)
{
    for (;;)
        pause();
    return arg;
}
TEST_EACH_BACKEND(leak, thread)
{
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, NULL, stay, NULL), 0);
    return 0;
}

TEST_EACH_BACKEND(leak, file)
{
    char path[300];
    const char *folder = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/left-XXXXXX", folder ? folder : "/tmp");
    return close(mkstemp(path));
}

TEST_EACH_BACKEND(leak, mapping)
{
    EXPECT(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    return 0;
}

/* Several, for a copy of one's address may be somewhere still, and LeakSanitizer looks for those. */
static void *volatile lost;
TEST_EACH_BACKEND(leak, block)
{
    for (int i = 0; i < 8; i++)
        lost = malloc(100);
    lost = NULL;
    return 0;
}
TEST_EACH_BACKEND(leak, aligned_block)
{
    for (int i = 0; i < 8; i++)
        lost = aligned_alloc(64, 128);
    lost = NULL;
    return 0;
}

/* As many blocks as before, and more bytes. */
static void *volatile grows;
__attribute__((constructor)) static void allocate(void) { grows = malloc(16); }
TEST_EACH_BACKEND(leak, block_that_grew)
{
    void *grown = realloc(grows, 17);
    EXPECT(grown != NULL);
    grows = grown;
    return 0;
}

/* An owner who forgets what it owns. */
static void forget(crank_loop *loop, cr_nursery *owner, cr_task *child) { (void)loop, (void)owner, (void)child; }
static cr_task *make_task(void)
{
    static const crank_site site = { "nothing", "", __FILE__, __LINE__, CRANK_KIND_SIGNED, sizeof(int), 0, false, 0,
        0 };
    static cr_nursery owner;
    cr_nursery_init(&owner, forget);
    cr_task *task = cr_spawn_make_owned(cr_loop_here, &owner, (crank_function_ *)nothing, &site);
    EXPECT(task != NULL);
    return task;
}
TEST_EACH_BACKEND(leak, task)
{
    make_task();
    return 0;
}
TEST_EACH_BACKEND(leak, ended_task)
{
    cr_task *task = make_task();
    cr_spawn_ready(cr_loop_here, task);
    int result = crank_sleep(0);
    EXPECT_EQ(task->fiber.life, CR_ENDED);
    return result;
}
TEST_EACH_BACKEND(leak, stack)
{
    EXPECT_EQ(cr_stacks_refill(cr_task_state_of(cr_loop_here)->stacks), 0);
    return cr_stack_pop(&cr_loop_here->runner.stacks) ? 0 : -ENOMEM;
}
TEST_EACH_BACKEND(leak, object) { return cr_freelist_get(&cr_task_state_of(cr_loop_here)->scopes) ? 0 : -ENOMEM; }

/* What a program can really forget. */
TEST_EACH_BACKEND(leak, loop)
{
    EXPECT(crank_loop_new(&(crank_options){ .backend = CRANK_BACKEND_EPOLL }) != NULL);
    return 0;
}
