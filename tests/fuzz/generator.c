/* SPDX-License-Identifier: MIT */
/* generator.c: generators whose bodies follow the script, beside a model that follows it with a stack of frames.
 *
 * A body yields, receives, exchanges, waits, delegates to another, loops over another, returns or fails; it gives in
 * to what is thrown in, or goes on. The asker asks, sends, throws, asks for the result, closes, and cancels itself, so
 * that a wait in a body is interrupted. In some scripts an adaptor stands between. The model says what each call
 * gives, value and all. */
#include "fuzz.h"

enum { STEPS = 12, DEPTH_MAX = 3, WORK_MAX = 3000 };
enum { YIELD, RECEIVE, EXCHANGE, WAIT, CATCH, FROM, LOOP, YIELD_TOO, RETURN, FAIL, INSTRUCTIONS };
enum adaptor { PLAIN, TAKE, FILTER, MAP, ZIP, ADAPTORS };

static const uint8_t *program;
static size_t program_size;
static enum adaptor adaptor;
static bool asked; /* a request to cancel waits for the next wait */
static int begun, left;
/* Bodies within bodies could go on for long: so many instructions are carried out, in each of the two worlds. */
static int work, model_work;

static unsigned instruction(unsigned at, int i)
{
    return program_size ? program[(at + (unsigned)i) % program_size] : 0;
}
static long value_at(unsigned at, int i, int depth) { return (long)(at * 100 + (unsigned)i * 7) + depth; }
/* Through adaptors only values can be followed. */
static unsigned kind_of(unsigned byte)
{
    unsigned kind = byte % INSTRUCTIONS;
    return kind == YIELD_TOO ? YIELD : kind == RECEIVE && adaptor != PLAIN ? EXCHANGE : kind;
}

/* ---- The real one */

static void leave(const int *mark) { left += *mark; }
static long body(int depth, unsigned at);

static long count_values(int depth, unsigned at)
{
    long count = 0;
    crank_foreach(long, v, crank_generate(body, depth, at))
    {
        (void)v;
        count++;
    }
    return count;
}
static long body(int depth, unsigned at)
{
    int counted __attribute__((cleanup(leave))) = 1;
    bool catches = false;
    long sum = 0;
    begun += counted;
    for (int i = 0; i < STEPS && work-- > 0; i++) {
        unsigned byte = instruction(at, i);
        long result = 0, in = 0;
        switch (kind_of(byte)) {
        case YIELD: result = crank_yield(value_at(at, i, depth)); break;
        case RECEIVE: result = crank_receive(&in); break;
        case EXCHANGE: result = crank_exchange(value_at(at, i, depth), &in); break;
        case WAIT: result = crank_sleep(0); break;
        case CATCH: catches = !catches; break;
        case FROM:
            if (depth < DEPTH_MAX)
                in = result = crank_yield_from(crank_generate(body, depth + 1, at + byte / INSTRUCTIONS + 1));
            break;
        case LOOP:
            if (depth < DEPTH_MAX)
                in = result = count_values(depth + 1, at + byte / INSTRUCTIONS + 1);
            break;
        case RETURN: return sum;
        default: return -EIO;
        }
        if (result < 0 && (result == -ECANCELED || !catches))
            return result;
        sum += in > 0 ? in : 0;
    }
    return sum;
}

/* ---- The model */

typedef struct frame {
    unsigned at;
    int i; /* the instruction it sleeps at */
    bool catches;
    long sum;
} frame;
typedef struct generator {
    enum { NEW, SLEEPING, ENDED } state;
    unsigned at;
    int depth; /* of the first frame */
    frame frames[DEPTH_MAX + 1];
    int top; /* -1: none */
    long result;
    bool gives; /* the last yield gave a value */
    long value;
} generator;

static long model_count(int depth, unsigned at);

