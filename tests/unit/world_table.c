/* SPDX-License-Identifier: MIT */
/* world_table.c: the simulator's table of OS calls, which stands on another: one below it notes what is handed on, and
 * with which context. */
#include "world/world.h"
#include "base/base.h"
#include "test.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static void *nothing(void *arg) { return arg; }
static char below_context;
static int calls;
static void *seen(void *context)
{
    EXPECT(context == &below_context);
    calls++;
    return &below_context;
}
static int seen_int(void *context) { return seen(context) ? 40 + calls : 0; }
static void *below_memory(void *c, size_t size) { return size == 3 ? seen(c) : NULL; }
static void *below_resize(void *c, void *m, size_t size) { return size == 3 && m == &calls ? seen(c) : NULL; }
static void below_free(void *c, void *m) { EXPECT(m == &calls && seen(c)); }
static int below_unmap(void *c, void *m, size_t size) { return m == &calls && size == 3 ? seen_int(c) : 0; }
static int below_advise(void *c, void *m, size_t size, int advice)
{
    return m == &calls && size == 3 && advice == 4 ? seen_int(c) : 0;
}
static ssize_t below_many(void *c, const struct iovec *r, size_t n, int advice)
{
    return !r && n == 3 && advice == 4 ? seen_int(c) : 0;
}
static int below_start(void *c, unsigned long *ret, void *(*fn)(void *), void *arg, size_t size)
{
    return !ret && fn == nothing && arg == &calls && size == 3 ? seen_int(c) : 0;
}
static int below_join(void *c, unsigned long thread) { return thread == 3 ? seen_int(c) : 0; }
static unsigned below_cores(void *c) { return (unsigned)seen_int(c); }
static int64_t below_time(void *c, unsigned long thread) { return thread == 3 ? seen_int(c) : 0; }
static int below_id(void *c) { return seen_int(c); }
static long nothing_long(void *arg) { return arg == &calls; }
static long below_pipe(void *c, long (*fn)(void *), void *arg) { return fn(arg) ? seen_int(c) : 0; }
static int below_signal(void *c, const cr_signal *asked, int *ret_timer)
{
    return !asked && ret_timer == &calls ? seen_int(c) : 0;
}
static void below_signal_end(void *c, int timer) { EXPECT(timer == 3 && seen(c)); }
static int below_close(void *c, int fd) { return fd == 3 ? seen_int(c) : 0; }
static ssize_t below_read(void *c, int fd, void *b, size_t size)
{
    return fd == 3 && b == &calls && size == 4 ? seen_int(c) : 0;
}
static ssize_t below_write(void *c, int fd, const void *b, size_t size)
{
    return fd == 3 && b == &calls && size == 4 ? seen_int(c) : 0;
}
static int below_open(void *c, const char *path, int flags, unsigned mode)
{
    return !path && flags == 3 && mode == 4 ? seen_int(c) : 0;
}
static int below_eventfd(void *c, unsigned value, int flags) { return value == 3 && flags == 4 ? seen_int(c) : 0; }
static int below_stat(void *c, int fd, struct stat *ret) { return fd == 3 && !ret ? seen_int(c) : 0; }
static ssize_t below_at(void *c, int fd, const struct iovec *piece, int64_t offset, int flags)
{
    return fd == 3 && !piece && offset == 4 && flags == 5 ? seen_int(c) : 0;
}
static int below_create(void *c, int flags) { return flags == 3 ? seen_int(c) : 0; }
static int below_ctl(void *c, int epfd, int op, int fd, struct epoll_event *event)
{
    return epfd == 3 && op == 4 && fd == 5 && !event ? seen_int(c) : 0;
}
static int below_wait(void *c, int epfd, struct epoll_event *events, int n, int64_t timeout)
{
    return epfd == 3 && !events && n == 4 && timeout == 5 ? seen_int(c) : 0;
}
static int below_poll(void *c, struct pollfd *fds, size_t n, int64_t timeout)
{
    return !fds && n == 3 && timeout == 4 ? seen_int(c) : 0;
}
static int below_setup(void *c, unsigned entries, struct io_uring_params *params)
{
    return entries == 3 && !params ? seen_int(c) : 0;
}
static int below_enter(void *c, int fd, const cr_uring_enter *asked) { return fd == 3 && !asked ? seen_int(c) : 0; }
static int below_register(void *c, int fd, unsigned opcode, void *arg, unsigned n)
{
    return fd == 3 && opcode == 4 && arg == &calls && n == 5 ? seen_int(c) : 0;
}

