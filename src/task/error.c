/* SPDX-License-Identifier: MIT */
/* error.c: failures: a number, a message, and the places it passed through.
 *
 * Owns: cr_failure, one per task that has had an error (hung off its ext) and one per thread for
 * code outside tasks. A failure is made where the error is, grows an entry with each crank_try it
 * passes, moves to whoever awaits its task, and is freed with the last one. Nothing is allocated
 * until an error occurs. A cancellation without a reason has none: it is no failure but an answer.
 */
#include "task/tasks.h"
#include "base/check.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRACE_MAX 32
#define MESSAGE_MAX 512

/* One block of a fixed size: an error may have to be noted where the next allocation would fail,
 * and growing entry by entry would lose the trace just then. */
struct cr_failure {
    crank_failure public; /* first: what the user sees is the failure itself */
    const cr_sys *sys;
    size_t child_room;
    cr_failure *next;   /* to be freed */
    cr_failure *parent; /* whose child it is, and which */
    size_t index;
    bool of_future;
    char name[64];
    char message[MESSAGE_MAX];
    crank_trace_entry trace[TRACE_MAX];
};

static __thread cr_failure *thread_failure;

/* Each failure remembers the table it came from, for it may be freed where another loop runs. */
static const cr_sys *sys_here(void) { return cr_loop_here ? cr_loop_here->sys : &cr_sys_real; }

/* Only what comes before the texts is cleared: the rest is long, and read only where it was
 * written. */
static cr_failure *failure_new(const cr_sys *sys, int error, const char *task_name)
{
    cr_failure *failure = cr_alloc(sys, sizeof *failure);
    if (!failure)
        return NULL;
    memset(failure, 0, offsetof(cr_failure, name));
    failure->sys = sys;
    failure->public = (crank_failure){
        .error = error, .message = failure->message, .task = failure->name, .trace = failure->trace
    };
    failure->message[0] = '\0';
    snprintf(failure->name, sizeof failure->name, "%s", task_name ? task_name : "");
    return failure;
}

cr_failure *cr_failure_new(int error, const char *task_name)
{
    return failure_new(sys_here(), error, task_name);
}

void cr_failure_of_future(cr_failure *failure) { failure->of_future = true; }

/* Without recursion: groups may be nested deeper than a stack is. */
void cr_failure_free(cr_failure *failure)
{
    if (failure)
        failure->next = NULL;
    while (failure) {
        cr_failure *rest = failure->next;
        for (size_t i = 0; i < failure->public.child_count; i++) {
            cr_failure *child = (cr_failure *)(uintptr_t)failure->public.children[i];
            child->next = rest;
            rest = child;
        }
        cr_free(failure->sys, (void *)(uintptr_t)failure->public.children);
        cr_free(failure->sys, failure);
        failure = rest;
    }
}

int cr_failure_error(const cr_failure *failure) { return failure->public.error; }
const char *cr_failure_text(const cr_failure *failure) { return failure->message; }
const crank_failure *cr_failure_public(const cr_failure *failure) { return &failure->public; }
cr_failure *cr_failure_of(const cr_task *task) { return task->ext ? task->ext->failure : NULL; }

/* At the end of a thread, as errno goes with it: the address of its thread_failure. */
static void thread_ends(void *slot)
{
    cr_failure **failure = slot;
    cr_failure_free(*failure);
    *failure = NULL;
}

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_key;
static bool key_made;
static void make_key(void) { key_made = pthread_key_create(&thread_key, thread_ends) == 0; }
/* The library may be unloaded before its threads end. */
__attribute__((destructor)) static void delete_key(void)
{
    if (key_made)
        (void)pthread_key_delete(thread_key);
}

static cr_failure **own_slot(void)
{
    (void)pthread_once(&key_once, make_key);
    if (key_made && !pthread_getspecific(thread_key))
        (void)pthread_setspecific(thread_key, &thread_failure);
    return &thread_failure;
}

/* Where the running code's failure belongs: its task's ext, which is made only for one that
 * fails. */
