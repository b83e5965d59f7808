/* SPDX-License-Identifier: MIT */
/* registry.c: the list of living loops, under a lock that many share.
 *
 * Process-wide, because a pointer is all that another thread brings. A pointer to an ended loop is
 * compared, never followed. Where the memory of an ended loop has become another loop's, its
 * pointer reaches that one: so does any address used again. */
#include "loop/registry.h"
#include "base/fork.h"

#include <pthread.h>

__thread crank_loop *cr_loop_served __attribute__((tls_model("initial-exec")));

/* The usual kind lets readers in while a writer waits: where enough threads post, or ask the time,
 * no loop would ever begin or end. No thread takes the lock twice, as this kind demands. */
static pthread_rwlock_t lock = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
static crank_loop *alive;
static uint64_t last_serial;

void cr_registry_add(crank_loop *loop)
{
    loop->forks = cr_forks;
    pthread_rwlock_wrlock(&lock);
    loop->serial = ++last_serial;
    loop->next_alive = alive;
    alive = loop;
    pthread_rwlock_unlock(&lock);
}

/* Taking the lock for writing is what waits for the threads that hold the loop. */
void cr_registry_remove(crank_loop *loop)
{
    pthread_rwlock_wrlock(&lock);
    for (crank_loop **at = &alive; *at; at = &(*at)->next_alive) {
        if (*at == loop) {
            *at = loop->next_alive;
            break;
        }
    }
    pthread_rwlock_unlock(&lock);
}

/* Shared, so that many threads post at a time. The lock is kept where the answer is yes: it is
 * what keeps the loop alive. */
bool cr_registry_hold(const crank_loop *loop)
{
    pthread_rwlock_rdlock(&lock);
    for (const crank_loop *at = alive; at; at = at->next_alive)
        if (at == loop)
            return true;
    pthread_rwlock_unlock(&lock);
    return false;
}

void cr_registry_release(void) { pthread_rwlock_unlock(&lock); }

/* A thread of the parent's may have held the lock, which no thread here gives back. */
/* unreached: in a child, before fork returns, whose counts gcov then forgets. */
void cr_registry_forget(void)
{
    static const pthread_rwlock_t unlocked = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
    lock = unlocked;
    alive = NULL;
}

bool cr_registry_empty(void)
{
    pthread_rwlock_rdlock(&lock);
    bool empty = !alive;
    pthread_rwlock_unlock(&lock);
    return empty;
}
