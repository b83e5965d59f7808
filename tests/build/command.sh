#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# builds: libcrank.a tests/libharness.a
# ./test itself, on a small tree of tests of which some fail as planted, with a meson that makes folders and a ninja
# that compiles what it is asked for and notes it.
. "$(dirname "$0")/common.sh"
[ "$QUICK" = 0 ] || { skip; finish; }

needs "$BUILD/tests/libharness.a"
BUILD=$(realpath "$BUILD")
root=$(pwd)
SCRATCH=$(realpath "$SCRATCH")
tree=$SCRATCH/tree asked=$SCRATCH/asked temporary=$SCRATCH/temporary

# ---- the tree

mkdir -p "$tree"/tests/{unit,behaviour,build,examples} "$tree/tools" "$SCRATCH/bin" "$temporary"
ln -s "$root/test" "$tree/test"
ln -s "$root/tools/suite" "$root/tools/packages.sh" "$tree/tools"
cat >"$tree/tests/unit/alpha.c" <<'C'
#include "test.h"
#include <unistd.h>
TEST(alpha, adds_numbers) { EXPECT_EQ(1 + 1, 2); }
TEST(alpha, is_slow) { usleep(150000); }
TEST(alpha, is_skipped) { test_needs_long(); }
C
cat >"$tree/tests/behaviour/beta.c" <<'C'
#include "test.h"
TEST(beta, fails_as_planted) { EXPECT(getenv("PLANTED") == NULL); }
TEST(beta, fails_too) { EXPECT(getenv("PLANTED") == NULL || getenv("PLANTED")[0] == '1'); }
TEST(beta, passes) { EXPECT_EQ(1, 1); }
C
cat >"$tree/tests/unit/gamma.c" <<'C'
#include "test.h"
#include <signal.h>
#include <unistd.h>
TEST(gamma, waits)
{
    if (getenv("WAITING"))
        sleep(60);
}
TEST(gamma, ends_its_runner)
{
    if (getenv("KILLING"))
        kill(getppid(), SIGKILL);
}
TEST(gamma, fails_after_long)
{
    test_needs_long();
    EXPECT(getenv("PLANTED") == NULL);
}
TEST(gamma, leaves_a_file)
{
    char path[300];
    snprintf(path, sizeof path, "%s/left", getenv("TMPDIR"));
    if (getenv("LEAVING"))
        fclose(fopen(path, "w"));
}
C
cat >"$tree/tests/build/delta.sh" <<'S'
#!/bin/sh
# builds: nothing
[ -z "${LITTERING:-}" ] || touch "$TMPDIR/litter"
if [ "$QUICK" = 0 ] && [ -n "${PLANTED:-}" ]; then
    echo "1 passed, 1 failed, 0 skipped"
else
    echo "2 passed, 0 failed, 0 skipped"
fi
S
echo 'print("1 passed, 0 failed, 0 skipped")' >"$tree/tests/examples/goldens.py"
chmod +x "$tree/tests/build/delta.sh"

cat >"$SCRATCH/bin/meson" <<'S'
#!/bin/sh
for word in "$@"; do case $word in /*) mkdir -p "$word/tests" && touch "$word/build.ninja" ;; esac; done
S
# A program is compiled once for all configurations: they differ in nothing here but whether one has all of a kind.
cat >"$SCRATCH/bin/ninja" <<S
#!/usr/bin/env bash
folder=\$2 missing=0
shift 6
case \$folder/\$# in
    *-sanitized/0) set -- tests/unit_all tests/behaviour_all ;;
    */0) set -- tests/unit_alpha tests/behaviour_beta tests/unit_gamma ;;
