#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# builds: examples/echo examples/chat examples/proxy examples/shell examples/look_13_graceful
"""The servers and tools of examples/servers: what their clients get, what the terminal shows, and how they end."""
import contextlib
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from programs import LIMIT, Client, Program, expect, expect_match, helps, main, member, port_of, test, usage

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
def echo_says_how_nc_connects(backend):
    with tempfile.TemporaryDirectory() as folder:
        for address, command in (("127.0.0.1:0", r"nc 127\.0\.0\.1 \d+"), ("[::1]:0", r"nc ::1 \d+"),
                                 (f"unix:{folder}/echo", f"nc -U {folder}/echo")):
            with Program(backend, "echo", address) as echo:
                expect_match(echo.line(), f"echo: try it with: {command}   .*\n")


@test
def echo_says_what_is_wrong(backend):
    helps("echo")
    usage('HOST:PORT, not "-x"', "echo", "-x")
    usage('from 1, not "0"', "echo", "127.0.0.1:0", "0")
    usage('from 1, not "5x"', "echo", "127.0.0.1:0", "5x")
    usage('above 0, not "1s"', "echo", "127.0.0.1:0", "5", "1s")
    with Program(backend, "echo", "127.0.0.1:0") as echo:
        port = port_of(echo.line())
        with Program(backend, "echo", f"127.0.0.1:{port}") as other:
            said, status = other.end()
            expect(status, 1)
            expect_match(said, rf".*cannot listen on 127.0.0.1:{port}: Address already in use.*")


# ---- chat ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def chat(backend, *options, **more):
    with Program(backend, "chat", "--lines", "127.0.0.1:0", "--web", "127.0.0.1:0", *options, **more) as program:
        port = port_of(program.line())
        program.line()
        yield program, port


@test
def chat_brings_lines_to_all_others(backend):
    with chat(backend) as (program, port):
        ada = member(port, "ada")
        bob = Client(port)
        bob.line()
        bob.send("Ada\n")
        expect(bob.line(), "Ada is taken; Ada2 is free. Your name?\n")
        bob.send("two words\n")
        expect(bob.line(), "a name is 1 to 20 letters, digits, or - _ .. Your name?\n")
        bob.send("b\u00f6b\r\n")
        expect(bob.line(), "* you are b\u00f6b. Here: ada. /help lists the commands\n")
        expect(ada.line(), "* b\u00f6b joined\n")
        ada.send("hello\n/me waves\n/msg b\u00f6b psst\n/nick eve\n/who\n")
        expect_match(bob.line(), r"\d\d:\d\d ada: hello\n")
        expect(bob.line(), "* ada waves\n")
        expect(bob.line(), "* ada (to you): psst\n")
        expect(bob.line(), "* ada is now eve\n")
        expect(ada.line(), "* ada is now eve\n")
        expect(ada.line(), "* 2 here: eve, b\u00f6b\n")
        ada.send("tab\there \x1b[31m" + "x" * 2000 + "\nbell\x07\n/quit\n")
        expect(ada.line(), "* that line was too long: 1000 bytes at most\n")
        expect_match(bob.line(), r"\d\d:\d\d eve: bell\ufffd\n")
        expect(bob.line(), "* eve left\n")
        expect(ada.line(), "")
        ada.close()
        bob.close()


@test
def chat_has_limits(backend):
    with chat(backend) as (program, port):
        ada, bob = member(port, "ada"), member(port, "bob")
        line = "x" * 1000
        ada.send((line + "\n") * 25)
        for _ in range(20):
            expect_match(bob.line(), rf"\d\d:\d\d ada: {line}\n")
        expect(ada.line(), "* bob joined\n")
        expect(ada.line(), "* slow down: that was not sent\n")
        others = [member(port, f"m{i}") for i in range(18)]
        last = Client(port)
        last.line()
        last.send("one-too-many\n")
        expect(last.line(), "there are too many from your address. Your name?\n")
        for client in [ada, bob, last] + others:
            client.close()


