/* SPDX-License-Identifier: MIT */
/* idle.c: what a connection keeps of a server's memory between two requests.
 *
 * The server is a process of its own, whose resident memory is read before and after; the clients are plain sockets. */
#include "webs.h"
#include "base/base.h"
#include <arpa/inet.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A page of stack, the task and the stream, 5,075 bytes in all, and 800 that counting the heap costs. A second page
 * would be 4,096 more. */
enum { CONNECTIONS = 500, FIRST = 16, BYTES_MAX = 6500 };
static int clients[CONNECTIONS];
#ifdef __OPTIMIZE__
static const bool optimised = true;
#else
static const bool optimised = false;
#endif

static int hello(crank_http_request *request) { return crank_http_print(request, 200, "text/plain", "hello\n"); }

/* Its port goes to the parent. */
static int serve(int port_to)
{
    CRANK_AUTO_LISTENER crank_listener *l = webs_listen();
    const char *port = strrchr(crank_listener_address(l, 0), ':') + 1;
    if (write(port_to, port, strlen(port) + 1) < 0)
        return -errno;
    return crank_http_serve(l, hello);
}

static pid_t start_server(int *ret_port)
{
    int ends[2];
    char port[8] = "";
    EXPECT_EQ(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* where the test fails */
        (void)crank_run_with(&(crank_options){ .backend = CRANK_BACKEND_EPOLL }, serve, ends[1]);
        _exit(1);
    }
    close(ends[1]);
    EXPECT(pid > 0 && read(ends[0], port, sizeof port) > 0);
    close(ends[0]);
    *ret_port = (int)strtol(port, NULL, 10);
    return pid;
}

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

static int ask(int port)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: idle\r\n\r\n";
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
    };
    char answer[1000];
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    const struct timeval patience = { .tv_sec = 2 };
    EXPECT(fd >= 0);
    EXPECT_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    EXPECT_EQ(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    EXPECT_EQ(write(fd, request, sizeof request - 1), (ssize_t)sizeof request - 1);
    EXPECT(read(fd, answer, sizeof answer) > 0);
    return fd;
}

TEST(idle_connection, keeps_one_page_of_its_stack)
{
    int port;
    struct rlimit limit;
    if (CR_SWITCH_SANITIZED || !optimised || getenv("TEST_EMULATED"))
        test_skip("only an optimised build shows it");
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < 2 * CONNECTIONS)
        test_skip("there are only %ju descriptors", (uintmax_t)limit.rlim_max);
    limit.rlim_cur = limit.rlim_max;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    pid_t pid = start_server(&port);
    double before = 0;
    for (int i = 0; i < CONNECTIONS; i++) {
        if (i == FIRST)
            before = resident(pid);
        clients[i] = ask(port);
    }
    double each = (resident(pid) - before) / (CONNECTIONS - FIRST);
    EXPECT_EQ(kill(pid, SIGKILL), 0);
    EXPECT_EQ(waitpid(pid, NULL, 0), pid);
    for (int i = 0; i < CONNECTIONS; i++)
        close(clients[i]);
    if (each > BYTES_MAX)
        test_fail(__FILE__, __LINE__, "an idle connection costs %.0f bytes, more than %d", each, BYTES_MAX);
}
