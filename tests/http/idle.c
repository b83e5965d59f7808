/* SPDX-License-Identifier: MIT */
/* idle.c: what a connection keeps of a server's memory between two requests.
 *
 * The server is a process of its own, whose resident memory is read before and after; the clients are plain sockets. */
#include "base/base.h"
#include "served.h"
#include "webs.h"

/* A page of stack, the task and the stream, 5,075 bytes in all, and 800 that counting the heap costs. A second page
 * would be 4,096 more. */
enum { SOME = 500, MANY = 10000, FIRST = 16, BYTES_MAX = 6500 };
static int clients[MANY];
#ifdef __OPTIMIZE__
static const bool optimised = true;
#else
static const bool optimised = false;
#endif

static int hello(crank_http_request *request) { return crank_http_print(request, 200, "text/plain", "hello\n"); }

static int serve(crank_listener *l) { return webs_served(l, crank_http_serve(l, hello)); }

/* In bytes. */
static double resident(pid_t pid)
{
    char path[64], line[200];
    double size = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *file = fopen(path, "r");
    EXPECT(file);
    while (size == 0 && fgets(line, sizeof line, file))
        if (strncmp(line, "Rss:", 4) == 0)
            size = strtod(line + 4, NULL) * 1024;
    fclose(file);
    return size;
}

static int ask(const served *server)
{
    char answer[1000];
    int fd = served_connect(server);
    served_ask(fd, "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: idle\r\n\r\n", answer, sizeof answer);
    EXPECT_CONTAINS(answer, "HTTP/1.1 200 OK\r\n");
    return fd;
}

static void keep(const char *address, int connections)
{
    if (CR_SWITCH_SANITIZED || !optimised || getenv("TEST_EMULATED"))
        test_skip("only an optimised build shows it");
    served_need((size_t)connections + 500);
    const served server = served_start(CRANK_BACKEND_EPOLL, address, serve);
    double before = 0;
    for (int i = 0; i < connections; i++) {
        if (i == FIRST)
            before = resident(server.pid);
        clients[i] = ask(&server);
    }
    double each = (resident(server.pid) - before) / (connections - FIRST);
    served_stop(&server);
    for (int i = 0; i < connections; i++)
        close(clients[i]);
    if (each > BYTES_MAX)
        test_fail(__FILE__, __LINE__, "an idle connection costs %.0f bytes, more than %d", each, BYTES_MAX);
}

TEST(idle_connection, keeps_one_page_of_its_stack) { keep("127.0.0.1:0", SOME); }
TEST(idle_connection, keeps_one_page_of_its_stack_where_there_are_ten_thousand)
{
    test_needs_long();
    keep("127.0.0.1:0", MANY);
}
TEST(idle_connection, keeps_one_page_of_its_stack_whatever_its_peer_is_called)
{
    char address[64];
    snprintf(address, sizeof address, "unix:@crank-idle-%d", (int)getpid());
    keep(address, SOME);
    if (access("/proc/net/if_inet6", R_OK) == 0)
        keep("[::1]:0", SOME);
}
