#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# builds: examples/chat
"""The chat server's members in browsers, as a client of WebSocket sees it that is none of ours: beside members with nc,
what they are told, and how it ends. tests/build/browser.py looks at the page itself."""
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import struct
import sys

from programs import LIMIT, Program, expect, expect_match, main, member, port_of, test


class Browser:
    """A WebSocket: lines up, events down."""

    def __init__(self, port, query="", receives=None, **headers):
        self.socket = socket.socket()
        if receives:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
        self.socket.settimeout(LIMIT)
        self.socket.connect(("127.0.0.1", port))
        self.file = self.socket.makefile("rb")
        fields = {"Host": f"127.0.0.1:{port}", "Upgrade": "websocket", "Connection": "Upgrade",
                  "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", **headers}
        lines = [f"GET /chat{query} HTTP/1.1"] + [f"{name}: {value}" for name, value in fields.items()]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.status = int(self.file.readline().split()[1])
        while self.file.readline() != b"\r\n":
            pass

    def send(self, text):
        data, mask = text.encode(), os.urandom(4)
        size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
        self.socket.sendall(b"\x81" + size + mask + bytes(c ^ mask[i % 4] for i, c in enumerate(data)))

    def frame(self):
        """The kind and the bytes of the next frame."""
        kind, size = self.file.read(2)
        if size == 126:
            size = struct.unpack(">H", self.file.read(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self.file.read(8))[0]
        return kind & 15, self.file.read(size)

    def event(self):
        kind, data = self.frame()
        expect(kind, 1)
        return json.loads(data)

    def texts(self, count):
        """Of the next events: what each is."""
        events = [self.event() for _ in range(count)]
        return [(e["t"], e.get("from"), e["text"]) for e in events]

    def closed(self):
        """The code of the close that comes next."""
        kind, data = self.frame()
        expect(kind, 8)
        return struct.unpack(">H", data[:2])[0]

    def close(self):
        self.file.close()
        self.socket.close()


def say(program, count):
    """The server says 0, 1, 2, ..., and has done so."""
    program.type("".join(f"/say {i}\n" for i in range(count)))
    while not program.line().endswith(f"server: {count - 1}\n"):
        pass


@contextlib.contextmanager
def chat(backend, *arguments, web="127.0.0.1:0"):
    """The program, the port for nc and the one for browsers."""
    with Program(backend, "chat", "--lines", "127.0.0.1:0", "--web", web, *arguments) as program:
        line = program.line()
        program.line()
        yield program, port_of(line), int(re.search(r"http://[^/]*:(\d+)/", line)[1])


def joined(port, name, query="", **options):
    """A member in a browser, and its hello; it has read that it has joined."""
    browser = Browser(port, query, **options)
    browser.send(name)
    hello = browser.event()
    expect((hello["t"], hello["name"]), ("hello", name))
    return browser, hello


def ask(port, path, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return connection, answer


def status_of(port, path, **headers):
    connection, answer = ask(port, path, **headers)
    connection.close()
    return answer.status


@test
def the_page_takes_nothing_from_elsewhere(backend):
    with chat(backend) as (_, _, port):
        for path, kind in [("/", "text/html; charset=utf-8"), ("/style.css", "text/css; charset=utf-8"),
                           ("/chat.js", "text/javascript; charset=utf-8"), ("/icon.svg", "image/svg+xml")]:
            connection, answer = ask(port, path)
            body = answer.read().decode()
            expect((answer.status, answer.getheader("Content-Type")), (200, kind))
            expect(answer.getheader("X-Content-Type-Options"), "nosniff")
            expect_match(answer.getheader("Content-Security-Policy"), "default-src 'none'; script-src 'self'; .*")
            expect(re.findall(r"https?://(?!www\.w3\.org)\w", body), [])
            connection.close()
        expect(status_of(port, "/nothing"), 404)
        expect(status_of(port, "/", Host="elsewhere.example"), 421)  # a name that was made to mean this machine
        elsewhere = Browser(port, Origin="http://elsewhere.example")
        expect(elsewhere.status, 403)
        elsewhere.close()


@test
def both_kinds_of_members_hear_all_in_one_order(backend):
    with chat(backend) as (_, lines, port):
        ada = member(lines, "ada")
        bob, hello = joined(port, "bob")
        expect((hello["here"], hello["id"], hello["gone"]), (["ada"], 1, False))
        expect(bob.texts(1), [("join", "bob", "")])
        expect(ada.line(), "* bob joined\n")
        ada.send("to \"all\" \\ \x01\n/msg bob psst\n/me waves\n/nick eve\n")
        said = bob.texts(4)
        expect(said, [("say", "ada", "to \"all\" \\ \ufffd"), ("private", "ada", "psst"), ("me", "ada", "waves"),
                      ("nick", "ada", "eve")])
        expect(ada.line(), "* ada is now eve\n")
        bob.send("h\u00e9llo")
        back = bob.event()
        expect((back["t"], back["id"], back["from"], back["text"]), ("say", 6, "bob", "h\u00e9llo"))
        expect_match(ada.line(), r"\d\d:\d\d bob: h\u00e9llo\n")
        bob.send("/msg eve secret")
        secret = bob.event()
        expect((secret["t"], secret["to"], secret["text"], "id" in secret), ("private", "eve", "secret", False))
        expect(ada.line(), "* bob (to you): secret\n")
        bob.send("x" * 1001)
        expect(bob.texts(1), [("note", None, "that line was too long: 1000 bytes at most")])
        for _ in range(25):
            bob.send("again")
        events = bob.texts(25)
        expect(events.count(("say", "bob", "again")), 18)
        expect(events[-1], ("note", None, "slow down: that was not sent"))
        bob.send("/quit")
        expect(bob.closed(), 1000)
        for _ in range(18):
            ada.line()
        expect(ada.line(), "* bob left\n")
        ada.close()
        bob.close()


@test
def who_comes_again_is_told_what_it_has_missed(backend):
    with chat(backend) as (program, lines, port):
        say(program, 60)
        ada, hello = joined(port, "ada", "?key=k1")
        first = [ada.event() for _ in range(51)]
        expect([e["text"] for e in first[:50]], [str(i) for i in range(10, 60)])
        expect([e["id"] for e in first], list(range(11, 62)))
        ada.close()
        bob = member(lines, "bob")
        bob.line()
        bob.close()
        place = f"?key=k1&after={hello['epoch']}.61"
        ada, again = joined(port, "ada", place)
        missed = [ada.event() for _ in range(again["id"] - 61 + 1)]
        expect([e["id"] for e in missed], list(range(62, again["id"] + 2)))  # comings and goings too, and its own
        expect(("join", "bob") in [(e["t"], e["from"]) for e in missed], True)
        say(program, 300)
        cem, hello = joined(port, "cem", place)
        expect(hello["gone"], True)
        expect(cem.event()["id"], hello["id"] - 198)
        dee, hello = joined(port, "dee", "?after=1.61")  # of another server's life
        expect((hello["gone"], dee.event()["id"]), (False, hello["id"] - 49))
        for client in ada, cem, dee:
            client.close()


@test
def a_member_comes_again_before_the_server_knows_that_it_has_gone(backend):
    with chat(backend) as (_, lines, port):
        eve = member(lines, "eve")
        ada, _ = joined(port, "ada", "?key=mine")
        other = Browser(port, "?key=another")
        other.send("Ada")
        expect(other.texts(1), [("note", None, "Ada is taken; Ada2 is free")])
        again, hello = joined(port, "ada", "?key=mine")
        expect(hello["here"], ["eve"])
        expect(eve.line() + eve.line() + eve.line(), "* ada joined\n* ada lost the connection\n* ada joined\n")
        expect(ada.texts(1), [("join", "ada", "")])
        expect(ada.closed(), 4002)
        for client in eve, ada, other, again:
            client.close()


@test
def a_browser_that_does_not_read_is_dropped(backend):
    with chat(backend) as (program, lines, port):
        ada = member(lines, "ada")
        bob, _ = joined(port, "bob", receives=4096)
        expect(ada.line(), "* bob joined\n")
        expect(program.line() + program.line(), "* ada joined\n* bob joined\n")
        said, heard = 0, ""
        while heard != "* bob was too slow and left\n" and said < 20000:
            program.type(f"/say {'x' * 990}\n")
            program.line()
            heard = ada.line()
            said += 1
        expect(100 < said < 20000, True)
        ada.close()
        bob.close()


@test
def the_server_says_goodbye_and_ends(backend):
    with chat(backend) as (program, _, port):
        ada, _ = joined(port, "ada")
        connection, tasks = ask(port, "/tasks")
        tasks.readline()
        expect(ada.texts(1), [("join", "ada", "")])
        program.signal(signal.SIGTERM)
        expect(ada.texts(1), [("bye", None, "the server is going down. Goodbye!")])
        expect(ada.closed(), 1001)
        ada.close()
        expect_match(program.end()[0], ".*chat: all have left\n")
        tasks.read()  # the stream has an end, and is no broken one
        connection.close()
        expect(program.process.returncode, 0)


@test
def what_is_kicked_is_told_not_to_come_again(backend):
    with chat(backend) as (program, _, port):
        ada, _ = joined(port, "ada")
        expect(ada.texts(1), [("join", "ada", "")])
        program.type("/kick ada\n")
        expect(ada.texts(1), [("note", None, "you were asked to leave")])
        expect(ada.closed(), 4001)
        ada.close()


def tree_of(port):
    connection, tasks = ask(port, "/tasks")
    expect(tasks.getheader("Content-Type"), "text/event-stream")
    lines = []
    while not lines or lines[-1] != "\n":
        lines.append(tasks.readline().decode())
    connection.close()
    return "".join(lines)


@test
def the_panel_shows_the_tasks_to_this_machine(backend):
    with chat(backend) as (_, lines, port):
        ada = member(lines, "ada")
        bob, _ = joined(port, "bob")
        ada.line()
        tree = tree_of(port)
        for line in [r"event: tree\ndata: app\t", r"\u251c\u2500 serve lines\t",
                     r"member ada\twaits for bytes from 127", r"\u2514\u2500 serve web\t",
                     r"member bob\t", r"GET /tasks\truns"]:
            expect_match(tree, rf".*{line}.*")
        ada.close()
        bob.close()
    with chat(backend, "--no-panel") as (_, _, port):
        expect(status_of(port, "/tasks"), 404)
    with chat(backend, web="0.0.0.0:0") as (_, _, port):
        expect(status_of(port, "/tasks"), 404)


@test
def a_port_that_is_taken_is_named_with_its_option(backend):
    with chat(backend) as (_, _, port), Program(backend, "chat", "--lines", "127.0.0.1:0", "--web",
                                                f"127.0.0.1:{port}") as other:
        said, status = other.end()
        expect(status, 1)
        expect_match(said, rf".*cannot listen on 127.0.0.1:{port}: Address already in use; another place: --web .*")


if __name__ == "__main__":
    sys.exit(main())
