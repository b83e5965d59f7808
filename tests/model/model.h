/* SPDX-License-Identifier: MIT */
/* model.h: real threads of which one runs at a time, and a search through the orders in which they may run.
 *
 * The library is compiled with clang's -fsanitize=thread and linked with this in place of the sanitizer: before each
 * atomic operation, and where a thread locks, waits, signals, writes to an eventfd or polls, the model may hand over to
 * another. So an execution is a list of decisions, sequentially consistent, and the same list gives the same execution.
 * All those with at most so many preemptions are run: switches away from a thread that could have gone on, and timeouts
 * that come while others could run. Where a thread cannot go on, every choice of the next is tried.
 *
 * Time stands still but for the reading of the clock, and passes only when every thread waits. Memory that was freed
 * is kept to the end of the execution, and an atomic operation or a lock in it is a fault. */
#ifndef MODEL_H
#define MODEL_H
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>

/* ---- model.c: threads and decisions */
enum { MODEL_DECISIONS_MAX = 1 << 16, MODEL_THREADS_MAX = 8 };

typedef struct model_decision {
    uint8_t options;
    uint8_t free; /* the first so many are no preemption */
    uint8_t chosen;
} model_decision;

/* Told by the searching process to the one that watches it: what it does when it dies. */
typedef struct model_shared {
    size_t count;
    model_decision decisions[MODEL_DECISIONS_MAX];
    long executions;
    long points_max;
    unsigned outcomes; /* a bit for each that an execution had */
    bool complete;
    bool failed;
    char why[512];
} model_shared;
extern model_shared *model_shared_;

/* Run body once on this thread, with the decisions choose gives. */
void model_execute(void (*body)(void), int64_t tick, uint8_t (*choose)(size_t at, const model_decision *decision));
/* The execution is wrong: say so and end the process. */
__attribute__((noreturn, format(printf, 1, 2))) void model_fail(const char *format, ...);
#define MODEL_EXPECT(condition) ((condition) ? (void)0 : model_fail("%s does not hold", #condition))
/* Asked where all threads wait and time is to pass by so much: the sentence why that must not be, or NULL. */
extern const char *(*model_time_passes)(int64_t span);
/* The execution came out this way, 0 to 31: so that a search that never saw one of them is known to be too narrow. */
void model_outcome(int which);
/* A thread may be stopped here; about is what it is going to touch. */
void model_point(const volatile void *about, bool writes);
/* Wait until ready says so, or until deadline (INT64_MAX: never). False: the deadline has passed. */
bool model_wait(bool (*ready)(const void *about), const void *about, int64_t deadline);
int64_t model_now(void);

int model_thread_create(pthread_t *ret, const pthread_attr_t *attributes, void *(*fn)(void *), void *arg);
int model_thread_join(pthread_t thread, void **ret);
int model_yield(void);
void model_relax(void);

/* ---- locks.c */
int model_mutex_init(pthread_mutex_t *mutex);
int model_mutex_destroy(pthread_mutex_t *mutex);
int model_mutex_lock(pthread_mutex_t *mutex);
int model_mutex_unlock(pthread_mutex_t *mutex);
int model_cond_init(pthread_cond_t *condition);
int model_cond_destroy(pthread_cond_t *condition);
int model_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex);
int model_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until);
int model_cond_signal(pthread_cond_t *condition);
int model_cond_broadcast(pthread_cond_t *condition);
int model_read_lock(pthread_rwlock_t *lock);
int model_write_lock(pthread_rwlock_t *lock);
int model_rwlock_unlock(pthread_rwlock_t *lock);

/* ---- world.c: memory, the clock, descriptors */
void *model_malloc(size_t size);
void *model_calloc(size_t count, size_t size);
void *model_realloc(void *memory, size_t size);
void model_free(void *memory);
/* Fail the execution where the address lies in freed memory. */
void model_check_alive(const volatile void *address);
/* At the end of an execution: give freed memory back; fail where some was not freed. */
void model_world_end(void);
int model_affinity(pid_t pid, size_t size, cpu_set_t *set);
int model_clock_gettime(clockid_t clock, struct timespec *ret);
int model_eventfd(unsigned value, int flags);
int model_timerfd_create(int clock, int flags);
int model_epoll_create1(int flags);
int model_epoll_ctl(int epfd, int how, int fd, struct epoll_event *event);
int model_epoll_pwait2(int epfd, struct epoll_event *events, int n, const struct timespec *span, const void *mask);
ssize_t model_write(int fd, const void *buf, size_t size);
int model_close(int fd);

/* ---- scenarios.c */
typedef struct model_scenario {
    const char *name;
    void (*body)(void);
    int64_t tick;      /* nanoseconds that a reading of the clock takes */
    unsigned outcomes; /* that all executions together must have had */
} model_scenario;
extern const model_scenario model_scenarios[];
extern const size_t model_scenario_count;
#endif
