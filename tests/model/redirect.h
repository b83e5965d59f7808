/* SPDX-License-Identifier: MIT */
/* redirect.h: put before every source of the library and of the scenarios when they are compiled for the model: what
 * waits, what makes threads, memory, the clock and the descriptors that wake a loop are the model's. The headers come
 * first, so that only uses are renamed, not the system's own declarations. Members of the OS table are renamed with
 * them, everywhere alike. */
#ifndef MODEL_REDIRECT_H
#define MODEL_REDIRECT_H
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include "model.h"
#include "base/base.h"

#define pthread_create model_thread_create
#define pthread_join model_thread_join
#define pthread_mutex_init(mutex, attributes) model_mutex_init(mutex)
#define pthread_mutex_destroy model_mutex_destroy
#define pthread_mutex_lock model_mutex_lock
#define pthread_mutex_unlock model_mutex_unlock
#define pthread_cond_init(condition, attributes) model_cond_init(condition)
#define pthread_cond_destroy model_cond_destroy
#define pthread_cond_wait model_cond_wait
#define pthread_cond_timedwait model_cond_timedwait
#define pthread_cond_signal model_cond_signal
#define pthread_cond_broadcast model_cond_broadcast
#define pthread_rwlock_rdlock model_read_lock
#define pthread_rwlock_wrlock model_write_lock
#define pthread_rwlock_unlock model_rwlock_unlock
#define sched_yield model_yield
#define sched_getaffinity model_affinity
#define cr_relax model_relax
#define clock_gettime model_clock_gettime
#define malloc model_malloc
#define calloc model_calloc
#define realloc model_realloc
#define free model_free
#define eventfd model_eventfd
#define timerfd_create model_timerfd_create
#define epoll_create1 model_epoll_create1
#define epoll_ctl model_epoll_ctl
#define epoll_pwait2 model_epoll_pwait2
#define write model_write
#define close model_close
#endif
