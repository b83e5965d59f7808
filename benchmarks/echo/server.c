/* SPDX-License-Identifier: MIT */
/* server.c: the measured server as a process: start, port, processor time, memory, end.
 *
 * It is a child, so that it may be traced where a kernel allows that to parents only, and it ends with this
 * process, whatever becomes of us. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../measure.h"
#include "load.h"

int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * second_ns + t.tv_nsec;
}

static cpu_set_t first_core;

void cores_divide(void)
{
    cpu_set_t all, last;
    CPU_ZERO(&all);
    CPU_ZERO(&last);
    CPU_ZERO(&first_core);
    if (sched_getaffinity(0, sizeof all, &all) < 0)
        return;
    for (size_t i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &all)) {
            if (CPU_COUNT(&first_core) == 0)
                CPU_SET(i, &first_core);
            CPU_ZERO(&last);
            CPU_SET(i, &last);
        }
    sched_setaffinity(0, sizeof last, &last);
}

/* Beyond one for each connection: standard streams, listener, epoll, and what a runtime opens for itself. */
enum { SPARE_DESCRIPTORS = 64 };

size_t descriptors_raise(size_t wanted)
{
    struct rlimit limit;
    rlim_t need = wanted + SPARE_DESCRIPTORS;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return wanted;
    if (limit.rlim_cur < need) {
        struct rlimit more = { .rlim_cur = need, .rlim_max = limit.rlim_max < need ? need : limit.rlim_max };
        struct rlimit most = { .rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max };
        if (setrlimit(RLIMIT_NOFILE, &more) < 0)
            setrlimit(RLIMIT_NOFILE, &most);
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur < need ? (size_t)limit.rlim_cur - SPARE_DESCRIPTORS : wanted;
}

/* In the child: stdout is our pipe, stdin is empty. */
static void become(char *const *argv, int output)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sched_setaffinity(0, sizeof first_core, &first_core);
    int null = open("/dev/null", O_RDONLY);
    dup2(null, 0);
    dup2(output, 1);
    execvp(argv[0], argv);
    fprintf(stderr, "load: %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

/* The number in the first line that comes out of fd; 0 when none does. */
static unsigned read_port(int fd)
{
    char line[256];
    size_t have = 0;
    int64_t deadline = now_ns() + 10 * second_ns;
    while (have < sizeof line - 1) {
        int64_t left = deadline - now_ns();
        struct pollfd p = { .fd = fd, .events = POLLIN };
        if (left <= 0 || poll(&p, 1, (int)(left / 1000000) + 1) <= 0)
            return 0;
        ssize_t got = read(fd, line + have, sizeof line - 1 - have);
        if (got <= 0)
            return 0;
        have += (size_t)got;
        line[have] = '\0';
        if (strchr(line, '\n'))
            return (unsigned)strtoul(line, NULL, 10);
    }
    return 0;
}

bool server_start(char *const *argv, server *ret)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        perror("load: pipe");
        return false;
    }
    ret->pid = fork();
    if (ret->pid == 0)
        become(argv, ends[1]);
    close(ends[1]);
    ret->port = ret->pid < 0 ? 0 : read_port(ends[0]);
    close(ends[0]);
    if (ret->port == 0) {
        fprintf(stderr, "load: %s printed no port\n", argv[0]);
        if (ret->pid > 0)
            server_stop(ret);
    }
    return ret->port != 0;
}

/* The thread that traces it may have collected it before. */
void server_stop(const server *s)
{
    kill(s->pid, SIGKILL);
    calls_end();
    while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

/* ---- What it takes ---- */

double server_cpu(const server *s)
{
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(s->pid, &clock) != 0 || clock_gettime(clock, &t) < 0)
        return 0;
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double server_cpu_children(const server *s)
{
    char path[64], text[1024];
    unsigned long user = 0, kernel = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)s->pid);
    FILE *file = fopen(path, "r");
    size_t got = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    text[got] = '\0';
    /* Behind the name, which may have blanks: its state, ten numbers, its own times, its children's. */
    const char *behind = strrchr(text, ')');
    if (!behind ||
        sscanf(behind + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %lu %lu", &user, &kernel) != 2)
        return 0;
    return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

double server_count(const server *s)
{
    char text[32];
    size_t have = 0;
    ssize_t got = 0;
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)s->port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bool connected = fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
    while (connected && have < sizeof text - 1 && (got = read(fd, text + have, sizeof text - 1 - have)) > 0)
        have += (size_t)got;
    if (fd >= 0)
        close(fd);
    text[have] = '\0';
    if (have > 0 && text[have - 1] == '\n')
        return strtod(text, NULL);
    fprintf(stderr, "load: the server does not say how many\n");
    return -1;
}

static double memory_of(const server *s, const char *file, const char *field)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)s->pid, file);
    return memory_line(path, field);
}

double server_resident(const server *s) { return memory_of(s, "smaps_rollup", "Rss:"); }
double server_tables(const server *s) { return memory_of(s, "status", "VmPTE:"); }
