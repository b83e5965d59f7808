/* SPDX-License-Identifier: MIT */
/* elsewhere.c: calls of the callback layer from another thread than the one its loop runs on. */
#include <pthread.h>
#include "loops.h"

static crank_loop *running;
static crank_handle *handle;
static void nothing(void *arg) { (void)arg; }

/* A callback of the running loop starts a thread, in which the call is made. */
static void call_in_a_thread(void *there)
{
    pthread_t thread;
    void *(*body)(void *);
    memcpy(&body, there, sizeof body);
    EXPECT_EQ(pthread_create(&thread, NULL, body, NULL), 0);
    pthread_join(thread, NULL);
    crank_loop_stop(running);
}
static void run_with(void *(*body)(void *))
{
    running = open_loop(CRANK_BACKEND_SIM, 0);
    handle = crank_call_later(running, 1, nothing, NULL);
    crank_call_soon(running, call_in_a_thread, &body);
    crank_loop_run(running);
    crank_loop_free(running);
}

#define REFUSED(name, call) \
    static void *name##_there(void *arg) \
    { \
        (void)(call); \
        return arg; \
    } \
    TEST_CHECKS_OUTSIDE(name, from_another_thread_is_refused, #name ": called from another thread than its loop's") \
    { \
        run_with(name##_there); \
    }

REFUSED(crank_call_soon, crank_call_soon(running, nothing, NULL))
REFUSED(crank_call_later, crank_call_later(running, 1, nothing, NULL))
REFUSED(crank_call_at, crank_call_at(running, 1, nothing, NULL))
REFUSED(crank_handle_cancel, crank_handle_cancel(handle))
REFUSED(crank_add_reader, crank_add_reader(running, 0, nothing, NULL))
REFUSED(crank_add_writer, crank_add_writer(running, 0, nothing, NULL))
REFUSED(crank_remove_reader, crank_remove_reader(running, 0))
REFUSED(crank_remove_writer, crank_remove_writer(running, 0))
