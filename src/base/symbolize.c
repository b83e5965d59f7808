/* SPDX-License-Identifier: MIT */
/* symbolize.c: a code address in words.
 *
 * Owns nothing: it asks the dynamic linker what is loaded where. Functions that a program does not
 * export have no name here, but a file and an offset, from which addr2line and gdb find line and
 * name: reading symbol tables by ourselves would cost memory in every process to spare a command
 * in few. */
#include "base/symbolize.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

struct search {
    uintptr_t address;
    bool is_code;
    bool behind_call;
    char file[64];
    uintptr_t offset; /* in that file, as its symbols count */
};

/* Looked at under the linker's lock: the object is not unloaded meanwhile. Every form of a call has
 * its own length; what else ends in such bytes is rare. */
static bool behind_call(const unsigned char *at)
{
#if defined(__x86_64__)
    static const unsigned char lengths[] = { 2, 3, 4, 6, 7 };
    if (at[-5] == 0xe8)
        return true;
    for (size_t i = 0; i < sizeof lengths; i++)
        if (at[-lengths[i]] == 0xff && (at[1 - lengths[i]] & 0x38) == 0x10)
            return true;
    return false;
#else
    uint32_t instruction;
    memcpy(&instruction, at - sizeof instruction, sizeof instruction);
    return (instruction & 0xfc000000) == 0x94000000 || /* bl */
           (instruction & 0xfffffc1f) == 0xd63f0000 || /* blr */
           (instruction & 0xfefff800) == 0xd63f0800;   /* blraa and its kin */
#endif
}

static int look_into(struct dl_phdr_info *object, size_t size, void *arg)
{
    enum { LONGEST_CALL = 8 };
    struct search *search = arg;
    (void)size;
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        uintptr_t base = object->dlpi_addr + part->p_vaddr;
        if (part->p_type != PT_LOAD || search->address < base ||
            search->address - base >= part->p_memsz)
            continue;
        const char *path = *object->dlpi_name ? object->dlpi_name : program_invocation_name;
        const char *slash = strrchr(path, '/');
        snprintf(search->file, sizeof search->file, "%s", slash ? slash + 1 : path);
        search->offset = search->address - object->dlpi_addr;
        search->is_code = (part->p_flags & PF_X) != 0;
        search->behind_call = search->is_code && (part->p_flags & PF_R) &&
                              search->address - base >= LONGEST_CALL &&
                              behind_call((const unsigned char *)search->address);
        return 1;
    }
    return 0;
}

static bool find(uintptr_t address, struct search *search)
{
    *search = (struct search){ .address = address };
    return dl_iterate_phdr(look_into, search) != 0;
}

/* No code lies in the lowest page: most words of a stack are ruled out by this alone. */
bool cr_symbolize_is_return(uintptr_t address)
{
    struct search search;
    return address > 4096 && find(address, &search) && search.behind_call;
}

size_t cr_symbolize_print(uintptr_t address, char *buf, size_t size)
{
    struct search search;
    Dl_info known;
    int length;
    if (!find(address, &search))
        length = snprintf(buf, size, "%#lx", (unsigned long)address);
    else if (dladdr((const void *)address, &known) && known.dli_sname)
        length = snprintf(buf, size, "%s+%#lx (%s+%#lx)", known.dli_sname,
            (unsigned long)(address - (uintptr_t)known.dli_saddr), search.file,
            (unsigned long)search.offset);
    else
        length = snprintf(buf, size, "%s+%#lx", search.file, (unsigned long)search.offset);
    return length < 0 ? 0 : (size_t)length;
}
