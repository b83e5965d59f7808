#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# builds: nothing
# seconds: 90
# An installed copy serves a program through pkg-config, shared and static, and through CMake, from any folder; and
# examples/calc_pi, a program of several files, through its own Makefile.
. "$(dirname "$0")/common.sh"

prefix=$(pwd)/$SCRATCH/prefix
[ "${SCRATCH#/}" = "$SCRATCH" ] || prefix=$SCRATCH/prefix
work=$SCRATCH/work
mkdir -p "$work"
cat >"$work/program.c" <<'C'
#include <crank.h>
#include <stdio.h>

static int answer(int a, double b)
{
    crank_sleep(0.25);
    return a * (int)b;
}

static int app(void)
{
    double started = crank_time();
    long value = crank_try(crank_await(crank_spawn(answer, 21, 2)));
    printf("%ld after %.2f s\n", value, crank_time() - started);
    return 0;
}

int main(void) { return crank_run(app); }
C
expected="42 after 0.25 s"
cat >"$work/web.c" <<'C'
#include <crank.h>
#include <crank/http.h>
#include <stdio.h>

static int answer(crank_http_request *request, int n) { return crank_http_print(request, 200, NULL, "%d", n); }
static int serve(crank_stream *stream) { return crank_http_serve_stream(NULL, stream, answer, 42); }

static int app(void)
{
    char text[400];
    crank_stream *near, *far;
    crank_try(crank_socket_pair(&near, &far));
    crank_task *server = crank_spawn(serve, far);
    crank_try(crank_printf(near, "GET / HTTP/1.0\r\n\r\n"));
    crank_try(crank_await(server));
    crank_try(crank_close(far));
    while (crank_try(crank_read_line(near, text, sizeof text)) > 2)
        continue;
    crank_try(crank_read_line(near, text, sizeof text));
    printf("%s after 0.25 s\n", text);
    return crank_close(near);
}

int main(void) { return crank_run(app); }
C

install_copy() {
    rm -rf "$prefix"
    CC=gcc make install BUILD="$SCRATCH/build" PREFIX="$1" SETUP=--libdir=lib
}
flags() { PKG_CONFIG_PATH=$prefix/lib/pkgconfig pkg-config "$@" crank; }
web_flags() { PKG_CONFIG_PATH=$prefix/lib/pkgconfig pkg-config "$@" crank-http; }
compile_web() {
    local compiler=$1 output=$2
    shift 2
    # shellcheck disable=SC2046
    $compiler -std=c11 -Wall -Wextra -Wpedantic -Wconversion -Werror $(web_flags --cflags) -o "$output" \
        "$work/web.c" "$@"
}
web_library_of() { ldd "$1" | grep -q "$prefix/lib/libcrank-http.so.0" || { ldd "$1"; return 1; }; }
prints_answer() {
    local output
    output=$(env CRANK_BACKEND=sim "$@") || { echo "status $?: $output"; return 1; }
    [ "$output" = "$expected" ] || { echo "printed: $output"; return 1; }
}
compile() {
    local compiler=$1 output=$2
    shift 2
    # shellcheck disable=SC2046
    $compiler -std=c11 -Wall -Wextra -Wpedantic -Wconversion -Werror $(flags --cflags) -o "$output" \
        "$work/program.c" "$@"
}
library_of() { ldd "$1" | grep -q "$prefix/lib/libcrank.so.0" || { ldd "$1"; return 1; }; }
no_library_of() { ! ldd "$1" | grep libcrank; }
with_cmake() {
    cat >"$work/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.10)
project(user C)
find_package(crank 0.1 REQUIRED)
add_executable(shared program.c)
target_link_libraries(shared crank::crank)
add_executable(static program.c)
target_link_libraries(static crank::crank_static)
add_executable(web web.c)
target_link_libraries(web crank::http)
add_executable(web_static web.c)
target_link_libraries(web_static crank::http_static)
CMAKE
    cmake -S "$work" -B "$work/build" -DCMAKE_PREFIX_PATH="$prefix" && cmake --build "$work/build"
}
with_make() {
    make -C "$work/calc_pi" clean && make -C "$work/calc_pi" CC="$1" PKG_CONFIG_PATH="$prefix/lib/pkgconfig" \
        LDFLAGS="-Wl,-rpath,$prefix/lib" "${@:2}"
}
estimates_pi() {
    local output
    output=$(CRANK_BACKEND=sim "$work/calc_pi/async_pi" 1000000) || { echo "status $?: $output"; return 1; }
    [ "$(grep -cE '^Value of π: 3\.1[34]' <<<"$output")" = 2 ] || { echo "printed: $output"; return 1; }
}
installed_files() {
    local file
    for file in include/crank.h include/crank/task.h lib/libcrank.so lib/libcrank.so.0 lib/libcrank.a \
        lib/libcrank-http.so lib/libcrank-http.so.0 lib/libcrank-http.a lib/pkgconfig/crank-http.pc \
        lib/libcrank-tls.so lib/libcrank-tls.so.0 lib/libcrank-tls.a lib/pkgconfig/crank-tls.pc \
        lib/pkgconfig/crank.pc lib/cmake/crank/crank-config.cmake bin/crank share/crank/crank-gdb.py \
        "share/gdb/auto-load$prefix/lib/libcrank.so.0.1.0-gdb.py"; do
        [ -e "$prefix/$file" ] || { echo "$file is missing"; return 1; }
    done
    diff -r include/crank "$prefix/include/crank"
}

