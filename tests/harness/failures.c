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
/* How much rarer the sites that all tests share are in a sample of one of them. */
enum { PLAIN_RARITY = 16 };

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

/* A site as it is known in every build: its name is made of the functions that the call lies in, and of which of the
 * calls in them it is. */
typedef struct choice {
    const test_site *site;
    uint64_t functions; /* what their names come to */
    uint64_t name;
    uint64_t chance; /* its own, of this test and this seed */
    uint64_t rank;   /* a sample takes the lowest */
} choice;

typedef struct sweep {
    const test_item *item;
    const test_options *options;
    test_faults *faults;
    int output;
    char folder[256];             /* for the files of a run that is left in the middle */
    choice sites[TEST_SITES_MAX]; /* as chance has put them in order */
    int site_count;
    uint64_t plain[TEST_SITES_MAX]; /* functions of the sites of a run of nothing, on which every test stands */
    int plain_count;
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
static int ending_of(const sweep *s, int status, bool hung)
{
    static const char declared[] = "CHECK: out of memory while declaring";
    const char *says = s->item->test->says;
    if (hung)
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

/* How long a process has stood in line for the processor; 0 where the kernel does not say. */
static long waited_ms(pid_t pid)
{
    char path[64];
    unsigned long long ran_ns = 0, waited_ns = 0;
    snprintf(path, sizeof path, "/proc/%d/schedstat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file && fscanf(file, "%llu %llu", &ran_ns, &waited_ns) != 2)
        waited_ns = 0;
    if (file)
        fclose(file);
    return (long)(waited_ns / 1000000);
}

/* Whether a run does not end though it was given the time: on a machine with more to do it gets little of it. */
static bool hangs(pid_t pid, int end)
{
    enum { SLICE_MS = 1000, LONGEST = 6 };
    for (long ms = SLICE_MS; ms <= LONGEST * RUN_PATIENCE_MS; ms += SLICE_MS) {
        if (poll(&(struct pollfd){ .fd = end, .events = POLLIN }, 1, SLICE_MS) != 0)
            return false;
        if (ms - waited_ms(pid) >= RUN_PATIENCE_MS)
            return true;
    }
    return true;
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
    bool hung = hangs(pid, end);
    kill(-pid, SIGKILL); /* what it has started, and itself if it hangs */
    kill(pid, hung ? SIGKILL : 0);
    waitpid(pid, &status, 0);
    close(end);
    nftw(s->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return ending_of(s, status, hung);
}

static void describe(sweep *s, const choice *chosen, int ending)
{
    const char *output = read_output(s);
    size_t length = strlen(output);
    printf("FINDING %s: %s: %s", name_of(ending), s->item->name, mode_names[s->faults->mode]);
    if (chosen) {
        const test_site *site = chosen->site;
        printf(", %s of a %s, call %u; --site %llx, at", test_call_names[site->call], site->worker ? "worker" : "loop",
            s->faults->occurrence, (unsigned long long)chosen->name);
        for (int i = 0; i < TEST_TRAIL && site->trail[i]; i++)
            printf(" %s 0x%zx", test_symbol_of(site->trail[i]), (size_t)site->trail[i]);
    }
    printf("\n%s\n", length > SHOWN ? output + length - SHOWN : output);
    s->findings++;
}

static void count(sweep *s, const choice *chosen, int ending)
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
        describe(s, chosen, ending);
    if (s->options->only_site)
        printf("ends as %d, %u calls failed:\n%s\n", ending, atomic_load(&s->faults->injected), read_output(s));
}

static void run_mode(sweep *s, enum test_failing mode, const choice *chosen, unsigned occurrence)
{
    const test_site *site = chosen ? chosen->site : NULL;
    test_faults *faults = s->faults;
    atomic_store(&faults->mode, (int)mode);
    faults->key = site ? atomic_load(&site->key) : 0;
    faults->worker = site ? site->worker : 0;
    faults->occurrence = occurrence;
    atomic_store(&faults->seen, 0);
    atomic_store(&faults->injected, 0);
    count(s, chosen, run_once(s));
}

/* Each site fails once, at its first call; and, from a call that chance chooses, all that follow. A sample takes the
 * first so many sites, and of those every fourth for what follows. */
static void run_sites(sweep *s)
{
    int wanted = s->options->failing_sites;
    int count = s->options->only_site || wanted == 0 || wanted > s->site_count ? s->site_count : wanted;
    for (const choice *c = s->sites; c < s->sites + count; c++) {
        if (s->options->only_site && c->name != s->options->only_site)
            continue;
        run_mode(s, TEST_FAILING_ONCE, c, 1);
        if (wanted == 0 || c->chance % 4 == 0)
            run_mode(s, TEST_FAILING_FROM, c, 1 + (unsigned)(c->chance >> 32) % atomic_load(&c->site->calls));
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

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

/* What follows a '.' says how the compiler has cut a function into pieces. */
static uint64_t mix_text(uint64_t hash, const char *text)
{
    for (; *text && *text != '.'; text++)
        hash = mix(hash, (unsigned char)*text);
    return mix(hash, 0);
}

/* From where a run of the library is started says nothing of the calls in it. */
static uint64_t functions_of(const test_site *site)
{
    uint64_t hash = mix_text(site->worker, test_call_names[site->call]);
    for (int i = 0; i < TEST_TRAIL && site->trail[i]; i++) {
        const char *name = test_symbol_of(site->trail[i]);
        if (strcmp(name, "run_once") == 0)
            break;
        hash = mix_text(hash, name);
    }
    return hash;
}

static bool is_plain(const sweep *s, const choice *c)
{
    for (int i = 0; i < s->plain_count; i++)
        if (s->plain[i] == c->functions)
            return true;
    return false;
}

static int by_functions(const void *left, const void *right)
{
    const choice *a = left;
    const choice *b = right;
    if (a->functions != b->functions)
        return a->functions < b->functions ? -1 : 1;
    for (int i = 0; i < TEST_TRAIL; i++)
        if (a->site->trail[i] != b->site->trail[i])
            return a->site->trail[i] < b->site->trail[i] ? -1 : 1;
    return 0;
}
static int by_chance(const void *left, const void *right)
{
    const choice *a = left;
    const choice *b = right;
    return a->rank < b->rank ? -1 : a->rank > b->rank;
}

/* Whatever moves a function to another address, a change of other files above all, leaves the name of a site, its place
 * in this order and so the sample as they are. */
static void put_sites_in_order(sweep *s)
{
    uint64_t chance = mix_text(s->options->seed, s->item->name);
    for (int i = 0; i < s->site_count; i++)
        s->sites[i].functions = functions_of(s->sites[i].site);
    qsort(s->sites, (size_t)s->site_count, sizeof s->sites[0], by_functions);
    for (int i = 0, nth = 0; i < s->site_count; i++) {
        choice *c = &s->sites[i];
        nth = i > 0 && c->functions == c[-1].functions ? nth + 1 : 0;
        c->name = mix(c->functions, (uint64_t)nth) | 1;
        c->chance = mix(mix(chance, c->name), c->name >> 32);
        c->rank = is_plain(s, c) ? c->chance : c->chance / PLAIN_RARITY;
    }
    qsort(s->sites, (size_t)s->site_count, sizeof s->sites[0], by_chance);
}

/* The calls of every test, before and after its own. */
static void note_plain_sites(sweep *s)
{
    atomic_store(&s->faults->mode, TEST_FAILING_COUNT);
    test_faults_set(s->faults);
    test_run_nothing(s->item);
    test_faults_set(NULL);
    for (size_t i = 0; i < TEST_SITES_MAX; i++)
        if (atomic_load(&s->faults->sites[i].key))
            s->plain[s->plain_count++] = functions_of(&s->faults->sites[i]);
    memset(s->faults->sites, 0, sizeof s->faults->sites);
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
        if (atomic_load(&s->faults->sites[i].key))
            s->sites[s->site_count++].site = &s->faults->sites[i];
    put_sites_in_order(s);
}

void test_fail_each(const test_item *item, const test_options *options)
{
    static sweep s;
    s.item = item;
    s.options = options;
    s.faults = mmap(NULL, sizeof *s.faults, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    s.output = memfd_create("output", MFD_CLOEXEC);
    if (s.faults == MAP_FAILED || s.output < 0 || !test_faults_set(NULL))
        test_fail(__FILE__, __LINE__, "no memory for a run");
    note_plain_sites(&s);
    count_sites(&s);
    run_sites(&s);
    if (!options->only_site)
        run_modes(&s);
    printf("sites %d runs %d injected %d passed %d refused %d tolerated %d stuck %d findings %d\n", s.site_count,
        s.runs, s.injected, s.passed, s.refused, s.tolerated, s.stuck, s.findings);
    exit(s.findings ? TEST_EXIT_FAILED : TEST_EXIT_PASSED);
}
