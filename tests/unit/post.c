/* SPDX-License-Identifier: MIT */
/* post.c: posts from other threads and from signal handlers, on every backend. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include "loops.h"

#define THREADS 4
#define POSTS 3000

typedef struct sender sender;
struct parcel {
    cr_post post;
    sender *from;
    int number;
};
struct sender {
    crank_loop *loop;
    pthread_t thread;
    struct parcel parcels[POSTS];
    int delivered;
};

/* A parcel lies in its sender's memory and is counted in its order. */
static void deliver(cr_post *post)
{
    struct parcel *parcel = cr_container_of(post, struct parcel, post);
    EXPECT_EQ(parcel->number, parcel->from->delivered);
    if (++parcel->from->delivered == POSTS)
        parcel->from->loop->external_refs--;
}

static void *send_all(void *arg)
{
    sender *s = arg;
    for (int i = 0; i < POSTS; i++) {
        s->parcels[i] = (struct parcel){ .post.deliver = deliver, .from = s, .number = i };
        cr_loop_post(s->loop, &s->parcels[i].post);
    }
    return NULL;
}

EACH_LOOP(post, from_several_threads_all_arrive_each_threads_in_order)
{
    static sender senders[THREADS];
    memset(senders, 0, sizeof senders);
    loop->external_refs = THREADS;
    for (int i = 0; i < THREADS; i++) {
        senders[i].loop = loop;
        EXPECT_EQ(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]), 0);
    }
    EXPECT_EQ(crank_loop_run(loop), 0);
    for (int i = 0; i < THREADS; i++) {
        EXPECT_EQ(pthread_join(senders[i].thread, NULL), 0);
        EXPECT_EQ(senders[i].delivered, POSTS);
    }
}

typedef struct rally {
    cr_post post;
    crank_loop *loop;
    atomic_int served;
    int returned;
    int rounds;
} rally;

static void give_back(cr_post *post)
{
    rally *r = cr_container_of(post, rally, post);
    if (++r->returned == r->rounds)
        r->loop->external_refs--;
    atomic_fetch_add(&r->served, 1);
}

static void *play(void *arg)
{
    rally *r = arg;
    for (int i = 0; i < r->rounds; i++) {
        while (atomic_load(&r->served) < i)
            sched_yield();
        cr_loop_post(r->loop, &r->post);
    }
    return NULL;
}

/* Each post comes when the loop is about to sleep or asleep: one lost wake-up and the rally never
 * ends. */
EACH_LOOP(post, never_loses_a_sleeping_loop)
{
    rally r = { .post.deliver = give_back, .loop = loop, .rounds = 2000 };
    pthread_t thread;
    loop->external_refs = 1;
    EXPECT_EQ(pthread_create(&thread, NULL, play, &r), 0);
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT_EQ(pthread_join(thread, NULL), 0);
    EXPECT_EQ(r.returned, 2000);
}

typedef struct mark {
    cr_post post;
    journal *log;
    char letter;
    crank_loop *loop;
} mark;

static void write_letter(cr_post *post)
{
    mark *m = cr_container_of(post, mark, post);
    note(m->log, m->letter);
}

EACH_LOOP(post, of_the_own_thread_arrives_in_order)
{
    journal log = { .length = 0 };
    mark marks[3];
    for (int i = 0; i < 3; i++) {
        marks[i] = (mark){ .post.deliver = write_letter, .log = &log, .letter = (char)('a' + i) };
        cr_loop_post(loop, &marks[i].post);
    }
    EXPECT(crank_loop_next(loop) <= 0);
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT_STR(log.text, "abc");
}

static void post_the_next(cr_post *post)
{
    mark *m = cr_container_of(post, mark, post);
    note(m->log, m->letter);
    cr_loop_post(m->loop, &m[1].post);
}

EACH_LOOP(post, made_while_another_is_delivered_arrives_too)
{
    journal log = { .length = 0 };
    mark marks[2] = {
        { { NULL, post_the_next }, &log, 'a', loop },
        { { NULL, write_letter }, &log, 'b', loop },
    };
    cr_loop_post(loop, &marks[0].post);
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT_STR(log.text, "ab");
}

static void free_and_stop(cr_post *post)
{
    mark *m = cr_container_of(post, mark, post);
    crank_loop_stop(m->loop);
    free(m);
}

EACH_LOOP(post, may_free_itself_when_delivered)
{
    mark *m = malloc(sizeof *m);
    EXPECT(m);
    *m = (mark){ .post.deliver = free_and_stop, .loop = loop };
    loop->external_refs = 1;
    cr_loop_post(loop, &m->post);
    EXPECT_EQ(crank_loop_run(loop), 0);
    loop->external_refs = 0;
}