/* Carry out one instruction of the top frame: 1 where it yields, 0 to go on, and what the frame returns. */
static int execute(generator *g, long *ret_returned, bool *ret_ended)
{
    frame *f = &g->frames[g->top];
    int depth = g->depth + g->top;
    unsigned byte = instruction(f->at, f->i), kind = kind_of(byte), next = f->at + byte / INSTRUCTIONS + 1;
    long result;
    switch (kind) {
    case YIELD:
    case EXCHANGE:
    case RECEIVE:
        g->gives = kind != RECEIVE;
        g->value = value_at(f->at, f->i, depth);
        return 1;
    case WAIT:
        *ret_ended = asked; /* interrupted: no body goes on after that */
        *ret_returned = -ECANCELED;
        asked = false;
        return 0;
    case CATCH: f->catches = !f->catches; return 0;
    case FROM:
        if (depth < DEPTH_MAX)
            g->frames[++g->top] = (frame){ .at = next, .i = -1 };
        return 0;
    case LOOP:
        if (depth == DEPTH_MAX)
            return 0;
        result = model_count(depth + 1, next);
        *ret_ended = result < 0 && (result == -ECANCELED || !f->catches);
        *ret_returned = result;
        f->sum += result > 0 ? result : 0;
        return 0;
    default:
        *ret_ended = true;
        *ret_returned = kind == RETURN ? f->sum : -EIO;
        return 0;
    }
}

/* The top frame has returned: what the frame below it makes of that, and so on. True: all have. */
static bool unwind(generator *g, long returned)
{
    for (;;) {
        if (g->top-- == 0) {
            g->state = ENDED;
            g->result = returned;
            return true;
        }
        frame *f = &g->frames[g->top];
        if (returned >= 0)
            f->sum += returned;
        else if (returned == -ECANCELED || !f->catches)
            continue;
        return false;
    }
}

/* Go on from the yield it sleeps at, with what was thrown or sent. As crank_next. */
static int go_on(generator *g, long thrown, const long *sent)
{
    if (g->state == ENDED)
        return 0;
    if (g->state == NEW) {
        g->top = 0;
        g->frames[0] = (frame){ .at = g->at, .i = -1 };
    } else {
        frame *f = &g->frames[g->top];
        if (sent && kind_of(instruction(f->at, f->i)) != YIELD)
            f->sum += *sent > 0 ? *sent : 0;
        if (thrown < 0 && (thrown == -ECANCELED || !f->catches) && unwind(g, thrown))
            return (int)g->result;
    }
    g->state = SLEEPING;
    for (;;) {
        frame *f = &g->frames[g->top];
        long returned = f->sum;
        bool ended = false;
        if (++f->i == STEPS || model_work-- <= 0)
            ended = true;
        else if (execute(g, &returned, &ended))
            return 1;
        if (ended && unwind(g, returned))
            return g->result < 0 ? (int)g->result : 0;
    }
}
static long model_count(int depth, unsigned at)
{
    generator g = { .at = at, .depth = depth };
    long count = 0;
    int more;
    while ((more = go_on(&g, 0, NULL)) > 0)
        count++;
    return more < 0 ? more : count;
}

/* ---- Adaptors */

static bool even(long v) { return v % 2 == 0; }
static long twice(long v) { return 2 * v; }
typedef CRANK_PAIR(long, long) pair;
static unsigned taken; /* how many crank_take lets through, still */
static bool adaptor_ended;

static crank_generator *make(unsigned at)
{
    crank_generator *g = crank_generate(body, 0, at);
    switch (adaptor) {
    case TAKE: return crank_take(g, taken);
    case FILTER: return crank_filter(long, g, even);
    case MAP: return crank_map(long, long, g, twice);
    case ZIP: return crank_zip(long, g, long, crank_generate(body, 1, at + 3));
    default: return g;
    }
}
static int model_next(generator g[2], pair *ret)
{
    int more = 0;
    if (adaptor_ended)
        return 0;
    if (adaptor == TAKE && taken-- == 0) {
        adaptor_ended = true;
        return 0;
    }
    do
        more = go_on(&g[0], 0, NULL);
    while (more > 0 && adaptor == FILTER && !even(g[0].value));
    ret->first = adaptor == MAP ? twice(g[0].value) : g[0].value;
    if (more > 0 && adaptor == ZIP) {
        more = go_on(&g[1], 0, NULL);
        ret->second = g[1].value;
    }
    adaptor_ended = adaptor != PLAIN && more <= 0;
    return more;
}