@test
def chat_lists_whole_names(backend):
    with chat(backend) as (_, port):
        names = [chr(0x4e00 + i) * 20 for i in range(10)]  # more than the list has room for
        members = [member(port, name) for name in names]
        last = members[-1]
        last.send("/who\n")
        expect(last.line(), f"* 10 here: {', '.join(names[:8])}\n")
        for client in members:
            client.close()


@test
def chat_obeys_its_terminal(backend):
    with chat(backend) as (program, port):
        ada, bob = member(port, "ada"), member(port, "bob")
        expect(ada.line(), "* bob joined\n")
        expect(program.line() + program.line(), "* ada joined\n* bob joined\n")
        program.type("/who\n/say hear\n/kick cem\n/kick BOB\nwhat\n")
        expect(program.line(), "2 here: ada, bob\n")
        expect_match(program.line(), r"\d\d:\d\d server: hear\n")
        expect(program.line(), "cem is not here\n")
        expect(program.line(), "* bob was asked to leave\n")
        expect(program.line(), "/who, /say TEXT, /kick NAME, /stop\n")
        expect_match(bob.line(), r"\d\d:\d\d server: hear\n")
        expect(bob.line(), "* you were asked to leave\n")
        expect(bob.line(), "")
        expect_match(ada.line(), r"\d\d:\d\d server: hear\n")
        expect(ada.line(), "* bob was asked to leave\n")
        program.type("/stop\n")
        expect(ada.line(), "* the server is going down. Goodbye!\n")
        expect(ada.line(), "")
        ada.close()
        bob.close()
        expect(program.end(), ("chat: all have left\n", 0))


@test
def chat_says_goodbye_when_it_is_asked_to_end(backend):
    for number in (signal.SIGINT, signal.SIGTERM):
        with chat(backend) as (program, port):
            program.process.stdin.close()
            ada = member(port, "ada")
            program.signal(number)
            expect(ada.line(), "* the server is going down. Goodbye!\n")
            expect(ada.line(), "")
            ada.close()
            expect(program.end(), ("* ada joined\n* the server is going down. Goodbye!\nchat: all have left\n", 0))


@test
def chat_opens_a_browser_at_its_page(backend):
    with tempfile.TemporaryDirectory() as folder:
        said = os.path.join(folder, "said")
        os.mkfifo(said)
        with open(os.path.join(folder, "xdg-open"), "w", encoding="ascii") as opener:
            opener.write(f'#!/bin/sh\necho "$@" >{said}\n')
        os.chmod(opener.name, 0o755)
        for path in folder, "/none":
            with chat(backend, "--open", env={"PATH": f"{path}:/bin"}) as (program, _):
                if path == folder:
                    with open(said, encoding="ascii") as opened:
                        expect_match(opened.read(), r"http://127\.0\.0\.1:\d+/\n")
                else:
                    expect_match(program.line(), "chat: no browser was opened: .*xdg-open.*\n")
                program.signal(signal.SIGTERM)
                expect(program.end()[1], 0)


@test
def chat_says_what_is_wrong(backend):
    helps("chat")
    usage("--nonsense is unknown", "chat", "--nonsense")
    usage("--lines stands at the end, without its value", "chat", "--lines")
    usage("127.0.0.1:0 is unknown", "chat", "127.0.0.1:0")
    usage("--key wants a --cert", "chat", "--key", "x")
    with chat(backend) as (_, port), Program(backend, "chat", "--lines", f"127.0.0.1:{port}") as other:
        said, status = other.end()
        expect(status, 1)
        expect_match(said, rf".*cannot listen on 127.0.0.1:{port}: Address already in use; another place: --lines .*")


