/* SPDX-License-Identifier: MIT */
/* unwind.c: where a function's caller is found, by the tables that compilers leave for exceptions.
 *
 * Reads .eh_frame of whatever object holds an address, as described in the Linux Standard Base: a
 * sorted table leads to the function's entry, whose few bytes of program say how the stack looks at
 * each instruction. Only what is needed to go from a frame to its caller is kept: the frame's
 * address, the return address, the frame pointer. Unlike the unwinder of libgcc it needs no
 * registers but these, allocates nothing, and gives up where anything is unusual.
 *
 * The tables are read under the dynamic linker's lock, so that the object cannot be unloaded. They
 * are part of the program and trusted as its code is; lengths in them are kept to all the same. */
#include "inspect/unwind.h"

#include <link.h>
#include <string.h>

#if defined(__x86_64__)
enum { FP = 6, SP = 7, RETURNS = 16 };
#else
enum { FP = 29, SP = 31, RETURNS = 30 };
#endif

/* Pointers as nearly all objects have them: four bytes, relative to where they stand, or to the
 * table. Others are not understood. */
enum { PC_RELATIVE = 0x1b, COUNT = 0x03, TABLE_RELATIVE = 0x3b };
enum { NESTED = 8 };

typedef struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
} reader;

static uint64_t take(reader *r, size_t size)
{
    uint64_t value = 0;
    if ((size_t)(r->end - r->at) < size) {
        r->failed = true;
        r->at = r->end;
        return 0;
    }
    memcpy(&value, r->at, size); /* both architectures are little-endian */
    r->at += size;
    return value;
}

static uint64_t take_uleb(reader *r)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint64_t byte = take(r, 1);
        value |= (byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return value;
    }
    r->failed = true;
    return 0;
}

static int64_t take_sleb(reader *r)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64;) {
        uint64_t byte = take(r, 1);
        value |= (byte & 0x7f) << shift;
        shift += 7;
        if (byte & 0x80)
            continue;
        if (shift < 64 && (byte & 0x40))
            value |= ~((UINT64_C(1) << shift) - 1);
        return (int64_t)value;
    }
    r->failed = true;
    return 0;
}

