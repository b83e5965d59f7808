/* SPDX-License-Identifier: MIT */
/* main.c: the `crank` program: which commands there are.
 *
 * Owns the table and nothing else: a command reads its own options and prints its own help. What is
 * not known is answered with what is, in one line. */
#include <crank/base.h>

#include <stdio.h>
#include <string.h>

#include "cli/commands.h"

typedef struct command {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
} command;

static const command commands[] = {
    { "explore", "run a program through its schedules, shrink and show one that fails",
        cr_explore_command },
};

static const char help_head[] = "NAME\n"
                                "    crank - tools for programs that run on crank, asyncio for C\n"
                                "\n"
                                "SYNOPSIS\n"
                                "    crank COMMAND [options] [arguments]\n"
                                "    crank COMMAND --help\n"
                                "    crank --help | --version\n"
                                "\n"
                                "COMMANDS\n";
static const char help_tail[] =
    "\n"
    "EXIT STATUS\n"
    "    0 all went well; 1 a fault was found in the program; 2 a word was not understood;\n"
    "    3 crank could not do its work.\n";

static void print_help(void)
{
    fputs(help_head, stdout);
    for (size_t i = 0; i < CRANK_COUNT(commands); i++)
        printf("    %-10s %s\n", commands[i].name, commands[i].summary);
    fputs(help_tail, stdout);
}

static int refuse(const char *word)
{
    fprintf(stderr, "crank: ");
    if (word)
        fprintf(stderr, "unknown command \"%s\"; ", word);
    fprintf(stderr, "known are");
    for (size_t i = 0; i < CRANK_COUNT(commands); i++)
        fprintf(stderr, " %s", commands[i].name);
    fprintf(stderr, " --help --version\n");
    return CR_STATUS_USAGE;
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : NULL;
    if (!word)
        return refuse(NULL);
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        print_help();
        return CR_STATUS_FINE;
    }
    if (strcmp(word, "--version") == 0) {
        printf("crank %s\n", CRANK_VERSION);
        return CR_STATUS_FINE;
    }
    for (size_t i = 0; i < CRANK_COUNT(commands); i++)
        if (strcmp(word, commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    return refuse(word);
}
