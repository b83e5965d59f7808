/* SPDX-License-Identifier: MIT */
/* soak.c: clients that trouble an echo server for a while: soak PORT PID SECONDS CLIENTS
 *
 * Each client connects again and again. It sends up to a few hundred kilobytes, reads what comes back, slowly or fast,
 * with stalls of either side, and leaves by ending its side and reading to the end, by a reset, or by closing at once.
 * Every byte that comes back is compared. Then the server must have as many descriptors as before, and no more memory
 * from round to round; and so must this program, which is one of crank's too. At last clients take all descriptors that
 * the server may have, and go: then it must serve again. What is wrong is said on stderr, status 1. */
#include <crank.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PIECE_MAX = 20000, PIECES_MAX = 30, HELD = 400, FEW = 300 };
/* Buffers are kept for the next connections, as many as were in use at one time, up to 4 MB of each of three sizes: how
 * many that is depends on chance, and on how busy the machine is. But what each session loses is lost in every round:
 * the round counts in which memory has grown least. Seen were 6 MB in the first, and 20 KB in the others. */
enum { ROUNDS = 3 };
#define SPARE_BYTES (1 << 20)

static struct {
    char address[32];
    long server;
    uint64_t random, sessions, resets, bytes, whole;
    double end;
} soak;

static unsigned dice(unsigned n)
{
    soak.random = soak.random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)((soak.random >> 33) % n);
}

static int wrong(const char *what, long have, long want)
{
    return crank_fail(EPROTO, "%s: %ld, expected %ld", what, have, want);
}

/* ---- Bytes ---- */

typedef struct session {
    uint64_t key, sent, came; /* each byte is decided by the key and its place */
} session;

static unsigned char byte_of(uint64_t key, uint64_t at) { return (unsigned char)((key + at) * 151 + (at >> 8)); }

static int read_back(session *s, crank_stream *stream, bool slow)
{
    unsigned char buf[4096];
    ssize_t n;
    while ((n = crank_try(crank_read(stream, buf, sizeof buf))) > 0) {
        for (ssize_t i = 0; i < n; i++, s->came++)
            if (s->came >= s->sent || buf[i] != byte_of(s->key, s->came))
                return wrong("a byte that came back", buf[i], byte_of(s->key, s->came));
        soak.bytes += (uint64_t)n;
        if (slow && dice(8) == 0)
            crank_try(crank_sleep(0.001 * dice(100)));
    }
    return 0;
}

static int send_some(session *s, crank_stream *stream)
{
    unsigned char buf[PIECE_MAX];
    for (unsigned pieces = dice(PIECES_MAX); pieces > 0; pieces--) {
        size_t size = dice(4) ? dice(300) + 1 : dice(PIECE_MAX) + 1;
        for (size_t i = 0; i < size; i++)
            buf[i] = byte_of(s->key, s->sent + i);
        s->sent += size;
        crank_try(crank_write(stream, buf, size));
        if (dice(8) == 0)
            crank_try(crank_sleep(0.001 * dice(100)));
    }
    return 0;
}

/* ---- Clients ---- */

enum leaving { BY_ITS_END, ALSO_BY_ITS_END, BY_RESET, AT_ONCE, LEAVINGS };

static void depart(crank_stream *stream, crank_task *reading, enum leaving how)
{
    if (how == BY_RESET)
        crank_abort(stream);
    else if (how == AT_ONCE)
        crank_cancel(reading);
    else if (crank_write_eof(stream) < 0)
        crank_abort(stream);
}

/* What it read and the end of it must be right, whatever became of the connection. */
static int visit(void)
{
    session s = { .key = dice(1u << 30) };
    enum leaving how = (enum leaving)dice(LEAVINGS);
    CRANK_AUTO_STREAM crank_stream *stream = crank_try(crank_connect(soak.address));
    crank_task *reading = crank_spawn(read_back, &s, stream, dice(3) == 0);
    int err = send_some(&s, stream);

    soak.sessions++;
    soak.resets += how == BY_RESET;
    depart(stream, reading, err < 0 ? BY_RESET : how);
    int read = crank_within(30, (int)crank_await(reading));
    if (err < 0)
        return err;
    if (how >= BY_RESET && read != -EPROTO && read != -ETIMEDOUT)
        return 0; /* what it was given to read was right */
    crank_try(read);
    soak.whole++;
    return s.came == s.sent ? 0 : wrong("bytes of a session that came back", (long)s.came, (long)s.sent);
}

static int client(void)
{
    while (crank_time() < soak.end)
        crank_try(visit());
    return 0;
}

static int clients(long count, double seconds)
{
    CRANK_GROUP(group);
    soak.end = crank_time() + seconds;
    for (long i = 0; i < count; i++)
        crank_group_spawn(&group, client);
    return crank_group_wait(&group);
}

/* ---- What a process has ---- */

static long descriptors(long process)
{
    char path[64];
    long n = -3; /* ".", "..", and of ours that of the folder */
    snprintf(path, sizeof path, "/proc/%ld/fd", process);
    DIR *folder = opendir(path);
    while (folder && readdir(folder))
        n++;
    if (folder)
        closedir(folder);
    return process == getpid() ? n : n + 1;
}

