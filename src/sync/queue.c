/* SPDX-License-Identifier: MIT */
/* queue.c: elements handed from tasks that put to tasks that get.
 *
 * Invariants: a getter is in line only while the queue is empty, a putter only while it is full. So
 * an element put while getters wait goes straight into the first one's variable, and the room a
 * getter makes is filled at once with the first waiting putter's element: no task overtakes
 * another, an element is always either in the queue or in one task's variable, and a woken task has
 * nothing left to do. A waiting task's wait_data.element is its own variable: where the element
 * goes, or comes from. */
#include <stdio.h>
#include "sync/object.h"
#include "task/hibernate.h"
#include "task/wait.h"
#include "sync/elements.h"

/* What a quick put or get reads comes first, and lies together. */
struct crank_queue {
    cr_object object;
    size_t type;       /* size << 8 | kind of the elements */
    size_t quick;      /* below this count there is memory and room, and it is not shut */
    size_t unfinished; /* elements put and not yet reported done */
    cr_waitq getters;  /* their places: where the element goes */
    cr_waitq putters;  /* their places: where the element is */
    cr_elements store;
    size_t max;       /* SIZE_MAX: any number */
    bool shut;        /* puts fail; what is in may be got */
    cr_waitq joiners; /* wait for unfinished to be 0 */
};

/* Size and kind in one number: one comparison tells a wrong type from a right one. */
static size_t type_of(size_t size, unsigned char kind) { return size << 8 | kind; }

/* For reports: which queue, and why one has to wait on it. */
static size_t describe(const crank_queue *queue, char *buf, size_t size)
{
    size_t count = queue->store.count;
    return cr_object_print(buf, size, "%p (%s%zu elements, %zu not done)", (const void *)queue,
        !count                ? "empty, "
        : count >= queue->max ? "full, "
                              : "",
        count, queue->unfinished);
}

static size_t describe_get(const cr_task *task, char *buf, size_t size)
{
    return describe(cr_container_of(task->wait_object, crank_queue, getters), buf, size);
}

static size_t describe_put(const cr_task *task, char *buf, size_t size)
{
    return describe(cr_container_of(task->wait_object, crank_queue, putters), buf, size);
}

static size_t describe_join(const cr_task *task, char *buf, size_t size)
{
    return describe(cr_container_of(task->wait_object, crank_queue, joiners), buf, size);
}

/* None has an abort: a task in line leaves it, and nothing else has happened yet. */
static const cr_wait_ops get_wait = {
    .hibernatable = true, .what = "waits to get from a queue", .describe = describe_get
};
static const cr_wait_ops put_wait = {
    .hibernatable = true, .what = "waits to put into a queue", .describe = describe_put
};
static const cr_wait_ops join_wait = {
    .hibernatable = true,
    .what = "waits for a queue's elements to be done",
    .describe = describe_join,
};

/* Elements alone do not tie a queue to its loop, tasks in line do. */
static bool in_use(const crank_queue *queue)
{
    return queue->getters.head || queue->putters.head || queue->joiners.head;
}

/* What the three kinds have in common. The size is bounded so that type_of does not overflow. */
static crank_queue *queue_new(size_t size, unsigned char kind, size_t max, enum cr_order order,
    bool (*less)(const void *, const void *))
{
    CR_CHECK(size > 0 && size <= SIZE_MAX >> 9,
        "crank_queue_new: elements of %zu bytes; give the size of a type", size);
    crank_queue *queue = cr_object_new(sizeof(crank_queue));
    if (!queue)
        return NULL;
    queue->type = type_of(size, kind);
    queue->max = max ? max : SIZE_MAX;
    cr_elements_init(&queue->store, size, order, less);
    return queue;
}

crank_queue *crank_queue_new(size_t element_size, unsigned char kind, size_t max)
{
    return queue_new(element_size, kind, max, CR_OLDEST_FIRST, NULL);
}

crank_queue *crank_queue_new_lifo(size_t element_size, unsigned char kind, size_t max)
{
    return queue_new(element_size, kind, max, CR_NEWEST_FIRST, NULL);
}

crank_queue *crank_queue_new_priority(
    size_t element_size, unsigned char kind, size_t max, bool (*less)(const void *a, const void *b))
{
    CR_CHECK(less, "crank_queue_new_priority: no comparison; give a function that says whether a "
                   "comes before b");
    return queue_new(element_size, kind, max, CR_SMALLEST_FIRST, less);
}

/* Elements that are left go with it: what they point to was never the queue's. */
void crank_queue_free(crank_queue *queue)
{
    if (!queue)
        return;
    cr_object_look(&queue->object, "crank_queue_free");
    CR_CHECK(!in_use(queue),
        "crank_queue_free: tasks wait on queue %p; let them end, or shut it down, first",
        (void *)queue);
    cr_elements_deinit(&queue->store, cr_object_sys(&queue->object));
    cr_object_free(queue);
}

