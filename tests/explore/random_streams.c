/* SPDX-License-Identifier: MIT */
/* random_streams.c: tasks that do what they like with streams over sockets, and a comparison of what came with what was
 * taken.
 *
 * A seed decides a few connections, over TCP and pairs. Of each end several tasks write messages of all sizes, flush,
 * or give up beyond a limit; one reads, in pieces of all sizes; and one ends it: when everything is through, or at any
 * moment, by close or by abort, whatever the others are doing. Others are cancelled meanwhile. What must hold: each
 * message comes whole, unmixed, and each writer's in order; what was taken comes, where both ends end in peace; what
 * was not taken never comes; a closed stream has no call left in it; everything ends, and nothing is left.
 * The simulator's own choices follow the same seed. */
#include "../behaviour/links.h"

enum { PAIRS = 3, SIDES = 2 * PAIRS, WRITERS = 3, STEPS = 6, WORKERS = SIDES * (WRITERS + 2), MESSAGE_MAX = 250000 };

typedef struct head {
    uint32_t writer, number, size;
} head;

typedef struct side {
    crank_stream *stream; /* NULL from when it is closed on */
    struct side *peer;
    bool clean;   /* ends when everything is through */
    bool broken;  /* some call has failed: what was taken need not arrive */
    bool cut;     /* a large write may have ended midway */
    bool ended;   /* its reader has seen the end, or an error */
    bool reset;   /* it was an error */
    int writers;  /* that have not ended */
    int in_calls; /* tasks */
    uint32_t taken[WRITERS];
    uint32_t came[WRITERS]; /* from the peer */
    head coming;            /* the message that is being read */
    size_t come;            /* how many bytes of it */
} side;

static struct world {
    uint64_t random;
    side sides[SIDES];
    crank_task *workers[WORKERS];
    int working;
} w;

static unsigned dice(unsigned n) { return chance(&w.random, n); }
static double moment(void) { return 0.0005 * dice(6); }
static uint64_t place_of(const side *s, const head *h)
{
    return ((uint64_t)(s - w.sides) << 56) + ((uint64_t)h->writer << 48) + ((uint64_t)h->number << 24);
}

/* Within a call of a side's stream. */
#define IN(s, call) ((s)->in_calls++, in_((s), (call)))
static long in_(side *s, long result)
{
    s->in_calls--;
    return result;
}

static bool is_expected(long error)
{
    return error == -ECANCELED || error == -ETIMEDOUT || error == -EPIPE || error == -ECONNRESET ||
           error == -ECONNABORTED;
}

/* ---- Writing ---- */

static uint32_t pick_size(void)
{
    switch (dice(12)) {
    case 0: return 65536 - sizeof(head) - 1 + dice(3);
    case 1: return dice(65536);
    case 2: return 66000 + dice(MESSAGE_MAX - 66000);
    case 3:
    case 4: return dice(9000);
    default: return dice(200);
    }
}

static long write_message(side *s, unsigned writer)
{
    head h = { writer, s->taken[writer], pick_size() };
    size_t size = sizeof h + h.size;
    char *bytes = bytes_from(place_of(s, &h) - sizeof h, size);
    memcpy(bytes, &h, sizeof h);
    long err = dice(3) ? IN(s, crank_write(s->stream, bytes, size))
                       : IN(s, crank_within(moment(), crank_write(s->stream, bytes, size)));
    free(bytes);
    if (err == 0)
        s->taken[writer]++;
    else if (size > CR_BUFFER_LARGE)
        s->cut = true;
    return err;
}

static long write_step(side *s, unsigned writer)
{
    switch (dice(8)) {
    case 0: return IN(s, crank_flush(s->stream));
    case 1: return IN(s, crank_within(moment(), crank_flush(s->stream)));
    case 2: return crank_sleep(moment());
    case 3: return crank_sleep(0);
    default: return write_message(s, writer);
    }
}

static int writes(side *s, unsigned writer)
{
    for (unsigned i = dice(2 * STEPS); i > 0 && s->stream; i--) {
        long err = write_step(s, writer);
        EXPECT(err == 0 || is_expected(err));
        if (err < 0 && err != -ECANCELED && err != -ETIMEDOUT) {
            s->broken = true;
            break;
        }
    }
    s->writers--;
    return 0;
}

/* ---- Reading ---- */

static size_t come_in(side *s, const char *bytes, size_t n)
{
    head *h = &s->coming;
    if (s->come < sizeof *h) {
        n = n < sizeof *h - s->come ? n : sizeof *h - s->come;
        memcpy((char *)h + s->come, bytes, n);
        s->come += n;
        if (s->come < sizeof *h)
            return n;
        EXPECT(h->writer < WRITERS && h->size <= MESSAGE_MAX);
        EXPECT_EQ(h->number, s->came[h->writer]);
    } else {
        size_t at = s->come - sizeof *h;
        n = n < h->size - at ? n : h->size - at;
        expect_bytes(bytes, place_of(s->peer, h) + at, n);
        s->come += n;
    }
    if (s->come == sizeof *h + h->size) {
        s->came[h->writer]++;
        s->come = 0;
    }
    return n;
}

static void take_in(side *s, const char *bytes, long n)
{
    while (n > 0) {
        size_t step = come_in(s, bytes, (size_t)n);
        bytes += step;
        n -= (long)step;
    }
}

