/* SPDX-License-Identifier: MIT */
/* points.h: one waiting call, cancelled at every point at which that can make a difference.
 *
 * A row is a small story about one call: what there is before, the call, what others do meanwhile (acts), and what
 * must be true after. A driver tells the story again and again, and each time cancels the caller at another point: at
 * each look, when it has parked for the n-th time, when it has been woken for the n-th time and has not run yet,
 * directly before and directly after each act, in the same breath; by a request, and by a scope around the call. It
 * goes on until the call has returned before its point comes. The driver always stands in the ready line: whatever
 * wakes the caller puts it behind the driver, which so sees every wait and every wake-up.
 *
 * What must hold of every call: a request is delivered exactly once, by the call or by the caller's next wait; a call
 * that is not cancelled has done its work, one that is has taken nothing: the row's judge says what that means. */
#ifndef TEST_POINTS_H
#define TEST_POINTS_H
#include "task/record.h"
#include "trail.h"

enum { ACTS_MAX = 4, POINTS_MAX = 400, LOOKS_PATIENT = 300 };

enum when { AT_LOOK, AT_PARK, AT_WOKEN, BEFORE_ACT, AFTER_ACT, KINDS_OF_POINT };
struct point {
    enum when when;
    int n;
    bool by_scope; /* else by a request to the task */
};

/* As crank_read, with so much room that what comes goes past the stream's buffer; its bytes to buf. */
static inline long read_with_much_room(crank_stream *stream, char *buf)
{
    static char room[16 * 1024];
    long n = crank_read(stream, room, sizeof room);
    if (n > 0)
        memcpy(buf, room, (size_t)n);
    return n;
}

struct row;
/* Of one telling. */
struct told {
    const struct row *row;
    struct point point;
    crank_task *caller;
    crank_group *scope; /* around the call, while it is made */
    int parks, wakes;
    bool was_parked;
    bool begun, returned;     /* the call */
    bool asked, asked_inside; /* the caller was cancelled; after it had begun the call */
    long result;              /* of the call */
    long next, last;          /* of the two waits after it */
};

/* All return 0 or a failure of the test's own; world is the row's business. */
struct row {
    const char *prototype;
    const char *story;
    int (*set_up)(void);
    long (*call)(void);
    int (*acts[ACTS_MAX])(void);
    int (*meanwhile)(void); /* done at each look; may be NULL */
    int (*judge)(const struct told *t);
    double pace;           /* seconds between looks; 0: turns */
    bool (*may_act)(void); /* the next act may come; NULL: every third look */
};

/* Points at which a caller was cancelled, of all rows: printed for the record. */
static int points_covered;
/* The telling that goes on, for the words of a failure. */
static const struct told *telling;

