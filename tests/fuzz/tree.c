/* SPDX-License-Identifier: MIT */
/* tree.c: trees of tasks in groups, under time limits and shields, that cancel each other, with the clock as witness.
 *
 * The script is drawn from by all tasks in the order in which they run, which is always the same. Each task notes the
 * scopes it has open (marks). Under the simulator computing takes no time, so the notes say exactly when a sleep must
 * end and by what: its own time, a limit around it, a group around it that failed or was cancelled, a request. What a
 * scope makes of an interruption at its edge is compared too, as is a group's failure: that of the child that failed
 * first. Shields hide what is outside of them. At the end every function that was begun has been left. */
#include "fuzz.h"

enum { DEPTH_MAX = 5, TASKS_MAX = 60, WIDTH = 4 };
enum mark_type { LIMIT, GROUP, SHIELD };

/* One open scope of a task, and what is known of it. */
typedef struct mark {
    enum mark_type type;
    struct mark *up;
    double deadline; /* of a limit */
    double opened_at;
    unsigned requests; /* to the task, when it was opened */
    bool delivered;    /* a wait inside was interrupted after it had fired */
    crank_task *opener;
    crank_group *group;
    crank_timeout *limit;
    int alive;         /* children begun and not left */
    int most;          /* at most so many are */
    int first_failure; /* of its children */
    bool closing;      /* it failed or was cancelled */
    double closed_at;  /* when */
} mark;

/* What a task knows of itself; lies in its frame, found by a task-local. */
typedef struct self {
    mark *marks;
    mark *member_of; /* the group it is a child of */
    unsigned asked;  /* requests it has had and the model has seen delivered */
} self;

static fuzz_bytes script;
static int begun, left, tasks;
static crank_local key;

static unsigned dice(unsigned n) { return fuzz_byte(&script) % n; }
static double moment(void) { return 0.001 * dice(6); }
static self *me(void) { return crank_local_get(&key); }
static void leave(const int *sign) { left += *sign; }
#define COUNTED \
    int counted_ __attribute__((cleanup(leave))) = 1; \
    begun += counted_

static bool same(double a, double b) { return a - b < 5e-10 && b - a < 5e-10; }

/* Has a scope from here outwards that its task can see fired by now, or has the task been asked? */
static bool interrupted_from(const mark *m, crank_task *task)
{
    for (; m; m = m->up) {
        if (m->type == SHIELD)
            return false;
        if (m->type == LIMIT && m->deadline <= crank_time() + 5e-10)
            return true;
        if (m->type == GROUP && m->closing)
            return true;
    }
    return crank_cancelling(task) > 0;
}
static bool interrupted(void) { return interrupted_from(me()->marks, NULL); }
/* What a block's -ECANCELED is, to who leaves it: somebody's further out, or the group's own. A limit that has passed
 * but that no wait has told of has caused none. */
static bool told(void)
{
    for (const mark *m = me()->marks; m; m = m->up) {
        if (m->type == SHIELD)
            return false;
        if (m->type == LIMIT ? m->delivered : m->type == GROUP && m->closing)
            return true;
    }
    return crank_cancelling(NULL) > 0;
}
/* Has one outside of this scope fired after the scope was opened, or the task been asked? Then an interruption is
 * theirs. At the same moment it could be either: that is no. */
static bool overruled(const mark *scope)
{
    const mark *m = scope->up;
    for (; m && m->type != SHIELD; m = m->up) {
        double fired_at = m->type == LIMIT ? m->deadline : m->closed_at;
        bool fired = m->type == LIMIT ? m->delivered && fired_at < crank_time() - 5e-10 : m->closing;
        if (fired && fired_at > scope->opened_at + 5e-10)
            return true;
    }
    return !m && crank_cancelling(NULL) > scope->requests;
}
static void close_group(mark *group)
{
    if (!group->closing)
        group->closed_at = crank_time();
    group->closing = true;
}
/* The earliest limit that a wait begun now must obey: of those not yet delivered. */
static double earliest(void)
{
    double earliest = CRANK_FOREVER;
    for (const mark *m = me()->marks; m && m->type != SHIELD; m = m->up)
        if (m->type == LIMIT && !m->delivered && m->deadline < earliest)
            earliest = m->deadline;
    return earliest;
}
/* One interruption is for all that have fired by now. */
static void note_delivery(void)
{
    for (mark *m = me()->marks; m && m->type != SHIELD; m = m->up)
        if (m->type == GROUP ? m->closing : m->type == LIMIT && m->deadline <= crank_time() + 5e-10)
            m->delivered = true;
}