# ---- proxy --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def proxy(backend):
    """A proxy, and the socket to which its target's connections come."""
    with socket.create_server(("127.0.0.1", 0)) as target:
        target.settimeout(LIMIT)
        with Program(backend, "proxy", "127.0.0.1:0", f"127.0.0.1:{target.getsockname()[1]}") as program:
            port = int(re.match(r"proxy: 127.0.0.1:(\d+) -> ", program.line())[1])
            yield program, port, target


def read_all(connection):
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


@test
def proxy_passes_bytes_and_ends_on(backend):
    with proxy(backend) as (program, port, target):
        client = Client(port)
        behind = target.accept()[0]
        behind.settimeout(LIMIT)
        question, answer = os.urandom(300000), os.urandom(400000)
        sending = threading.Thread(target=lambda: (client.socket.sendall(question),
                                                   client.socket.shutdown(socket.SHUT_WR)))
        sending.start()
        expect(read_all(behind) == question, True)  # and its end, while the other direction goes on
        program.signal(signal.SIGUSR1)
        expect_match(program.line(), "proxy: 1 connections, 1 open, 0 refused, 0 broken; 300000 bytes up, 0 down\n")
        sender = threading.Thread(target=lambda: (behind.sendall(answer), behind.close()))
        sender.start()
        expect(client.file.read() == answer, True)
        sending.join()
        sender.join()
        client.close()
        program.signal(signal.SIGTERM)
        expect(program.end(),
               ("proxy: 1 connections, 0 open, 0 refused, 0 broken; 300000 bytes up, 400000 down\n", 0))


@test
def proxy_passes_a_reset_on(backend):
    now = struct.pack("ii", 1, 0)  # closing sends a reset
    with proxy(backend) as (program, port, target):
        for breaks in ("client", "target"):
            client = socket.create_connection(("127.0.0.1", port), LIMIT)
            behind = target.accept()[0]
            behind.settimeout(LIMIT)
            first, other = (client, behind) if breaks == "client" else (behind, client)
            first.sendall(b"half an ans")
            expect(other.recv(100), b"half an ans")
            first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
            first.close()
            try:
                raise AssertionError(f"{breaks}: {other.recv(100)!r}, expected a reset")
            except ConnectionResetError:
                other.close()


@test
def proxy_says_what_is_wrong(backend):
    helps("proxy")
    usage("two addresses, LISTEN and TARGET", "proxy")
    usage("two addresses, LISTEN and TARGET", "proxy", "127.0.0.1:0")
    usage('HOST:PORT, not "nonsense"', "proxy", "127.0.0.1:0", "nonsense")
    with Program(backend, "proxy", "--cert", "/none", "127.0.0.1:0", "localhost:80") as program:
        expect_match(program.end()[0], r"crank: task 'Task-1' failed: cannot open /none: .*")
    with proxy(backend) as (program, port, target):
        where = target.getsockname()[1]
        target.close()
        with contextlib.suppress(ConnectionResetError):  # which may come before the call has returned
            client = Client(port)
            expect(client.line(), "a reset")
        expect_match(program.line(), rf"proxy: 127.0.0.1:\d+: .*127.0.0.1:{where}: Connection refused.*\n")


# ---- look/13 ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def graceful(backend):
    """look/13, and its output as a terminal shows it, line by line. Its port is always 7000: where another test has it
    just now, the program is started again."""
    line, ends = "", time.monotonic() + LIMIT
    while time.monotonic() < ends:
        ours, theirs = pty.openpty()
        with Program(backend, "look_13_graceful", stdout=theirs) as program, open(ours, "rb") as terminal:
            os.close(theirs)
            line = terminal.readline().decode()
            if "Address already in use" not in line:
                expect_match(line, r"listening on \S+:7000\r\n")
                yield program, terminal
                return
        time.sleep(0.05)
    raise AssertionError(f"port 7000 stays in use: {line}")


