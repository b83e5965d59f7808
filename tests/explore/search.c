/* SPDX-License-Identifier: MIT */
/* search.c: the search through schedules, on programs that are trees of choices and nothing else. */
#include <crank/explore.h>
#include "world/choices.h"
#include "test.h"
#include <sys/mman.h>

enum { TREE_MAX = 64 };

/* A program: so many choices of so many each. It fails where wrong says so of what was chosen. */
typedef struct tree {
    size_t choices;
    uint32_t of;
    int (*wrong)(const uint32_t *chosen, size_t count);
    bool forgetful; /* chooses what it likes */
    long runs;
    char seen[4096][TREE_MAX + 1];
} tree;

static int run_tree(void *arg, const char *list, uint64_t seed, crank_choice_log *made)
{
    tree *t = arg;
    uint32_t chosen[TREE_MAX] = { 0 };
    cr_choices choices = { .sys = &cr_sys_real };
    EXPECT(cr_choices_valid(list));
    cr_choices_begin(&choices, list, false, 0);
    for (size_t i = 0; i < t->choices; i++) {
        size_t listed = 0;
        if (!cr_choices_take(&choices, &listed))
            listed = seed ? (seed * 7919 + i * 104729) / 13 % t->of : 0;
        chosen[i] = t->forgetful ? 0 : (uint32_t)listed;
        if (i < made->room)
            made->choices[i] = (crank_choice){ chosen[i], t->of };
        t->seen[t->runs % 4096][i] = (char)('0' + chosen[i]);
    }
    made->count = t->choices;
    t->runs++;
    return t->wrong ? t->wrong(chosen, t->choices) : 0;
}

static crank_explore_result search(tree *t, crank_exploration asked)
{
    crank_explore_result explored;
    memset(t->seen, 0, sizeof t->seen);
    t->runs = 0;
    asked.run = run_tree;
    asked.arg = t;
    EXPECT_EQ(crank_explore(&asked, &explored), 0);
    return explored;
}

static tree t;

TEST(explore, runs_each_schedule_once)
{
    t = (tree){ .choices = 5, .of = 3 };
    crank_explore_result explored = search(&t, (crank_exploration){ 0 });
    EXPECT(explored.exhaustive && explored.failure == 0 && !explored.choices);
    EXPECT_EQ(explored.schedules, 3 * 3 * 3 * 3 * 3);
    EXPECT_EQ(explored.max_choices, 5);
    for (long i = 0; i < t.runs; i++)
        for (long j = 0; j < i; j++)
            EXPECT(strcmp(t.seen[i], t.seen[j]) != 0);
}

static size_t deviations(const char *seen)
{
    size_t count = 0;
    for (; *seen; seen++)
        count += *seen != '0';
    return count;
}

TEST(explore, runs_those_nearest_to_the_plain_order_first)
{
    t = (tree){ .choices = 6, .of = 3 };
    crank_explore_result explored = search(&t, (crank_exploration){ .schedules = 200, .seeds = -1 });
    EXPECT(!explored.exhaustive);
    EXPECT_EQ(explored.schedules, 200);
    EXPECT_EQ(explored.deviations, 2); /* 1, 12, 60 and some of the 160 with three */
    for (long i = 1; i < t.runs; i++)
        EXPECT(deviations(t.seen[i]) >= deviations(t.seen[i - 1]));
}

TEST(explore, keeps_to_the_deviations_allowed)
{
    t = (tree){ .choices = 6, .of = 2 };
    crank_explore_result explored = search(&t, (crank_exploration){ .deviations = 2, .seeds = -1 });
    EXPECT_EQ(explored.schedules, 1 + 6 + 15);
    EXPECT(!explored.exhaustive && explored.deviations == 2);
}

TEST(explore, tries_some_of_very_many)
{
    t = (tree){ .choices = 1, .of = 1000 };
    crank_explore_result explored = search(&t, (crank_exploration){ .width = 4, .seeds = -1 });
    EXPECT_EQ(explored.schedules, 5);
    EXPECT(!explored.exhaustive && explored.deviations == 0);
}

