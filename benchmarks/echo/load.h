/* SPDX-License-Identifier: MIT */
/* load.h: the parts of the program that measures a server.
 *
 * server.c starts the measured server and reads its processor time and memory, clients.c is the load on
 * it, secure.c encrypts that, room.c is the load of WebSockets, files.c makes what a server is given,
 * calls.c counts its system calls, wait.c waits for sockets, load.c has the table of what can be measured. None of them uses
 * crank, and every server is treated alike: it is a program that binds a port of 127.0.0.1 that the kernel
 * chooses, prints the number of that port as its first line, and serves until it is killed.
 *
 * Where a client is measured answers.c is the server, the same for all: the program is told a URL by
 * BENCH_URL, prints the number of its port as its first line, and asks for it until it is killed. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

static const int64_t second_ns = 1000000000;
int64_t now_ns(void);

/* ---- wait.c ---- */

enum { STALLED_SECONDS = 5 };
struct epoll_event;
/* false: what has failed, and errno, are on stderr; refused: as EBADMSG. */
bool load_failed(const char *what);
bool load_refused(const char *what);
/* At most so many events; 0: a signal came. Negative: none for STALLED_SECONDS, or another failure: the reason is on
 * stderr. */
int load_wait(int epoll, struct epoll_event *events, int most, const char *what);

/* ---- server.c ---- */

typedef struct server {
    pid_t pid;
    unsigned port;
} server;

/* Pin this process to the last core it may use; the server goes to the first. */
void cores_divide(void);
/* Raise the limit of descriptors, which the server inherits. Gives how many connections of at most wanted
 * fit into it. */
size_t descriptors_raise(size_t wanted);
/* Start argv and wait until it has printed its port. False: it did not; the reason is on stderr. */
bool server_start(char *const *argv, server *ret);
void server_stop(const server *s);
/* Processor time of all its threads so far, in seconds. What the kernel has not yet accounted of a running
 * thread is missing: at most one of its ticks. */
double server_cpu(const server *s);
/* And of the programs that it has started and waited for, to a hundredth of a second. */
double server_cpu_children(const server *s);
/* What it counts: the number that it writes to a new connection. Negative: the reason is on stderr. */
double server_count(const server *s);
/* Resident memory page by page, and page tables, in bytes. */
double server_resident(const server *s);
double server_tables(const server *s);

/* ---- files.c ---- */

/* A folder until files_remove: with the files 1k and 1m, of which BENCH_FILES tells the server; with a
 * certificate for 127.0.0.1 that signs itself and its key, of which BENCH_CERTIFICATE and BENCH_KEY tell. */
bool files_make(void);
bool files_make_certificate(void);
void files_remove(void);
/* The byte of a file at an offset. */
char files_byte(size_t offset);

/* ---- secure.c ---- */

/* Shake hands over a connected socket whose calls wait: an encrypted connection of TLS 1.3, AES-256-GCM; NULL: the
 * reason is on stderr. No certificate is checked, for nothing but the server's work is measured. */
void *secure_connect(int fd);
/* As send and recv of a socket; EAGAIN where it would have to wait. */
ssize_t secure_send(void *secure, const void *bytes, size_t size);
ssize_t secure_receive(void *secure, void *buf, size_t size);
/* Forget it without a word to the peer. NULL is ignored. */
void secure_free(void *secure);

/* ---- clients.c ---- */

enum { MESSAGE_SIZE = 64, ANSWER_MAX = 4096, LATENCIES = 64 * 128 };

typedef struct client {
    int fd;
    bool ending;     /* it has ended its side and waits for the server's end */
    unsigned got;    /* bytes of the echo, or of the answer, so far */
    unsigned number; /* of the frame that is being read: which speaker's it is (room.c) */
    int64_t sent_at; /* when the message under way was sent */
    void *secure;    /* secure.c's; NULL: it is not encrypted */
} client;