static cr_failure **slot_here(bool make)
{
    cr_task *self = cr_self();
    if (!self)
        return make ? own_slot() : &thread_failure;
    cr_ext *ext = make ? cr_task_ext(cr_tasks_of(cr_loop_here), self) : self->ext;
    return ext ? &ext->failure : NULL;
}

cr_failure *cr_failure_here(void)
{
    cr_failure **slot = slot_here(false);
    return slot ? *slot : NULL;
}

void cr_failure_message_list(cr_failure *failure, const char *format, va_list args)
{
    vsnprintf(failure->message, sizeof failure->message, format, args);
}

void cr_failure_message(cr_failure *failure, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    cr_failure_message_list(failure, format, args);
    va_end(args);
}

/* A new failure of the running task, or of this thread, in place of its last: that is freed once
 * the new one has its message, which may quote it. A thread's outlives the loop, and its memory. */
static cr_failure *begin(int error, cr_failure **ret_last)
{
    cr_failure **slot = slot_here(true);
    *ret_last = NULL;
    if (!slot)
        return NULL;
    cr_task *self = cr_self();
    *ret_last = *slot;
    *slot = failure_new(
        self ? cr_loop_here->sys : &cr_sys_real, error, self ? cr_task_name(self) : NULL);
    return *slot;
}

/* Whoever gives no error at all, or a positive one, is understood rather than refused. */
static int negative(int error) { return error == 0 ? -EINVAL : error > 0 ? -error : error; }

/* The number is returned whatever happens to the message, so that callers can return this call. */
int cr_failed(int error, const char *format, ...)
{
    cr_failure *last, *failure = begin(error, &last);
    if (failure) {
        va_list args;
        va_start(args, format);
        cr_failure_message_list(failure, format, args);
        va_end(args);
    }
    cr_failure_free(last);
    return error;
}

/* A full trace keeps where the error was made and the places nearest to whoever reads it. */
static void add_entry(cr_failure *failure, crank_trace_entry entry)
{
    size_t n = failure->public.trace_count;
    if (n == TRACE_MAX) {
        memmove(&failure->trace[TRACE_MAX / 2], &failure->trace[TRACE_MAX / 2 + 1],
            (TRACE_MAX / 2 - 1) * sizeof failure->trace[0]);
        n--;
    }
    failure->trace[n] = entry;
    failure->public.trace_count = n + 1;
}

/* The place is the trace's first entry, so that an error shows where it was made even untried. */
int crank_fail_(
    const char *file, int line, const char *function, int error, const char *format, ...)
{
    cr_failure *last, *failure = begin(negative(error), &last);
    if (failure) {
        va_list args;
        va_start(args, format);
        cr_failure_message_list(failure, format, args);
        va_end(args);
        add_entry(failure, (crank_trace_entry){ .file = file, .function = function, .line = line });
    }
    cr_failure_free(last);
    return negative(error);
}

/* Not strerror, which may allocate and is translated. */
const char *cr_error_words(long error)
{
    const char *words = strerrordesc_np(cr_errno_of(error));
    return words ? words : "unknown error";
}

/* errno is read first: everything after may change it. */
int crank_sys_failed_(const char *file, int line, const char *function, const char *what)
{
    int error = errno;
    return crank_fail_(file, line, function, error, "%s: %s", what, cr_error_words(-(long)error));
}

/* An -ECANCELED that leaves a scope of this very function is looked at first: it may be that
 * scope's own doing, and then becomes a timeout or a child's error here. An error that differs
 * from the one noted is another failure, whose trace begins here; a bare cancellation gets none. */
