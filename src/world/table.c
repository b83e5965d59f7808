/* SPDX-License-Identifier: MIT */
/* table.c: the OS as the simulator shows it, but for the network; beginning and end of a world.
 *
 * Clock and chance are the simulator's, as are sockets, programs and network interfaces
 * (table_network.c); all else is the table it was opened with, whose entries want their own
 * context: hence a function for each. The clock moves only in the simulator's turn. Chance comes
 * from the seed, in a stream of its own: drawing a number does not change the choices.
 *
 * Standing on the given table and not on the real one, it can be stacked on the failing table of
 * the tests: a fault is then injected into a run that the seed decides. */
#include "world/table.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include "world/net.h"
#include "world/resolver.h"

#define HASH_START UINT64_C(0xcbf29ce484222325)
/* The program's own chance differs from that of the choices by its start. */
#define RANDOM_STREAM UINT64_C(0x6368616e6365)

/* Memory is real: the tests' failing table below this one may make it short. */
static void *sim_alloc(void *context, size_t size)
{
    const cr_sys *real = cr_table_real(context);
    return real->alloc(real->context, size);
}

static void *sim_alloc_zero(void *context, size_t size)
{
    const cr_sys *real = cr_table_real(context);
    return real->alloc_zero(real->context, size);
}

static void *sim_resize(void *context, void *memory, size_t size)
{
    const cr_sys *real = cr_table_real(context);
    return real->resize(real->context, memory, size);
}

static void sim_free(void *context, void *memory)
{
    const cr_sys *real = cr_table_real(context);
    real->free(real->context, memory);
}

static void *sim_map(void *context, size_t size)
{
    const cr_sys *real = cr_table_real(context);
    return real->map(real->context, size);
}

static int sim_unmap(void *context, void *memory, size_t size)
{
    const cr_sys *real = cr_table_real(context);
    return real->unmap(real->context, memory, size);
}

static int sim_advise(void *context, void *memory, size_t size, int advice)
{
    const cr_sys *real = cr_table_real(context);
    return real->advise(real->context, memory, size, advice);
}

static int sim_protect_none(void *context, void *memory, size_t size)
{
    const cr_sys *real = cr_table_real(context);
    return real->protect_none(real->context, memory, size);
}

static ssize_t sim_advise_many(void *context, const struct iovec *ranges, size_t n, int advice)
{
    const cr_sys *real = cr_table_real(context);
    return real->advise_many(real->context, ranges, n, advice);
}

/* Threads are real; that one of them runs at a time is sim_pool.c's doing. */
static int sim_thread_join(void *context, unsigned long thread)
{
    const cr_sys *real = cr_table_real(context);
    return real->thread_join(real->context, thread);
}

static int sim_thread_detach(void *context, unsigned long thread)
{
    const cr_sys *real = cr_table_real(context);
    return real->thread_detach(real->context, thread);
}

static unsigned sim_cores(void *context)
{
    const cr_sys *real = cr_table_real(context);
    return real->cores(real->context);
}

/* What a thread has used of the processor is asked by the watchdog, which looks at real time under
 * the simulator too. */
static int64_t sim_thread_time(void *context, unsigned long thread)
{
    const cr_sys *real = cr_table_real(context);
    return real->thread_time(real->context, thread);
}

static int sim_thread_id(void *context)
{
    const cr_sys *real = cr_table_real(context);
    return real->thread_id(real->context);
}

static long sim_without_sigpipe(void *context, long (*fn)(void *), void *arg)
{
    const cr_sys *real = cr_table_real(context);
    return real->without_sigpipe(real->context, fn, arg);
}

static int sim_signal_running(void *context, const cr_signal *asked, int *ret_timer)
{
    const cr_sys *real = cr_table_real(context);
    return real->signal_running(real->context, asked, ret_timer);
}

static void sim_signal_end(void *context, int timer)
{
    const cr_sys *real = cr_table_real(context);
    real->signal_end(real->context, timer);
}

static int sim_close(void *context, int fd)
{
    if (cr_is_virtual(fd))
        return cr_net_close(context, fd);
    const cr_sys *real = cr_table_real(context);
    return real->close(real->context, fd);
}

static ssize_t sim_read(void *context, int fd, void *buf, size_t size)
{
    if (cr_is_virtual(fd))
        return cr_net_recv(context, fd, buf, size, 0);
    const cr_sys *real = cr_table_real(context);
    return real->read(real->context, fd, buf, size);
}

static ssize_t sim_write(void *context, int fd, const void *buf, size_t size)
{
    if (cr_is_virtual(fd))
        return cr_net_send(context, fd, buf, size, 0);
    const cr_sys *real = cr_table_real(context);
    return real->write(real->context, fd, buf, size);
}