static mark from_handler;
static void handler(int number)
{
    (void)number;
    cr_loop_post(from_handler.loop, &from_handler.post);
}

static void end_outside(cr_post *post) { cr_container_of(post, mark, post)->loop->external_refs--; }

static void *send_signal(void *arg)
{
    pthread_kill(*(pthread_t *)arg, SIGUSR1);
    return NULL;
}

EACH_LOOP(post, of_a_signal_handler_wakes_the_loop)
{
    struct sigaction action = { .sa_handler = handler };
    pthread_t self = pthread_self();
    pthread_t thread;
    from_handler = (mark){ .post.deliver = end_outside, .loop = loop };
    sigaction(SIGUSR1, &action, NULL);
    loop->external_refs = 1;
    EXPECT_EQ(pthread_create(&thread, NULL, send_signal, &self), 0);
    EXPECT_EQ(crank_loop_run(loop), 0);
    EXPECT_EQ(loop->external_refs, 0);
    pthread_join(thread, NULL);
}

static void foreign_poll(crank_backend backend)
{
    crank_loop *loop = open_loop(backend, 0);
    journal log = { .length = 0 };
    mark m = { .post.deliver = write_letter, .log = &log, .letter = 'p' };
    struct pollfd one = { .fd = crank_loop_fd(loop), .events = POLLIN };
    EXPECT(one.fd >= 0);
    for (int i = 1; i <= 3; i++) {
        EXPECT_EQ(poll(&one, 1, 0), 0);
        cr_loop_post(loop, &m.post);
        EXPECT_EQ(poll(&one, 1, 1000), 1);
        crank_loop_run_once(loop, 0);
        EXPECT_EQ(log.length, i);
    }
    crank_loop_free(loop);
}

static void *post_from_there(void *arg)
{
    mark *m = arg;
    cr_loop_post(m->loop, &m->post);
    return NULL;
}

/* Whoever posts does so before, while and after the other falls asleep. */
static void foreign_sleep(crank_backend backend)
{
    crank_loop *loop = open_loop(backend, 0);
    journal log = { .length = 0 };
    mark m = { .post.deliver = write_letter, .log = &log, .letter = 'p', .loop = loop };
    struct pollfd one = { .fd = crank_loop_fd(loop), .events = POLLIN };
    EXPECT(one.fd >= 0);
    for (size_t i = 1; i <= 100; i++) {
        pthread_t thread;
        EXPECT_EQ(pthread_create(&thread, NULL, post_from_there, &m), 0);
        while (log.length < i) {
            EXPECT(poll(&one, 1, crank_loop_next(loop) > 0 ? -1 : 0) >= 0);
            crank_loop_run_once(loop, 0);
        }
        pthread_join(thread, NULL);
    }
    crank_loop_free(loop);
}
TEST(post, wakes_who_sleeps_in_a_foreign_poll_on_epoll) { foreign_sleep(CRANK_BACKEND_EPOLL); }
TEST(post, wakes_who_sleeps_in_a_foreign_poll_on_uring) { foreign_sleep(CRANK_BACKEND_URING); }

/* While the loop waits somebody posts. */
static mark *posted_meanwhile;
static int wait_with_a_post(void *context, int fd, struct epoll_event *events, int most, int64_t span)
{
    pthread_t thread;
    EXPECT_EQ(pthread_create(&thread, NULL, post_from_there, posted_meanwhile), 0);
    pthread_join(thread, NULL);
    return cr_sys_real.epoll_wait(context, fd, events, most, span);
}
TEST(post, made_while_the_loop_waits_arrives_in_that_very_turn)
{
    cr_sys sys = cr_sys_real;
    journal log = { .length = 0 };
    mark m = { .post.deliver = write_letter, .log = &log, .letter = 'p' };
    sys.epoll_wait = wait_with_a_post;
    crank_loop *loop = open_with(&(crank_options){ .backend = CRANK_BACKEND_EPOLL }, &sys);
    m.loop = loop;
    posted_meanwhile = &m;
    EXPECT_EQ(crank_loop_run_once(loop, 10), 0);
    EXPECT_STR(log.text, "p");
    crank_loop_free(loop);
}

TEST(post, shows_in_a_foreign_poll_on_epoll) { foreign_poll(CRANK_BACKEND_EPOLL); }
TEST(post, shows_in_a_foreign_poll_on_uring) { foreign_poll(CRANK_BACKEND_URING); }
