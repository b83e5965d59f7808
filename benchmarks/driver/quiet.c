/* SPDX-License-Identifier: MIT */
/* quiet.c: is anybody else at work on this machine?
 *
 * Busy time of all cores, less our own and our children's, is somebody else's; time stolen by the
 * host counts too. A run in which that was more than a little says nothing and is done again. */
#include <signal.h>
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
    int got = fscanf(stat, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &user, &nice, &system, &idle,
        &waiting, &irq, &soft, &stolen);
    fclose(stat);
    return got == 8 ? (user + nice + system + irq + soft + stolen) / (double)sysconf(_SC_CLK_TCK)
                    : 0;
}

static double used(int who)
{
    struct rusage r;
    getrusage(who, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           1e-6 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
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

quiet_window quiet_begin(void)
{
    return (quiet_window){ busy(), used(RUSAGE_SELF) + used(RUSAGE_CHILDREN), wall() };
}

double quiet_foreign(const quiet_window *window)
{
    quiet_window now = quiet_begin();
    double foreign = (now.busy - window->busy) - (now.own - window->own);
    double span = now.started - window->started;
    /* The kernel counts busy time in ticks: two of them are noise. */
    foreign -= 2.0 / (double)sysconf(_SC_CLK_TCK);
    return foreign > 0 && span > 0 ? foreign / span : 0;
}

/* A machine that never comes to rest is not waited for again and again. */
void quiet_wait(double limit)
{
    static int in_vain;
    double started = wall();
    do {
        quiet_window window = quiet_begin();
        nanosleep(&(struct timespec){ .tv_nsec = 150000000 }, NULL);
        if (quiet_foreign(&window) < 0.04) {
            in_vain = 0;
            return;
        }
    } while (in_vain < 3 && wall() - started < limit);
    in_vain++;
}
