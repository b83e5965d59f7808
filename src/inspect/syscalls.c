/* SPDX-License-Identifier: MIT */
/* syscalls.c: system calls by name: those in which a thread may wait. The others are a number in
 * the reports, which ausyscall and the kernel's tables explain. */
#include "inspect/syscalls.h"

#include <sys/syscall.h>

static const struct call {
    long number;
    const char *name;
} calls[] = {
    { SYS_read, "read" },
    { SYS_write, "write" },
    { SYS_readv, "readv" },
    { SYS_writev, "writev" },
    { SYS_pread64, "pread" },
    { SYS_pwrite64, "pwrite" },
    { SYS_preadv, "preadv" },
    { SYS_pwritev, "pwritev" },
    { SYS_openat, "openat" },
    { SYS_close, "close" },
    { SYS_fsync, "fsync" },
    { SYS_fdatasync, "fdatasync" },
    { SYS_sync, "sync" },
    { SYS_flock, "flock" },
    { SYS_fcntl, "fcntl" },
    { SYS_ioctl, "ioctl" },
    { SYS_sendfile, "sendfile" },
    { SYS_splice, "splice" },
    { SYS_getdents64, "getdents" },
    { SYS_newfstatat, "fstatat" },
    { SYS_statx, "statx" },
    { SYS_msync, "msync" },
    { SYS_nanosleep, "nanosleep" },
    { SYS_clock_nanosleep, "clock_nanosleep" },
    { SYS_ppoll, "ppoll" },
    { SYS_pselect6, "pselect" },
    { SYS_epoll_pwait, "epoll_pwait" },
    { SYS_epoll_pwait2, "epoll_pwait2" },
    { SYS_io_uring_enter, "io_uring_enter" },
    { SYS_io_getevents, "io_getevents" },
    { SYS_futex, "futex" },
    { SYS_wait4, "wait4" },
    { SYS_waitid, "waitid" },
    { SYS_rt_sigtimedwait, "sigtimedwait" },
    { SYS_rt_sigsuspend, "sigsuspend" },
    { SYS_connect, "connect" },
    { SYS_accept, "accept" },
    { SYS_accept4, "accept4" },
    { SYS_recvfrom, "recvfrom" },
    { SYS_recvmsg, "recvmsg" },
    { SYS_recvmmsg, "recvmmsg" },
    { SYS_sendto, "sendto" },
    { SYS_sendmsg, "sendmsg" },
    { SYS_sendmmsg, "sendmmsg" },
    { SYS_semtimedop, "semtimedop" },
    { SYS_msgrcv, "msgrcv" },
    { SYS_msgsnd, "msgsnd" },
    { SYS_mq_timedreceive, "mq_timedreceive" },
    { SYS_getrandom, "getrandom" },
    { SYS_restart_syscall, "a sleep that a signal interrupted" },
#if defined(__x86_64__)
    { SYS_open, "open" },
    { SYS_poll, "poll" },
    { SYS_select, "select" },
    { SYS_epoll_wait, "epoll_wait" },
    { SYS_pause, "pause" },
    { SYS_stat, "stat" },
    { SYS_lstat, "lstat" },
#endif
};

const char *cr_syscalls_name(long number)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (calls[i].number == number)
            return calls[i].name;
    return NULL;
}