# gdb looks in its auto-load folder, here the copy's, at the path of the library.
loaded_by_gdb() {
    local output
    output=$(gdb -batch -nx -iex "add-auto-load-scripts-directory $prefix/share/gdb/auto-load" \
        -iex "add-auto-load-safe-path $prefix" -ex 'break answer' -ex run -ex 'crank tasks' "$1" 2>&1)
    [[ $output =~ Task-[0-9]+\ +running\ +answer\ .*spawned\ at\ program.c:[0-9]+\ in\ app ]] ||
        { echo "$output"; return 1; }
}

[ "$QUICK" = 1 ] || check "make install into one folder" install_copy "$prefix/elsewhere"
check "make install into another" install_copy "$prefix"
[ $checks_failed = 0 ] || finish
check "all files are installed" installed_files
check "the installed crank program runs" "$prefix/bin/crank" --version
for compiler in $(compilers); do
    check "$compiler links the shared library" compile $compiler "$work/shared" $(flags --libs) "-Wl,-rpath,$prefix/lib"
    check "$compiler: it is the installed one" library_of "$work/shared"
    check "$compiler: shared runs" prints_answer "$work/shared"
    # The archive by name: the linker would take the shared library that lies beside it.
    check "$compiler links the archive" compile $compiler "$work/archive" "$prefix/lib/libcrank.a" -pthread
    check "$compiler: it needs no library" no_library_of "$work/archive"
    check "$compiler: archive runs" prints_answer "$work/archive"
    check "$compiler links all statically" compile $compiler "$work/static" -static $(flags --static --libs)
    check "$compiler: static runs" prints_answer "$work/static"
    check "$compiler links crank-http" compile_web $compiler "$work/web" $(web_flags --libs) "-Wl,-rpath,$prefix/lib"
    check "$compiler: it is the installed one" web_library_of "$work/web"
    check "$compiler: crank-http runs" prints_answer "$work/web"
    check "$compiler links crank-http statically" compile_web $compiler "$work/web_static" -static \
        $(web_flags --static --libs)
    check "$compiler: static crank-http runs" prints_answer "$work/web_static"
done
cp -r examples/calc_pi "$work"
for compiler in $(compilers); do
    check "$compiler builds examples/calc_pi" with_make $compiler
    check "$compiler: examples/calc_pi links the installed library" library_of "$work/calc_pi/async_pi"
    check "$compiler: examples/calc_pi runs" estimates_pi
    check "$compiler builds examples/calc_pi with the archive" with_make $compiler STATIC=1
    check "$compiler: examples/calc_pi needs no library" no_library_of "$work/calc_pi/async_pi"
    check "$compiler: examples/calc_pi with the archive runs" estimates_pi
done
if command -v gdb >/dev/null; then
    check "a program to debug" compile "gcc -g" "$work/debugged" $(flags --libs) "-Wl,-rpath,$prefix/lib"
    check "gdb loads the script by itself" loaded_by_gdb "$work/debugged"
else
    skip
fi
if [ "$QUICK" = 0 ] && command -v cmake >/dev/null; then
    check "cmake finds and builds" with_cmake
    check "cmake: shared runs" prints_answer "$work/build/shared"
    check "cmake: static runs" prints_answer "$work/build/static"
    check "cmake: crank-http runs" prints_answer "$work/build/web"
    check "cmake: static crank-http runs" prints_answer "$work/build/web_static"
else
    skip
fi
rm -rf "$SCRATCH/build" "$prefix"
finish