int crank_traced_(const char *file, int line, const char *function, const char *what, long error,
    const void *frame)
{
    int err = error < INT32_MIN ? INT32_MIN : (int)error;
    cr_task *self = cr_self();
    if (err == -ECANCELED && self && self->fiber.scope)
        err = cr_tasks_of(cr_loop_here)->leave_scopes(cr_loop_here, self, function, frame);
    cr_failure *failure = cr_failure_here();
    bool continued = failure && failure->public.error == err;
    if (err == -ECANCELED && !continued)
        return err;
    if (!continued) {
        cr_failure *last;
        failure = begin(err, &last);
        if (failure)
            cr_failure_message(failure, "%s", cr_error_words(err));
        cr_failure_free(last);
    }
    if (failure)
        add_entry(failure,
            (crank_trace_entry){ .file = file, .function = function, .what = what, .line = line });
    return err;
}

/* A pointer's failure has no number of its own. errno is believed where it agrees with what was
 * noted or nothing was: some other call may have set it since. */
long crank_null_error_(void)
{
    cr_failure *failure = cr_failure_here();
    if (failure && (errno == 0 || errno == -failure->public.error))
        return failure->public.error;
    return errno > 0 ? -errno : failure ? failure->public.error : -EINVAL;
}

const char *crank_error(void)
{
    cr_failure *failure = cr_failure_here();
    return failure ? failure->message : "";
}

const crank_failure *crank_last_failure(void)
{
    cr_failure *failure = cr_failure_here();
    return failure ? &failure->public : NULL;
}

void crank_error_clear(void)
{
    cr_failure **slot = slot_here(false);
    if (slot) {
        cr_failure_free(*slot);
        *slot = NULL;
    }
}

const char *crank_errno_name(int error)
{
    const char *name = strerrorname_np(error < 0 ? cr_errno_of(error) : error);
    return name ? name : "E?";
}

/* ---- between tasks */

void cr_failure_spawned(cr_failure *failure, const crank_site *site)
{
    add_entry(failure, (crank_trace_entry){ .file = site->file,
                           .function = site->caller,
                           .what = site->function,
                           .line = site->line,
                           .spawned = true });
}

cr_failure *cr_failure_take(cr_task *task)
{
    cr_failure *failure = cr_failure_of(task);
    if (failure)
        task->ext->failure = NULL;
    return failure;
}

/* Short memory costs the task its failure's text; its error is in its result. */
void cr_failure_give(crank_loop *loop, cr_task *task, cr_failure *failure)
{
    cr_ext *ext = cr_task_ext(cr_tasks_of(loop), task);
    if (!ext) {
        cr_failure_free(failure);
        return;
    }
    cr_failure_free(ext->failure);
    ext->failure = failure;
}

/* A task failed without a word: what its waiter said before is about something else. But the reason
 * for which both were cancelled is the waiter's. */
static void forget(cr_task *task, int error)
{
    cr_failure *failure = task ? cr_failure_of(task) : NULL;
    if (!failure || (error == -ECANCELED && failure->public.error == -ECANCELED))
        return;
    task->ext->failure = NULL;
    cr_failure_free(failure);
}

/* Noting the spawn place is what makes the trace read across the await. */
void cr_failure_move(crank_loop *loop, cr_task *from, cr_task *to)
{
    cr_failure *failure = cr_failure_take(from);
    if (!failure) {
        forget(to, cr_task_error(from));
        return;
    }
    cr_failure_spawned(failure, from->site);
    if (to) {
        cr_failure_give(loop, to, failure);
        return;
    }
    cr_failure_set_thread(cr_failure_outlive(failure));
}

/* A worker notes its job's failure as its thread's; the loop's thread gives it to the task. */
cr_failure *cr_failure_take_thread(void)
{
    cr_failure *failure = thread_failure;
    thread_failure = NULL;
    return failure;
}

void cr_failure_set_thread(cr_failure *failure)
{
    cr_failure **slot = own_slot();
    cr_failure_free(*slot);
    *slot = failure;
}

/* The array is of const pointers, for the user sees it so: we alone cast that away, to free
 * them. */
