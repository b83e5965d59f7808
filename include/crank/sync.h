/* SPDX-License-Identifier: MIT */
#ifndef CRANK_SYNC_H
#define CRANK_SYNC_H
/* Locks, events, conditions, semaphores, barriers and queues between the tasks of one loop. All are fair: first come,
 * first served. None is for threads: an object belongs to the loop that used it last, or made it, and while that loop
 * runs any call on it from another thread, a thread job's too, is a CHECK; such a thread calls crank_post or
 * crank_submit. An object may be made outside a run, and goes over to another loop while its own does not run and
 * nobody holds it or waits on it. Freeing one that tasks wait on is a CHECK, and so is NULL but for _free. A cancelled
 * wait takes nothing: no turn, permit, item or wake-up is lost. */
#include "base.h"
#include "call.h"
#include "error.h"
/* Not a system header, unlike its neighbours: gcc would then keep silent about an ignored crank_put or crank_get. */

CRANK_BEGIN_DECLS

typedef struct crank_lock crank_lock;
typedef struct crank_event crank_event;
typedef struct crank_condition crank_condition;
typedef struct crank_semaphore crank_semaphore;
typedef struct crank_barrier crank_barrier;
typedef struct crank_queue crank_queue;

/* ---- Lock ------------------------------------------------------------------------------------------------------ */

/* One task at a time. Each _new gives NULL when memory is short; each _free ignores NULL. */
CRANK_API crank_lock *crank_lock_new(void);
/* A CHECK while held or waited for. */
CRANK_API void crank_lock_free(crank_lock *lock);
/* Wait until the lock is the running task's. Asking for a lock one holds, or whose holder has ended, is a CHECK. Fails
 * with -ECANCELED. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_lock_acquire(crank_lock *lock);
/* Take it if it is free. Fails with -EAGAIN when it is not. */
CRANK_API CRANK_MUST_USE int crank_lock_acquire_nowait(crank_lock *lock);
/* Hand it to the first in line. By another task than the holder: a CHECK. */
CRANK_API void crank_lock_release(crank_lock *lock);
/* Is it held, by whomever? */
CRANK_API bool crank_lock_held(const crank_lock *lock);

/* ---- Event ----------------------------------------------------------------------------------------------------- */

/* A flag that tasks wait for. */
CRANK_API crank_event *crank_event_new(void);
CRANK_API void crank_event_free(crank_event *event);
/* Raise it: all who wait go on. */
CRANK_API void crank_event_set(crank_event *event);
/* Lower it: who comes from now on waits. */
CRANK_API void crank_event_clear(crank_event *event);
/* Is it raised? */
CRANK_API bool crank_event_is_set(const crank_event *event);
/* Wait until it is raised. Whoever waited when it was raised goes on, also if it is cleared before they run. Fails with
 * -ECANCELED. */
CRANK_API CRANK_BLOCKS int crank_event_wait(crank_event *event);

/* ---- Condition ------------------------------------------------------------------------------------------------- */

/* Wait for something to become true under a lock. The lock stays the caller's and must outlive the condition. */
CRANK_API crank_condition *crank_condition_new(crank_lock *lock);
CRANK_API void crank_condition_free(crank_condition *condition);
/* Release the lock, wait for a notification, take the lock again. The lock is held when it returns, whatever it
 * returns. Not holding it is a CHECK. Fails with -ECANCELED; a notification is then passed on to another. */
CRANK_API CRANK_BLOCKS int crank_condition_wait(crank_condition *condition);
/* Wake up to n of those who wait; they go on one after another as the lock becomes free. Not holding it: a CHECK. */
CRANK_API void crank_condition_notify(crank_condition *condition, size_t n);
CRANK_API void crank_condition_notify_all(crank_condition *condition);
#ifndef __cplusplus
/* Wait until predicate, an expression, is true. 0, or -ECANCELED. */
#define crank_condition_wait_for(condition, predicate) \
    __extension__({ \
        int crank_c_ = 0; \
        while (crank_c_ == 0 && !(predicate)) \
            crank_c_ = crank_condition_wait(condition); \
        crank_c_; \
    })
