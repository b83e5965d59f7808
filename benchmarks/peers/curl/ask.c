/* SPDX-License-Identifier: MIT */
/* ask.c: curl's multi interface: ask client, as benchmarks/echo/load.c starts one: 64 transfers ask for BENCH_URL, again
 * and again. Its sockets are watched by epoll and told to curl one by one (curl_multi_socket_action), the way of the
 * interface that costs least among many connections. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

enum { TRANSFERS = 64, BODY_MAX = 256 };
static const char expected[] = "Hello, world!\n";

typedef struct transfer {
    char body[BODY_MAX];
    size_t size;
} transfer;

static CURLM *multi;
static int epoll;
static long long timeout_at = -1; /* milliseconds; -1: none */

static long long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void fail(const char *what)
{
    fprintf(stderr, "curl: %s\n", what);
    exit(1);
}

static size_t take(char *bytes, size_t size, size_t count, void *arg)
{
    transfer *t = arg;
    if (size * count > BODY_MAX - t->size)
        return 0;
    memcpy(t->body + t->size, bytes, size * count);
    t->size += size * count;
    return size * count;
}

/* What curl wants to be told of a socket; a mark is at one that is watched. */
static int watch(CURL *easy, curl_socket_t fd, int what, void *arg, void *mark)
{
    struct epoll_event event = { .data.fd = fd };
    (void)easy, (void)arg;
    event.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
        curl_multi_assign(multi, fd, NULL);
    } else if (epoll_ctl(epoll, mark ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) < 0) {
        return -1;
    } else {
        curl_multi_assign(multi, fd, &multi);
    }
    return 0;
}

static int set_timeout(CURLM *of, long ms, void *arg)
{
    (void)of, (void)arg;
    timeout_at = ms < 0 ? -1 : now_ms() + ms;
    return 0;
}

/* Every transfer that has ended is checked, and begun again over the connection that is kept. */
static void begin_again(void)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(multi, &left)) != NULL;) {
        CURL *easy = message->easy_handle;
        CURLcode result = message->data.result;
        transfer *t;
        long status = 0;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t);
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        if (result != CURLE_OK)
            fail(curl_easy_strerror(result));
        if (status != 200 || t->size != sizeof expected - 1 || memcmp(t->body, expected, t->size) != 0)
            fail("another answer than was expected");
        t->size = 0;
        curl_multi_remove_handle(multi, easy);
        curl_multi_add_handle(multi, easy);
    }
}

static void begin(const char *url)
{
    static transfer transfers[TRANSFERS];
    multi = curl_multi_init();
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, watch);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, set_timeout);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)TRANSFERS);
    for (int i = 0; i < TRANSFERS; i++) {
        CURL *easy = curl_easy_init();
        curl_easy_setopt(easy, CURLOPT_URL, url);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfers[i]);
        curl_easy_setopt(easy, CURLOPT_PRIVATE, &transfers[i]);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_multi_add_handle(multi, easy);
    }
}

static void run(void)
{
    struct epoll_event events[TRANSFERS];
    int running;
    for (;;) {
        long long wait = timeout_at < 0 ? -1 : timeout_at - now_ms();
        int n = epoll_wait(epoll, events, TRANSFERS, wait < 0 ? (timeout_at < 0 ? -1 : 0) : (int)wait);
        for (int i = 0; i < n; i++) {
            int what = (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                       (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                       (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
            curl_multi_socket_action(multi, events[i].data.fd, what, &running);
        }
        if (timeout_at >= 0 && timeout_at <= now_ms()) {
            timeout_at = -1;
            curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
        }
        begin_again();
    }
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "version") == 0)
        return printf("%s\n", curl_version()) < 0;
    const char *url = getenv("BENCH_URL");
    if (!url)
        fail("there is no BENCH_URL");
    printf("%d\n", atoi(strrchr(url, ':') + 1));
    fflush(stdout);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0 || curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK)
        fail("no beginning");
    begin(url);
    run();
}