int cr_failure_add_child(cr_failure *parent, cr_failure *child)
{
    size_t n = parent->public.child_count;
    const crank_failure **children = (const crank_failure **)(uintptr_t)parent->public.children;
    if (n == parent->child_room) {
        size_t room = n ? 2 * n : 4;
        children = cr_resize(parent->sys, (void *)children, room * sizeof *children);
        if (!children)
            return -ENOMEM;
        parent->child_room = room;
        parent->public.children = children;
    }
    children[n] = &child->public;
    child->parent = parent;
    child->index = n;
    parent->public.child_count = n + 1;
    return 0;
}

static const cr_failure *child_of(const cr_failure *failure, size_t index)
{
    return (const cr_failure *)(const void *)failure->public.children[index];
}

static cr_failure *copy_alone(const cr_failure *failure, const cr_sys *sys)
{
    cr_failure *copy = failure_new(sys, failure->public.error, failure->name);
    if (!copy)
        return NULL;
    memcpy(copy->message, failure->message, sizeof copy->message);
    memcpy(copy->trace, failure->trace, failure->public.trace_count * sizeof copy->trace[0]);
    copy->public.trace_count = failure->public.trace_count;
    copy->of_future = failure->of_future;
    return copy;
}

/* A copy in memory of sys, with what fits of its children. Without recursion, as in
 * cr_failure_free: at walks the one tree, into the other. */
static cr_failure *copy_of(const cr_failure *failure, const cr_sys *sys)
{
    cr_failure *top = copy_alone(failure, sys), *into = top;
    const cr_failure *at = failure;
    size_t next = 0;
    while (into) {
        if (next < at->public.child_count) {
            const cr_failure *child = child_of(at, next++);
            cr_failure *copy = copy_alone(child, sys);
            if (!copy || cr_failure_add_child(into, copy) < 0) {
                cr_failure_free(copy);
                continue;
            }
            at = child;
            into = copy;
            next = 0;
        } else if (at == failure) {
            break;
        } else {
            next = at->index + 1;
            at = at->parent;
            into = into->parent;
        }
    }
    return top;
}

/* Short memory costs the copy's text; the error is in the result that is handed over with it. */
void cr_failure_copy(crank_loop *loop, cr_task *from, cr_task *to)
{
    const cr_failure *failure = cr_failure_of(from);
    cr_failure *copy = failure ? copy_of(failure, loop->sys) : NULL;
    if (!copy) {
        forget(to, cr_task_error(from));
        return;
    }
    cr_failure_spawned(copy, from->site);
    cr_failure_give(loop, to, copy);
}

/* What a task has to say that has failed, or that could not be spawned (NULL). A future keeps what
 * it has, for others may wait for it. */
static cr_failure *failure_of_one(crank_loop *loop, cr_task *task, int error)
{
    cr_failure *failure = NULL;
    if (task && (task->fiber.flags & CR_TASK_FUTURE))
        failure = cr_failure_of(task) ? copy_of(cr_failure_of(task), loop->sys) : NULL;
    else if (task)
        failure = cr_failure_take(task);
    if (!failure) {
        failure = cr_failure_new(error, task ? cr_task_name(task) : NULL);
        if (failure)
            cr_failure_message(failure, "%s",
                task ? cr_error_words(error) : "the task could not be spawned: out of memory");
    }
    if (failure && task)
        cr_failure_spawned(failure, task->site);
    return failure;
}

void cr_failure_collect(crank_loop *loop, cr_failure **all, cr_task *task, int error)
{
    cr_failure *failure = failure_of_one(loop, task, error);
    if (!failure)
        return;
    if (!*all) {
        *all = cr_failure_new(error, task ? cr_task_name(task) : NULL);
        if (*all)
            cr_failure_message(*all, "%s", cr_failure_text(failure));
    }
    if (!*all || cr_failure_add_child(*all, failure) < 0)
        cr_failure_free(failure);
}

/* For what is told after the run: the loop's own table goes with the loop. */
cr_failure *cr_failure_outlive(cr_failure *failure)
{
    cr_failure *copy = failure ? copy_of(failure, &cr_sys_real) : NULL;
    cr_failure_free(failure);
    return copy;
}