#endif

/* ---- Semaphore ------------------------------------------------------------------------------------------------- */

/* So many permits. A bounded one refuses to hold more than it began with: the release is a CHECK. */
CRANK_API crank_semaphore *crank_semaphore_new(size_t permits);
CRANK_API crank_semaphore *crank_semaphore_new_bounded(size_t permits);
CRANK_API void crank_semaphore_free(crank_semaphore *semaphore);
/* Fails with -ECANCELED. */
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_semaphore_acquire(crank_semaphore *semaphore);
/* Fails with -EAGAIN. */
CRANK_API CRANK_MUST_USE int crank_semaphore_acquire_nowait(crank_semaphore *semaphore);
CRANK_API void crank_semaphore_release(crank_semaphore *semaphore);
/* Permits free now. */
CRANK_API size_t crank_semaphore_value(const crank_semaphore *semaphore);

/* ---- Barrier --------------------------------------------------------------------------------------------------- */

/* Lets parties tasks through together, again and again. parties == 0 is a CHECK. */
CRANK_API crank_barrier *crank_barrier_new(size_t parties);
CRANK_API void crank_barrier_free(crank_barrier *barrier);
/* Wait for the others. Gives the order of arrival, 0 to parties - 1, different in each. Fails with -ECANCELED (the
 * others wait on); -EPIPE when the barrier is broken or reset. */
CRANK_API CRANK_BLOCKS int crank_barrier_wait(crank_barrier *barrier);
/* Back to empty; tasks waiting get -EPIPE. */
CRANK_API void crank_barrier_reset(crank_barrier *barrier);
/* Break it: tasks waiting, and all who come until a reset, get -EPIPE. */
CRANK_API void crank_barrier_abort(crank_barrier *barrier);
/* Tasks waiting now. */
CRANK_API size_t crank_barrier_waiting(const crank_barrier *barrier);
/* Has it been broken, and not reset? */
CRANK_API bool crank_barrier_broken(const crank_barrier *barrier);

/* ---- Queues ---------------------------------------------------------------------------------------------------- */

/* Elements of one size, copied in and out. max is how many it holds, 0 any number. Kind and size of what is put and got
 * must be those of the queue: a CHECK. kind CRANK_KIND_NONE takes any kind of that size. */
CRANK_API crank_queue *crank_queue_new(size_t element_size, unsigned char kind, size_t max);
/* Last in, first out. */
CRANK_API crank_queue *crank_queue_new_lifo(size_t element_size, unsigned char kind, size_t max);
/* The smallest first; equals in the order they came. less(a, b) compares two elements and does nothing else. */
CRANK_API crank_queue *crank_queue_new_priority(size_t element_size, unsigned char kind, size_t max,
    bool (*less)(const void *a, const void *b));
/* A CHECK while tasks wait on it. Elements left are dropped. */
CRANK_API void crank_queue_free(crank_queue *queue);
#ifndef __cplusplus
/* Put a value, waiting while the queue is full. Fails with -ECANCELED (nothing was put); -EPIPE after a shutdown;
 * -ENOMEM. */
#define crank_put(queue, value) crank_must_use_(CRANK_PUT_(__COUNTER__, crank_queue_put_, queue, value))
/* Put it if there is room. Fails with -EAGAIN when full; -EPIPE; -ENOMEM. */
#define crank_put_nowait(queue, value) \
    crank_must_use_(CRANK_PUT_(__COUNTER__, crank_queue_put_nowait_, queue, value))
#define CRANK_PUT_(id, call, queue, value) \
    __extension__({ \
        __typeof__(((void)0, (value))) CRANK_CAT_(crank_v_, id) = (value); \
        call((queue), &CRANK_CAT_(crank_v_, id), sizeof CRANK_CAT_(crank_v_, id), \
            CRANK_KIND_OF_(&CRANK_CAT_(crank_v_, id), CRANK_VALUE_CLASS_(&CRANK_CAT_(crank_v_, id)))); \
    })
