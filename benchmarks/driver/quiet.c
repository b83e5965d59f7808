/* SPDX-License-Identifier: MIT */
/* quiet.c: is anybody else at work on this machine?
 *
 * Busy time of all cores, less our own and our children's, is somebody else's; time stolen by the
 * host counts too. What the kernel cannot see, another guest at work on the other half of a core,
 * shows in how long a fixed piece of work takes. A run in which any of that was more than a little
 * says nothing and is done again. */
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "driver.h"

static double wall(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Seconds all cores together were busy or stolen since the machine started. */
static double busy(void)
{
    double user = 0, nice = 0, system = 0, idle, waiting, irq = 0, soft = 0, stolen = 0;
    FILE *stat = fopen("/proc/stat", "r");
    if (!stat)
        return 0;
    int got = fscanf(
        stat, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &user, &nice, &system, &idle, &waiting, &irq, &soft, &stolen);
    fclose(stat);
    return got == 8 ? (user + nice + system + irq + soft + stolen) / (double)sysconf(_SC_CLK_TCK) : 0;
}

static double used(int who)
{
    struct rusage r;
    getrusage(who, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + 1e-6 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

/* The scheduler weighs sessions against each other before it looks at a process: so the work goes
 * into a session of its own, in a child, while this process waits to pass on how it ended. */
void quiet_raise_priority(void)
{
    int status;
    pid_t child = fork();
    if (child > 0) {
        waitpid(child, &status, 0);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
    }
    if (child < 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    setsid();
    if (setpriority(PRIO_PROCESS, 0, -10) < 0)
        return;
    FILE *group = fopen("/proc/self/autogroup", "w");
    if (group) {
        fputs("-10", group);
        fclose(group);
    }
}

quiet_window quiet_begin(void) { return (quiet_window){ busy(), used(RUSAGE_SELF) + used(RUSAGE_CHILDREN), wall() }; }

double quiet_foreign(const quiet_window *window)
{
    quiet_window now = quiet_begin();
    double foreign = (now.busy - window->busy) - (now.own - window->own);
    double span = now.started - window->started;
    /* The kernel counts busy time in ticks: two of them are noise. */
    foreign -= 2.0 / (double)sysconf(_SC_CLK_TCK);
    return foreign > 0 && span > 0 ? foreign / span : 0;
}

/* Half a millisecond of work that fills a core: loads, stores and multiplications that need not
 * wait for each other. Gives the seconds it took. */
static double work(void)
{
    static uint64_t words[4096];
    uint64_t a = 1, b = 2, c = 3, d = 4;
    double started = wall();
    for (uint64_t i = 0; i < 400000; i++) {
        a = a * 31 + words[b % 4096];
        b = b * 33 + i;
        c = c * 35 + words[d % 4096];
        d = d * 37 + i;
        words[i % 4096] = a ^ c;
    }
    __asm__ volatile("" : : "r"(a + b + c + d), "m"(words));
    return wall() - started;
}

/* The least of so many times: an interrupt is no neighbour. */
static double least_work(int times)
{
    double least = work();
    while (--times > 0) {
        double took = work();
        least = took < least ? took : least;
    }
    return least;
}

double quiet_slowness(bool every_core)
{
    enum { LEARN = 40, TRIES = 3 };
    static double best;
    double slowest = 0;
    cpu_set_t all;
    if (sched_getaffinity(0, sizeof all, &all) < 0)
        return 1;
    if (best == 0)
        best = least_work(LEARN);
    for (size_t core = 0; core < CPU_SETSIZE; core++) {
        cpu_set_t one;
        if (!CPU_ISSET(core, &all))
            continue;
        CPU_ZERO(&one);
        CPU_SET(core, &one);
        sched_setaffinity(0, sizeof one, &one);
        double least = least_work(TRIES);
        best = least < best ? least : best;
        slowest = least > slowest ? least : slowest;
        if (!every_core)
            break;
    }
    sched_setaffinity(0, sizeof all, &all);
    return slowest / best;
}

/* A machine that never comes to rest is not waited for again and again. */
void quiet_wait(double limit, bool every_core)
{
    static int in_vain;
    double started = wall();
    do {
        quiet_window window = quiet_begin();
        nanosleep(&(struct timespec){ .tv_nsec = 150000000 }, NULL);
        if (quiet_foreign(&window) < 0.04 && quiet_slowness(every_core) < QUIET_SLOW) {
            in_vain = 0;
            return;
        }
    } while (in_vain < 3 && wall() - started < limit);
    in_vain++;
}