/* ---- as text */

struct text {
    char *buf;
    size_t size;
    size_t length; /* it would have */
};

/* Counts on where the buffer is full, so that a pass without a buffer gives the length to
 * allocate. */
static void add(struct text *text, const char *format, ...) CRANK_PRINTF(2, 3);
static void add(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    bool room = text->length < text->size;
    int n = vsnprintf(
        room ? text->buf + text->length : NULL, room ? text->size - text->length : 0, format, args);
    va_end(args);
    if (n > 0)
        text->length += (size_t)n;
}

/* Places are printed from where the error was made outwards, which is the order they were noted
 * in. */
static void add_trace(struct text *text, const crank_failure *failure, int depth)
{
    for (size_t i = 0; i < failure->trace_count; i++) {
        const crank_trace_entry *e = &failure->trace[i];
        if (e->spawned && e->line > 0 && strcmp(e->what, "(future)") == 0)
            add(text, "%*s  future, made at %s:%d in %s()\n", depth, "", e->file, e->line,
                e->function);
        else if (e->spawned && e->line > 0)
            add(text, "%*s  task %s, spawned at %s:%d in %s()\n", depth, "", e->what, e->file,
                e->line, e->function);
        else if (!e->spawned)
            add(text, "%*s  %s:%d in %s()%s%s\n", depth, "", e->file, e->line, e->function,
                e->what ? ": " : "", e->what ? e->what : "");
    }
}

/* The one after at in the order in which they are printed, NULL behind the last one below top. */
static const cr_failure *following(const cr_failure *at, const cr_failure *top, int *level)
{
    if (at->public.child_count > 0) {
        ++*level;
        return child_of(at, 0);
    }
    for (; at != top; at = at->parent, --*level)
        if (at->index + 1 < at->parent->public.child_count)
            return child_of(at->parent, at->index + 1);
    return NULL;
}

/* Deep nesting is not shown by ever longer indents. */
static void add_children(struct text *text, const cr_failure *top)
{
    enum { INDENT = 4, LEVELS_SHOWN = 16 };
    int level = 0;
    for (const cr_failure *at = top; (at = following(at, top, &level));) {
        int depth = INDENT * (level < LEVELS_SHOWN ? level : LEVELS_SHOWN);
        add(text, "%*s  %zu. %s: %s [%s]\n", depth - INDENT, "", at->index + 1, at->name,
            at->message, crank_errno_name(at->public.error));
        add_trace(text, &at->public, depth);
    }
}

/* Gives the length the whole text would have, as snprintf does. */
size_t cr_failure_format(const cr_failure *failure, char *buf, size_t size)
{
    struct text text = { buf, size, 0 };
    const crank_failure *f = &failure->public;
    if (f->task[0])
        add(&text, "%s '%s' failed: ", failure->of_future ? "future" : "task", f->task);
    add(&text, "%s [%s]\n", f->message, crank_errno_name(f->error));
    add_trace(&text, f, 0);
    add_children(&text, failure);
    if (size > 0)
        buf[text.length < size ? text.length : size - 1] = '\0';
    return text.length;
}

/* With no error the text is empty: printing it is always safe. */
size_t crank_error_format(char *buf, size_t size)
{
    const cr_failure *failure = cr_failure_here();
    if (failure)
        return cr_failure_format(failure, buf, size);
    if (size > 0)
        buf[0] = '\0';
    return 0;
}

void crank_error_print(void)
{
    size_t size = crank_error_format(NULL, 0) + 1;
    char *text = cr_alloc(sys_here(), size); /* no large frame: this may be a task's stack */
    cr_paint paint = cr_stderr_paint();
    if (text && crank_error_format(text, size) > 0)
        fprintf(stderr, "%scrank:%s %s", paint.on, paint.off, text);
    else if (size > 1)
        fprintf(stderr, "%scrank:%s %s\n", paint.on, paint.off, crank_error());
    cr_free(sys_here(), text);
}