/* Take the next, waiting while the queue is empty. Fails with -ECANCELED (nothing was taken); -EPIPE once the queue is
 * shut down and empty. */
#define crank_get(queue, ret) \
    crank_queue_get_((queue), (ret), sizeof *(ret), CRANK_KIND_OF_((ret), CRANK_VALUE_CLASS_(ret)))
/* Take the next if there is one. Fails with -EAGAIN when empty; -EPIPE. */
#define crank_get_nowait(queue, ret) \
    crank_queue_get_nowait_((queue), (ret), sizeof *(ret), CRANK_KIND_OF_((ret), CRANK_VALUE_CLASS_(ret)))
/* Loop over the items of a queue, each taken as by crank_get, until the queue is shut down and empty: then the loop
 * ends and the program goes on behind it. T must be the queue's own type: a CHECK. A cancelled wait returns -ECANCELED
 * from the function, as crank_try does. Call crank_queue_done for each item where crank_queue_join is used. */
#define crank_foreach_item(T, v, queue) CRANK_FOREACH_ITEM_(__COUNTER__, T, v, queue)
#define CRANK_FOREACH_ITEM_(id, T, v, queue) \
    for (crank_queue *CRANK_CAT_(crank_q_, id) = (queue); CRANK_CAT_(crank_q_, id); CRANK_CAT_(crank_q_, id) = NULL) \
        for (T v; __extension__({ \
                 int crank_w_ = crank_get(CRANK_CAT_(crank_q_, id), &v); \
                 if (__builtin_expect(crank_w_ < 0 && crank_w_ != -EPIPE, 0)) \
                     return CRANK_TRACED_("crank_foreach_item", crank_w_); \
                 crank_w_ == 0; \
             });)
#endif
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_queue_put_(crank_queue *queue, const void *value, size_t size,
    unsigned char kind);
CRANK_API CRANK_MUST_USE int crank_queue_put_nowait_(crank_queue *queue, const void *value, size_t size,
    unsigned char kind);
CRANK_API CRANK_BLOCKS CRANK_MUST_USE int crank_queue_get_(crank_queue *queue, void *ret, size_t size,
    unsigned char kind);
CRANK_API CRANK_MUST_USE int crank_queue_get_nowait_(crank_queue *queue, void *ret, size_t size, unsigned char kind);
/* One item that was got has been dealt with. More often than items were put: a CHECK. */
CRANK_API void crank_queue_done(crank_queue *queue);
/* Wait until every item put has been dealt with. Fails with -ECANCELED. */
CRANK_API CRANK_BLOCKS int crank_queue_join(crank_queue *queue);
/* No more puts: putters, and getters once it is empty, get -EPIPE. With now, its items are dropped (and counted as
 * dealt with), so getters get -EPIPE at once. */
CRANK_API void crank_queue_shutdown(crank_queue *queue, bool now);
/* Items in it. */
CRANK_API size_t crank_queue_count(const crank_queue *queue);
/* Must who puts now wait? */
CRANK_API bool crank_queue_full(const crank_queue *queue);

#ifndef __cplusplus
/* Declarations that free the object at the end of the block. Out of memory is a CHECK. */
#define CRANK_LOCK(l) crank_lock *l CRANK_CLEANUP_(crank_lock_drop_) = crank_made_(crank_lock_new())
#define CRANK_EVENT(e) crank_event *e CRANK_CLEANUP_(crank_event_drop_) = crank_made_(crank_event_new())
#define CRANK_CONDITION(c, lock) \
    crank_condition *c CRANK_CLEANUP_(crank_condition_drop_) = crank_made_(crank_condition_new(lock))
#define CRANK_SEMAPHORE(s, permits) \
    crank_semaphore *s CRANK_CLEANUP_(crank_semaphore_drop_) = crank_made_(crank_semaphore_new(permits))
