# SPDX-License-Identifier: MIT
"""Examples as programs beside which others run: what servers.py and web_servers.py share. Each test is run on epoll and
on io_uring; none waits for a clock but with a limit."""
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
signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored, also by what is started


def test(function):
    TESTS.append(function)
    return function


class Program:
    """A program of examples/servers; its output is one stream of lines."""

    def __init__(self, backend, name, *arguments, **options):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CRANK_")} | options.pop("env", {})
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        self.process = subprocess.Popen([os.path.join(EXAMPLES, name), *arguments], **{**streams, **options},
                                        env=dict(environment, CRANK_BACKEND=backend, LC_ALL="C.UTF-8"))
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
        for pipe in filter(None, (self.process.stdin, self.process.stdout)):
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


def usage(wrong, name, *arguments):
    """A command that is refused, first by a sentence, in which this is."""
    done = subprocess.run([os.path.join(EXAMPLES, name), *arguments], capture_output=True, timeout=LIMIT, check=False)
    expect(done.returncode, 2)
    expect(done.stdout, b"")
    expect_match(done.stderr.decode(), rf"{name}: [^\n]*{re.escape(wrong)}[^\n]*\nusage: {name} .*\n")


def helps(name):
    """--help is no mistake."""
    done = subprocess.run([os.path.join(EXAMPLES, name), "--help"], capture_output=True, timeout=LIMIT, check=False)
    expect((done.returncode, done.stderr), (0, b""))
    expect_match(done.stdout.decode(), f"usage: {name} .*\n")


def member(port, name):
    """A member of that name, which has read the first line."""
    client = Client(port)
    expect(client.line(), "Welcome to crank chat. Your name?\n")
    client.send(name + "\n")
    expect_match(client.line(), rf"\* you are {name}\. Here: .*\. /help lists the commands\n")
    return client


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