static int second_and_fourth(const uint32_t *chosen, size_t count)
{
    return count >= 4 && chosen[1] == 2 && chosen[3] != 0 ? 7 : 0;
}

TEST(explore, finds_a_failure_and_says_how_it_comes_again)
{
    t = (tree){ .choices = 8, .of = 3, .wrong = second_and_fourth };
    crank_explore_result explored = search(&t, (crank_exploration){ 0 });
    EXPECT_EQ(explored.failure, 7);
    EXPECT_STR(explored.choices, "2:2,4:1");
    EXPECT(explored.reproducible && explored.choices_after == 2);
    crank_explore_result_free(&explored);
    EXPECT(!explored.choices);
}

/* A far corner, which only chance reaches within the schedules allowed. */
static int high(const uint32_t *chosen, size_t count)
{
    uint32_t above = 0;
    for (size_t i = 0; i < count; i++)
        above += chosen[i] >= 2;
    return above >= 5 ? 3 : 0;
}

TEST(explore, shrinks_what_chance_has_found)
{
    t = (tree){ .choices = 40, .of = 5, .wrong = high };
    crank_explore_result explored = search(&t, (crank_exploration){ .schedules = 50 });
    EXPECT_EQ(explored.failure, 3);
    EXPECT(explored.seeds > 0 && explored.schedules == 50);
    EXPECT(explored.choices_before > 10);
    EXPECT_EQ(explored.choices_after, 5);
    EXPECT(explored.seed == 0 && explored.reproducible);
    EXPECT_EQ(strstr(explored.choices, ":1") || strstr(explored.choices, ":3") || strstr(explored.choices, ":4"), 0);
    crank_explore_result_free(&explored);
}

TEST(explore, notices_a_program_that_does_not_do_as_told)
{
    t = (tree){ .choices = 3, .of = 2, .forgetful = true };
    crank_explore_result explored = search(&t, (crank_exploration){ .seeds = -1 });
    EXPECT(!explored.exhaustive);
    EXPECT_EQ(explored.diverged, 3);
}

static int broken(void *arg, const char *list, uint64_t seed, crank_choice_log *made)
{
    (void)arg;
    (void)list;
    (void)seed;
    (void)made;
    return -ENOENT;
}

TEST(explore, ends_where_no_run_can_be_made)
{
    crank_explore_result explored;
    EXPECT_EQ(crank_explore(&(crank_exploration){ .run = broken }, &explored), -ENOENT);
    crank_explore_result_free(&explored);
}

/* The failure is found in the second run; the first that is to be smaller cannot be made. */
static long runs_left;

static int breaks_down(void *arg, const char *list, uint64_t seed, crank_choice_log *made)
{
    return runs_left-- > 0 ? run_tree(arg, list, seed, made) : -ENOENT;
}

static int not_plain_at_first(const uint32_t *chosen, size_t count) { return count > 0 && chosen[0] != 0 ? 1 : 0; }

TEST(explore, ends_where_none_can_be_made_while_it_shrinks)
{
    crank_explore_result explored;
    t = (tree){ .choices = 2, .of = 2, .wrong = not_plain_at_first };
    runs_left = 2;
    EXPECT_EQ(crank_explore(&(crank_exploration){ .run = breaks_down, .arg = &t }, &explored), -ENOENT);
    EXPECT_EQ(explored.shrinks, 1);
    crank_explore_result_free(&explored);
}

/* ---- lists */

TEST(choices, are_pairs_in_rising_order)
{
    static const char *const good[] = { "0", "1:0", "1:1", "3:1,9:2,10:18446744073709551615" };
    static const char *const bad[] = { "", "1", "0:1", "1:", ":1", "1:1,", "1:1,1:2", "2:1,1:1", "1:1 ", " 1:1", "x",
        "1:-1", "1:1;2:2", "00", "1:18446744073709551616" };
    for (size_t i = 0; i < CRANK_COUNT(good); i++)
        EXPECT(cr_choices_valid(good[i]));
    for (size_t i = 0; i < CRANK_COUNT(bad); i++)
        EXPECT(!cr_choices_valid(bad[i]));
}