#define CRANK_SEMAPHORE_BOUNDED(s, permits) \
    crank_semaphore *s CRANK_CLEANUP_(crank_semaphore_drop_) = crank_made_(crank_semaphore_new_bounded(permits))
#define CRANK_BARRIER(b, parties) \
    crank_barrier *b CRANK_CLEANUP_(crank_barrier_drop_) = crank_made_(crank_barrier_new(parties))
#define CRANK_QUEUE(q, T, max) \
    crank_queue *q CRANK_CLEANUP_(crank_queue_drop_) = crank_made_( \
        crank_queue_new(sizeof(T), CRANK_KIND_OF_((T *)0, CRANK_VALUE_CLASS_((T *)0)), (max)))
#define CRANK_QUEUE_LIFO(q, T, max) \
    crank_queue *q CRANK_CLEANUP_(crank_queue_drop_) = crank_made_( \
        crank_queue_new_lifo(sizeof(T), CRANK_KIND_OF_((T *)0, CRANK_VALUE_CLASS_((T *)0)), (max)))
#define CRANK_QUEUE_PRIORITY(q, T, max, less) \
    crank_queue *q CRANK_CLEANUP_(crank_queue_drop_) = crank_made_( \
        crank_queue_new_priority(sizeof(T), CRANK_KIND_OF_((T *)0, CRANK_VALUE_CLASS_((T *)0)), (max), (less)))
/* Hold a lock to the end of the block; a failure to get it is returned from the function, as crank_try does. */
#define CRANK_WITH_LOCK(lock) CRANK_WITH_LOCK_(__COUNTER__, #lock, lock)
#define CRANK_WITH_LOCK_(id, text, lock) \
    crank_lock *CRANK_CAT_(crank_l_, id) CRANK_CLEANUP_(crank_lock_leave_) = NULL; \
    do { \
        crank_lock *crank_l_ = (lock); \
        int crank_c_ = crank_lock_acquire(crank_l_); \
        if (__builtin_expect(crank_c_ < 0, 0)) \
            return CRANK_TRACED_("CRANK_WITH_LOCK(" text ")", crank_c_); \
        CRANK_CAT_(crank_l_, id) = crank_l_; \
    } while (0)
/* Hold one of a semaphore's permits to the end of the block. */
#define CRANK_WITH_PERMIT(semaphore) CRANK_WITH_PERMIT_(__COUNTER__, #semaphore, semaphore)
#define CRANK_WITH_PERMIT_(id, text, semaphore) \
    crank_semaphore *CRANK_CAT_(crank_l_, id) CRANK_CLEANUP_(crank_semaphore_leave_) = NULL; \
    do { \
        crank_semaphore *crank_l_ = (semaphore); \
        int crank_c_ = crank_semaphore_acquire(crank_l_); \
        if (__builtin_expect(crank_c_ < 0, 0)) \
            return CRANK_TRACED_("CRANK_WITH_PERMIT(" text ")", crank_c_); \
        CRANK_CAT_(crank_l_, id) = crank_l_; \
    } while (0)
#endif
/* A CHECK for NULL; what the declarations above pass their new object through. */
CRANK_API void *crank_made_(void *object);
static inline void crank_lock_drop_(crank_lock **p) { crank_lock_free(*p); }
static inline void crank_event_drop_(crank_event **p) { crank_event_free(*p); }
static inline void crank_condition_drop_(crank_condition **p) { crank_condition_free(*p); }
static inline void crank_semaphore_drop_(crank_semaphore **p) { crank_semaphore_free(*p); }
static inline void crank_barrier_drop_(crank_barrier **p) { crank_barrier_free(*p); }
static inline void crank_queue_drop_(crank_queue **p) { crank_queue_free(*p); }
static inline void crank_lock_leave_(crank_lock **p)
{
    if (*p)
        crank_lock_release(*p);
}
static inline void crank_semaphore_leave_(crank_semaphore **p)
{
    if (*p)
        crank_semaphore_release(*p);
}

CRANK_END_DECLS
#endif