static long read_step(side *s)
{
    static __thread char buf[20000];
    size_t size = 2 + (dice(3) ? dice(100) : dice(sizeof buf - 2));
    char *bytes = malloc(size);
    long n;
    switch (dice(5)) {
    case 0: n = IN(s, crank_within(moment(), crank_read(s->stream, bytes, size))); break;
    case 1: n = IN(s, crank_read_exactly(s->stream, bytes, size)); break;
    case 2: n = IN(s, crank_read_line(s->stream, bytes, size)); break;
    default: n = IN(s, crank_read(s->stream, bytes, size)); break;
    }
    take_in(s, bytes, n);
    free(bytes);
    return n;
}

static int reads(side *s)
{
    while (s->stream && !s->ended) {
        long n = read_step(s);
        EXPECT(n >= 0 || n == -ENODATA || is_expected(n));
        s->ended = n == 0 || n == -ECONNRESET || n == -ECONNABORTED || n == -EPIPE;
        s->reset |= n == -ECONNRESET || n == -EPIPE;
        if (dice(8) == 0)
            (void)crank_sleep(moment());
    }
    s->ended = true;
    return 0;
}

/* ---- Ending ---- */

static void wait_for_writers(const side *s)
{
    while (s->writers > 0)
        (void)crank_sleep(0.0005);
}
static void wait_for_reader(const side *s)
{
    while (!s->ended)
        (void)crank_sleep(0.0005);
}
static void end_in_peace(side *s)
{
    long err;
    wait_for_writers(s);
    do
        err = IN(s, crank_write_eof(s->stream));
    while (err == -ECANCELED);
    s->broken |= err < 0;
    if (err == 0)
        wait_for_reader(s); /* else the end comes with the close, for which the peer may be waiting */
    if (dice(2))
        crank_uncancel(NULL);
}
static void end_at_once(side *s)
{
    for (unsigned i = dice(4); i > 0; i--)
        (void)crank_sleep(moment());
    if (dice(3) == 0) {
        crank_abort(s->stream);
        (void)crank_sleep(moment());
    }
}
static int ends_it(side *s)
{
    if (s->clean)
        end_in_peace(s);
    else
        end_at_once(s);
    crank_stream *stream = s->stream;
    s->stream = NULL;
    /* Two that both close with bytes unsent wait for each other: neither reads any more. */
    bool limited = !s->clean || dice(4) == 0;
    int err = limited ? crank_within(moment(), crank_close(stream)) : crank_close(stream);
    EXPECT_EQ(s->in_calls, 0);
    EXPECT(err == 0 || is_expected(err));
    s->broken |= err < 0;
    return 0;
}

/* ---- The world ---- */

static int open_pair(side *a, side *b)
{
    ends l = { 0 };
    int err = dice(2) ? nets_pair(&l.a, &l.b) : crank_socket_pair(&l.a, &l.b);
    if (err < 0)
        return err;
    a->stream = l.a;
    b->stream = l.b;
    a->peer = b;
    b->peer = a;
    return 0;
}

static int open_pairs(unsigned pairs)
{
    for (unsigned i = 0; i < pairs; i++) {
        int err = open_pair(&w.sides[2 * i], &w.sides[2 * i + 1]);
        if (err < 0) {
            while (i-- > 0) {
                crank_abort(w.sides[2 * i].stream);
                crank_abort(w.sides[2 * i + 1].stream);
                (void)crank_close(w.sides[2 * i].stream);
                (void)crank_close(w.sides[2 * i + 1].stream);
            }
            return err;
        }
    }
    return 0;
}

static void add(crank_task *task)
{
    EXPECT(task);
    w.workers[w.working++] = task;
}

static void begin(side *s)
{
    s->clean = dice(3) > 0;
    s->writers = (int)dice(WRITERS + 1);
    for (unsigned i = 0, n = (unsigned)s->writers; i < n; i++)
        add(crank_spawn(writes, s, i));
    add(crank_spawn(reads, s));
    add(crank_spawn(ends_it, s));
}

/* What has come was taken; where both ended in peace, all of it has. */
static void judge(const side *from, const side *to)
{
    bool peaceful = from->clean && to->clean && !from->broken && !from->cut && !to->reset && !to->broken;
    for (unsigned i = 0; i < WRITERS; i++) {
        EXPECT(to->came[i] <= from->taken[i]);
        if (peaceful)
            EXPECT_EQ(to->came[i], from->taken[i]);
    }
    if (peaceful)
        EXPECT_EQ(to->come, 0);
}

static int program(uint64_t seed)
{
    unsigned pairs;
    w = (struct world){ .random = seed };
    pairs = 1 + dice(PAIRS);
    crank_try(open_pairs(pairs));
    for (unsigned i = 0; i < 2 * pairs; i++)
        begin(&w.sides[i]);
    for (unsigned i = dice(20); i > 0; i--) {
        (void)crank_cancel(w.workers[dice((unsigned)w.working)]);
        crank_try(crank_sleep(moment()));
    }
    for (int i = 0; i < w.working; i++)
        EXPECT_EQ(crank_await(w.workers[i]), 0);
    for (unsigned i = 0; i < 2 * pairs; i++)
        judge(&w.sides[i], w.sides[i].peer);
    return 0;
}

TEST_SEEDS(random_streams, bring_what_was_taken_and_leave_nothing, 300) { return program(seed); }
TEST_SEEDS(random_streams, bring_what_was_taken_in_many_more_programs, 10000)
{
    test_needs_long();
    return program(seed);
}
TEST_EACH_BACKEND(random_streams, bring_what_was_taken_on_every_backend)
{
    for (uint64_t seed = 1; seed <= 12; seed++)
        crank_try(program(seed));
    return 0;
}
