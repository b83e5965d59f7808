#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# builds: foreign
"""examples/foreign: libpq against PostgreSQL, hiredis against Redis, servers of this test's own, each with a folder and
a Unix socket of its own. What is not installed is skipped, by name; ./test --all installs it."""
import glob
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLES = os.path.join(ROOT, os.environ.get("BUILD", "build/test/gcc"), "examples")
LIMIT = 60  # seconds, after which a server or a program is ended

POSTGRES = """\
[20, 40, 60, 80], sooner than one after another: yes
4000000 bytes came back
notice: the first train
notice: the second train
a minute's sleep within 0.1 s: ETIMEDOUT
the server says: ERROR:  division by zero
"""
REDIS = """\
4000000 bytes came back
the sum of 0 to 999 is 499500
taken: one
taken: two
taken: three
news: it rains
news: it has stopped
an item within 0.1 s: ETIMEDOUT
the server says: ERR wrong number of arguments for 'get' command
"""


class Server:
    """A program that says on stderr or stdout when it is ready; ended with the block."""

    def __init__(self, command, ready, **options):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, errors="replace", **options)
        self.timer = threading.Timer(LIMIT, self.process.kill)
        self.timer.start()
        self.said = ""
        for line in self.process.stdout:
            self.said += line
            if ready in line:
                threading.Thread(target=self.process.stdout.read, daemon=True).start()
                return
        self.end()
        raise AssertionError(f"{command[0]} is not ready: {self.said}")

    def end(self):
        """Without a wait for clients that are still there."""
        self.timer.cancel()
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def prints(program, argument, expected):
    for backend in ("epoll", "uring"):
        done = subprocess.run([os.path.join(EXAMPLES, program), argument], capture_output=True, text=True,
                              timeout=LIMIT, check=False, env=dict(os.environ, CRANK_BACKEND=backend))
        if (done.stdout, done.returncode) != (expected, 0):
            raise AssertionError(f"{program} on {backend} prints {done.stdout!r} with status {done.returncode}, "
                                 f"expected {expected!r}: {done.stderr}")


def says_what_is_wrong(program, argument, text):
    path = os.path.join(EXAMPLES, program)
    usage = subprocess.run([path], capture_output=True, text=True, timeout=LIMIT, check=False)
    if usage.returncode != 2 or not usage.stderr.startswith("usage: "):
        raise AssertionError(f"{program} without arguments: status {usage.returncode}, {usage.stderr!r}")
    done = subprocess.run([path, argument], capture_output=True, text=True, timeout=LIMIT, check=False)
    if done.returncode != 1 or text not in done.stderr:
        raise AssertionError(f"{program} {argument}: status {done.returncode}, {done.stderr!r}, expected {text!r}")


def postgres_tool(name):
    """Debian keeps the server's own programs out of PATH."""
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    return found[-1] if found else shutil.which(name)


def postgres(folder):
    """The server refuses to run as root."""
    options = {}
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        options = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        os.chown(folder, user.pw_uid, user.pw_gid)
    data = os.path.join(folder, "data")
    make = [postgres_tool("initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"]
    made = subprocess.run(make, capture_output=True, text=True, cwd=folder, timeout=LIMIT, check=False, **options)
    if made.returncode != 0:
        raise AssertionError(f"initdb: {made.stderr}")
    server = [postgres_tool("postgres"), "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"]
    with Server(server, "ready to accept connections", cwd=folder, **options):
        prints("postgres", f"host={folder} user=postgres dbname=postgres", POSTGRES)
        says_what_is_wrong("postgres", f"host={folder} user=postgres dbname=none", 'database "none" does not exist')
    says_what_is_wrong("postgres", f"host={folder} user=postgres", "connecting: connection to server on socket")


def redis(folder):
    path = os.path.join(folder, "redis")
    with Server([shutil.which("redis-server"), "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder],
                "ready to accept connections"):
        prints("redis", path, REDIS)
    says_what_is_wrong("redis", path, "No such file or directory")


TESTS = {
    "libpq and PostgreSQL": (postgres, "postgres", lambda: postgres_tool("initdb"), "libpq-dev postgresql"),
    "hiredis and Redis": (redis, "redis", lambda: shutil.which("redis-server"), "libhiredis-dev redis-server"),
}


def main():
    passed = failed = skipped = 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for name, (test, program, server, packages) in TESTS.items():
        if not os.access(os.path.join(EXAMPLES, program), os.X_OK) or not server():
            print(f"{name} are skipped: not installed ({packages})")
            skipped += 1
            continue
        # As root the servers' own user must reach it, and may not enter the folder of the tests.
        folder = tempfile.mkdtemp(prefix="crank-foreign-", dir="/tmp" if os.geteuid() == 0 else None)
        try:
            test(folder)
            passed += 1
        except Exception as error:  # whatever it is, the other runs
            failed += 1
            print(f"FAIL {name}\n    {type(error).__name__}: {error}")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