static int below_bind(void *c, int fd, const struct sockaddr *address, unsigned size)
{
    return fd == 3 && !address && size == 4 ? seen_int(c) : 0;
}
static int below_two(void *c, int fd, int number) { return fd == 3 && number == 4 ? seen_int(c) : 0; }
static int below_name(void *c, int fd, struct sockaddr *address, unsigned *size)
{
    return fd == 3 && !address && !size ? seen_int(c) : 0;
}
static ssize_t below_recv(void *c, int fd, void *b, size_t size, int flags)
{
    return fd == 3 && b == &calls && size == 4 && flags == 5 ? seen_int(c) : 0;
}
static ssize_t below_send(void *c, int fd, const void *b, size_t size, int flags)
{
    return fd == 3 && b == &calls && size == 4 && flags == 5 ? seen_int(c) : 0;
}
static int below_set(void *c, int fd, const cr_socket_option *option) { return fd == 3 && !option ? seen_int(c) : 0; }
static int below_get(void *c, int fd, cr_socket_option *option) { return fd == 3 && !option ? seen_int(c) : 0; }

static const cr_sys below = { .context = &below_context,
    .alloc = below_memory,
    .alloc_zero = below_memory,
    .resize = below_resize,
    .free = below_free,
    .map = below_memory,
    .unmap = below_unmap,
    .advise = below_advise,
    .protect_none = below_unmap,
    .advise_many = below_many,
    .thread_start = below_start,
    .thread_join = below_join,
    .cores = below_cores,
    .thread_time = below_time,
    .thread_id = below_id,
    .without_sigpipe = below_pipe,
    .signal_running = below_signal,
    .signal_end = below_signal_end,
    .close = below_close,
    .read = below_read,
    .write = below_write,
    .open = below_open,
    .eventfd = below_eventfd,
    .stat = below_stat,
    .duplicate = below_close,
    .read_at = below_at,
    .write_at = below_at,
    .bind = below_bind,
    .listen = below_two,
    .accept = below_name,
    .connect = below_bind,
    .recv = below_recv,
    .send = below_send,
    .shutdown = below_two,
    .set_option = below_set,
    .get_option = below_get,
    .own_name = below_name,
    .peer_name = below_name,
    .epoll_create = below_create,
    .epoll_ctl = below_ctl,
    .epoll_wait = below_wait,
    .poll = below_poll,
    .uring_setup = below_setup,
    .uring_enter = below_enter,
    .uring_register = below_register };

/* Every call below gives another number: so each is made, once, and gives what that gave. */
#define EXPECT_NEXT(call) \
    do { \
        long long expect_before_ = calls; \
        EXPECT_EQ(call, 40 + expect_before_ + 1); \
        EXPECT_EQ(calls, expect_before_ + 1); \
    } while (0)

TEST(world, hands_every_call_to_the_table_it_stands_on)
{
    cr_world record;
    cr_world_init(&record, &below, 1);
    const cr_sys *sim = &record.table;
    EXPECT(cr_alloc(sim, 3) == &below_context && cr_alloc_zero(sim, 3) == &below_context);
    EXPECT(cr_resize(sim, &calls, 3) == &below_context && sim->map(&record, 3) == &below_context);
    cr_free(sim, &calls);
    EXPECT_EQ(calls, 5);
    EXPECT_NEXT(sim->unmap(&record, &calls, 3));
    EXPECT_NEXT(sim->advise(&record, &calls, 3, 4));
    EXPECT_NEXT(sim->protect_none(&record, &calls, 3));
    EXPECT_NEXT(sim->advise_many(&record, NULL, 3, 4));
    EXPECT_NEXT(sim->thread_start(&record, NULL, nothing, &calls, 3));
    EXPECT_NEXT(sim->thread_join(&record, 3));
    EXPECT_NEXT(sim->cores(&record));
    EXPECT_NEXT(sim->thread_time(&record, 3));
    EXPECT_NEXT(sim->thread_id(&record));
    EXPECT_NEXT(sim->without_sigpipe(&record, nothing_long, &calls));
    EXPECT_NEXT(sim->signal_running(&record, NULL, &calls));
    int before = calls;
    sim->signal_end(&record, 3);
    EXPECT_EQ(calls, before + 1);
    EXPECT_NEXT(sim->close(&record, 3));
    EXPECT_NEXT(sim->read(&record, 3, &calls, 4));
    EXPECT_NEXT(sim->write(&record, 3, &calls, 4));
    EXPECT_NEXT(sim->open(&record, NULL, 3, 4));
    EXPECT_NEXT(sim->eventfd(&record, 3, 4));
    EXPECT_NEXT(sim->stat(&record, 3, NULL));
    EXPECT_NEXT(sim->duplicate(&record, 3));
    EXPECT_NEXT(sim->read_at(&record, 3, NULL, 4, 5));
    EXPECT_NEXT(sim->write_at(&record, 3, NULL, 4, 5));
    EXPECT_NEXT(sim->bind(&record, 3, NULL, 4));
    EXPECT_NEXT(sim->listen(&record, 3, 4));
    EXPECT_NEXT(sim->accept(&record, 3, NULL, NULL));
    EXPECT_NEXT(sim->connect(&record, 3, NULL, 4));
    EXPECT_NEXT(sim->recv(&record, 3, &calls, 4, 5));
    EXPECT_NEXT(sim->send(&record, 3, &calls, 4, 5));
    EXPECT_NEXT(sim->shutdown(&record, 3, 4));
    EXPECT_NEXT(sim->set_option(&record, 3, NULL));
    EXPECT_NEXT(sim->get_option(&record, 3, NULL));
    EXPECT_NEXT(sim->own_name(&record, 3, NULL, NULL));
    EXPECT_NEXT(sim->peer_name(&record, 3, NULL, NULL));
    EXPECT_NEXT(sim->epoll_create(&record, 3));
    EXPECT_NEXT(sim->epoll_ctl(&record, 3, 4, 5, NULL));
    EXPECT_NEXT(sim->epoll_wait(&record, 3, NULL, 4, 5));
    EXPECT_NEXT(sim->poll(&record, NULL, 3, 4));
    EXPECT_NEXT(sim->uring_setup(&record, 3, NULL));
    EXPECT_NEXT(sim->uring_enter(&record, 3, NULL));
    EXPECT_NEXT(sim->uring_register(&record, 3, 4, &calls, 5));
}

