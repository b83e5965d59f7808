#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# builds: examples/httpd examples/look_16_httpd examples/look_17_websocket
"""The servers of the web, of examples/servers and examples/look: what their clients get, and how they end."""
import contextlib
import http.client
import os
import re
import signal
import socket
import sys
import tempfile
import time

from programs import LIMIT, Program, expect, expect_match, helps, main, test, usage

# ---- look/16 ------------------------------------------------------------------------------------------------------


def ask(method, path, body=None):
    """Status and text of one answer of look/16; None while nothing listens."""
    connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=LIMIT)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except ConnectionRefusedError:
        return None
    finally:
        connection.close()


@test
def look_16_answers_and_ends(backend):
    """Its port is always 8080, and where another has it the program ends: then it is started again."""
    ends = time.monotonic() + LIMIT
    while True:
        with tempfile.TemporaryDirectory() as folder, Program(backend, "look_16_httpd", cwd=folder) as program:
            os.mkdir(os.path.join(folder, "public"))
            with open(os.path.join(folder, "public", "page.txt"), "w", encoding="ascii") as page:
                page.write("a page\n")
            while not (hello := ask("GET", "/hello?name=a%20b")) and program.process.poll() is None:
                time.sleep(0.01)
            if hello and program.process.poll() is None:
                expect(hello, (200, "Hello, a b!\n"))
                expect(ask("POST", "/upload", b"x" * 300000), (200, "300000 bytes\n"))
                expect(ask("GET", "/page.txt"), (200, "a page\n"))
                expect(ask("GET", "/../page.txt")[0] // 100, 4)
                program.signal(signal.SIGINT)
                expect(program.end()[1], 130)
                return
        if time.monotonic() > ends:
            raise AssertionError("port 8080 stays in use")


# ---- look/17 ------------------------------------------------------------------------------------------------------


class Browser:
    """A WebSocket by hand, to look/17; texts shorter than 126 bytes."""

    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", 8080), LIMIT)
        self.file = self.socket.makefile("rb")
        self.socket.sendall(b"GET /chat HTTP/1.1\r\nHost: localhost:8080\r\nUpgrade: websocket\r\n"
                            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://localhost:8080\r\n\r\n")
        self.head = b"".join(iter(self.file.readline, b"\r\n"))

    def frame(self, opcode, payload):
        self.socket.sendall(bytes([0x80 | opcode, 0x80 | len(payload), 0, 0, 0, 0]) + payload)

    def say(self, text):
        self.frame(1, text.encode())

    def hear(self):
        """Opcode and bytes of the next frame."""
        first, size = self.file.read(2)
        return first & 0x0F, self.file.read(size)

    def leave(self):
        self.frame(8, (1000).to_bytes(2, "big"))
        answer = self.hear()
        end = self.file.read()
        self.file.close()
        self.socket.close()
        return answer, end


@test
def look_17_tells_everyone_what_anyone_says(backend):
    """Its port is look/16's."""
    ends = time.monotonic() + LIMIT
    while True:
        with Program(backend, "look_17_websocket") as program:
            ada = None
            while not ada and program.process.poll() is None:
                with contextlib.suppress(ConnectionRefusedError):
                    ada = Browser()
                time.sleep(0.01)
            if ada and program.process.poll() is None:
                bob = Browser()
                expect_match(bob.head.decode(), r"HTTP/1\.1 101 .*")
                ada.say("hello")
                expect((ada.hear(), bob.hear()), ((1, b"hello"), (1, b"hello")))
                expect(bob.leave(), ((8, b"\x03\xe8"), b""))
                ada.say("gone?")
                expect(ada.hear(), (1, b"gone?"))
                program.signal(signal.SIGINT)
                expect(program.end(), ("", 130))
                ada.file.close()
                ada.socket.close()
                return
            if ada:
                ada.file.close()
                ada.socket.close()
        if time.monotonic() > ends:
            raise AssertionError("port 8080 stays in use")
# ---- httpd --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def httpd(backend, *options):
    """It serves a folder; gives the program, a connection to it and the folder."""
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(os.path.join(folder, "a <b>", "sub"))
        os.mkdir(os.path.join(folder, "site"))
        os.symlink("/etc", os.path.join(folder, "a <b>", "etc"))
        for name in "a <b>/10.txt", "a <b>/9.txt", "a <b>/.hidden", "site/index.html":
            with open(os.path.join(folder, name), "w", encoding="ascii") as file:
                file.write(name)
        with Program(backend, "httpd", folder, "127.0.0.1:0", *options) as program:
            port = int(re.search(r"http://127.0.0.1:(\d+)/", program.line())[1])
            yield program, http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT), folder


def get(connection, target, headers=None):
    connection.request("GET", target, headers=headers or {})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


@test
def httpd_serves_a_folder_and_logs(backend):
    with httpd(backend) as (program, connection, _):
        expect(program.line(), "       it has no index.html, so / is not found; --list shows folders as lists\n")
        expect(get(connection, "/a%20%3Cb%3E/9.txt", {"Range": "bytes=-5"}), (206, "9.txt"))
        expect_match(program.line(), r'127\.0\.0\.1 - - \[../.../....:..:..:.. \+0000\] '
                                     r'"GET /a%20%3Cb%3E/9\.txt HTTP/1\.1" 206 5 \d+\n')
        expect(get(connection, "/site/"), (200, "site/index.html"))
        expect(get(connection, "/a%20%3Cb%3E/")[0], 404)
        program.signal(signal.SIGTERM)
        said, status = program.end()
        expect(status, 0)
        expect("httpd: Terminated: no new requests, 10 s for those under way\n" in said, True)


@test
def httpd_lists_folders_where_that_is_wanted(backend):
    with httpd(backend, "--list") as (program, connection, _):
        status, page = get(connection, "/a%20%3Cb%3E/")
        expect(status, 200)
        expect(re.findall("<li>.*</li>", page),
               ['<li><a href="../">../</a></li>', '<li><a href="9.txt">9.txt</a></li>',
                '<li><a href="10.txt">10.txt</a></li>', '<li><a href="sub/">sub/</a></li>'])
        expect("<title>/a &lt;b&gt;/</title>" in page, True)
        expect('href="a%20%3Cb%3E/"' in get(connection, "/")[1], True)
        expect(get(connection, "/site/"), (200, "site/index.html"))
        for absent in "/none/", "/a%20%3Cb%3E/etc/", "/a%20%3Cb%3E/9.txt/", "/.git/":
            expect(get(connection, absent)[0], 404)
        program.signal(signal.SIGINT)
        expect(program.end()[1], 0)


@test
def httpd_says_what_is_wrong(backend):
    helps("httpd")
    usage("DIR and ADDRESS are all", "httpd", "a", "b", "c")
    usage("--key wants a --cert", "httpd", "--key", "x")
    with Program(backend, "httpd", "--fast") as program:
        expect_match(program.end()[0], ".*unrecognized option '--fast'\nusage: httpd .*")
    with Program(backend, "httpd", "/none") as program:
        expect(program.end(), ("httpd: /none: No such file or directory\n", 1))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with Program(backend, "httpd", "/", address) as program:
            said, status = program.end()
            expect(status, 1)
            expect_match(said, rf".*cannot listen on {address}: Address already in use; another place: httpd DIR .*")


if __name__ == "__main__":
    sys.exit(main())
