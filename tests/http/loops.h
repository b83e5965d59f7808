/* SPDX-License-Identifier: MIT */
/* loops.h: two web servers in a process, each a loop in a thread of its own, on one port. */
#ifndef LOOPS_H
#define LOOPS_H
#include <crank/http.h>
#include <pthread.h>
#include <semaphore.h>
#include "test.h"

typedef struct loops_server {
    int number;
    crank_backend backend;
    crank_http_options options;
    char address[64]; /* in: the port to share, or any; out: where it listens */
    pthread_t thread;
    sem_t listens;
    crank_loop *loop;
    crank_listener *listener;
    int requests; /* its own loop's */
    long result;  /* of its run */
} loops_server;

static inline int loops_handle(crank_http_request *request, loops_server *s)
{
    s->requests++;
    return crank_http_print(request, 200, NULL, "%d", s->number);
}
static inline int loops_serve(loops_server *s)
{
    const crank_listen_options options = { .reuse_port = true };
    CRANK_AUTO_LISTENER crank_listener *l = crank_listen_with(&options, s->address);
    s->listener = l;
    s->loop = crank_current_loop();
    if (l)
        snprintf(s->address, sizeof s->address, "%s", crank_listener_address(l, 0));
    sem_post(&s->listens);
    return l ? crank_http_serve_with(&s->options, l, loops_handle, s) : -errno;
}
static inline void *loops_run(void *server)
{
    loops_server *s = server;
    s->result = crank_run_with(&(crank_options){ .backend = s->backend }, loops_serve, s);
    sem_post(&s->listens); /* where it has failed before */
    return NULL;
}
static inline void loops_start(loops_server *s)
{
    EXPECT_EQ(sem_init(&s->listens, 0, 0), 0);
    EXPECT_EQ(pthread_create(&s->thread, NULL, loops_run, s), 0);
    while (sem_wait(&s->listens) < 0)
        continue;
    EXPECT(s->listener);
}

static inline void loops_stop_now(void *server)
{
    loops_server *s = server;
    crank_listener_stop(s->listener, 10);
}
/* From a thread that is not its own: it ends when its requests have, and with 0. */
static inline void loops_stop(loops_server *s)
{
    EXPECT_EQ(crank_post(s->loop, loops_stop_now, s), 0);
    EXPECT_EQ(pthread_join(s->thread, NULL), 0);
    EXPECT_EQ(s->result, 0);
    sem_destroy(&s->listens);
}

/* So many connections, each with two requests: which of the servers answered how many of them. */
static inline int loops_ask(
    const char *scheme, const loops_server *s, crank_tls *trust, int connections, int answered[2])
{
    char url[100];
    snprintf(url, sizeof url, "%s://localhost%s/", scheme, strrchr(s->address, ':'));
    for (int i = 0; i < connections; i++) {
        int last = -1;
        CRANK_AUTO_HTTP_CLIENT crank_http_client *client = crank_http_client_new(0, 0);
        for (int k = 0; k < 2; k++) {
            CRANK_AUTO_HTTP crank_http_response *r =
                crank_try(crank_http_fetch(&(crank_http_call){ .client = client, .tls = trust }, url));
            int number = r->body[0] - '0';
            EXPECT(number == 0 || number == 1);
            EXPECT_EQ(r->reused, k > 0);
            EXPECT(k == 0 || number == last);
            last = number;
        }
        answered[last]++;
    }
    return 0;
}
#endif