esac
for target in "\$@"; do
    echo "\$(basename "\$folder") \$target" >>"$asked"
    echo "[1/\$#] \$target"
    name=\${target#tests/}
    sources=(tests/\${name/_//}.c)
    [[ \$name != *_all ]] || sources=(tests/\${name%_all}/*.c)
    for source in "\${sources[@]}"; do [ "$SCRATCH/\$name" -nt "\$source" ] || missing=1; done
    [ \$missing = 0 ] || gcc -std=gnu11 -D_GNU_SOURCE -I"$root"/{include,src,tests/harness} -o "$SCRATCH/\$name" \\
        "\${sources[@]}" "$BUILD/tests/libharness.a" "$BUILD/libcrank.a" -pthread -lm -Wl,--wrap=cr_sys_real \\
        -Wl,--wrap=cr_task_state_close || exit 1
    cp "$SCRATCH/\$name" "\$folder/\$target"
done
S
chmod +x "$SCRATCH"/bin/*

# ./test there; what it printed is in out and err.
call() {
    : >"$asked"
    env -u TEST_WITHIN PATH="$SCRATCH/bin:$PATH" TMPDIR="$temporary" TEST_BUILD_DIR="$SCRATCH/build" \
        "${with[@]}" "$tree/test" "$@" >"$SCRATCH/out" 2>"$SCRATCH/err" </dev/null
    status=$?
}
with=()
# gives STATUS "N passed, N failed, N skipped" [WORD...]: that is how it ends, and nothing is left behind.
gives() {
    local wanted=$1 counts=$2
    shift 2
    call "$@"
    [ $status = "$wanted" ] || { echo "status $status, expected $wanted"; cat "$SCRATCH/out" "$SCRATCH/err"; return 1; }
    [ "$(tail -n 1 "$SCRATCH/out")" = "$counts" ] || { echo "expected $counts"; cat "$SCRATCH/out"; return 1; }
    [ -z "$(ls -A "$temporary")" ] || { echo "left behind:"; find "$temporary"; return 1; }
}
says() {
    local text
    for text in "$@"; do
        grep -qE -- "$text" "$SCRATCH/out" "$SCRATCH/err" && continue
        echo "does not say $text but:"
        cat "$SCRATCH/out"
        return 1
    done
}
# What ninja was asked for, in this order.
built() { diff - "$asked" <<<"$(printf '%s\n' "$@")"; }
refuses() {
    local text=$1
    shift
    call "$@"
    [ $status = 2 ] || { echo "status $status, expected 2"; cat "$SCRATCH/out"; return 1; }
    says "$text"
}

# ---- all of it

both=(--only gcc --only gcc-sanitized)
everything() {
    gives 0 "19 passed, 0 failed, 4 skipped" "${both[@]}" && says '^gcc: +11 passed, 0' '^gcc-sanitized: +8 passed, 0'
}
check "all pass in both configurations" everything
check "the slowest are told" says '[0-9]\.[0-9][0-9] s  gcc: unit_alpha: alpha: is slow'
by_itself() { gives 0 "11 passed, 0 failed, 2 skipped"; }
check "without an option it is the first configuration" by_itself
help() { call --help && says '^ +\./test .*before' '^ +\./test "' '^ +\./test --failed' 'at most|At most 5 minutes'; }
check "--help shows three examples" help
check "an unknown option is refused" refuses "unknown option '--fast'; known are --all" --fast
check "an unknown configuration is refused" refuses "unknown configuration icc; known are gcc " --only icc
check "a number of times that is none is refused" refuses 'from 1 on, not "0"' --repeat 0

# ---- NAME

by_sentence() { gives 0 "1 passed, 0 failed, 0 skipped" "adds num" && built "gcc tests/unit_alpha"; }
by_program() { gives 0 "3 passed, 0 failed, 0 skipped" behaviour_b && built "gcc tests/behaviour_beta"; }
by_line() { gives 0 "1 passed, 0 failed, 0 skipped" "beta: passes" && built "gcc tests/behaviour_beta"; }
by_check() { gives 0 "2 passed, 0 failed, 0 skipped" delta && [ ! -s "$asked" ]; }
elsewhere() {
    gives 0 "1 passed, 0 failed, 0 skipped" --only gcc-sanitized "adds num" && built "gcc-sanitized tests/unit_all"
}
check "a part of a sentence builds and runs that" by_sentence
check "a part of a program's name builds and runs that" by_program
check "a test's name as it is listed does so too" by_line
check "a check builds what it says it needs" by_check
check "--only is another configuration's" elsewhere
check "a name that nothing has is refused" refuses "no test has 'elephant' in it" elephant
repeats() { gives 0 "3 passed, 0 failed, 0 skipped" --repeat 3 "adds num"; }
check "--repeat runs each so many times" repeats

# ---- failures, and --failed

with=(PLANTED=2)
two_fail() {
    gives 1 "15 passed, 4 failed, 4 skipped" "${both[@]}" &&
        says '^FAIL gcc: behaviour_beta: beta: fails as planted' 'beta.c:2: getenv' \
            '^  gcc-sanitized: behaviour_all: beta: fails too'
}
check "what fails is told and counted" two_fail
with=(PLANTED=1)
one_is_mended() {
    gives 1 "2 passed, 2 failed, 0 skipped" --failed &&
        built "gcc tests/behaviour_beta" "gcc-sanitized tests/behaviour_all"
}
check "--failed repeats what failed, where it failed" one_is_mended
gcc_is_mended() { with=() && gives 0 "1 passed, 0 failed, 0 skipped" "fails as planted"; }
check "a failure that passes is forgotten" gcc_is_mended
with=(PLANTED=1)
one_is_left() { gives 1 "0 passed, 1 failed, 0 skipped" --failed && built "gcc-sanitized tests/behaviour_all"; }
check "the others are not" one_is_left
with=()
none_is_left() {
    gives 0 "1 passed, 0 failed, 0 skipped" --failed && gives 0 "0 passed, 0 failed, 0 skipped" --failed &&
        says "nothing that was run has failed"
}
check "when all pass nothing is left to repeat" none_is_left
with=(PLANTED=1)
only_at_length() {
    gives 1 "4 passed, 2 failed, 1 skipped" --long --only gcc gamma delta
    gives 1 "1 passed, 2 failed, 0 skipped" --failed && with=() && gives 0 "3 passed, 0 failed, 0 skipped" --failed
}
check "what fails only at length is repeated at length" only_at_length
with=(KILLING=1)
killed() { gives 1 "0 passed, 1 failed, 0 skipped" "ends its runner" && says "unit_gamma ended without a count"; }
check "a program that is killed has failed" killed
with=(LEAVING=1)
leaving() { gives 1 "0 passed, 1 failed, 0 skipped" "leaves a file" && says "left files in its" "left: file left"; }
check "a test that leaves a file has failed" leaving
with=(LITTERING=1)
littering() { gives 1 "2 passed, 1 failed, 0 skipped" delta && says "delta.sh left in its temporary folder: litter"; }
check "a check that leaves a file has failed" littering
with=()
echo '#error planted' >>"$tree/tests/behaviour/beta.c"
rm "$SCRATCH/build/gcc/tests/behaviour_beta"
not_built() {
    gives 1 "0 passed, 2 failed, 0 skipped" beta && says "gcc does not build; all of it" "beta was not built"
}
check "what does not compile has failed" not_built
sed -i '$d' "$tree/tests/behaviour/beta.c"
check "and can be repeated" gives 0 "11 passed, 0 failed, 2 skipped" --failed

# ---- progress, and an end before the end

with=(TEST_PROGRESS_SECONDS=0.02)
in_a_pipe() {
    gives 0 "1 passed, 0 failed, 1 skipped" "alpha: is" &&
        says '^gcc: .*, [0-9]+/[0-9]+ tests, [0-9]+ s, about [0-9]+ s to go$' || return
    ! grep -q $'[\e\r]' "$SCRATCH/out" || { echo "escape sequences in a pipe"; return 1; }
}
check "in a pipe progress is a line now and then" in_a_pipe
with=()
silent_in_a_pipe() { gives 0 "1 passed, 0 failed, 1 skipped" "alpha: is" && ! grep 'to go' "$SCRATCH/out"; }
check "which is a minute" silent_in_a_pipe
terminal='
import os, pty, sys
seen = b""
def read(fd):
    global seen
    data = os.read(fd, 4096)
    seen += data
    return data
os.environ.pop("TEST_WITHIN", None)
status = pty.spawn(sys.argv[1:], read)
sys.exit(0 if status == 0 and b"\r\x1b[Kgcc: " in seen and b" to go" in seen else 1)'
on_a_terminal() {
    PATH="$SCRATCH/bin:$PATH" TMPDIR="$temporary" TEST_BUILD_DIR="$SCRATCH/build" python3 -c "$terminal" \
        "$tree/test" "alpha: is" </dev/null
}
check "on a terminal it is a line that moves" on_a_terminal

# A program that is silent, then prints its count and ends while the pipe is not looked at: the count is still read.
reads_the_last_line() {
    python3 - "$SCRATCH" <<'END'
import os
import sys
import time
sys.path.insert(0, "tools/suite")
import jobs


class Progress:
    def __init__(self):
        self.done = self.expected = 0

    def __getattr__(self, name):
        return lambda *arguments: None


job = jobs.Program("gcc", "late", ["sh", "-c", "sleep 0.3; echo '1 passed, 0 failed, 0 skipped'"])
pool = jobs.Pool(Progress(), sys.argv[1], lambda ended: None)
pool.start(job)
time.sleep(0.6)
pool.selector.select = lambda timeout: []
pool.look()
pool.look()
if job.passed != 1 or job.failed:
    sys.exit(f"{job.passed} passed, {job.failed} failed: {job.texts}")
END
}
check "the last line of one that has just ended is read" reads_the_last_line

running() { cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' | grep -q 'command/build/gcc/tests/unit_gamm[a] --one'; }
# stops SIGNAL STATUS: stopped amid a test it leaves no file and no process, and ends as one that was stopped.
stops() {
    local pid began=$SECONDS
    env -u TEST_WITHIN --default-signal=HUP,INT,TERM PATH="$SCRATCH/bin:$PATH" TMPDIR="$temporary" \
        TEST_BUILD_DIR="$SCRATCH/build" WAITING=1 "$tree/test" "gamma: waits" >"$SCRATCH/out" 2>&1 </dev/null &
    pid=$!
    until running; do
        [ $((SECONDS - began)) -lt 20 ] || { kill $pid; echo "it runs nothing"; cat "$SCRATCH/out"; return 1; }
        sleep 0.02
    done
    kill "-$1" $pid
    wait $pid
    [ $? = "$2" ] || { echo "status $?, expected $2"; cat "$SCRATCH/out"; return 1; }
    [ -z "$(ls -A "$temporary")" ] || { echo "left behind:"; find "$temporary"; return 1; }
    ! running || { echo "the test still runs"; return 1; }
    says "stopped by SIG$1"
}
check "Ctrl-C leaves nothing" stops INT 130
check "nor does a stop" stops TERM 143
check "nor a terminal that goes" stops HUP 129
finish