@test
def look_13_ends_gracefully(backend):
    with graceful(backend) as (program, terminal):
        client = Client(7000)
        client.send("one\ntwo\n")
        expect(client.line() + client.line(), "1\n2\n")
        program.signal(signal.SIGTERM)
        expect(terminal.readline(), b"Terminated: stopping\r\n")
        client.send("three\n")  # a connected client is served on
        expect(client.line(), "3\n")
        client.close()
        expect(program.process.wait(), 0)
        with contextlib.suppress(OSError):  # the terminal's other end is closed
            expect(terminal.readline(), b"")


# ---- shell --------------------------------------------------------------------------------------------------------


@test
def shell_keeps_outputs_apart(backend):
    with Program(backend, "shell", "-j", "1", "echo a; echo b >&2; printf c", "exit 3", "kill -9 $$", "pwd") as shell:
        said, status = shell.end()
        expect(status, 1)
        seconds = r"\d+\.\d\d s"
        expect_match(said, rf"--- echo a; echo b >&2; printf c \(status 0, {seconds}\)\na\nc\nb\n"
                           rf"--- exit 3 \(status 3, {seconds}\)\n--- kill -9 \$\$ \(Killed, {seconds}\)\n"
                           rf"--- pwd \(status 0, {seconds}\)\n/.*\n--- 2 of 4 failed\n")


@test
def shell_runs_so_many_at_once(backend):
    """Each of two commands waits for the other: with -j 2 they meet, and the third runs after one of them."""
    with tempfile.TemporaryDirectory() as folder:
        meet = "touch {0}; until [ -e {1} ]; do sleep 0.01; done; touch {0}.done"
        with Program(backend, "shell", "-j", "2", meet.format("a", "b"), meet.format("b", "a"),
                     "[ -e a.done ] || [ -e b.done ]", cwd=folder) as shell:
            said, status = shell.end()
            expect((said.count("status 0"), status), (3, 0))


@test
def shell_shows_progress_on_a_terminal(backend):
    ours, theirs = pty.openpty()
    with Program(backend, "shell", "read x; sleep 0.5; echo done", stdin=subprocess.DEVNULL, stderr=theirs) as shell:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # the terminal's other end is closed
            while piece := os.read(ours, 4096):
                shown += piece
        os.close(ours)
        said, status = shell.end()
    expect_match(said, r"--- .* \(status 0, .* s\)\ndone\n")
    expect(status, 0)
    expect_match(shown.decode(), r".*\r\x1b\[K0 of 1, 1 running, 0 s: read x.*\r\x1b\[K")


@test
def shell_ends_its_commands_when_interrupted(backend):
    with Program(backend, "shell", "echo $$; exec sleep 1000", "sleep 1000") as shell:
        children = ""
        while len(children.split()) < 2:
            expect(shell.process.poll(), None)
            time.sleep(0.01)
            with open(f"/proc/{shell.process.pid}/task/{shell.process.pid}/children", encoding="ascii") as file:
                children = file.read()
        shell.signal(signal.SIGINT)
        _, status = shell.end()
        expect(status, 130)
        for child in children.split():
            expect(os.path.exists(f"/proc/{child}"), False)


@test
def shell_says_what_is_wrong(_):
    helps("shell")
    usage("no COMMAND", "shell")
    usage("-j takes a number from 1", "shell", "-j", "0", "true")
    usage("-j takes a number from 1", "shell", "-j", "2x", "true")


@test
def shell_tells_what_became_of_what_was_written(backend):
    with Program(backend, "shell", "head -c 20000000 /dev/zero") as shell:
        expect_match(shell.end()[0], r"--- head .* \(.*more than 16777216 bytes.*, \d+\.\d\d s\)\n--- 1 of 1 failed\n")
    with open("/dev/full", "w", encoding="ascii") as full, Program(
            backend, "shell", "echo lost", stdout=full, stderr=subprocess.PIPE) as shell:
        expect_match(shell.process.stderr.read().decode(), ".*could not be written to standard output.*")
        expect(shell.process.wait(), 1)


if __name__ == "__main__":
    sys.exit(main())
