/* SPDX-License-Identifier: MIT */
/* valgrind.h: what crank says to Valgrind and asks it, where its header is installed; nothing
 * elsewhere.
 *
 * A request is a few instructions that do nothing on a real processor: it stands in slow paths
 * only. */
#ifndef CR_VALGRIND_H
#define CR_VALGRIND_H
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0u
#define VALGRIND_STACK_REGISTER(low, high) ((void)(low), (void)(high), 0u)
#define VALGRIND_STACK_DEREGISTER(id) ((void)(id))
#define VALGRIND_MAKE_MEM_DEFINED(address, size) ((void)(address), (void)(size))
#endif
#endif
