/* SPDX-License-Identifier: MIT */
/* serve.c: libmicrohttpd's server, on one thread with epoll: serve http|files, as benchmarks/echo/load.c starts one. */
#include <fcntl.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char text[] = "Hello, world!\n";
static const char *folder;
static char head_seen[1];

static enum MHD_Result answer(struct MHD_Connection *c, int status, struct MHD_Response *response)
{
    enum MHD_Result result = MHD_queue_response(c, (unsigned)status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *c, const char *url, const char *method,
    const char *version, const char *upload, size_t *upload_size, void **state)
{
    char path[512];
    struct stat status;
    (void)arg, (void)method, (void)version, (void)upload, (void)upload_size;
    if (!*state) { /* the head is there; an answer now would end the connection */
        *state = head_seen;
        return MHD_YES;
    }
    if (strcmp(url, "/hello") == 0) {
        struct MHD_Response *hello =
            MHD_create_response_from_buffer(sizeof text - 1, (void *)text, MHD_RESPMEM_PERSISTENT);
        MHD_add_response_header(hello, "Content-Type", "text/plain");
        return answer(c, 200, hello);
    }
    snprintf(path, sizeof path, "%s%s", folder ? folder : "/nowhere", url);
    int fd = strstr(url, "..") ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0)
        return answer(c, 404, MHD_create_response_from_buffer(0, (void *)text, MHD_RESPMEM_PERSISTENT));
    return answer(c, 200, MHD_create_response_from_fd((uint64_t)status.st_size, fd));
}

int main(void)
{
    folder = getenv("BENCH_FILES");
    struct MHD_Daemon *daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG, 0, NULL, NULL,
        handle, NULL, MHD_OPTION_CONNECTION_LIMIT, 16000u, MHD_OPTION_END);
    if (!daemon)
        return 1;
    printf("%u\n", (unsigned)MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    for (;;)
        pause();
}