/* "8-byte doubles", or with an article "an 8-byte double". */
static void print_type(char *buf, size_t size, size_t type, bool many)
{
    static const char *const names[] = {
        [CRANK_KIND_NONE] = "value",
        [CRANK_KIND_VOID] = "nothing",
        [CRANK_KIND_BOOL] = "bool",
        [CRANK_KIND_SIGNED] = "signed integer",
        [CRANK_KIND_UNSIGNED] = "unsigned integer",
        [CRANK_KIND_FLOAT] = "float",
        [CRANK_KIND_DOUBLE] = "double",
        [CRANK_KIND_POINTER] = "pointer",
        [CRANK_KIND_STRUCT] = "struct",
    };
    size_t kind = type & 0xff;
    size_t bytes = type >> 8;
    const char *article = many ? "" : bytes == 8 || bytes == 11 || bytes == 18 ? "an " : "a ";
    snprintf(buf, size, "%s%zu-byte %s%s", article, bytes,
        kind < CRANK_COUNT(names) ? names[kind] : "thing of unknown kind", many ? "s" : "");
}

/* Out of line: it looks a second time, and knows of queues without a kind. */
static CR_COLD void type_mismatch(const crank_queue *queue, size_t type, const char *call)
{
    /* A queue of no kind takes any of its size. */
    if ((queue->type & 0xff) == CRANK_KIND_NONE && queue->type >> 8 == type >> 8)
        return;
    char holds[64], given[64];
    print_type(holds, sizeof holds, queue->type, true);
    print_type(given, sizeof given, type, false);
    cr_check_failed("%s: the queue holds %s, this is %s; give a variable of the queue's own type",
        call, holds, given);
}

/* What every put and get looks at, beside the elements: the type and the thread. */
static inline void check_call(crank_queue *queue, size_t type, const char *call)
{
    if (CR_UNLIKELY(queue->type != type))
        type_mismatch(queue, type, call);
    cr_object_use(&queue->object, cr_loop_here, in_use(queue), call);
}

/* A bounded queue, too, takes memory only as it fills: most never do. */
static CR_NOINLINE int grow(crank_queue *queue)
{
    int err = cr_elements_grow(&queue->store, cr_object_sys(&queue->object));
    if (err == 0)
        queue->quick = queue->store.capacity < queue->max ? queue->store.capacity : queue->max;
    return err;
}

/* To the first getter in line, or into the store. Fails with -EAGAIN when full; -EPIPE; -ENOMEM. */
static int put(crank_queue *queue, const void *value)
{
    if (queue->shut)
        return -EPIPE;
    cr_task *getter = cr_waitq_pop(&queue->getters);
    if (getter) {
        /* The element goes into the getter's own variable, which may lie on its parked stack. */
        cr_hibernate_ensure(getter->wait_data.element);
        cr_element_copy(getter->wait_data.element, value, queue->store.size);
        cr_wake(queue->object.loop, getter, 0);
    } else {
        if (queue->store.count >= queue->max)
            return -EAGAIN;
        if (queue->store.count == queue->store.capacity && grow(queue) < 0)
            return -ENOMEM;
        cr_elements_put(&queue->store, value);
    }
    queue->unfinished++;
    return 0;
}

/* The whole way: notices a cancellation, checks, and waits at the end of the line. A waiting task's
 * value stays where its caller has it until a getter takes it. */
static CR_NOINLINE int put_or_wait(crank_queue *queue, const void *value, size_t type)
{
    cr_caller w;
    int err = cr_checkpoint(&w, "crank_put");
    if (err < 0)
        return err;
    check_call(queue, type, "crank_put");
    err = put(queue, value);
    if (err != -EAGAIN)
        return err;
    w.self->wait_data.element = (void *)(uintptr_t)value;
    return cr_waitq_park(&w, &queue->putters, &put_wait);
}

/* The quick way is one row of tests that are nearly always true, in an order that reads each cache
 * line once; whatever is false is found out again, with its reason, by put_or_wait. */
CR_QUICK int crank_queue_put_(
    crank_queue *queue, const void *value, size_t size, unsigned char kind)
{
    cr_caller w;
    size_t type = type_of(size, kind);
    if (CR_LIKELY(cr_object_quick(&queue->object, &w) && queue->type == type &&
                  !queue->getters.head && queue->store.count < queue->quick &&
                  queue->store.order != CR_SMALLEST_FIRST)) {
        queue->unfinished++;
        cr_elements_ring_put(&queue->store, value, size);
        return 0;
    }
    return put_or_wait(queue, value, type);
}

/* Needs no task: callbacks use it, and programs before and after a run. */
int crank_queue_put_nowait_(crank_queue *queue, const void *value, size_t size, unsigned char kind)
{
    cr_object_given(queue, "crank_put_nowait");
    check_call(queue, type_of(size, kind), "crank_put_nowait");
    return put(queue, value);
}

