#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# builds: examples/fetch examples/look_15_fetch
"""examples/fetch as people run it: into a pipe, on a terminal, interrupted; against a server that is none of ours."""
import fcntl
import http.server
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLES = os.path.join(ROOT, os.environ.get("BUILD", "build/test/gcc"), "examples")
signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored, also by what is started
LIMIT = 20  # seconds, after which a test has failed
TESTS = []
BUSY = []  # paths that were answered with 503 once


def test(function):
    TESTS.append(function)
    return function


class Handler(http.server.BaseHTTPRequestHandler):
    """/ok, /busy (503 once), /away (to /ok), /none, /silent, /large."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/silent":
            QUIET.wait(LIMIT)
        busy = self.path.startswith("/busy") and self.path not in BUSY
        BUSY.extend([self.path] * busy)
        status = 503 if busy else 302 if self.path == "/away" else 404 if self.path == "/none" else 200
        body = b"x" * (100000 if self.path == "/large" else 5)
        self.send_response(status, "Not Here" if status == 404 else None)
        if status == 302:
            self.send_header("Location", "/ok?from=away")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """A client that goes away is none."""


def url(path):
    return URL + path


def environment(backend, **more):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CRANK_") and k != "NO_COLOR"}
    return dict(kept, CRANK_BACKEND=backend, TERM="xterm", **more)


def fetch(backend, *arguments, **options):
    return subprocess.run([os.path.join(EXAMPLES, "fetch"), *arguments], env=environment(backend), timeout=LIMIT,
                          capture_output=True, check=False, text=True, **options)


def expect(have, want):
    if have != want:
        raise AssertionError(f"{have!r}, expected {want!r}")


def expect_match(have, want):
    if not re.fullmatch(want, have, re.S):
        raise AssertionError(f"{have!r}, expected {want!r}")


def rows_of(said):
    """By URL: what a row has besides; each row once."""
    rows = [line.split("\t") for line in said.splitlines()]
    expect({len(row) for row in rows}, {7})
    found = {row[4]: row for row in rows}
    expect(len(found), len(rows))
    return found


@test
def a_pipe_gets_a_row_for_each_url(backend):
    busy = url("/busy-" + backend)
    done = fetch(backend, url("/ok"), busy, url("/away"), url("/none"), "no\x1b[31msense\t")
    rows = rows_of(done.stdout)
    expect(rows[url("/ok")][:2] + rows[url("/ok")][3:], ["200", "5", "1", url("/ok"), url("/ok"), ""])
    expect(rows[busy][0], "200")
    expect(rows[busy][3], "2")
    expect(rows[url("/away")][5], url("/ok?from=away"))
    expect(rows[url("/none")][6], "404 Not Here")
    expect_match(rows[r"no\x1b[31msense\x09"][6], "bad URL .*")
    expect_match(done.stderr, r"5 URLs, 3 fetched, 2 failed, 20 B in \S+ s; one after another .*\n")
    expect(done.returncode, 1)
    expect(fetch(backend, url("/ok"), "--quiet").stderr, "")
    expect(fetch(backend, "--head", url("/large")).stdout.split("\t")[:2], ["200", "0"])


@test
def json_is_a_line_for_each(backend):
    done = fetch(backend, "--json", "--retries", "0", url("/ok"), url("/none"), "x\x01\"\xff\\")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    found = {line["url"]: line for line in lines}
    expect({tuple(line) for line in lines},
           {("url", "final", "status", "bytes", "seconds", "tries", "error", "message")})
    expect((found[url("/ok")]["status"], found[url("/ok")]["error"], found[url("/ok")]["message"]), (200, None, ""))
    expect((found[url("/none")]["status"], found[url("/none")]["bytes"]), (404, 5))
    wrong = found["x\x01\"\xff\\"]
    expect((wrong["status"], wrong["final"], wrong["error"]), (None, None, "EINVAL"))


@test
def lines_are_taken_as_they_come(backend):
    with subprocess.Popen([os.path.join(EXAMPLES, "fetch")], env=environment(backend), stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        for path in "/ok", "/large":
            process.stdin.write(f"# a remark\n\n {url(path)} \t\r\n")
            process.stdin.flush()
            expect(process.stdout.readline().split("\t")[4], url(path))
        process.stdin.close()
        expect(process.wait(LIMIT), 0)


@test
def bodies_are_saved_beside_what_is_there(backend):
    with tempfile.TemporaryDirectory() as folder:
        done = fetch(backend, "--output", folder, "-n", "1", url("/large"), url("/ok"), url("/ok?x/y"), url("/"))
        expect(done.returncode, 0)
        sizes = {name: os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder)}
        expect(sizes, {"large": 100000, "ok": 5, "ok.1": 5, "index": 5})
    done = fetch(backend, "--output", folder, url("/ok"))
    expect((done.returncode, done.stderr), (2, f"fetch: --output {folder}: No such file or directory\n"))


def on_terminal(backend, columns, *arguments, interrupt=None, **more):
    """All that is written to a terminal of so many columns, and the status; interrupted when this was written."""
    master, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen([os.path.join(EXAMPLES, "fetch"), *arguments], env=environment(backend, **more),
                          stdin=side, stdout=side, stderr=side) as process:
        os.close(side)
        said = b""
        timer = threading.Timer(LIMIT, process.kill)
        timer.start()
        while True:
            try:
                piece = os.read(master, 4096)
            except OSError:
                break
            said += piece
            if interrupt and interrupt in said:
                process.send_signal(signal.SIGINT)
                interrupt = None
        timer.cancel()
        os.close(master)
        return said.decode().replace("\r\n", "\n"), process.wait(LIMIT)


PICTURE = re.compile(r"\x1b\[\d*[AJKm]")


@test
def a_terminal_gets_progress_and_a_table(backend):
    for columns in 40, 80:
        busy = url(f"/busy-{columns}-{backend}")
        said, status = on_terminal(backend, columns, url("/ok"), busy, url("/none"))
        expect(status, 1)
        progress, _, table = said.rpartition("\x1b[J")
        lines = PICTURE.sub("", progress).split("\n")
        if max(map(len, lines)) >= columns:
            raise AssertionError(f"wider than {columns}: {max(lines, key=len)!r}")
        expect("of 3  [" in progress, columns == 80)  # where there is no room for the bar, the figures go first
        expect("of 3  " in progress and "503, again in" in progress, True)
        expect("\x1b[2m" in progress, True)
        rows = table.splitlines()
        expect(rows[0], "STATUS       BYTES       TIME  TRIES  URL")
        expect([row.split()[0] for row in rows[1:]], ["200", "200", "404", "3"])
        expect("\x1b" in table, False)
        expect_match(rows[3], "404 .*/none   404 Not Here")
    said, _ = on_terminal(backend, 80, url("/busy-plain-" + backend), NO_COLOR="1")
    expect("\x1b[2m" in said, False)


@test
def an_interrupt_ends_it_with_the_table(backend):
    said, status = on_terminal(backend, 80, "--retries", "0", url("/ok"), url("/silent"), interrupt=b"1 of 2")
    expect(status, 130)
    rows = said.rpartition("\x1b[J")[2].splitlines()
    expect_match(rows[1], "200 .*/ok")
    expect_match(rows[2], "- .*/silent   given up")


@test
def limits_of_time_are_kept(backend):
    done = fetch(backend, "--timeout", "0.1", "--retries", "0", url("/silent"))
    expect_match(done.stdout, r"-\t0\t[0-9.]+\t1\t.*\tno answer in 0\.1 s\n")
    done = fetch(backend, "--total", "0.1", url("/silent"), url("/ok"))
    expect_match(done.stderr, r"2 URLs, 1 fetched, 1 failed.*\nfetch: given up after 0\.1 s\n")
    expect(done.returncode, 1)


@test
def wrong_commands_are_explained(backend):
    for arguments, says in [(["--bogus"], "--bogus"), (["-n", "0"], "-n takes a number from 1 to 10000, not \"0\""),
                            (["--timeout", "x"], "--timeout takes a number from 0.001 to 1000000000, not")]:
        done = fetch(backend, *arguments, stdin=subprocess.DEVNULL)
        expect((done.returncode, done.stdout), (2, ""))
        expect(says in done.stderr, True)


@test
def what_cannot_be_written_is_a_failure(backend):
    for arguments in (["--scene"], [url("/ok")], ["--json", url("/ok")]):
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([os.path.join(EXAMPLES, "fetch"), *arguments], env=environment(backend),
                                  stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, timeout=LIMIT,
                                  check=False, text=True)
        expect_match(done.stderr, ".*fetch: standard output could not be written\n")
        expect(done.returncode, 1)


@test
def look_15_prints_what_became_of_each(backend):
    done = subprocess.run([os.path.join(EXAMPLES, "look_15_fetch"), url("/away"), url("/none"), "nonsense"],
                          env=environment(backend), timeout=LIMIT, capture_output=True, check=False, text=True)
    lines = sorted(done.stdout.splitlines())
    expect(lines[0], url("/none") + ": 404 Not Here, 5 bytes")
    expect(lines[1], url("/ok?from=away") + ": 200 OK, 5 bytes")
    expect_match(lines[2], "nonsense: bad URL .*")
    expect(done.returncode, 0)


def main():
    wanted = sys.argv[1:]
    passed = failed = 0
    for function in TESTS:
        for backend in ("epoll", "uring"):
            if wanted and not any(word in function.__name__ for word in wanted):
                continue
            try:
                function(backend)
                passed += 1
            except Exception as error:  # whatever it is, the others run
                failed += 1
                print(f"FAIL {function.__name__.replace('_', ' ')} [{backend}]\n    {type(error).__name__}: {error}")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    QUIET = threading.Event()
    SERVER = Server(("127.0.0.1", 0), Handler)
    URL = f"http://127.0.0.1:{SERVER.server_port}"
    threading.Thread(target=SERVER.serve_forever, daemon=True).start()
    STATUS = main()
    QUIET.set()
    sys.exit(STATUS)
