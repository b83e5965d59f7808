#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# builds: examples/echo
"""The servers and tools of examples/servers, as programs beside which others run: what their clients get, what the
terminal shows, and how they end. Each test is run on epoll and on io_uring; none waits for a clock but with a limit."""
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLES = os.path.join(ROOT, os.environ.get("BUILD", "build/test/gcc"), "examples")
LIMIT = 20  # seconds, after which a test has failed
TESTS = []


def test(function):
    TESTS.append(function)
    return function


class Program:
    """A program of examples/servers; its output is one stream of lines."""

    def __init__(self, backend, name, *arguments, **options):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CRANK_")}
        self.process = subprocess.Popen([os.path.join(EXAMPLES, name), *arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        env=dict(environment, CRANK_BACKEND=backend, LC_ALL="C.UTF-8"), **options)
        self.timer = threading.Timer(LIMIT, self.process.kill)
        self.timer.start()

    def line(self):
        return self.process.stdout.readline().decode()

    def signal(self, number):
        self.process.send_signal(number)

    def type(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def end(self):
        """What else it says, and its status."""
        said = self.process.stdout.read().decode()
        return said, self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.timer.cancel()
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


class Client:
    """A connection, by lines."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), LIMIT)
        self.file = self.socket.makefile("rb")

    def send(self, text):
        self.socket.sendall(text.encode())

    def line(self):
        return self.file.readline().decode()

    def close(self):
        self.file.close()
        self.socket.close()


def expect(have, want):
    if have != want:
        raise AssertionError(f"{have!r}, expected {want!r}")


def expect_match(have, want):
    if not re.fullmatch(want, have, re.S):
        raise AssertionError(f"{have!r}, expected {want!r}")


def port_of(line):
    """In what a server says of itself: nc ADDRESS PORT."""
    return int(re.search(r"nc \S+ (\d+)", line)[1])


def usage(name, *arguments):
    done = subprocess.run([os.path.join(EXAMPLES, name), *arguments], capture_output=True, timeout=LIMIT, check=False)
    expect(done.returncode, 2)
    expect(done.stdout, b"")
    expect_match(done.stderr.decode(), "usage: .*\n")


# ---- echo ---------------------------------------------------------------------------------------------------------


@test
def echo_sends_back_and_ends_gracefully(backend):
    with Program(backend, "echo", "127.0.0.1:0") as echo:
        port = port_of(echo.line())
        client = Client(port)
        client.send("one\n")
        expect(client.line(), "one\n")
        expect_match(echo.line(), r"127.0.0.1:\d+ connected\n")
        echo.signal(signal.SIGTERM)
        expect(echo.line(), "Terminated: no new connections, 5 s for the 1 there are\n")
        client.send("two\n")
        expect(client.line(), "two\n")
        client.close()
        said, status = echo.end()
        expect_match(said, r"127.0.0.1:\d+ left\necho: all have left\n")
        expect(status, 0)


@test
def echo_has_its_limits(backend):
    with Program(backend, "echo", "127.0.0.1:0", "1", "0.3") as echo:
        port = port_of(echo.line())
        first, second = Client(port), Client(port)
        second.send("second\n")  # waits to be accepted
        first.send("first\n")
        expect(first.line(), "first\n")
        expect(first.line(), "")
        first.close()
        expect_match(echo.line(), r"127.0.0.1:\d+ connected\n")
        expect_match(echo.line(), r"127.0.0.1:\d+ was idle for too long\n")
        expect(second.line(), "second\n")
        second.close()


@test
def echo_says_what_is_wrong(backend):
    usage("echo", "--help")
    usage("echo", "127.0.0.1:0", "0")
    with Program(backend, "echo", "127.0.0.1:0") as echo:
        port = port_of(echo.line())
        with Program(backend, "echo", f"127.0.0.1:{port}") as other:
            said, status = other.end()
            expect(status, 1)
            expect_match(said, rf".*cannot listen on 127.0.0.1:{port}: Address already in use.*")


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
    sys.exit(main())