/* The next element. The room it leaves is the first waiting putter's. Fails with -EAGAIN when
 * empty; -EPIPE. */
static int take(crank_queue *queue, void *ret)
{
    if (!queue->store.count)
        return queue->shut ? -EPIPE : -EAGAIN;
    cr_elements_take(&queue->store, ret);
    cr_task *putter = cr_waitq_pop(&queue->putters);
    if (putter) {
        /* There is room and memory for one, for one has just been taken. */
        cr_hibernate_ensure(putter->wait_data.element);
        cr_elements_put(&queue->store, putter->wait_data.element);
        queue->unfinished++;
        cr_wake(queue->object.loop, putter, 0);
    }
    return 0;
}

/* The whole way, as put_or_wait. */
static CR_NOINLINE int get_or_wait(crank_queue *queue, void *ret, size_t type)
{
    cr_caller w;
    int err = cr_checkpoint(&w, "crank_get");
    if (err < 0)
        return err;
    check_call(queue, type, "crank_get");
    err = take(queue, ret);
    if (err != -EAGAIN)
        return err;
    w.self->wait_data.element = ret;
    return cr_waitq_park(&w, &queue->getters, &get_wait);
}

/* With no putter waiting, taking an element changes nothing for another task. */
CR_QUICK int crank_queue_get_(crank_queue *queue, void *ret, size_t size, unsigned char kind)
{
    cr_caller w;
    size_t type = type_of(size, kind);
    if (CR_LIKELY(cr_object_quick(&queue->object, &w) && queue->type == type &&
                  queue->store.count && !queue->putters.head &&
                  queue->store.order != CR_SMALLEST_FIRST)) {
        cr_elements_ring_take(&queue->store, ret, size);
        return 0;
    }
    return get_or_wait(queue, ret, type);
}

int crank_queue_get_nowait_(crank_queue *queue, void *ret, size_t size, unsigned char kind)
{
    cr_object_given(queue, "crank_get_nowait");
    check_call(queue, type_of(size, kind), "crank_get_nowait");
    return take(queue, ret);
}

/* Elements put are counted when they come in, not when their putters arrived: a cancelled putter's
 * element was never there. */
void crank_queue_done(crank_queue *queue)
{
    cr_object_given(queue, "crank_queue_done");
    cr_object_use(&queue->object, cr_loop_here, in_use(queue), "crank_queue_done");
    CR_CHECK(queue->unfinished,
        "crank_queue_done: every element put into queue %p is done already; call it once for each "
        "element got",
        (void *)queue);
    if (--queue->unfinished == 0)
        cr_waitq_wake_all(queue->object.loop, &queue->joiners, 0);
}

/* Not tied to elements still in the queue: those that were got and are being worked on count
 * too. */
int crank_queue_join(crank_queue *queue)
{
    cr_caller w;
    cr_object_given(queue, "crank_queue_join");
    int err = cr_checkpoint(&w, "crank_queue_join");
    if (err < 0)
        return err;
    cr_object_use(&queue->object, w.loop, in_use(queue), "crank_queue_join");
    if (!queue->unfinished)
        return 0;
    return cr_waitq_park(&w, &queue->joiners, &join_wait);
}

/* quick is 0 from now on, so that the quick ways fail without a test of their own. Elements that
 * are in stay to be got, unless the queue is emptied now. */
void crank_queue_shutdown(crank_queue *queue, bool now)
{
    cr_object_given(queue, "crank_queue_shutdown");
    cr_object_use(&queue->object, cr_loop_here, in_use(queue), "crank_queue_shutdown");
    queue->shut = true;
    queue->quick = 0;
    if (now) {
        /* The dropped elements count as done. Those that were got before are still to be reported
         * by the tasks that got them. */
        size_t dropped = queue->store.count;
        cr_elements_clear(&queue->store);
        queue->unfinished -= dropped < queue->unfinished ? dropped : queue->unfinished;
        if (!queue->unfinished)
            cr_waitq_wake_all(queue->object.loop, &queue->joiners, 0);
    }
    /* At most one of these lines is not empty. */
    cr_waitq_wake_all(queue->object.loop, &queue->getters, -EPIPE);
    cr_waitq_wake_all(queue->object.loop, &queue->putters, -EPIPE);
}

size_t crank_queue_count(const crank_queue *queue)
{
    cr_object_given(queue, "crank_queue_count");
    cr_object_look(&queue->object, "crank_queue_count");
    return queue->store.count;
}

bool crank_queue_full(const crank_queue *queue)
{
    cr_object_given(queue, "crank_queue_full");
    cr_object_look(&queue->object, "crank_queue_full");
    return queue->store.count >= queue->max;
}
