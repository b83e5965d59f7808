/* SPDX-License-Identifier: MIT */
/* symbols.c: which function of this program an address lies in, by the symbols that the linker left in its file.
 *
 * Owns the file's text, mapped at the first question and kept; of a program that was stripped it knows no function. The
 * dynamic linker, which src/base/symbolize.c asks, knows no static function and few others. */
#include "internal.h"
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *file; /* the program's bytes */

static const char *map_program(void)
{
    struct stat status;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0)
        test_fail(__FILE__, __LINE__, "the program's file cannot be read");
    void *at = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (at == MAP_FAILED)
        test_fail(__FILE__, __LINE__, "no memory for the program's symbols");
    return at;
}

/* Where the program begins in the addresses of its file. */
static uintptr_t first_address(const ElfW(Ehdr) * head)
{
    const ElfW(Phdr) *part = (const void *)(file + head->e_phoff);
    for (size_t i = 0; i < head->e_phnum; i++)
        if (part[i].p_type == PT_LOAD)
            return part[i].p_vaddr;
    return 0;
}

static const ElfW(Shdr) * symbol_table(const ElfW(Ehdr) * head)
{
    const ElfW(Shdr) *sections = (const void *)(file + head->e_shoff);
    for (size_t i = 0; i < head->e_shnum; i++)
        if (sections[i].sh_type == SHT_SYMTAB)
            return &sections[i];
    return NULL;
}

const char *test_symbol_of(uintptr_t offset)
{
    enum { TYPE_MASK = 0xf };
    file = file ? file : map_program();
    const ElfW(Ehdr) *head = (const void *)file;
    const ElfW(Shdr) *table = symbol_table(head);
    if (!table)
        return "";
    const ElfW(Sym) *symbols = (const void *)(file + table->sh_offset);
    const ElfW(Shdr) *names = (const ElfW(Shdr) *)(const void *)(file + head->e_shoff) + table->sh_link;
    uintptr_t address = offset + first_address(head);
    for (size_t i = 0; i < table->sh_size / sizeof *symbols; i++)
        if ((symbols[i].st_info & TYPE_MASK) == STT_FUNC && address - symbols[i].st_value < symbols[i].st_size)
            return file + names->sh_offset + symbols[i].st_name;
    return "";
}