CRANK_NORETURN static void told_wrongly(const char *file, int line, const char *what, long long value)
{
    static const char *const names[] = { "look", "park", "wake-up", "the moment before act", "the moment after act" };
    const struct told *t = telling;
    test_fail(file, line,
        "%s (%lld) does not hold. %s, %s, cancelled by %s at %s %d: the call gave %ld, the waits "
        "after it %ld and %ld",
        what, value, t->row->prototype, t->row->story, t->point.by_scope ? "a scope" : "request", names[t->point.when],
        t->point.n, t->result, t->next, t->last);
}
/* As EXPECT and EXPECT_EQ, and name the row and the point. */
#define TOLD(condition) ((condition) ? (void)0 : told_wrongly(__FILE__, __LINE__, #condition, 0))
#define TOLD_EQ(a, b) \
    do { \
        long long told_a_ = (long long)(a); \
        if (told_a_ != (long long)(b)) \
            told_wrongly(__FILE__, __LINE__, #a " == " #b, told_a_); \
    } while (0)

static void ask(struct told *t)
{
    if (t->asked || t->returned || (t->point.by_scope && !t->scope))
        return;
    t->asked = true;
    t->asked_inside = t->begun;
    if (t->point.by_scope)
        crank_group_cancel(t->scope);
    else
        EXPECT_EQ(crank_cancel(t->caller), 0);
}
static void ask_when(struct told *t, enum when when, int n)
{
    if (t->point.when == when && t->point.n == n)
        ask(t);
}

static int make_call(struct told *t)
{
    CRANK_GROUP(scope);
    t->scope = &scope;
    t->begun = true;
    t->result = t->row->call();
    t->returned = true;
    t->next = crank_sleep(0);
    t->last = crank_sleep(1e-6); /* with the timer that the call may have used */
    return 0;
}

static void look(struct told *t, int n)
{
    const cr_task *task = cr_task_of(t->caller, "look");
    bool parked = cr_task_parked(task);
    if (t->begun && !t->returned) {
        if (parked && !t->was_parked)
            ask_when(t, AT_PARK, t->parks++);
        if (!parked && t->was_parked)
            ask_when(t, AT_WOKEN, t->wakes++);
        t->was_parked = parked;
    }
    ask_when(t, AT_LOOK, n);
}

static bool may_act(const struct row *row, int looks) { return row->may_act ? row->may_act() : looks % 3 == 2; }

/* Each act has some looks to itself, so that what it begins is seen to go on. */
static int tell(struct told *t)
{
    const struct row *row = t->row;
    int acts = 0;
    crank_try(row->set_up ? row->set_up() : 0);
    t->caller = crank_spawn(make_call, t);
    for (int n = 0; !t->returned && !crank_done(t->caller); n++) {
        look(t, n);
        crank_try(row->meanwhile ? row->meanwhile() : 0);
        if (acts < ACTS_MAX && row->acts[acts] && t->was_parked && may_act(row, n)) {
            ask_when(t, BEFORE_ACT, acts);
            crank_try(row->acts[acts]());
            ask_when(t, AFTER_ACT, acts++);
        }
        crank_try(crank_sleep(row->pace > 0 ? row->pace : n > LOOKS_PATIENT ? 1e-4 : 0));
    }
    int err = (int)crank_await(t->caller);
    if (!t->begun)
        t->result = err; /* it was cancelled before it ran */
    else
        EXPECT_EQ(err, 0);
    for (; acts < ACTS_MAX && row->acts[acts]; acts++) {
        crank_try(row->acts[acts]());
        crank_try(settle());
    }
    return settle();
}

/* Tell it once with this point; *ret_mattered: it came before the call had returned. */
static int try_point(const struct row *row, struct point point, bool *ret_mattered)
{
    struct told t = { .row = row, .point = point };
    telling = &t;
    int err = tell(&t);
    TOLD_EQ(err, 0);
    int times = (t.result == -ECANCELED) + (t.next == -ECANCELED);
    TOLD_EQ(times, t.asked);
    TOLD(t.last == 0 && (t.next == 0 || t.next == -ECANCELED));
    err = row->judge(&t);
    TOLD_EQ(err, 0);
    /* A timer that was left behind would be due by then, and what it belongs to gone. */
    if (strcmp(crank_backend_name(), "sim") == 0)
        TOLD_EQ(crank_sleep(100), 0);
    *ret_mattered = t.asked;
    points_covered += t.asked;
    return 0;
}

/* Under the simulator each look is a point, or, for a start, each of the first and then ever fewer; elsewhere their
 * number is chance, and the first few do. */
static int try_points(const struct row *row, struct point kind, bool each)
{
    bool simulated = strcmp(crank_backend_name(), "sim") == 0;
    int end = kind.when >= BEFORE_ACT ? ACTS_MAX : kind.when == AT_LOOK && !simulated ? 3 : POINTS_MAX;
    for (int n = 0; n < end && (kind.when < BEFORE_ACT || row->acts[n]); n += each ? 1 : 1 + n / 8) {
        bool mattered = false;
        crank_try(try_point(row, (struct point){ kind.when, n, kind.by_scope }, &mattered));
        /* The first look comes before there is a scope. */
        if (!mattered && n > 0 && kind.when < BEFORE_ACT)
            break;
    }
    return 0;
}

static int try_rows(const struct row *rows, size_t n, bool each)
{
    points_covered = 0;
    for (size_t i = 0; i < n; i++) {
        int before = points_covered;
        for (enum when when = AT_LOOK; when < KINDS_OF_POINT; when++) {
            crank_try(try_points(&rows[i], (struct point){ when, 0, false }, each));
            crank_try(try_points(&rows[i], (struct point){ when, 0, true }, each));
        }
        /* Elsewhere a file may be read without a wait. */
        if (points_covered - before < (strcmp(crank_backend_name(), "sim") == 0 ? 3 : 1))
            test_fail(__FILE__, __LINE__, "%s, %s: cancelled at %d points only", rows[i].prototype, rows[i].story,
                points_covered - before);
    }
    printf("calls %zu points %d\n", n, points_covered);
    return 0;
}

/* Each call made with a request pending gives -ECANCELED, which answers it, and has taken nothing. */
static inline int deliver_to_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct told told = { .row = &rows[i] };
        crank_try(rows[i].set_up());
        crank_cancel(crank_self());
        told.result = rows[i].call();
        if (told.result != -ECANCELED)
            test_fail(__FILE__, __LINE__, "%s, %s, gave %ld with a request pending", rows[i].prototype, rows[i].story,
                told.result);
        EXPECT_EQ(crank_uncancel(NULL), 0);
        telling = &told;
        crank_try(rows[i].judge(&told));
    }
    return 0;
}
#endif