static int nap(double seconds)
{
    double target = crank_time() + seconds, limit = earliest();
    int err = crank_sleep(seconds);
    double now = crank_time();
    if (err == 0) {
        FUZZ_EXPECT(same(now, target));
        FUZZ_EXPECT(limit > target - 5e-10); /* at the same moment either may be first */
        return 0;
    }
    FUZZ_EQUAL(err, -ECANCELED);
    FUZZ_EXPECT(now < target + 5e-10);
    FUZZ_EXPECT(now < limit + 5e-10 || limit < target - seconds);
    FUZZ_EXPECT(interrupted());
    note_delivery();
    return err;
}

static int steps(int depth);

static mark *open_mark(mark *m)
{
    m->up = me()->marks;
    m->opener = crank_self();
    m->opened_at = crank_time();
    m->requests = crank_cancelling(NULL);
    me()->marks = m;
    return m;
}
static void close_mark(const mark *m)
{
    FUZZ_EXPECT(me()->marks == m);
    me()->marks = m->up;
}
static void passed_by(int err)
{
    FUZZ_EXPECT(err <= 0 && (err == 0 || err == -ECANCELED || err == -ETIMEDOUT || err <= -1000));
    if (err == -ECANCELED)
        FUZZ_EXPECT(interrupted());
}

/* ---- limits and shields */

/* As crank_within: the same, with a limit that can be moved meanwhile. */
static int under_limit(int depth, double seconds)
{
    mark m = { .type = LIMIT, .deadline = crank_time() + seconds };
    crank_timeout limit = { NULL };
    crank_timeout_begin_(&limit, seconds, NULL, NULL);
    m.limit = &limit;
    open_mark(&m);
    int inside = steps(depth + 1);
    bool passed = crank_expired(&limit);
    FUZZ_EXPECT(passed ? m.deadline <= crank_time() + 5e-10 : m.deadline >= crank_time() - 5e-10);
    close_mark(&m);
    bool theirs = overruled(&m), anybody = interrupted();
    int result = (int)crank_within_end_(&limit, inside);
    if (result != inside)
        FUZZ_EXPECT(inside == -ECANCELED && result == -ETIMEDOUT && passed && !theirs);
    else if (inside == -ECANCELED)
        FUZZ_EXPECT(!m.delivered || anybody);
    crank_timeout_end_(&limit);
    if (result == -ECANCELED)
        note_delivery(); /* the edge answers what has fired further out */
    return result;
}
static int declared_limit(double seconds)
{
    CRANK_TIMEOUT(limit, seconds);
    mark m = { .type = LIMIT, .deadline = crank_time() + seconds, .limit = &limit };
    open_mark(&m);
    int err = nap(moment());
    err = err < 0 && dice(2) ? err : nap(moment());
    close_mark(&m);
    FUZZ_EXPECT(!crank_expired(&limit) || m.deadline <= crank_time() + 5e-10);
    if (err < 0)
        crank_try(err);
    return 0;
}
static int under_declared_limit(void)
{
    int err = declared_limit(moment());
    if (err == -ECANCELED)
        note_delivery();
    return err;
}
static void move_limit(void)
{
    mark *m = me()->marks;
    double seconds = moment();
    if (!m || m->type != LIMIT)
        return;
    bool expired = crank_expired(m->limit);
    int err = crank_reschedule(m->limit, seconds);
    FUZZ_EQUAL(err, expired ? -ETIME : 0);
    if (err == 0)
        m->deadline = crank_time() + seconds;
}
static int shielded(int depth)
{
    mark m = { .type = SHIELD };
    open_mark(&m);
    int err = crank_shield(steps(depth + 1));
    close_mark(&m);
    return err;
}

/* ---- groups */

typedef struct start {
    int depth;
    mark *group;
} start;

static int child(start from)
{
    COUNTED;
    self s = { .member_of = from.group };
    FUZZ_EQUAL(crank_local_set(&key, &s), 0);
    from.group->alive++;
    FUZZ_EXPECT(from.group->alive <= from.group->most);
    int err = steps(from.depth);
    if (err == 0 && dice(6) == 0)
        err = -1000 - (int)dice(64); /* a failure that tells who */
    from.group->alive--;
    if (err < 0 && err != -ECANCELED) {
        if (!from.group->first_failure)
            from.group->first_failure = err;
        close_group(from.group);
    }
    return err;
}
static void add_child(mark *group, int depth)
{
    if (tasks == TASKS_MAX)
        return;
    tasks++;
    start from = { depth, group };
    crank_task *task = crank_group_spawn(group->group, child, from);
    /* Nobody is added to one that failed or was cancelled, or whose opener was interrupted as it waited for it. */
    if (group->closing)
        FUZZ_EXPECT(!task);
    else if (!task)
        FUZZ_EXPECT(interrupted_from(group, group->opener));
}

