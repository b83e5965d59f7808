/* SPDX-License-Identifier: MIT */
/* model.c: the director and its actors. model.h says what they are. */
#include "model.h"
#include "task/record.h"
#include "task/wait.h"

/* What the director can do beside the model's own steps. */
enum { PASS_TURN, SETTLE, ASK, FIRE, TAKE_BACK, DIRECTOR_OPS };

actor actors[ACTORS];

void line_join(actor_line *line, actor *a)
{
    FUZZ_EXPECT(line->count < ACTORS);
    line->at[line->count++] = a;
}
bool line_leave(actor_line *line, actor *a)
{
    for (int i = 0; i < line->count; i++) {
        if (line->at[i] != a)
            continue;
        line->count--;
        memmove(&line->at[i], &line->at[i + 1], (size_t)(line->count - i) * sizeof line->at[0]);
        return true;
    }
    return false;
}
actor *line_shift(actor_line *line)
{
    actor *first = line->count ? line->at[0] : NULL;
    if (first)
        line_leave(line, first);
    return first;
}

void actor_decide(actor *a, long outcome)
{
    FUZZ_EXPECT(a->state == CALLING && !a->decided);
    a->decided = true;
    a->outcome = outcome;
}

/* ---- An actor */

/* It cannot be interrupted while it waits to be told: a request stays for its next call. */
static bool idle_undo(cr_task *task)
{
    (void)task;
    return false;
}
static const cr_wait_ops idle_wait = { .what = "waits to be told", .abort = idle_undo };
static long idle(void)
{
    cr_caller w = { cr_loop_here, cr_self() };
    cr_task_state_of(w.loop)->pending->run_on(w.self);
    return cr_park(&w, &idle_wait);
}

static long call_in_scope(actor *a)
{
    CRANK_GROUP(scope);
    a->scope = &scope;
    long result = model_this.call(a);
    a->scope = NULL;
    return result;
}

static void perform(actor *a)
{
    a->state = CALLING;
    a->decided = a->fired = false;
    if (a->asked && (model_this.waiting >> a->op & 1)) {
        a->asked = false;
        actor_decide(a, -ECANCELED);
    } else {
        model_this.begin(a);
    }
    long result = a->scoped ? call_in_scope(a) : model_this.call(a);
    FUZZ_SAY("  actor %d: op %u gave %ld\n", a->id, a->op, result);
    if (!a->decided)
        fuzz_fail(__FILE__, __LINE__, "actor %d's call gave %ld though it should still wait", a->id, result);
    if (result != a->outcome)
        fuzz_fail(__FILE__, __LINE__, "actor %d's call gave %ld, not %ld", a->id, result, a->outcome);
    if (model_this.returned)
        model_this.returned(a);
    a->state = IDLE;
}

static long act(void *arg)
{
    actor *a = arg;
    while (idle(), !a->quits)
        perform(a);
    return 0;
}

static void wake(actor *a) { cr_wake(cr_loop_here, cr_task_of(a->task, "wake"), 0); }

void actor_tell(actor *a, unsigned op, unsigned arg)
{
    if (a->state != IDLE)
        return;
    a->state = TOLD;
    a->op = op;
    a->arg = arg;
    wake(a);
}

/* ---- The director */

static void ask(actor *a)
{
    bool interrupted = a->state == CALLING && a->decided && a->outcome == -ECANCELED;
    a->requests += a->requests < CR_REQUESTS_MAX;
    FUZZ_EQUAL(crank_cancel(a->task), 0);
    if (interrupted)
        return; /* the -ECANCELED on its way answers this request too */
    if (a->state != CALLING || a->decided || !model_this.cancel(a))
        a->asked = true;
}

/* Once in the life of a scope; when the call has been decided it comes too late, and goes with the scope. */
static void fire(actor *a)
{
    if (!a->scope || a->fired)
        return;
    a->fired = true;
    crank_group_cancel(a->scope);
    if (!a->decided)
        (void)model_this.cancel(a);
}

static void take_back(actor *a)
{
    a->requests -= a->requests > 0;
    FUZZ_EQUAL(crank_uncancel(a->task), a->requests);
    a->asked = a->asked && a->requests > 0;
}

/* Until nobody else is ready. */
static void settle(void)
{
    for (int i = 0; cr_loop_here->runner.head; i++) {
        FUZZ_EXPECT(i < 100);
        FUZZ_EQUAL(crank_sleep(0), 0);
    }
    for (actor *a = actors; a < actors + ACTORS; a++) {
        FUZZ_EXPECT(a->state != TOLD);
        if (a->state == CALLING && a->decided)
            fuzz_fail(
                __FILE__, __LINE__, "actor %d's call should have given %ld: its wake-up is lost", a->id, a->outcome);
        FUZZ_EXPECT(cr_task_parked(cr_task_of(a->task, "settle")));
    }
}

static void step(unsigned op, actor *a, unsigned rest)
{
    static const char *const names[] = { "a turn passes", "all is settled", "cancel", "cancel the scope of",
        "take back a request to" };
    if (op >= DIRECTOR_OPS) {
        FUZZ_SAY("op %u, actor %d, %u\n", op - DIRECTOR_OPS, a->id, rest);
        if (a->state == IDLE)
            a->scoped = rest & 1;
        model_this.step(op - DIRECTOR_OPS, a, rest >> 1);
        return;
    }
    FUZZ_SAY("%s (actor %d)\n", names[op], a->id);
    switch (op) {
    case PASS_TURN: FUZZ_EQUAL(crank_sleep(0), 0); break;
    case SETTLE: settle(); break;
    case ASK: ask(a); break;
    case FIRE: fire(a); break;
    case TAKE_BACK: take_back(a); break;
    }
}

static void open_stage(unsigned variant)
{
    memset(actors, 0, sizeof actors);
    model_this.open(variant);
    for (int i = 0; i < ACTORS; i++) {
        actors[i].id = i;
        actors[i].task = crank_spawn_raw(act, &actors[i]);
        FUZZ_EXPECT(actors[i].task);
    }
    settle();
}

/* Whoever still waits is cancelled; whoever then holds something puts it back, which may let others go on. */
static void close_stage(void)
{
    settle();
    for (actor *a = actors; a < actors + ACTORS; a++)
        if (a->state == CALLING)
            ask(a);
    for (int round = 0; round < ACTORS + 1; round++) {
        for (actor *a = actors; model_this.give_up && a < actors + ACTORS; a++)
            if (a->state == IDLE)
                model_this.give_up(a);
        settle();
        model_this.check();
    }
    for (actor *a = actors; a < actors + ACTORS; a++) {
        FUZZ_EXPECT(a->state == IDLE);
        a->quits = true;
        wake(a);
        FUZZ_EQUAL(crank_await(a->task), 0);
    }
    model_this.close();
}

/* Two bytes a step: what, and who with the rest. */
void model_run(const uint8_t *data, size_t size)
{
    fuzz_bytes script = { data, size };
    open_stage(fuzz_byte(&script));
    while (script.left > 0) {
        unsigned what = fuzz_byte(&script) % (DIRECTOR_OPS + model_this.ops);
        unsigned who = fuzz_byte(&script);
        step(what, &actors[who % ACTORS], who / ACTORS);
        model_this.check();
    }
    close_stage();
}