TEST(world, has_the_same_interfaces_and_descriptors_on_every_machine)
{
    cr_world record;
    cr_world_init(&record, &below, 1);
    EXPECT_EQ(record.table.interface_index(&record, "lo"), 1);
    EXPECT_EQ(record.table.interface_index(&record, "eth0"), 2);
    EXPECT_EQ(record.table.interface_index(&record, "eth1"), -ENODEV);
    EXPECT_EQ(record.table.descriptors_max(&record), 65536);
    EXPECT_EQ(calls, 0);
}

TEST(world, knows_a_virtual_descriptor_by_its_number)
{
    enum { fd = CR_VIRTUAL_FIRST };
    cr_world record;
    struct stat status;
    struct iovec piece = { &status, 1 };
    cr_socket_option option = { SOL_SOCKET, SO_TYPE, &status, sizeof(int) };
    cr_world_init(&record, &below, 1);
    const cr_sys *sim = &record.table;
    EXPECT_EQ(sim->close(&record, fd), -EBADF);
    EXPECT_EQ(sim->stat(&record, fd, &status), -EBADF);
    EXPECT_EQ(sim->duplicate(&record, fd), -EBADF);
    EXPECT_EQ(sim->read(&record, fd, &status, 1), -EBADF);
    EXPECT_EQ(sim->write(&record, fd, &status, 1), -EBADF);
    EXPECT_EQ(sim->read_at(&record, fd, &piece, -1, 0), -EBADF);
    EXPECT_EQ(sim->write_at(&record, fd, &piece, -1, 0), -EBADF);
    EXPECT_EQ(sim->read_at(&record, fd, &piece, 0, 0), -ESPIPE);
    EXPECT_EQ(sim->write_at(&record, fd, &piece, 0, 0), -ESPIPE);
    EXPECT_EQ(sim->bind(&record, fd, NULL, 0), -EBADF);
    EXPECT_EQ(sim->listen(&record, fd, 1), -EBADF);
    EXPECT_EQ(sim->accept(&record, fd, NULL, NULL), -EBADF);
    EXPECT_EQ(sim->connect(&record, fd, NULL, 0), -EBADF);
    EXPECT_EQ(sim->recv(&record, fd, NULL, 0, 0), -EBADF);
    EXPECT_EQ(sim->send(&record, fd, NULL, 0, 0), -EBADF);
    EXPECT_EQ(sim->shutdown(&record, fd, 0), -EBADF);
    EXPECT_EQ(sim->set_option(&record, fd, &option), -EBADF);
    EXPECT_EQ(sim->get_option(&record, fd, &option), -EBADF);
    EXPECT_EQ(sim->own_name(&record, fd, NULL, NULL), -EBADF);
    EXPECT_EQ(sim->peer_name(&record, fd, NULL, NULL), -EBADF);
    EXPECT_EQ(calls, 0);
}

TEST(world, has_its_own_clock_and_chance)
{
    cr_world first;
    cr_world second;
    cr_world_init(&first, &below, 1);
    cr_world_init(&second, &below, 2);
    EXPECT_EQ(first.table.now(&first), CR_SECOND);
    uint64_t chance = first.table.random(&first);
    EXPECT(chance != first.table.random(&first));
    EXPECT(chance != second.table.random(&second));
    cr_world_init(&second, &below, 1);
    EXPECT_EQ(chance, second.table.random(&second));
    EXPECT_EQ(calls, 0);
}
