/* SPDX-License-Identifier: MIT */
/* failures.c: a test run again and again, each time with another of its calls to the OS failing.
 *
 * Owns what counts as a fault of crank: a crash, an abort that the test does not expect, a hang, a result that is no
 * error number, something left behind, a process in which the next run does not work. What a test expects need not
 * hold once a call has failed: it then leaves in the middle, and only the end of the process is judged. Each run is
 * made in a copy of this process, which has paid for what is allocated once. */
#include "failing.h"
#include "internal.h"
#include "base/base.h"
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#pragma weak crank_error_clear

enum { RUN_PATIENCE_MS = 10000, SHOWN = 3000 };

/* How a run may end, and what of that is crank's fault. The first are the exit statuses of the process. */
enum ending {
    ENDING_REFUSED = 44,
    ENDING_STUCK,
    ENDING_UNDEFINED,
    ENDING_LEAK,
    ENDING_STALE,
    ENDING_CRASH = 100,
    ENDING_HANG,
    ENDING_LEFT
};

typedef struct sweep {
    const test_item *item;
    const test_options *options;
    test_faults *faults;
    int output;
    char folder[256]; /* for the files of a run that is left in the middle */
    int sites;
    int runs;
    int injected; /* runs in which a call failed */
    int passed;
    int refused;
    int tolerated;
    int stuck;
    int findings;
} sweep;

static const char *const mode_names[TEST_FAILING_MODES] = { "nothing", "counting", "once", "from then on",
    "one byte at a time", "interrupted", "not ready", "late", "standing still" };

static const char *name_of(int ending)
{
    switch (ending) {
    case ENDING_UNDEFINED: return "a result that is no error";
    case ENDING_LEAK: return "something is left";
    case ENDING_STALE: return "the next run does not work";
    case ENDING_CRASH: return "a crash";
    case ENDING_HANG: return "a hang";
    default: return "the process was left";
    }
}

static void leave_if_anything_is_left(const test_audit *before)
{
    static char left[4096];
    if (test_audit_compare(before, left, sizeof left) == 0)
        return;
    fprintf(stderr, "%s", left);
    exit(ENDING_LEAK);
}

extern const char _start[];

/* The code of a test file lies behind the program's start and before the harness, as they are linked. */
static bool is_tests_own(uintptr_t pc)
{
    static void (*const after[])(void) = { (void (*)(void))test_register, (void (*)(void))test_child,
        (void (*)(void))test_fail_each, (void (*)(void))test_audit_take, (void (*)(void))test_explore };
    for (size_t i = 0; i < CRANK_COUNT(after); i++)
        if (pc >= (uintptr_t)after[i])
            return false;
    return pc >= (uintptr_t)_start;
}

/* A test may look at what it was not given: that is its expectation, which need not hold. Anything else is a crash. */
static void on_segfault(int number, siginfo_t *info, void *context)
{
    enum { FIRST_PAGE = 4096 };
    uintptr_t pc = 0;
#if defined(__x86_64__)
    pc = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
#else
    pc = (uintptr_t)((ucontext_t *)context)->uc_mcontext.pc;
#endif
    if ((uintptr_t)info->si_addr < FIRST_PAGE && is_tests_own(pc) && test_faults_happened())
        _exit(TEST_EXIT_TOLERATED);
    dprintf(STDERR_FILENO, "segmentation fault at %p, pc %#zx\n", info->si_addr, (size_t)pc - (size_t)_start);
    signal(number, SIG_DFL);
    raise(number);
}

/* In the copy: the test, the audit, and another run. */
CRANK_NORETURN static void run_in_copy(const sweep *s)
{
    static test_audit before;
    long result = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    dup2(s->output, STDOUT_FILENO);
    dup2(s->output, STDERR_FILENO);
    setenv("TMPDIR", s->folder, 1);
    const int flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigaction(SIGSEGV, &(struct sigaction){ .sa_sigaction = on_segfault, .sa_flags = flags }, NULL);
    test_audit_take(&before);
    test_faults_set(s->faults);
    test_run_item(s->item, &result);
    test_faults_set(NULL);
    if (crank_error_clear)
        crank_error_clear();
    if (result > 0 || result < -4095) {
        fprintf(stderr, "the run gave %ld\n", result);
        exit(ENDING_UNDEFINED);
    }
    leave_if_anything_is_left(&before);
    long small = test_run_small(s->item);
    if (small != 0) {
        fprintf(stderr, "the next run gave %ld\n", small);
        exit(ENDING_STALE);
    }
    leave_if_anything_is_left(&before);
    exit(result == 0 ? TEST_EXIT_PASSED : result == -EDEADLK ? ENDING_STUCK : ENDING_REFUSED);
}

