#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# builds: nothing
# Every public header alone, and twice, in each language it is for; the look programs under the strictest warnings.
. "$(dirname "$0")/common.sh"

# The compiler is silent about the header.
silent() {
    local output
    output=$("$@" 2>&1)
    local status=$?
    echo "$output"
    [ $status = 0 ] && [ -z "$output" ]
}
strict="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -Iinclude -fsyntax-only"
for header in include/crank.h include/crank/*.h; do
    name=${header#include/}
    printf '#include <%s>\n#include <%s>\nextern int unused;\n' "$name" "$name" >"$SCRATCH/header.c"
    cp "$SCRATCH/header.c" "$SCRATCH/header.cpp"
    for compiler in $(compilers); do
        for standard in c11 gnu11 gnu17 gnu2x c2x; do
            check "$name alone as $standard with $compiler" silent $compiler -std=$standard $strict "$SCRATCH/header.c"
        done
        plus=${compiler/gcc/g++}
        plus=${plus/clang/clang++}
        command -v "$plus" >/dev/null || { skip; continue; }
        for standard in c++17 c++20; do
            check "$name alone as $standard with $plus" silent "$plus" -std=$standard $strict "$SCRATCH/header.cpp"
        done
    done
done

for compiler in $(compilers); do
    for program in examples/look/*.c examples/servers/*.c examples/servers/*/*.c examples/fetch/*.c; do
        # 10 passes an int to sleep(unsigned): its own line, not crank's, so only that warning is off for it.
        extra=""
        case $program in
            *10_to_thread.c) extra=-Wno-sign-conversion ;;
        esac
        check "$program with $compiler" silent $compiler -std=c11 -Wall -Wextra -Wpedantic -Wconversion $extra \
            -Iinclude -fsyntax-only "$program"
    done
done

# Calls that take a task, a future or NULL.
cat >"$SCRATCH/handles.c" <<'END'
#include <crank.h>
int use(crank_task *task, crank_future *const future, void (*fn)(crank_task *, void *));
int use(crank_task *task, crank_future *const future, void (*fn)(crank_task *, void *))
{
    long value;
    char text[10];
    crank_set_name(NULL, crank_name(future));
    (void)crank_describe(task, text, sizeof text);
    return crank_cancel(task) + crank_cancel(future) + crank_cancel(NULL) + crank_cancel_because(future, "%d", 1) +
        crank_cancel_because(task, "because") + crank_done(future) + crank_was_cancelled(NULL) +
        crank_result(future, &value) + crank_on_done(future, fn, NULL) + crank_remove_on_done(task, fn, NULL);
}
END
for compiler in $(compilers); do
    for standard in c11 gnu11 gnu2x; do
        check "calls that take futures as $standard with $compiler" silent $compiler -std=$standard \
            -O2 $strict "$SCRATCH/handles.c"
    done
done

# Children of groups whose results go into variables.
cat >"$SCRATCH/into.c" <<'END'
#include <crank.h>
#include <math.h>
typedef enum { RED, GREEN } colour;
struct thing {
    int n;
};
static colour look(const struct thing *t) { return t->n ? RED : GREEN; }
static const struct thing *find(const struct thing *t, size_t n) { return t + n; }
static bool is_odd(short n) { return n % 2 != 0; }
int use(const struct thing *things, crank_task *task);
int use(const struct thing *things, crank_task *task)
{
    colour seen = RED;
    const struct thing *found = NULL;
    bool odd = false;
    double roots[2] = { 0, 0 };
    unsigned char small = 0;
    long all[3];
    CRANK_GROUP(group);
    CRANK_POOL(pool, 3);
    crank_group_spawn_into(&group, &seen, look, things);
    crank_group_spawn_into(&group, &found, find, things, 3);
    crank_group_spawn_into(&group, &odd, is_odd, (short)3);
    crank_group_spawn_into(&group, roots + 1, sqrt, 2.0);
    crank_group_add_into(&group, &small, task);
    (void)crank_group_add(&group, crank_spawn(look, things));
    crank_try(crank_group_start(&group, roots, sqrt, 2.0));
    crank_try(crank_any(NULL, crank_spawn(look, things), task));
    crank_started(1.5f);
    crank_try(crank_group_wait(&group));
    crank_pool_spawn(&pool, look, things);
    return crank_pool_wait(&pool, all, 1) + crank_pool_wait(&pool, roots, 1) + crank_pool_wait(&pool, NULL, 1) +
        (odd && small && found && seen == RED);
}
END
for compiler in $(compilers); do
    for standard in c11 gnu11 gnu2x; do
        check "results into variables as $standard with $compiler" silent $compiler -std=$standard \
            -O2 $strict "$SCRATCH/into.c"
    done
done

# A program's macros of one letter do not reach into crank's.
{
    echo '#include <crank.h>'
    printf '#define %s 100\n' {A..Z}
    cat <<'END'
static int none(void) { return 0; }
static int square(int n) { return n * n; }
int use(void);
int use(void)
{
    int result = 0;
    CRANK_GROUP(group);
    crank_group_spawn_into(&group, &result, square, N);
    crank_try(crank_group_wait(&group));
    crank_try(crank_gather(NULL, crank_spawn(none), crank_spawn(square, N)));
    return crank_try(crank_any(NULL, crank_to_thread(square, N))) + result;
}
END
} >"$SCRATCH/letters.c"
for compiler in $(compilers); do
    check "macros of one letter with $compiler" silent $compiler -std=c11 -O2 $strict "$SCRATCH/letters.c"
done

# Loops whose body does not look at the loop's variable, in either standard.
cat >"$SCRATCH/loops.c" <<'END'
#include <crank.h>
static int count_ended(crank_task **tasks, size_t n)
{
    int count = 0;
    crank_foreach_completed (task, tasks, n)
        count++;
    return count;
}
static int count_items(crank_queue *queue)
{
    int count = 0;
    crank_foreach_item (double, item, queue)
        count++;
    return count;
}
int count(crank_task **tasks, size_t n, crank_queue *queue);
int count(crank_task **tasks, size_t n, crank_queue *queue) { return count_ended(tasks, n) + count_items(queue); }
END
for compiler in $(compilers); do
    for standard in c11 gnu11; do
        check "loops whose variable is not used as $standard with $compiler" silent $compiler -std=$standard \
            -O2 $strict "$SCRATCH/loops.c"
    done
done
finish