/* ---- The asker */

static void ask(crank_generator *real, generator g[2], bool wants)
{
    pair expected = { -1, -1 }, got = { -1, -1 };
    int more = model_next(g, &expected);
    int result = adaptor == ZIP ? crank_next(real, &got) : crank_next(real, wants ? &got.first : NULL);
    FUZZ_SAY("next: %d, %ld\n", result, got.first);
    FUZZ_EQUAL(result, more);
    if (more > 0 && wants && g->gives)
        FUZZ_EQUAL(got.first, expected.first);
    if (more > 0 && adaptor == ZIP)
        FUZZ_EQUAL(got.second, expected.second);
    if (more <= 0 || !g->gives)
        FUZZ_EQUAL(got.first, -1);
}
static void send(crank_generator *real, generator *g, long sent)
{
    long got = -1;
    bool fresh = g->state == NEW;
    int more = fresh ? -EINVAL : go_on(g, 0, &sent);
    FUZZ_EQUAL(crank_send(real, sent, &got), more);
    FUZZ_EQUAL(got, more > 0 && g->gives ? g->value : -1);
}
static void throw_in(crank_generator *real, generator *g, int error)
{
    int more;
    if (g->state == NEW) {
        g->state = ENDED;
        g->result = more = -error;
    } else {
        more = go_on(g, -error, NULL);
    }
    FUZZ_SAY("throw %d: %d\n", error, more);
    FUZZ_EQUAL(crank_throw(real, error), more);
}
static void look_at(crank_generator *real, const generator *g)
{
    long result = -77;
    FUZZ_EQUAL(crank_generator_result(real, &result), g->state == ENDED ? 0 : -EAGAIN);
    FUZZ_EQUAL(result, g->state == ENDED ? g->result : -77);
    FUZZ_EQUAL(crank_generator_line(real) == 0, g->state == ENDED);
}
static void cancel_myself(void)
{
    FUZZ_EQUAL(crank_cancel(crank_self()), 0);
    asked = true;
}

static void talk(fuzz_bytes *script, unsigned at)
{
    generator g[2] = { { .at = at }, { .at = at + 3, .depth = 1 } };
    taken = at % 6;
    adaptor_ended = false;
    crank_generator *real = make(at);
    FUZZ_EXPECT(real);
    for (bool over = false; !over && script->left > 0;) {
        unsigned byte = fuzz_byte(script);
        switch (adaptor == PLAIN ? byte % 10 : byte % 5) {
        case 0: ask(real, g, byte & 64); break;
        case 1:
        case 2: ask(real, g, true); break;
        case 3: over = byte % 3 == 0; break;
        case 4:
            if (byte & 64)
                cancel_myself();
            break;
        case 5:
        case 6: send(real, g, byte); break;
        case 7:
        case 8: throw_in(real, g, EPERM); break;
        default: look_at(real, g);
        }
    }
    /* Nobody's cleanup waits or fails here: what is closed ends at its yield. */
    FUZZ_EQUAL(crank_close(real), 0);
}

static void run(const uint8_t *data, size_t size)
{
    fuzz_bytes script = { data, size };
    begun = left = 0;
    asked = false;
    adaptor = (enum adaptor)(fuzz_byte(&script) % (2 * ADAPTORS));
    if (adaptor >= ADAPTORS)
        adaptor = PLAIN;
    program_size = fuzz_byte(&script) % 32;
    if (program_size > script.left)
        program_size = script.left;
    program = script.at;
    script.at += program_size;
    script.left -= program_size;
    work = model_work = WORK_MAX;
    while (script.left > 0)
        talk(&script, fuzz_byte(&script) % 32);
    FUZZ_EQUAL(begun, left);
    while (crank_uncancel(NULL) > 0)
        continue;
}

const fuzz_target fuzz_this = { .name = "generator", .length = 120, .in_task = true, .run = run };