static int32_t word(const uint8_t *at)
{
    int32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* An entry's bytes behind its length; failed for the 64-bit form, which no compiler writes. */
static reader open_entry(const uint8_t *at)
{
    uint32_t length = (uint32_t)word(at);
    bool usual = length > 0 && length < 0xfffffff0;
    return (reader){ at + 4, at + 4 + (usual ? length : 0), !usual };
}

/* ---- what is common to several functions: a CIE */

typedef struct common {
    uint64_t code_unit;
    int64_t data_unit;

    reader program;
} common;

/* In augmentation data: how pointers are written, past what else may stand there. */
static uint8_t pointer_form(reader *data, const char *letters)
{
    static const uint8_t sizes[] = { 8, 0, 2, 4, 8, 0, 0, 0, 0, 0, 2, 4, 8, 0, 0, 0 };
    uint8_t form = 0;
    for (; *letters; letters++) {
        if (*letters == 'R')
            form = (uint8_t)take(data, 1);
        else if (*letters == 'L')
            (void)take(data, 1);
        else if (*letters == 'P')
            (void)take(data, sizes[take(data, 1) & 15]);
        else if (*letters != 'S' && *letters != 'B')
            data->failed = true;
    }
    return form;
}

static bool read_common(const uint8_t *at, common *ret)
{
    reader r = open_entry(at);
    bool is_common = take(&r, 4) == 0;
    uint64_t version = take(&r, 1);
    const char *letters = (const char *)r.at;
    const uint8_t *end = r.failed ? NULL : memchr(r.at, 0, (size_t)(r.end - r.at));
    if (!is_common || !end || (version != 1 && version != 3) || *letters != 'z')
        return false;
    r.at = end + 1;
    ret->code_unit = take_uleb(&r);
    ret->data_unit = take_sleb(&r);
    uint64_t column = version == 1 ? take(&r, 1) : take_uleb(&r);
    uint64_t length = take_uleb(&r);
    reader data = r;
    (void)take(&r, length);
    uint8_t form = pointer_form(&data, letters + 1);
    ret->program = r;
    return !r.failed && !data.failed && column == RETURNS && form == PC_RELATIVE;
}

/* ---- the program that makes rows */

typedef struct machine {
    const common *shared;
    cr_unwind_row row;
    cr_unwind_row initial; /* after the common part: what is restored */
    cr_unwind_row kept[NESTED];
    unsigned depth;
    uintptr_t pc; /* reached */
} machine;

static void set_rule(machine *m, uint64_t number, enum cr_kept kept, int64_t at)
{
    if (number == FP) {
        m->row.fp = kept;
        m->row.fp_at = at;
    } else if (number == RETURNS) {
        m->row.returns = kept;
        m->row.returns_at = at;
    }
}

static void restore_rule(machine *m, uint64_t number)
{
    bool is_fp = number == FP;
    set_rule(m, number, is_fp ? m->initial.fp : m->initial.returns,
        is_fp ? m->initial.fp_at : m->initial.returns_at);
}

static void set_base(machine *m, uint64_t number)
{
    m->row.by_other = number != FP && number != SP;
    m->row.by_fp = number == FP;
}

static void skip_block(reader *r) { (void)take(r, take_uleb(r)); }

/* Instructions about where registers are kept. False: it is none of these. */
static bool step_rule(machine *m, reader *r, uint64_t code)
{
    int64_t unit = m->shared->data_unit;
    uint64_t number = 0;
    if (code == 0x05 || (code >= 0x06 && code <= 0x09) || code == 0x10 || code == 0x11 ||
        (code >= 0x14 && code <= 0x16) || code == 0x2f)
        number = take_uleb(r);
    switch (code) {
    case 0x05: set_rule(m, number, CR_SAVED, (int64_t)take_uleb(r) * unit); return true;
    case 0x06: restore_rule(m, number); return true;
    case 0x07: set_rule(m, number, CR_NOWHERE, 0); return true;
    case 0x08: set_rule(m, number, CR_KEPT, 0); return true;
    case 0x09:
        (void)take_uleb(r);
        set_rule(m, number, CR_UNCLEAR, 0);
        return true;
    case 0x10:
    case 0x16:
        skip_block(r);
        set_rule(m, number, CR_UNCLEAR, 0);
        return true;
    case 0x11: set_rule(m, number, CR_SAVED, take_sleb(r) * unit); return true;
    case 0x14:
        (void)take_uleb(r);
        set_rule(m, number, CR_UNCLEAR, 0);
        return true;
    case 0x15:
        (void)take_sleb(r);
        set_rule(m, number, CR_UNCLEAR, 0);
        return true;
    case 0x2f: set_rule(m, number, CR_SAVED, -(int64_t)take_uleb(r) * unit); return true;
    default: return false;
    }
}

/* Instructions about the frame's address (by an expression: not followed), and those that only nest
 * or are noted. */
static void step_base(machine *m, reader *r, uint64_t code)
{
    int64_t unit = m->shared->data_unit;
    switch (code) {
    case 0x00:
    case 0x2d: break; /* nothing; on aarch64: the return address is signed from here, or not */
    case 0x0a:
        if (m->depth < NESTED)
            m->kept[m->depth] = m->row;
        m->depth++;
        break;
    case 0x0b:
        if (m->depth == 0 || --m->depth >= NESTED)
            r->failed = true;
        else
            m->row = m->kept[m->depth];
        break;
    case 0x0c:
        set_base(m, take_uleb(r));
        m->row.offset = (int64_t)take_uleb(r);
        break;
    case 0x0d: set_base(m, take_uleb(r)); break;
    case 0x0e: m->row.offset = (int64_t)take_uleb(r); break;
    case 0x0f:
        skip_block(r);
        m->row.by_other = true;
        break;
    case 0x12:
        set_base(m, take_uleb(r));
        m->row.offset = take_sleb(r) * unit;
        break;
    case 0x13: m->row.offset = take_sleb(r) * unit; break;
    case 0x2e: (void)take_uleb(r); break;
    default: r->failed = true;
    }
}

/* Until the program ends or has passed pc. */
static bool execute(machine *m, reader r, uintptr_t pc)
{
    while (r.at < r.end && !r.failed) {
        uint64_t code = take(&r, 1), low = code & 0x3f;
        uint64_t advance = 0;
        if (code >> 6 == 1)
            advance = low;
        else if (code >> 6 == 2)
            set_rule(m, low, CR_SAVED, (int64_t)take_uleb(&r) * m->shared->data_unit);
        else if (code >> 6 == 3)
            restore_rule(m, low);
        else if (code >= 0x02 && code <= 0x04)
            advance = take(&r, (size_t)1 << (code - 2));
        else if (!step_rule(m, &r, code))
            step_base(m, &r, code);
        m->pc += advance * m->shared->code_unit;
        if (m->pc > pc)
            break;
    }
    return !r.failed;
}

/* ---- one function: an FDE */

static bool read_function(const uint8_t *at, uintptr_t pc, cr_unwind_row *ret_row)
{
    common shared;
    reader r = open_entry(at);
    const uint8_t *back = r.at;
    uint64_t distance = take(&r, 4);
    if (r.failed || !read_common(back - distance, &shared))
        return false;
    const uint8_t *begins_at = r.at;
    uintptr_t begin = (uintptr_t)begins_at + (uintptr_t)(int64_t)(int32_t)take(&r, 4);
    uint64_t size = take(&r, 4);
    (void)take(&r, take_uleb(&r));
    if (r.failed || pc < begin || pc - begin >= size)
        return false;
    machine m = { .shared = &shared, .pc = 0 };
    if (!execute(&m, shared.program, UINTPTR_MAX))
        return false;
    m.initial = m.row;
    m.pc = begin;
    if (!execute(&m, r, pc) || m.row.by_other)
        return false;
    *ret_row = m.row;
    return true;
}

/* ---- from an address to its function */

struct search {
    uintptr_t pc;
    cr_unwind_row *row;
    bool found;
};

/* The last entry that begins at or before pc. */
static void search_table(const uint8_t *header, struct search *search)
{
    const uint8_t *table = header + 12;
    size_t low = 0, high = (uint32_t)word(header + 8);
    if (header[0] != 1 || header[1] != PC_RELATIVE || header[2] != COUNT ||
        header[3] != TABLE_RELATIVE || high == 0)
        return;
    int64_t wanted = (int64_t)(search->pc - (uintptr_t)header);
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (word(table + 8 * middle) <= wanted)
            low = middle;
        else
            high = middle;
    }
    if (word(table + 8 * low) <= wanted)
        search->found = read_function(header + word(table + 8 * low + 4), search->pc, search->row);
}

static int look_into(struct dl_phdr_info *object, size_t size, void *arg)
{
    struct search *search = arg;
    const uint8_t *header = NULL;
    bool inside = false;
    (void)size;
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        uintptr_t base = object->dlpi_addr + part->p_vaddr;
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) && search->pc >= base &&
            search->pc - base < part->p_memsz)
            inside = true;
        if (part->p_type == PT_GNU_EH_FRAME && part->p_memsz > 12)
            header = (const uint8_t *)base;
    }
    if (inside && header)
        search_table(header, search);
    return inside;
}

bool cr_unwind_row_of(uintptr_t pc, cr_unwind_row *ret_row)
{
    struct search search = { .pc = pc, .row = ret_row };
    (void)dl_iterate_phdr(look_into, &search);
    return search.found;
}