TEST(choices, are_told_to_a_descriptor)
{
    int fd = memfd_create("choices", MFD_CLOEXEC);
    FILE *file = fdopen(fd, "r+");
    crank_choice told[3];
    cr_choices choices = { .sys = &cr_sys_real };
    size_t chosen = 9;
    cr_choices_begin(&choices, "2:1", false, fd);
    EXPECT(cr_choices_take(&choices, &chosen) && chosen == 0);
    cr_choices_tell(&choices, chosen, 4);
    EXPECT(cr_choices_take(&choices, &chosen) && chosen == 1);
    cr_choices_tell(&choices, chosen, 2);
    EXPECT(!cr_choices_take(&choices, &chosen));
    rewind(file);
    EXPECT_EQ(fread(told, sizeof *told, 3, file), 3);
    EXPECT(told[0].options == 0 && told[1].options == 4 && told[2].chosen == 1 && told[2].options == 2);
    fclose(file);
}

/* ---- what is open in an explored run */

static int order[4];
static int order_count;

static int step(int name)
{
    order[order_count++] = name;
    crank_try(crank_sleep(0));
    order[order_count++] = name;
    return 0;
}

static long two_steps(void *arg)
{
    (void)arg;
    order_count = 0;
    return crank_gather(NULL, crank_spawn(step, 1), crank_spawn(step, 2));
}

static void run_listed(const char *choices)
{
    long result = crank_run_raw(&(crank_options){ .backend = CRANK_BACKEND_SIM, .choices = choices }, two_steps, NULL);
    EXPECT_EQ(result, 0);
}

/* Each task begins with a call that waits: before the wait others may go first. */
TEST(choices, say_which_call_makes_room)
{
    run_listed("0");
    EXPECT(order[0] == 1 && order[1] == 2 && order[2] == 1 && order[3] == 2);
    run_listed("1:1,2:1");
    EXPECT(order[0] == 1 && order[1] == 2);
    bool differs = false;
    for (int at = 1; at <= 6 && !differs; at++) {
        char list[16];
        snprintf(list, sizeof list, "%d:1", at);
        run_listed(list);
        differs = order[2] != 1;
    }
    EXPECT(differs);
}

static long nap(void *arg)
{
    (void)arg;
    return crank_within(0.05, crank_sleep(0.04));
}

TEST(choices, leave_time_exact_without_a_list)
{
    for (uint64_t seed = 0; seed < 20; seed++)
        EXPECT_EQ(crank_run_raw(&(crank_options){ .backend = CRANK_BACKEND_SIM, .seed = seed }, nap, NULL), 0);
}

TEST(choices, of_a_wrong_form_are_refused)
{
    crank_options options = { .backend = CRANK_BACKEND_SIM, .choices = "2:1,1:1" };
    EXPECT_EQ(crank_run_raw(&options, nap, NULL), -EINVAL);
    EXPECT_CONTAINS(crank_error(), "options.choices is not a list");
}

/* Not setenv, which keeps what it has copied. */
static void environment(const char *list, int fd)
{
    extern char **environ;
    static char text[2][64];
    static char *variables[3] = { text[0], text[1] };
    snprintf(text[0], sizeof text[0], "CRANK_CHOICES=%s", list);
    snprintf(text[1], sizeof text[1], "CRANK_CHOICES_TO=%d", fd);
    environ = variables;
}

/* Two loops, one after the other, follow one list where it is the environment's. */
TEST(choices, of_the_environment_are_the_processs)
{
    crank_choice told[64];
    FILE *file = tmpfile();
    environment("0", fileno(file));
    run_listed(NULL);
    rewind(file);
    size_t first = fread(told, sizeof *told, 64, file);
    EXPECT(first > 1 && first < 20);
    char list[16];
    snprintf(list, sizeof list, "%zu:1", 2 * (first - 1));
    environment(list, fileno(file));
    rewind(file);
    run_listed(NULL);
    rewind(file);
    EXPECT_EQ(fread(told, sizeof *told, first, file), first);
    EXPECT_EQ(told[first - 1].chosen, 1);
    fclose(file);
}