typedef struct clients {
    const char *message; /* what is sent: a line that is echoed, or a request of HTTP */
    unsigned size;       /* of it */
    unsigned expected;   /* bytes that come back: of an answer those that the first one had */
    client *all;
    size_t count;
    int epoll;
    unsigned port;
    bool datagrams;                /* over UDP */
    bool anew;                     /* each message over a connection of its own */
    bool secure;                   /* over TLS */
    size_t under_way;              /* messages sent and not back */
    bool finishing;                /* what comes back is not followed by the next */
    uint64_t echoed;               /* messages that came back */
    uint64_t latencies[LATENCIES]; /* of them, by clients_bucket */
} clients;

/* When a new client waits for its first message to come back: each at once; when the backlog would grow long;
 * the same two, and the messages are requests of HTTP; the second, and later each message has a connection of its own;
 * never, for a server that does not echo; the same, over UDP, where it does. */
enum first_echo { EACH_ECHOES, SOME_ECHO, EACH_ANSWERS, SOME_ANSWER, SOME_ANEW, NONE_ECHOES, DATAGRAMS };
/* Where messages are requests of HTTP: the path that is asked for, else /hello, and the size of the file that it is. The
 * first answer of a client that waits for it is compared byte by byte with what it has to be. */
void clients_ask(const char *path, size_t file_size);
/* The connections are encrypted. */
void clients_encrypt(void);
/* Connect count clients. False: with the reason on stderr. */
bool clients_open(clients *c, const server *s, size_t count, enum first_echo first);
/* The same in steps: none yet, of at most count; then up to so many. */
bool clients_prepare(clients *c, const server *s, size_t count, enum first_echo first);
bool clients_connect(clients *c, size_t count, enum first_echo first);
/* One message of each client goes out. */
bool clients_begin(clients *c);
/* Send the next message of a client whenever its last one has come back, until it is later than until and
 * at least so many messages have come back. */
bool clients_run(clients *c, int64_t until, uint64_t at_least);
/* Wait until every message has come back; clients_begin goes on. */
bool clients_finish(clients *c);
/* Write to the first client as much as it takes, or read all that comes, until then. Adds to the bytes. */
bool clients_fill(clients *c, int64_t until, uint64_t *bytes);
bool clients_drain(clients *c, int64_t until, uint64_t *bytes);
/* Forget what was counted. */
void clients_forget(clients *c);
/* The latency below which so many of 1 lie, in nanoseconds, to 1%. */
double clients_latency(const clients *c, double share);
/* End them by a reset: no port of theirs stays occupied. */
void clients_close(clients *c);

/* The head of an answer into ANSWER_MAX + 1 bytes, and what came with it: the beginning of the body; NULL. */
char *clients_read_head(const client *one, char *buf, size_t *ret_got);
/* So much later a message was back than it was sent. */
void clients_note(clients *c, int64_t ns);

/* ---- room.c ---- */

/* All connected clients, whose connections have no message under way yet, become members of a room: WebSockets to
 * /room. So many of them speak: the server writes each message to every member. False: with the reason on stderr. */
bool room_enter(clients *c, size_t speakers);
/* A speaker sends its next message when its last one has come back to it, until then. echoed counts messages that have
 * come to a member. */
bool room_run(clients *c, int64_t until);

/* ---- answers.c ---- */

/* Listen, and tell the program that will be started of it by BENCH_URL. */
bool answers_listen(void);
/* Answer until then whatever connection asks for the URL; adds to the answers. False: what came is no such request, or
 * the client, of which so many connections are enough, does not keep them; the reason is on stderr. */
bool answers_run(int64_t until, size_t connections_max, uint64_t *answers);

/* ---- calls.c ---- */

enum call_kind { CALL_TRANSFER, CALL_WAIT, CALL_REGISTER, CALL_OTHER, CALL_KINDS };

typedef struct calls {
    uint64_t of[CALL_KINDS];
} calls;

/* Trace the server, from another thread, from now until it ends. False: the kernel does not let us; the
 * reason is on stderr. */
bool calls_begin(const server *s);
calls calls_now(void);
/* Wait for the tracing thread, once the server has been killed. */
void calls_end(void);
#endif