static long resident(long process)
{
    char path[64], line[256];
    long kilobytes = -1;
    snprintf(path, sizeof path, "/proc/%ld/smaps_rollup", process);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "Rss: %ld", &kilobytes) == 1)
            break;
    if (file)
        fclose(file);
    return kilobytes * 1024;
}

/* The server may have some connections to end still. */
static int wait_descriptors(const char *who, long process, long want)
{
    double end = crank_time() + 10;
    while (descriptors(process) != want) {
        if (crank_time() > end)
            return wrong(who, descriptors(process), want);
        crank_try(crank_sleep(0.01));
    }
    return 0;
}

typedef struct memory {
    long server, own;
} memory;

/* Resident memory when nothing is under way: what is idle is given back after a second or two. */
static int settle(memory *ret)
{
    *ret = (memory){ LONG_MAX, LONG_MAX };
    for (int i = 0; i < 20; i++) {
        crank_try(crank_sleep(0.1));
        long server = resident(soak.server), own = resident(getpid());
        ret->server = server < ret->server ? server : ret->server;
        ret->own = own < ret->own ? own : ret->own;
    }
    return 0;
}

/* ---- Descriptors run out ---- */

/* Connections that the server cannot have, all at once, and an end of them. Before, it may have many: where it gets no
 * processor for a second connections that clients have left wait beside those that have taken their place. */
static int exhaust(void)
{
    crank_stream *held[HELD];
    size_t n = 0;
    if (prlimit((pid_t)soak.server, RLIMIT_NOFILE, &(struct rlimit){ FEW, FEW }, NULL) < 0)
        return crank_fail(errno, "the server's limit of descriptors cannot be set: %s", strerror(errno));
    while (n < HELD && (held[n] = crank_within(5, crank_connect(soak.address))) != NULL)
        n++;
    crank_try(crank_sleep(0.5));
    long most = descriptors(soak.server);
    for (size_t i = 0; i < n; i++) {
        crank_abort(held[i]);
        (void)crank_close(held[i]);
    }
    printf("%zu connections held, the server had %ld descriptors\n", n, most);
    return 0;
}

static int serves_again(void)
{
    char answer[16];
    CRANK_AUTO_STREAM crank_stream *stream = crank_try(crank_connect(soak.address));
    crank_try(crank_printf(stream, "again\n"));
    crank_try(crank_read_line(stream, answer, sizeof answer));
    return strcmp(answer, "again\n") == 0 ? 0 : crank_fail(EPROTO, "the server answers %s", answer);
}

/* One that was accepted for want of descriptors only to be ended tells the client so: it tries again. */
static int wait_service(void)
{
    for (double end = crank_time() + 5;;) {
        int err = crank_within(1, serves_again());
        if (err == 0 || crank_time() > end)
            return err;
        crank_try(crank_sleep(0.05));
    }
}

/* ---- All of it ---- */

static long least(const long *growth)
{
    long found = growth[0];
    for (int i = 1; i < ROUNDS; i++)
        found = growth[i] < found ? growth[i] : found;
    return found;
}

static int play_rounds(long count, double seconds)
{
    memory before, after;
    long server[ROUNDS], own[ROUNDS];
    crank_try(settle(&before));
    for (int i = 0; i < ROUNDS; i++, before = after) {
        crank_try(clients(count, seconds / ROUNDS));
        crank_try(settle(&after));
        server[i] = after.server - before.server;
        own[i] = after.own - before.own;
        printf("round %d: resident KB: server %ld, then %ld; clients %ld, then %ld\n", i + 1, before.server / 1024,
            after.server / 1024, before.own / 1024, after.own / 1024);
    }
    if (least(server) > SPARE_BYTES)
        return wrong("bytes that the server has grown by in each round", least(server), 0);
    return least(own) > SPARE_BYTES ? wrong("bytes that the clients have grown by in each round", least(own), 0) : 0;
}

static int app(long count, double seconds)
{
    long had = descriptors(getpid()), server_had = descriptors(soak.server);
    crank_try(clients(count, 1)); /* what is made once is there now */
    crank_try(wait_descriptors("descriptors of the server after one second", soak.server, server_had));

    crank_try(play_rounds(count, seconds));
    crank_try(wait_descriptors("descriptors of the server at the end", soak.server, server_had));
    crank_try(wait_descriptors("descriptors of the clients at the end", getpid(), had));
    printf("%llu sessions, %llu of them whole, %llu reset; %llu bytes came back, 0 wrong\n",
        (unsigned long long)soak.sessions, (unsigned long long)soak.whole, (unsigned long long)soak.resets,
        (unsigned long long)soak.bytes);

    crank_try(exhaust());
    crank_try(wait_service());
    return wait_descriptors("descriptors of the server after they had run out", soak.server, server_had);
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: %s PORT PID SECONDS CLIENTS\n", argv[0]);
        return 2;
    }
    snprintf(soak.address, sizeof soak.address, "127.0.0.1:%s", argv[1]);
    soak.server = strtol(argv[2], NULL, 10);
    crank_descriptors_max();
    return crank_run(app, strtol(argv[4], NULL, 10), strtod(argv[3], NULL));
}