static int sim_open(void *context, const char *path, int flags, unsigned mode)
{
    const cr_sys *real = cr_table_real(context);
    return real->open(real->context, path, flags, mode);
}

static int sim_open_at(void *context, int folder, const char *path, int flags)
{
    const cr_sys *real = cr_table_real(context);
    return real->open_at(real->context, folder, path, flags);
}

static int sim_open_resolving(
    void *context, int folder, const char *path, const struct open_how *how)
{
    const cr_sys *real = cr_table_real(context);
    return real->open_resolving(real->context, folder, path, how);
}

/* A pair of simulated sockets, of which one only reads and the other only writes. */
static int sim_pipe(void *context, int ret_fds[2], enum cr_pipe_end childs)
{
    (void)childs;
    int err = cr_net_pair(context, AF_UNIX, SOCK_STREAM, ret_fds);
    return err < 0 ? err : cr_net_shutdown(context, ret_fds[1], SHUT_RD);
}

static int sim_is_terminal(void *context, int fd)
{
    const cr_sys *real = cr_table_real(context);
    return cr_is_virtual(fd) ? 0 : real->is_terminal(real->context, fd);
}

/* Descriptors that the loop itself needs, to be woken by other threads and to wait in real time
 * where no deadline is given, are real ones. */
static int sim_eventfd(void *context, unsigned value, int flags)
{
    const cr_sys *real = cr_table_real(context);
    return real->eventfd(real->context, value, flags);
}

static int sim_timerfd(void *context)
{
    const cr_sys *real = cr_table_real(context);
    return real->timerfd(real->context);
}

static int sim_timerfd_set(void *context, int fd, int64_t at)
{
    const cr_sys *real = cr_table_real(context);
    return real->timerfd_set(real->context, fd, at);
}

static int sim_stat(void *context, int fd, struct stat *ret_stat)
{
    if (cr_is_virtual(fd))
        return cr_net_stat(context, fd, ret_stat);
    const cr_sys *real = cr_table_real(context);
    return real->stat(real->context, fd, ret_stat);
}

/* A simulated socket is both from the start. */
static int sim_make_own(void *context, int fd)
{
    if (cr_is_virtual(fd))
        return 0;
    const cr_sys *real = cr_table_real(context);
    return real->make_own(real->context, fd);
}

static int sim_duplicate(void *context, int fd)
{
    if (cr_is_virtual(fd))
        return cr_net_duplicate(context, fd);
    const cr_sys *real = cr_table_real(context);
    return real->duplicate(real->context, fd);
}

static int sim_lock(void *context, int fd)
{
    const cr_sys *real = cr_table_real(context);
    return real->lock(real->context, fd);
}

static int sim_path_stat(void *context, const char *path, struct stat *ret_stat)
{
    const cr_sys *real = cr_table_real(context);
    return real->path_stat(real->context, path, ret_stat);
}

static int sim_path_mode(void *context, const char *path, unsigned mode)
{
    const cr_sys *real = cr_table_real(context);
    return real->path_mode(real->context, path, mode);
}

static int sim_path_unlink(void *context, const char *path)
{
    const cr_sys *real = cr_table_real(context);
    return real->path_unlink(real->context, path);
}

static ssize_t sim_read_at(
    void *context, int fd, const struct iovec *piece, int64_t offset, int flags)
{
    if (cr_is_virtual(fd))
        return offset < 0 ? cr_net_recv(context, fd, piece->iov_base, piece->iov_len, 0) : -ESPIPE;
    const cr_sys *real = cr_table_real(context);
    return real->read_at(real->context, fd, piece, offset, flags);
}

static ssize_t sim_write_at(
    void *context, int fd, const struct iovec *piece, int64_t offset, int flags)
{
    if (cr_is_virtual(fd))
        return offset < 0 ? cr_net_send(context, fd, piece->iov_base, piece->iov_len, 0) : -ESPIPE;
    const cr_sys *real = cr_table_real(context);
    return real->write_at(real->context, fd, piece, offset, flags);
}

/* Simulated sockets take bytes, not files: the caller reads those itself. */
static ssize_t sim_send_file(void *context, int to, const cr_file_place *from, size_t size)
{
    if (cr_is_virtual(to))
        return -EINVAL;
    const cr_sys *real = cr_table_real(context);
    return real->send_file(real->context, to, from, size);
}

static ssize_t sim_copy_range(
    void *context, const cr_file_place *from, const cr_file_place *to, size_t size)
{
    const cr_sys *real = cr_table_real(context);
    return real->copy_range(real->context, from, to, size);
}