static char *read_output(const sweep *s)
{
    static char text[65536];
    ssize_t length = pread(s->output, text, sizeof text - 1, 0);
    text[length > 0 ? length : 0] = 0;
    return text;
}

/* Abort is what some tests are for: where they say so. And what is declared cannot fail in another way. */
static int ending_of(const sweep *s, int status, bool hangs)
{
    static const char declared[] = "CHECK: out of memory while declaring";
    const char *says = s->item->test->says;
    if (hangs)
        return ENDING_HANG;
    if (WIFSIGNALED(status)) {
        const char *output = read_output(s);
        if (WTERMSIG(status) != SIGABRT)
            return ENDING_CRASH;
        if (says && strstr(output, says))
            return TEST_EXIT_PASSED;
        if (says && strstr(output, "CHECK: "))
            return TEST_EXIT_TOLERATED; /* in other words */
        return strstr(output, declared) ? TEST_EXIT_TOLERATED : ENDING_CRASH;
    }
    switch (WEXITSTATUS(status)) {
    case TEST_EXIT_PASSED:
    case TEST_EXIT_TOLERATED:
    case TEST_EXIT_SKIPPED:
    case TEST_EXIT_FAILED:
    case ENDING_REFUSED:
    case ENDING_STUCK:
    case ENDING_UNDEFINED:
    case ENDING_LEAK:
    case ENDING_STALE: return WEXITSTATUS(status);
    default: return ENDING_LEFT;
    }
}

static int remove_one(const char *path, const struct stat *status, int flag, struct FTW *ftw)
{
    (void)status, (void)flag, (void)ftw;
    return remove(path);
}

