#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What programs that look for weaknesses of servers find in httpd of the examples, over http and https: openssl
s_client, sslscan, testssl.sh and slowhttptest; fetch of the examples beside openssl s_server; and nginx in front as
docs/how-to/behind-a-proxy.md has it. A program that is not there is skipped by name. HTTPD and FETCH name ours, SERVER
the program of clients/server.c, which takes bodies, SCRATCH a folder. While slowhttptest holds its connections another
client is answered; and the server ends them all."""
import asyncio
import contextlib
import http.client
import json
import os
import re
import resource
import ssl
import statistics
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree

import runner
from peers import NGINX_HEAD, ROOT, SCRATCH, daemon, free_port, needs, program
from runner import Skipped

HTTPD = os.path.abspath(os.environ.get("HTTPD", "build/test/gcc/examples/httpd"))
FETCH = os.path.abspath(os.environ.get("FETCH", "build/test/gcc/examples/fetch"))
SERVER = os.path.abspath(os.environ.get("SERVER", "build/test/gcc/tests/clients_server"))
CERTIFICATES = os.path.join(SCRATCH, "certificates")
PEM, KEY, CA = (os.path.join(CERTIFICATES, name) for name in ("localhost.pem", "localhost.key", "ca.pem"))
LIMIT = 60  # seconds for a command
SLOW_SECONDS, SLOW_CONNECTIONS = 60, 1000
SLOW_END = 45  # seconds until the server has ended those: 30 are free of the rate that it asks for
PAGE = "<p>the page\n"
# A reader has the kernel keep up to 4 MB for it: more of them would use up what that has for all sockets.
SLOW_READERS, LARGE = 100, 8000000
GET = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST = GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")


def expect(holds, *shown):
    if not holds:
        raise AssertionError(" ".join(str(one)[-600:] for one in shown))


def run(*command, seconds=LIMIT, text=""):
    """What it prints, and its exit status."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, errors="replace", timeout=seconds,
                          check=False)
    return done.stdout + done.stderr, done.returncode


def site():
    """A folder with a page, and a file that no socket takes at once."""
    folder = os.path.join(SCRATCH, "site")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "index.html"), "w", encoding="ascii") as file:
        file.write(PAGE)
    with open(os.path.join(folder, "large.txt"), "w", encoding="ascii") as file:
        file.write("x" * LARGE)
    return folder


@contextlib.contextmanager
def httpd(*arguments):
    """It serves the folder, and gives its port."""
    port = free_port()
    with daemon(HTTPD, site(), f"127.0.0.1:{port}", *arguments, port=port):
        yield port


def server():
    return program(SERVER, site())


def https():
    return httpd("--cert", PEM, "--key", KEY)


# ---- openssl s_client ----------------------------------------------------------------------------------------------


class SClient:
    """openssl s_client, to which lines are typed, one when the last one's answer is there."""

    def __init__(self, port, *arguments):
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost", "-CAfile", CA,
                   "-verify_hostname", "localhost", *arguments]
        self.said, self.program = "", subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                                       stderr=subprocess.STDOUT)
        os.set_blocking(self.program.stdout.fileno(), False)

    def read_until(self, text, times=1):
        """Until that has been said so many times, or it has ended."""
        deadline = time.monotonic() + LIMIT
        while self.said.count(text) < times and time.monotonic() < deadline:
            piece = self.program.stdout.read()
            if piece == b"":
                break
            self.said += (piece or b"").decode(errors="replace")
            time.sleep(0.02)

    def type(self, line, answer, times=1):
        with contextlib.suppress(BrokenPipeError):
            self.program.stdin.write(line.encode())
            self.program.stdin.flush()
        self.read_until(answer, times)

    def end(self):
        with contextlib.suppress(BrokenPipeError):
            self.program.stdin.close()
        self.read_until("\0none such")
        self.program.kill()
        self.program.wait()
        return self.said


def s_client(port, *arguments, lines=()):
    """What it has said when all lines were typed: each with what it is answered, and the how manyth of these."""
    client = SClient(port, *arguments)
    client.read_until("Verify return code")
    for line in lines:
        client.type(*line)
    return client.end()


def openssl_client_is_given_1_2_and_1_3_and_no_older_version():
    needs("openssl")
    with https() as port:
        for version in ("-tls1", "-tls1_1"):
            said = s_client(port, version, "-cipher", "DEFAULT@SECLEVEL=0")
            expect("alert number 70" in said, version, said)  # protocol version: by the server, not by this client
        for version, name in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
            said = s_client(port, version, lines=[(LAST, PAGE)])
            expect(f"New, {name}, Cipher is" in said and "Verify return code: 0 (ok)" in said and PAGE in said, said)


