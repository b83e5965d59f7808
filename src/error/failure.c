/* SPDX-License-Identifier: MIT */
/* failure.c: failures: a number, a message, and the places it passed through.
 *
 * Owns: cr_failure, its text, and the one that each thread has for code outside tasks. A failure is
 * made where the error is, grows an entry with each crank_try it passes, and is freed with the last
 * one that has it. Knows no task: whose a failure is, and how it passes from task to task, is
 * error.c's. */
#include "error/failure.h"
#include "base/text.h"
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
    uint64_t moment;
    char name[64];
    char message[MESSAGE_MAX];
    crank_trace_entry trace[TRACE_MAX];
};

/* Only what comes before the texts is cleared: the rest is long, and read only where it was
 * written. */
cr_failure *cr_failure_new_in(const cr_sys *sys, int error, const char *task_name)
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
    return cr_failure_new_in(cr_failure_sys(), error, task_name);
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

void cr_failure_set_moment(cr_failure *failure, uint64_t moment) { failure->moment = moment; }
uint64_t cr_failure_moment(const cr_failure *failure) { return failure->moment; }
int cr_failure_error(const cr_failure *failure) { return failure->public.error; }
const char *cr_failure_text(const cr_failure *failure) { return failure->message; }
const crank_failure *cr_failure_public(const cr_failure *failure) { return &failure->public; }

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

/* A full trace keeps where the error was made and the places nearest to whoever reads it. */
void cr_failure_note(cr_failure *failure, crank_trace_entry entry)
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

void cr_failure_spawned(cr_failure *failure, const crank_site *site)
{
    cr_failure_note(failure, (crank_trace_entry){ .file = site->file,
                                 .function = site->caller,
                                 .what = site->function,
                                 .line = site->line,
                                 .spawned = true });
}

/* Not strerror, which may allocate and is translated. */
const char *cr_failure_error_words(long error)
{
    const char *words = strerrordesc_np(cr_errno_of(error));
    return words ? words : "unknown error";
}

/* ENOTSUP and EOPNOTSUPP are one number; headers and documents say the first. */
const char *crank_errno_name(int error)
{
    if (error == ENOTSUP || error == -ENOTSUP)
        return "ENOTSUP";
    const char *name = strerrorname_np(error < 0 ? cr_errno_of(error) : error);
    return name ? name : "E?";
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
    cr_failure *copy = cr_failure_new_in(sys, failure->public.error, failure->name);
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
cr_failure *cr_failure_copy_in(const cr_failure *failure, const cr_sys *sys)
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

/* For what is told after the run: the loop's own table goes with the loop. */
cr_failure *cr_failure_outlive(cr_failure *failure)
{
    cr_failure *copy = failure ? cr_failure_copy_in(failure, &cr_sys_real) : NULL;
    cr_failure_free(failure);
    return copy;
}

/* ---- as text */

/* Places are printed from where the error was made outwards, which is the order they were noted
 * in. */
static void add_trace(cr_text *text, const crank_failure *failure, int depth)
{
    for (size_t i = 0; i < failure->trace_count; i++) {
        const crank_trace_entry *e = &failure->trace[i];
        if (e->spawned && e->line > 0 && strcmp(e->what, "(future)") == 0)
            cr_text_add(text, "%*s  future, made at %s:%d in %s()\n", depth, "", e->file, e->line,
                e->function);
        else if (e->spawned && e->line > 0)
            cr_text_add(text, "%*s  task %s, spawned at %s:%d in %s()\n", depth, "", e->what,
                e->file, e->line, e->function);
        else if (!e->spawned)
            cr_text_add(text, "%*s  %s:%d in %s()%s%s\n", depth, "", e->file, e->line, e->function,
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
static void add_children(cr_text *text, const cr_failure *top)
{
    enum { INDENT = 4, LEVELS_SHOWN = 16 };
    int level = 0;
    for (const cr_failure *at = top; (at = following(at, top, &level));) {
        int depth = INDENT * (level < LEVELS_SHOWN ? level : LEVELS_SHOWN);
        cr_text_add(text, "%*s  %zu. %s: %s [%s]\n", depth - INDENT, "", at->index + 1, at->name,
            at->message, crank_errno_name(at->public.error));
        add_trace(text, &at->public, depth);
    }
}

/* Gives the length the whole text would have, as snprintf does. */
size_t cr_failure_format(const cr_failure *failure, char *buf, size_t size)
{
    cr_text text = { buf, size, 0 };
    const crank_failure *f = &failure->public;
    if (f->task[0])
        cr_text_add(&text, "%s '%s' failed: ", failure->of_future ? "future" : "task", f->task);
    cr_text_add(&text, "%s [%s]\n", f->message, crank_errno_name(f->error));
    add_trace(&text, f, 0);
    add_children(&text, failure);
    if (size > 0)
        buf[text.length < size ? text.length : size - 1] = '\0';
    return text.length;
}

/* ---- of this thread */

static __thread cr_failure *thread_failure;

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

/* The slot of this thread for a writer: what hangs there is freed when the thread ends. */
static cr_failure **own_slot(void)
{
    (void)pthread_once(&key_once, make_key);
    if (key_made && !pthread_getspecific(thread_key))
        (void)pthread_setspecific(thread_key, &thread_failure);
    return &thread_failure;
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

cr_failure **cr_failure_thread(bool write) { return write ? own_slot() : &thread_failure; }