/* One run of the test with these faults. */
static int run_once(sweep *s)
{
    int status = 0;
    fflush(NULL);
    if (ftruncate(s->output, 0) < 0 || lseek(s->output, 0, SEEK_SET) < 0)
        test_fail(__FILE__, __LINE__, "the output cannot be emptied");
    const char *top = getenv("TMPDIR");
    snprintf(s->folder, sizeof s->folder, "%s/crank-failing-XXXXXX", top && top[0] ? top : "/tmp");
    if (!mkdtemp(s->folder))
        test_fail(__FILE__, __LINE__, "no folder %s for a run", s->folder);
    pid_t pid = fork();
    if (pid == 0)
        run_in_copy(s);
    int end = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    if (end < 0)
        test_fail(__FILE__, __LINE__, "no process for a run");
    bool hangs = poll(&(struct pollfd){ .fd = end, .events = POLLIN }, 1, RUN_PATIENCE_MS) == 0;
    kill(-pid, SIGKILL); /* what it has started, and itself if it hangs */
    kill(pid, hangs ? SIGKILL : 0);
    waitpid(pid, &status, 0);
    close(end);
    nftw(s->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return ending_of(s, status, hangs);
}

static void describe(sweep *s, const test_site *site, int ending)
{
    const char *output = read_output(s);
    size_t length = strlen(output);
    printf("FINDING %s: %s: %s", name_of(ending), s->item->name, mode_names[s->faults->mode]);
    if (site) {
        printf(", %s of a %s, call %u; --site %llx, at", test_call_names[site->call], site->worker ? "worker" : "loop",
            s->faults->occurrence, (unsigned long long)site->key);
        for (int i = 0; i < TEST_TRAIL && site->trail[i]; i++)
            printf(" 0x%zx", (size_t)site->trail[i]);
    }
    printf("\n%s\n", length > SHOWN ? output + length - SHOWN : output);
    s->findings++;
}

static void count(sweep *s, const test_site *site, int ending)
{
    bool injected = atomic_load(&s->faults->injected) > 0;
    s->runs++;
    s->injected += injected;
    if (ending == TEST_EXIT_PASSED)
        s->passed++;
    else if (ending == ENDING_REFUSED)
        s->refused++;
    else if (ending == ENDING_STUCK)
        s->stuck++;
    else if (ending == TEST_EXIT_TOLERATED || ending == TEST_EXIT_SKIPPED)
        s->tolerated++;
    else
        describe(s, site, ending);
    if (s->options->only_site)
        printf("ends as %d, %u calls failed:\n%s\n", ending, atomic_load(&s->faults->injected), read_output(s));
}

static void run_mode(sweep *s, enum test_failing mode, const test_site *site, unsigned occurrence)
{
    test_faults *faults = s->faults;
    atomic_store(&faults->mode, (int)mode);
    faults->key = site ? atomic_load(&site->key) : 0;
    faults->worker = site ? site->worker : 0;
    faults->occurrence = occurrence;
    atomic_store(&faults->seen, 0);
    atomic_store(&faults->injected, 0);
    count(s, site, run_once(s));
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

/* Each site fails once, at its first call; and, from a call that chance chooses, all that follow. A sample takes so
 * many sites, and of those every fourth for what follows. */
static void run_sites(sweep *s, uint64_t seed)
{
    int wanted = s->options->failing_sites;
    int left = s->sites;
    for (size_t i = 0; i < TEST_SITES_MAX && left > 0; i++) {
        const test_site *site = &s->faults->sites[i];
        if (!atomic_load(&site->key))
            continue;
        bool chosen = wanted == 0 || next_random(&seed) % (unsigned)left < (unsigned)wanted;
        left--;
        if (s->options->only_site)
            chosen = s->options->only_site == atomic_load(&site->key);
        if (!chosen)
            continue;
        run_mode(s, TEST_FAILING_ONCE, site, 1);
        if (s->options->failing_sites == 0 || next_random(&seed) % 4 == 0)
            run_mode(s, TEST_FAILING_FROM, site, 1 + (unsigned)next_random(&seed) % atomic_load(&site->calls));
        wanted -= wanted > 0;
        if (s->options->failing_sites && wanted == 0)
            break;
    }
}

static bool calls_any(const sweep *s, uint64_t calls)
{
    for (size_t i = 0; i < TEST_SITES_MAX; i++)
        if (atomic_load(&s->faults->sites[i].key) && (calls >> s->faults->sites[i].call & 1))
            return true;
    return false;
}

#define BIT(call) ((uint64_t)1 << (call))
/* Which calls a mode touches; a test that makes none of them need not run in it. */
static void run_modes(sweep *s)
{
    const uint64_t sockets = BIT(TEST_CALL_RECV) | BIT(TEST_CALL_SEND);
    const uint64_t connecting = BIT(TEST_CALL_ACCEPT) | BIT(TEST_CALL_CONNECT);
    const uint64_t moving =
        BIT(TEST_CALL_READ) | BIT(TEST_CALL_WRITE) | BIT(TEST_CALL_READ_AT) | BIT(TEST_CALL_WRITE_AT) | sockets;
    const uint64_t waiting = BIT(TEST_CALL_EPOLL_WAIT) | BIT(TEST_CALL_POLL) | BIT(TEST_CALL_URING_ENTER);
    if (calls_any(s, moving))
        run_mode(s, TEST_FAILING_SHORT, NULL, 0);
    if (calls_any(s, moving | waiting | connecting | BIT(TEST_CALL_OPEN) | BIT(TEST_CALL_CLOSE)))
        run_mode(s, TEST_FAILING_INTERRUPTED, NULL, 0);
    if (calls_any(s, waiting | sockets | BIT(TEST_CALL_ACCEPT) | BIT(TEST_CALL_READ_AT) | BIT(TEST_CALL_WRITE_AT)))
        run_mode(s, TEST_FAILING_UNREADY, NULL, 0);
    if (calls_any(s, BIT(TEST_CALL_EPOLL_WAIT) | BIT(TEST_CALL_URING_ENTER)))
        run_mode(s, TEST_FAILING_LATE, NULL, 0);
}

/* The first run notes the calls that there are, and shows that the test passes when none of them fails. */
static void count_sites(sweep *s)
{
    atomic_store(&s->faults->mode, TEST_FAILING_COUNT);
    int ending = run_once(s);
    if (ending == TEST_EXIT_SKIPPED)
        test_skip("%s", read_output(s));
    if (ending != TEST_EXIT_PASSED)
        test_fail(
            s->item->test->file, s->item->test->line, "with no call failing: ends as %d\n%s", ending, read_output(s));
    for (size_t i = 0; i < TEST_SITES_MAX; i++)
        s->sites += atomic_load(&s->faults->sites[i].key) != 0;
}

static uint64_t hash_of(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash;
}

void test_fail_each(const test_item *item, const test_options *options)
{
    sweep s = { .item = item, .options = options };
    s.faults = mmap(NULL, sizeof *s.faults, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    s.output = memfd_create("output", MFD_CLOEXEC);
    if (s.faults == MAP_FAILED || s.output < 0 || !test_faults_set(NULL))
        test_fail(__FILE__, __LINE__, "no memory for a run");
    count_sites(&s);
    run_sites(&s, options->seed ^ hash_of(item->name));
    if (!options->only_site)
        run_modes(&s);
    printf("sites %d runs %d injected %d passed %d refused %d tolerated %d stuck %d findings %d\n", s.sites, s.runs,
        s.injected, s.passed, s.refused, s.tolerated, s.stuck, s.findings);
    exit(s.findings ? TEST_EXIT_FAILED : TEST_EXIT_PASSED);
}