def openssl_client_may_update_keys_and_not_renegotiate():
    needs("openssl")
    with https() as port:
        said = s_client(port, "-tls1_3", lines=[(GET, PAGE), ("K\n", "KEYUPDATE"), (GET, PAGE, 2),
                                                ("k\n", "KEYUPDATE", 2), (LAST, PAGE, 3)])
        expect(said.count("KEYUPDATE") == 2 and said.count(PAGE) == 3, said)
        said = s_client(port, "-tls1_2", lines=[("R\n", "renegotiation:"), (LAST, PAGE)])
        expect("no renegotiation" in said and PAGE not in said, said)
        said = s_client(port, "-tls1_2", "-reconnect", lines=[(LAST, PAGE)])
        expect(len(re.findall(r"^(?:New|Reused), TLSv1.2", said, re.M)) == 6, said)
        said = s_client(port, "-alpn", "h2", lines=[(LAST, PAGE)])
        expect("No ALPN negotiated" in said and PAGE in said, said)


# ---- openssl s_server ----------------------------------------------------------------------------------------------


def fetch_asks_an_openssl_server():
    needs("openssl")

    def asked(*arguments, trust=CA, name="localhost"):
        port = free_port()
        with daemon("openssl", "s_server", "-accept", str(port), "-cert", PEM, "-key", KEY, "-www", *arguments,
                    port=port):
            return run(FETCH, "--retries", "0", f"https://{name}:{port}/", "--trust", trust)

    for arguments in (["-tls1_2"], ["-tls1_3"], ["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"],
                      ["-tls1_3", "-groups", "P-384"], ["-tls1_3", "-num_tickets", "8"], ["-tls1_2", "-no_ticket"]):
        said, status = asked(*arguments)
        expect(status == 0 and "200" in said, arguments, said)
    said, status = asked("-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
    expect(status == 1 and "protocol version" in said.lower(), said)
    said, status = asked(trust=os.path.join(ROOT, "tests/real/tools.py"))
    expect(status != 0, said)


# ---- sslscan, testssl.sh -------------------------------------------------------------------------------------------


def sslscan_finds_nothing_weak():
    needs("sslscan")
    report = os.path.join(SCRATCH, "sslscan.xml")
    with https() as port:
        said, status = run("sslscan", "--no-colour", f"--xml={report}", "--sni-name=localhost", f"127.0.0.1:{port}")
    expect(status == 0, said)
    test = xml.etree.ElementTree.parse(report).getroot().find("ssltest")
    offered = {f"{one.get('type')} {one.get('version')}" for one in test.iter("protocol") if one.get("enabled") == "1"}
    expect(offered == {"tls 1.2", "tls 1.3"}, offered)
    expect(test.find("renegotiation").get("supported") == "0", "it renegotiates")
    expect(not [one for one in test.iter("compression") if one.get("supported") == "1"], "it compresses")
    expect(all(one.get("vulnerable") == "0" for one in test.iter("heartbleed")), "heartbleed")
    ciphers = [(one.get("cipher"), one.get("strength"), int(one.get("bits"))) for one in test.iter("cipher")]
    weak = [one for one in ciphers if one[1] not in ("strong", "acceptable") or one[2] < 128 or
            not re.search("GCM|CHACHA20", one[0])]
    expect(len(ciphers) >= 5 and not weak, weak or ciphers)


def testssl_finds_nothing_above_low():
    needs("testssl")
    report = os.path.join(SCRATCH, "testssl.json")
    with contextlib.suppress(FileNotFoundError):
        os.remove(report)
    with https() as port:
        said, status = run("testssl", "--quiet", "--color", "0", "--warnings", "off", "--fast", "-n", "none", "--ip",
                           "127.0.0.1", "--add-ca", CA, "-p", "-U", "--jsonfile", report, f"https://localhost:{port}",
                           seconds=1200)
    expect(os.path.exists(report), status, said)
    with open(report, encoding="utf-8") as file:
        found = json.load(file)
    wrong = [f"{one['severity']} {one['id']}: {one['finding']}" for one in found
             if one["severity"] not in ("OK", "INFO", "LOW", "WARN")]  # WARN: it cannot be tried here
    expect(len(found) > 20 and not wrong, len(found), wrong)


# ---- nginx ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def nginx_of_the_page(back):
    """As the page says, but for ports and files."""
    needs("nginx")
    port, path = free_port(), os.path.join(SCRATCH, "page.conf")
    with open(os.path.join(ROOT, "docs/how-to/behind-a-proxy.md"), encoding="utf-8") as file:
        text = re.search(r"^```\n(map .*?)^```$", file.read(), re.M | re.S)[1]
    for of_page, here in (("listen 443 ", f"listen 127.0.0.1:{port} "), ("server 127.0.0.1:8080;",
                          f"server 127.0.0.1:{back};"), ("/etc/ssl/shop.pem", PEM), ("/etc/ssl/private/shop.key", KEY)):
        expect(text.count(of_page) == 1, f"the page does not say {of_page}")
        text = text.replace(of_page, here)
    with open(path, "w", encoding="ascii") as file:
        file.write(NGINX_HEAD.format(scratch=SCRATCH) + text + "}\n")
    with daemon("nginx", "-c", path, "-p", SCRATCH, port=port):
        yield port


async def echo_through(port, context):
    websockets = runner.module("websockets")
    async with websockets.connect(f"wss://localhost:{port}/echo", ssl=context) as socket:
        await socket.send("hello")
        return await socket.recv()


def nginx_passes_on_what_the_page_says():
    needs("nginx")
    context = ssl.create_default_context(cafile=CA)
    with server() as back, nginx_of_the_page(back) as port:
        connection = http.client.HTTPSConnection("localhost", port, timeout=LIMIT, context=context)
        connection.request("GET", "/who", headers={"X-Forwarded-For": "203.0.113.5"})
        said = connection.getresponse().read().decode()
        expect(said == "203.0.113.5:0 asks https://localhost", said)
        begun = time.monotonic()
        connection.request("GET", "/events")
        answer = connection.getresponse()
        first = answer.readline()
        seconds, rest = time.monotonic() - begun, answer.read()
        expect(first == b"data: first\n" and b"data: second\n" in rest, answer.status, first, rest)
        expect(seconds < 4, f"the first event has come after {seconds} s, with the second")
        expect(asyncio.run(echo_through(port, context)) == "hello", "no echo")


# ---- slowhttptest --------------------------------------------------------------------------------------------------


def connections_of(port):
    """How many a server on this port has that are established."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        return sum(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "01" for line in table)


class GoodClient(threading.Thread):
    """It asks again and again until it is told to end, with connections of its own; and counts the server's."""

    def __init__(self, port):
        super().__init__()
        self.port, self.ends, self.times, self.wrong = port, threading.Event(), [], []
        self.begun, self.counts = time.monotonic(), []  # of connections, each with the seconds until then

    def counts_within(self, first, last):
        return [count for seconds, count in self.counts if first <= seconds < last]

    def run(self):
        while not self.ends.wait(0.1):
            begun = time.monotonic()
            self.counts.append((begun - self.begun, connections_of(self.port)))
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
                connection.request("GET", "/")
                answer = connection.getresponse()
                if (answer.status, answer.read().decode()) != (200, PAGE):
                    self.wrong.append(f"it is answered {answer.status}")
                connection.close()
            except (OSError, http.client.HTTPException) as error:
                self.wrong.append(repr(error))
            self.times.append(time.monotonic() - begun)


def slow_clients(serves, path, *arguments, connections=SLOW_CONNECTIONS, last_long=True):
    needs("slowhttptest")
    with serves() as port:
        client = GoodClient(port)
        client.start()
        try:
            said, status = run("slowhttptest", "-c", str(connections), "-l", str(SLOW_SECONDS), "-r", "200", "-p", "5",
                               *arguments, "-u", f"http://127.0.0.1:{port}{path}", seconds=SLOW_SECONDS + LIMIT)
        finally:
            client.ends.set()
            client.join()
    said = re.sub(r"\x1b\[[0-9;]*m", "", said)
    expect(not client.wrong and len(client.times) > 10, client.wrong or "it has hardly been asked")
    middle = statistics.median(client.times)  # each waits for 10 s at most
    expect(middle < 1, f"a good client has waited for {middle:.1f} s")
    expect("service available:   YES" in said and "service available:   NO" not in said, said)
    # A peer that still reads what has come does not see that it was reset.
    late = client.counts_within(SLOW_END, SLOW_SECONDS)
    expect("No open connections left" in said or late and max(late) < 5, late, said)
    expect(not last_long or max(client.counts_within(0, SLOW_END)) > connections / 2, client.counts)


def slowhttptest_with_slow_heads_leaves_others_answered():
    slow_clients(httpd, "/", "-H", "-i", "10", "-t", "GET", "-x", "24")


def slowhttptest_with_slow_bodies_leaves_others_answered():
    slow_clients(server, "/upload", "-B", "-i", "10", "-s", "8192", "-t", "POST", "-x", "10")


def slowhttptest_with_slow_readers_leaves_others_answered():
    slow_clients(httpd, "/large.txt", "-X", "-k", "3", "-n", "5", "-w", "10", "-y", "20", "-z", "32",
                 connections=SLOW_READERS)


def slowhttptest_with_many_ranges_leaves_others_answered():
    slow_clients(httpd, "/", "-R", "-t", "GET", "-a", "10", "-b", "900", last_long=False)


# ---- All -----------------------------------------------------------------------------------------------------------

TESTS = [openssl_client_is_given_1_2_and_1_3_and_no_older_version, openssl_client_may_update_keys_and_not_renegotiate,
         fetch_asks_an_openssl_server, sslscan_finds_nothing_weak, testssl_finds_nothing_above_low,
         nginx_passes_on_what_the_page_says, slowhttptest_with_slow_heads_leaves_others_answered,
         slowhttptest_with_slow_bodies_leaves_others_answered, slowhttptest_with_slow_readers_leaves_others_answered,
         slowhttptest_with_many_ranges_leaves_others_answered]


def main(names):
    os.makedirs(SCRATCH, exist_ok=True)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    subprocess.run([os.path.join(ROOT, "examples/certificates.sh"), CERTIFICATES], capture_output=True, check=True)
    chosen = [test for test in TESTS if not names or any(name in test.__name__ for name in names)]
    return runner.run(((test, (), "") for test in chosen), timed=bool(names))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