static int wait_for_group(crank_group *group, mark *m)
{
    int err = crank_group_wait(group);
    FUZZ_EQUAL(m->alive, 0);
    FUZZ_EQUAL(crank_group_count(group), 0);
    if (m->first_failure)
        FUZZ_EQUAL(err, m->first_failure);
    else
        FUZZ_EXPECT(err == 0 || err == -ECANCELED);
    m->closing = false; /* it is as new */
    m->first_failure = 0;
    if (err == -ECANCELED) {
        FUZZ_EXPECT(interrupted());
        note_delivery();
    }
    return err;
}
static int open_group(int depth)
{
    unsigned limit = dice(2) ? 0 : 1 + dice(2);
    CRANK_GROUP_LIMIT(group, limit);
    mark m = { .type = GROUP, .group = &group, .most = limit ? (int)limit : TASKS_MAX };
    open_mark(&m);
    for (unsigned i = dice(WIDTH); i > 0; i--)
        add_child(&m, depth + 1);
    int err = 0;
    if (dice(2))
        err = steps(depth + 1);
    if (dice(6) == 0) {
        crank_group_cancel(&group);
        close_group(&m);
    }
    if (dice(3) == 0)
        for (unsigned i = dice(WIDTH); i > 0; i--)
            add_child(&m, depth + 1);
    /* It may be used again after its wait, as new. */
    int waited = wait_for_group(&group, &m);
    if (waited == 0 && dice(4) == 0) {
        add_child(&m, depth + 1);
        waited = wait_for_group(&group, &m);
    }
    close_mark(&m);
    return waited < 0 ? waited : err == -ECANCELED && !told() ? 0 : err;
}
/* Left without a wait: the children are cancelled and have ended when the block has. */
static int leave_group(int depth, mark *m)
{
    CRANK_GROUP(group);
    m->group = &group;
    open_mark(m);
    for (unsigned i = dice(WIDTH); i > 0; i--)
        add_child(m, depth + 1);
    int err = steps(depth + 1);
    close_mark(m);
    close_group(m);
    return err;
}
static int abandon_group(int depth)
{
    mark m = { .type = GROUP, .most = TASKS_MAX };
    int err = leave_group(depth, &m);
    FUZZ_EQUAL(m.alive, 0);
    return err == -ECANCELED && !told() ? 0 : err;
}

/* ---- each other */

static void cancel_somebody(void)
{
    crank_task *all[TASKS_MAX + 2];
    size_t n = crank_tasks(all, TASKS_MAX + 2);
    FUZZ_EXPECT(n <= TASKS_MAX + 2);
    (void)crank_cancel(all[dice((unsigned)n)]);
}
static void add_sibling(int depth)
{
    if (me()->member_of)
        add_child(me()->member_of, depth);
}
static void cancel_own_group(void)
{
    mark *m = me()->member_of;
    if (!m)
        return;
    close_group(m);
    crank_group_cancel(m->group);
}

static int step(int depth)
{
    switch (dice(14)) {
    case 1:
    case 2: return under_limit(depth, moment());
    case 3: return under_declared_limit();
    case 4:
    case 5:
    case 6: return open_group(depth);
    case 7: return abandon_group(depth);
    case 8: return shielded(depth);
    case 9: cancel_somebody(); return 0;
    case 10: add_sibling(depth); return 0;
    case 11: cancel_own_group(); return 0;
    case 12: move_limit(); return 0;
    default: return nap(moment());
    }
}
static int steps(int depth)
{
    if (depth > DEPTH_MAX)
        return nap(moment());
    for (unsigned i = dice(4); i > 0; i--) {
        int err = step(depth);
        passed_by(err);
        if (err < 0 && (err != -ECANCELED || dice(3)))
            return err;
    }
    return 0;
}

/* The root, apart from the task that owns the run: it may be cancelled like any other. */
static int root(void)
{
    COUNTED;
    self s = { .marks = NULL };
    FUZZ_EQUAL(crank_local_set(&key, &s), 0);
    while (script.left > 0)
        (void)step(0);
    return 0;
}

static void run(const uint8_t *data, size_t size)
{
    script = (fuzz_bytes){ data, size };
    begun = left = tasks = 0;
    double begin = crank_time();
    FUZZ_EQUAL(crank_await(crank_spawn(root)), 0);
    FUZZ_EQUAL(begun, left);
    FUZZ_EXPECT(crank_time() - begin < 60);
    while (crank_uncancel(NULL) > 0)
        continue;
}

const fuzz_target fuzz_this = { .name = "tree", .length = 200, .in_task = true, .may_report = true, .run = run };
