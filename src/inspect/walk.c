/* SPDX-License-Identifier: MIT */
/* walk.c: from the copy of a stack to the calls that stand on it.
 *
 * From each frame the tables for exceptions lead to its caller, whether code keeps frame pointers
 * or not. They may need the frame pointer's register, which a thread in a system call does not
 * show: then the first record on the stack is taken from which a chain of frame pointers leads up
 * to the base, every link of it pointing upwards and beside a return address. Where there are no
 * tables such a chain is followed by itself, and what lies below it searched for words that look
 * like return addresses; these are marked, for some are left from calls that have ended.
 *
 * It reads only the copy, never the stack: the thread may have gone on. */
#include "inspect/walk.h"
#include "base/symbolize.h"
#include "inspect/unwind.h"

/* The base of a fiber lies so close below the end of its stack: offset for the cache, the pool's
 * head, and the arguments that are passed on the stack. Where a frame's record lies at its lower
 * end there is the whole frame of the first function between. */
#if defined(__x86_64__)
#define BASE_REACH 2560
#else
#define BASE_REACH CR_COPY_BYTES
#endif
#define LINKS_MAX 512
#define WORD sizeof(uint64_t)

static uintptr_t end_of(const cr_stack_copy *copy) { return copy->sp + copy->count * WORD; }

/* A frame record is two words, of which both were copied. */
static bool has_record(const cr_stack_copy *copy, uintptr_t at)
{
    return at >= copy->sp && at % WORD == 0 && at + 2 * WORD <= end_of(copy);
}

static uint64_t word_at(const cr_stack_copy *copy, uintptr_t at)
{
    return copy->words[(at - copy->sp) / WORD];
}

/* The record of a fiber's first function: the uppermost whose saved frame pointer is none. Lower
 * ones look the same where a register that was 0 is saved beside a return address. */
static uintptr_t find_base(const cr_stack_copy *copy)
{
    if (copy->last)
        return 0;
    for (uintptr_t at = copy->top - 2 * WORD; copy->top - at <= BASE_REACH && has_record(copy, at);
         at -= WORD)
        if (word_at(copy, at) == 0 && cr_symbolize_is_return(word_at(copy, at + WORD)))
            return at;
    return 0;
}

/* Does a chain of frame records begin at at, and end at the base, at the one that is known to be
 * the last, or beyond what there was room to copy? */
static bool begins_chain(const cr_stack_copy *copy, uintptr_t at, uintptr_t base)
{
    for (int links = 0; links < LINKS_MAX; links++) {
        uintptr_t next = word_at(copy, at);
        if (next != 0 && (next <= at || next > copy->top))
            return false;
        if (!cr_symbolize_is_return(word_at(copy, at + WORD)))
            return false;
        if (next == 0)
            return at == base;
        if (next == copy->last)
            return true;
        if (!has_record(copy, next))
            return end_of(copy) < copy->top;
        at = next;
    }
    return false;
}

/* Where the chain begins, at or above from; the end of the copy where there is none. */
static uintptr_t find_chain(const cr_stack_copy *copy, uintptr_t from, uintptr_t fp)
{
    uintptr_t base = find_base(copy);
    if (fp && has_record(copy, fp) && begins_chain(copy, fp, base))
        return fp;
    for (uintptr_t at = from; has_record(copy, at); at += WORD)
        if (begins_chain(copy, at, base))
            return at;
    return end_of(copy);
}

/* A walk under way: the innermost frame that has not been left yet. */
typedef struct walk {
    const cr_stack_copy *copy;
    cr_frame *frames;
    size_t count, max;
    uintptr_t pc; /* in the function */
    uintptr_t sp;
    uintptr_t fp; /* 0: not known */
    uintptr_t lr; /* 0: not known */
} walk;

/* A return address names the instruction behind the call: one less lies in the call. */
static void add(walk *w, uintptr_t returned_to, bool sure)
{
    w->frames[w->count++] = (cr_frame){ returned_to - 1, sure };
}

/* The frame's address; 0 where it cannot be told. */
static uintptr_t frame_of(walk *w, const cr_unwind_row *row)
{
    const cr_stack_copy *copy = w->copy;
    if (row->by_fp && !w->fp) {
        w->fp = find_chain(copy, w->sp, 0);
        if (w->fp == end_of(copy))
            w->fp = 0;
    }
    uintptr_t from = row->by_fp ? w->fp : w->sp;
    uintptr_t frame = from + (uintptr_t)row->offset;
    bool fits = from != 0 && frame >= w->sp && frame % WORD == 0 && frame <= end_of(copy);
    return fits ? frame : 0;
}

/* A word that a row says is saved; 0 where it was not copied. */
static uint64_t saved(const walk *w, uintptr_t frame, int64_t offset)
{
    uintptr_t at = frame + (uintptr_t)offset;
    bool copied = at >= w->copy->sp && at % WORD == 0 && at + WORD <= end_of(w->copy);
    return copied ? word_at(w->copy, at) : 0;
}

enum step { STEPPED, ENDED, LOST };

/* To the caller, by the tables. Lost: they do not say, or lead where nothing returns to. */
static enum step step(walk *w)
{
    cr_unwind_row row;
    uintptr_t returns = w->lr;
    if (!cr_unwind_row_of(w->pc, &row))
        return LOST;
    if (row.returns == CR_NOWHERE)
        return ENDED;
    uintptr_t frame = frame_of(w, &row);
    if (!frame || row.returns == CR_UNCLEAR)
        return LOST;
    if (row.returns == CR_SAVED)
        returns = saved(w, frame, row.returns_at);
    if (!cr_symbolize_is_return(returns) || (frame == w->sp && row.returns == CR_SAVED))
        return frame == end_of(w->copy) ? ENDED : LOST;
    if (row.fp == CR_SAVED)
        w->fp = saved(w, frame, row.fp_at);
    else if (row.fp != CR_KEPT)
        w->fp = 0;
    w->pc = returns - 1;
    w->sp = frame;
    w->lr = 0;
    add(w, returns, true);
    return STEPPED;
}

/* The rest, without tables. */
static void follow_pointers(walk *w)
{
    const cr_stack_copy *copy = w->copy;
    uintptr_t at = find_chain(copy, w->sp, w->fp);
    for (uintptr_t word = w->sp; word < at && w->count < w->max; word += WORD)
        if (cr_symbolize_is_return(word_at(copy, word)))
            add(w, word_at(copy, word), false);
    while (has_record(copy, at) && w->count < w->max) {
        add(w, word_at(copy, at + WORD), true);
        uintptr_t next = word_at(copy, at);
        if (next <= at)
            break;
        at = next;
    }
}

size_t cr_walk(const cr_stack_copy *copy, cr_frame *ret_frames, size_t max)
{
    if (!copy->pc || max == 0)
        return 0;
    ret_frames[0] = (cr_frame){ copy->pc, true };
    walk w = { copy, ret_frames, 1, max, copy->pc, copy->sp, copy->fp, copy->lr };
    enum step last = copy->top ? STEPPED : ENDED;
    while (last == STEPPED && w.count < max)
        last = step(&w);
    if (last == LOST)
        follow_pointers(&w);
    return w.count;
}