/* The simulator itself polls; these are for a loop on another backend that stands on this table. */
static int sim_epoll_create(void *context, int flags)
{
    const cr_sys *real = cr_table_real(context);
    return real->epoll_create(real->context, flags);
}

static int sim_epoll_ctl(void *context, int epfd, int op, int fd, struct epoll_event *event)
{
    const cr_sys *real = cr_table_real(context);
    return real->epoll_ctl(real->context, epfd, op, fd, event);
}

static int sim_epoll_wait(
    void *context, int epfd, struct epoll_event *events, int n, int64_t timeout_ns)
{
    const cr_sys *real = cr_table_real(context);
    return real->epoll_wait(real->context, epfd, events, n, timeout_ns);
}

static int sim_poll(void *context, struct pollfd *fds, size_t n, int64_t timeout_ns)
{
    const cr_sys *real = cr_table_real(context);
    return real->poll(real->context, fds, n, timeout_ns);
}

static int sim_uring_setup(void *context, unsigned entries, struct io_uring_params *params)
{
    const cr_sys *real = cr_table_real(context);
    return real->uring_setup(real->context, entries, params);
}

static int sim_uring_register(void *context, int fd, unsigned opcode, void *arg, unsigned n)
{
    const cr_sys *real = cr_table_real(context);
    return real->uring_register(real->context, fd, opcode, arg, n);
}

static int sim_thread_start(
    void *context, unsigned long *ret_thread, void *(*fn)(void *), void *arg, size_t stack_size)
{
    const cr_sys *real = cr_table_real(context);
    return real->thread_start(real->context, ret_thread, fn, arg, stack_size);
}

static int sim_uring_enter(void *context, int fd, const cr_uring_enter *asked)
{
    const cr_sys *real = cr_table_real(context);
    return real->uring_enter(real->context, fd, asked);
}

/* Relaxed: a worker that reads it has the baton, and got it through a lock. */
static int64_t sim_now(void *context) { return cr_world_now(context); }

/* Not thread-safe and need not be: one thread runs at a time. */
static uint64_t sim_random(void *context) { return cr_prng_next(&((cr_world *)context)->random); }

/* Every entry is named: one that is missing would be a NULL call. uring_map has none, for the
 * simulator opens no ring. */
static void make_table(cr_world *world)
{
    world->table = (cr_sys){
        .context = world,
        .alloc = sim_alloc,
        .alloc_zero = sim_alloc_zero,
        .resize = sim_resize,
        .free = sim_free,
        .map = sim_map,
        .unmap = sim_unmap,
        .advise = sim_advise,
        .protect_none = sim_protect_none,
        .advise_many = sim_advise_many,
        .now = sim_now,
        .wall_now = cr_world_wall_now,
        .random = sim_random,
        .thread_start = sim_thread_start,
        .thread_join = sim_thread_join,
        .thread_detach = sim_thread_detach,
        .cores = sim_cores,
        .thread_time = sim_thread_time,
        .thread_id = sim_thread_id,
        .without_sigpipe = sim_without_sigpipe,
        .signal_running = sim_signal_running,
        .signal_end = sim_signal_end,
        .close = sim_close,
        .read = sim_read,
        .write = sim_write,
        .open = sim_open,
        .open_at = sim_open_at,
        .open_resolving = sim_open_resolving,
        .pipe = sim_pipe,
        .is_terminal = sim_is_terminal,
        .eventfd = sim_eventfd,
        .timerfd = sim_timerfd,
        .timerfd_set = sim_timerfd_set,
        .stat = sim_stat,
        .make_own = sim_make_own,
        .duplicate = sim_duplicate,
        .lock = sim_lock,
        .path_stat = sim_path_stat,
        .path_mode = sim_path_mode,
        .path_unlink = sim_path_unlink,
        .read_at = sim_read_at,
        .write_at = sim_write_at,
        .send_file = sim_send_file,
        .copy_range = sim_copy_range,
        .epoll_create = sim_epoll_create,
        .epoll_ctl = sim_epoll_ctl,
        .epoll_wait = sim_epoll_wait,
        .poll = sim_poll,
        .uring_setup = sim_uring_setup,
        .uring_enter = sim_uring_enter,
        .uring_register = sim_uring_register,
    };
    cr_table_network_add(&world->table);
}

void cr_world_init(cr_world *world, const cr_sys *real, uint64_t seed)
{
    *world = (cr_world){
        .real = real,
        .random.state = seed ^ RANDOM_STREAM,
        .seeded = seed != 0,
        .chance.state = seed,
        .hash = HASH_START,
    };
    atomic_init(&world->now, CR_WORLD_FIRST);
    make_table(world);
}

void cr_world_deinit(cr_world *world)
{
    cr_net_deinit(world);
    cr_resolver_deinit(world);
}
