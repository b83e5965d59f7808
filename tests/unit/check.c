/* SPDX-License-Identifier: MIT */
/* check.c: what a broken promise prints before the abort. */
#include <sys/wait.h>
#include <unistd.h>
#include "base/check.h"
#include "test.h"

static size_t add_line(char *buf, size_t size) { return (size_t)snprintf(buf, size, "  in task lunch\n"); }

/* As snprintf: how much it would have been. */
static size_t add_too_much(char *buf, size_t size)
{
    memset(buf, 'y', size - 1);
    return 5000;
}

static size_t fail_again(char *buf, size_t size)
{
    (void)buf;
    (void)size;
    cr_check_failed("the second one");
}

TEST_CHECKS_OUTSIDE(check, prints_the_sentence, "crank: CHECK: crank_await: 7 is no task\n")
{
    CR_CHECK(1 == 1, "never %d", 1);
    CR_CHECK(1 == 2, "crank_await: %d is no task", 7);
}

TEST_CHECKS_OUTSIDE(check, prints_what_the_hook_knows_on_a_second_line, "CHECK: no\n  in task lunch\n")
{
    cr_check_hook = add_line;
    cr_check_failed("no");
}

TEST_CHECKS_OUTSIDE(check, that_fails_while_another_is_reported_prints_only_itself, "crank: CHECK: the second one\n")
{
    cr_check_hook = fail_again;
    cr_check_failed("the first one");
}

TEST_CHECKS_OUTSIDE(check, of_our_own_names_the_condition_and_place, "internal: 2 > 3 does not hold (")
{
    CR_ASSERT(2 > 3);
}

TEST_CHECKS_OUTSIDE(check, cuts_a_sentence_that_is_too_long, "crank: CHECK: xxxxxxxx")
{
    static char text[5000];
    memset(text, 'x', sizeof text - 1);
    cr_check_hook = add_line;
    cr_check_failed("%s", text);
}

TEST(check, cuts_what_the_hook_knows_to_what_fits)
{
    static char said[8192];
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        cr_check_hook = add_too_much;
        cr_check_failed("no");
    }
    close(ends[1]);
    size_t length = 0;
    for (ssize_t got; (got = read(ends[0], said + length, sizeof said - length)) > 0;)
        length += (size_t)got;
    close(ends[0]);
    EXPECT_EQ(waitpid(pid, NULL, 0), pid);
    const char *line = strstr(said, "CHECK: no\n");
    EXPECT(line);
    line += strlen("CHECK: no\n");
    size_t kept = strspn(line, "y");
    EXPECT(kept > 900 && kept < 1024);
    EXPECT_EQ(line[kept], '\n'); /* what an emulator adds comes behind it */
}
