/* SPDX-License-Identifier: MIT */
/* failing.h: the OS table under every test, which can be told to fail.
 *
 * The library's references to cr_sys_real are bound to this table when a test is linked, so that any test, however it
 * opens its loops, runs on it. Left alone it does what the real one does. A call is known by its site: what is called,
 * by which role, and the last return addresses. What cannot fail in the real world (free, unmap, the clock, waking by
 * an eventfd or a timer) does not fail here. */
#ifndef TEST_FAILING_H
#define TEST_FAILING_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum test_call {
    TEST_CALL_ALLOC,
    TEST_CALL_RESIZE,
    TEST_CALL_MAP,
    TEST_CALL_ADVISE,
    TEST_CALL_PROTECT,
    TEST_CALL_ADVISE_MANY,
    TEST_CALL_THREAD_START,
    TEST_CALL_SIGNAL,
    TEST_CALL_READ,
    TEST_CALL_WRITE,
    TEST_CALL_OPEN,
    TEST_CALL_OPEN_AT,
    TEST_CALL_OPEN_RESOLVING,
    TEST_CALL_PIPE,
    TEST_CALL_SPAWN,
    TEST_CALL_WAIT_PIDFD,
    TEST_CALL_CLOSE,
    TEST_CALL_EVENTFD,
    TEST_CALL_TIMERFD,
    TEST_CALL_STAT,
    TEST_CALL_DUPLICATE,
    TEST_CALL_READ_AT,
    TEST_CALL_WRITE_AT,
    TEST_CALL_SEND_FILE,
    TEST_CALL_COPY_RANGE,
    TEST_CALL_INTERFACE,
    TEST_CALL_RESOLVE,
    TEST_CALL_PATH_STAT,
    TEST_CALL_PATH_MODE,
    TEST_CALL_PATH_UNLINK,
    TEST_CALL_LOCK,
    TEST_CALL_SOCKET,
    TEST_CALL_SOCKET_PAIR,
    TEST_CALL_BIND,
    TEST_CALL_LISTEN,
    TEST_CALL_ACCEPT,
    TEST_CALL_CONNECT,
    TEST_CALL_RECV,
    TEST_CALL_SEND,
    TEST_CALL_RECEIVE_MESSAGE,
    TEST_CALL_SEND_MESSAGE,
    TEST_CALL_SHUTDOWN,
    TEST_CALL_OPTION,
    TEST_CALL_NAME,
    TEST_CALL_EPOLL_CREATE,
    TEST_CALL_EPOLL_CTL,
    TEST_CALL_EPOLL_WAIT,
    TEST_CALL_POLL,
    TEST_CALL_URING_SETUP,
    TEST_CALL_URING_MAP,
    TEST_CALL_URING_ENTER,
    TEST_CALL_URING_REGISTER,
    TEST_CALL_URING_ENABLE,
    TEST_CALL_COUNT
};

enum test_failing {
    TEST_FAILING_NONE,
    TEST_FAILING_COUNT,       /* note the sites */
    TEST_FAILING_ONCE,        /* one call of one site */
    TEST_FAILING_FROM,        /* and from it on all calls of that role */
    TEST_FAILING_SHORT,       /* what is read and written is one byte */
    TEST_FAILING_INTERRUPTED, /* of the calls that may be interrupted, half are */
    TEST_FAILING_UNREADY,     /* half of the times, what is ready says it is not */
    TEST_FAILING_LATE,        /* what completes is seen at the last moment */
    TEST_FAILING_STALLED,     /* no fault: now and then a thread stands still before it reads the clock */
    TEST_FAILING_MODES
};

enum { TEST_SITES_MAX = 4096, TEST_TRAIL = 4 };

typedef struct test_site {
    _Atomic uint64_t key; /* 0: free */
    atomic_uint calls;
    unsigned char call;          /* enum test_call */
    unsigned char worker;        /* a thread that the library has started */
    uintptr_t trail[TEST_TRAIL]; /* offsets in this program; 0: no more */
} test_site;

/* Shared with the process that a run is made in. */
typedef struct test_faults {
    atomic_int mode;     /* enum test_failing */
    uint64_t key;        /* which site fails */
    unsigned occurrence; /* at its so-manieth call, from 1 */
    unsigned char worker;
    unsigned turn;        /* what is left to chance begins here */
    atomic_uint seen;     /* calls of that site so far */
    atomic_uint injected; /* calls that were not what they would have been */
    test_site sites[TEST_SITES_MAX];
} test_faults;

extern const char *const test_call_names[TEST_CALL_COUNT];

/* From now on the table does as faults say; NULL: as the real one. False where tests are linked without it. */
bool test_faults_set(test_faults *faults);
/* Whether a fault has been injected by now, so that what the test expects need not hold. */
bool test_faults_happened(void);
#endif
