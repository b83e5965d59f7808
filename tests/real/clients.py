#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A server of crank-http, asked by the clients that people use: curl, wget, python's requests and aiohttp, and with
LONG=1 node's undici. One that is not there is skipped by name. SERVER names the program of clients/server.c."""
import asyncio
import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile

import runner
from runner import Skipped

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SERVER = os.environ.get("SERVER", "build/test/gcc/tests/clients_server")
LONG = os.environ.get("LONG") == "1"
LIMIT = 60  # seconds, after which a test has failed
TESTS = []
LARGE = 3000000
LONG_AGO = 1.7e9  # the tag of a file that was written just now is weak, and If-Range asks for a strong one


def test(function):
    TESTS.append(function)
    return function


def expect(have, want):
    if have != want:
        raise AssertionError(f"{have!r:.300}, expected {want!r:.300}")


def summed(data):
    """What the server says of an upload."""
    total = 0
    for byte in data:
        total = (total * 31 + byte) % 1000003
    return f"{len(data)} {total}"


def large():
    """Bytes that differ from place to place."""
    block = b"".join(hashlib.sha256(str(i).encode()).digest() for i in range(1000))
    return (block * (LARGE // len(block) + 1))[:LARGE]


FILES = {
    "index.html": b'<a href="sub/">sub</a> <a href="large.bin">large</a> <a href="a%20b.txt">a b</a>',
    "sub/index.html": b'<a href="../">up</a> <a href="style.css">style</a>',
    "sub/style.css": b"p { color: red }\n",
    "a b.txt": b"a name with a blank\n",
    "empty.txt": b"",
    "large.bin": large(),
}


@contextlib.contextmanager
def server(backend):
    """It runs; gives its URL and the folder that it serves."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in FILES.items():
            os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
            with open(os.path.join(folder, name), "wb") as file:
                file.write(data)
            os.utime(file.name, (LONG_AGO, LONG_AGO))
        program = subprocess.Popen([os.path.abspath(SERVER), folder], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   env=dict(os.environ, CRANK_BACKEND=backend))
        try:
            yield f"http://127.0.0.1:{int(program.stdout.readline())}", folder
        finally:
            program.kill()
            program.wait()
            program.stdout.close()


# ---- curl ---------------------------------------------------------------------------------------------------------


def curl(*arguments, data=None, status=0):
    if not shutil.which("curl"):
        raise Skipped("curl")
    done = subprocess.run(["curl", "-sS", "--noproxy", "*", *arguments], input=data, capture_output=True, timeout=LIMIT,
                          check=False)
    if done.returncode != status:
        raise AssertionError(f"curl {arguments} ends with {done.returncode}: {done.stderr.decode()}")
    return done.stdout


@test
def curl_gets_files_and_parts_of_them(url, _):
    whole = FILES["large.bin"]
    expect(curl(url + "/large.bin"), whole)
    expect(curl("--http1.0", url + "/large.bin"), whole)
    expect(curl("-r", "1000-2999", url + "/large.bin"), whole[1000:3000])
    expect(curl("-r", "-5", url + "/large.bin"), whole[-5:])
    expect(curl("-r", "2999990-", url + "/large.bin"), whole[2999990:])
    expect(curl("-r", "0-1,5-6", url + "/large.bin"), whole)
    expect(curl("-o", os.devnull, "-w", "%{http_code}", "-r", "3000000-", url + "/large.bin"), b"416")
    expect(curl(url + "/a%20b.txt", url + "/empty.txt", url + "/sub/style.css"),
           FILES["a b.txt"] + FILES["sub/style.css"])
    expect(b"Content-Length: 3000000\r\n" in curl("-I", url + "/large.bin"), True)
    expect(curl("--path-as-is", "-w", "%{http_code}", "-o", os.devnull, url + "/sub/../../../etc/passwd"), b"400")
    expect(curl("-L", url + "/sub"), FILES["sub/index.html"])
    expect(curl("-w", "%{http_version}", "-o", os.devnull, "--http2", url + "/empty.txt"), b"1.1")  # it asks to switch


@test
def curl_goes_on_with_a_part(url, folder):
    part = os.path.join(folder, "part.bin")
    with open(part, "wb") as file:
        file.write(FILES["large.bin"][:1234567])
    curl("-C", "-", "-o", part, url + "/large.bin")
    with open(part, "rb") as file:
        expect(file.read(), FILES["large.bin"])
    os.remove(part)


@test
def curl_asks_for_what_is_newer(url, folder):
    tag = os.path.join(folder, "tag")
    expect(curl("--etag-save", tag, url + "/a%20b.txt"), FILES["a b.txt"])
    expect(curl("--etag-compare", tag, "-w", "%{http_code}", url + "/a%20b.txt"), b"304")
    expect(curl("-z", os.path.join(folder, "large.bin"), "-w", "%{http_code}", url + "/large.bin"), b"304")
    os.remove(tag)


@test
def curl_sends_bodies(url, _):
    data = large()
    said = summed(data)
    expect(curl("-T", "-", url + "/upload", data=data), f"PUT {said}".encode())  # in chunks
    expect(curl("--data-binary", "@-", url + "/upload", data=data), f"POST {said}".encode())  # it expects 100
    expect(curl("-H", "Expect:", "--data-binary", "@-", url + "/upload", data=data), f"POST {said}".encode())
    expect(curl("--http1.0", "--data-binary", "@-", url + "/upload", data=data), f"POST {said}".encode())
    expect(curl("--data-urlencode", "name=a&b +\u00e9", "-d", "text=1", url + "/form"), "a&b +\u00e9|1".encode())
    expect(curl("-F", "name=a", "-o", os.devnull, "-w", "%{http_code}", url + "/form"), b"415")
    expect(curl("-X", "DELETE", "-o", os.devnull, "-w", "%{http_code}", url + "/a%20b.txt"), b"405")


@test
def curl_keeps_cookies_and_sees_what_is_broken(url, folder):
    jar = os.path.join(folder, "jar")
    expect(curl("-L", "-c", jar, "-b", jar, url + "/away", url + "/visit", url + "/away"), b"123")
    os.remove(jar)
    expect(curl(url + "/lines").count(b"\n"), 10000)
    curl(url + "/broken", status=56)  # a reset


# ---- wget ---------------------------------------------------------------------------------------------------------


@test
def wget_copies_a_folder(url, _):
    if not shutil.which("wget"):
        raise Skipped("wget")
    with tempfile.TemporaryDirectory() as copy:
        done = subprocess.run(["wget", "-q", "-r", "-nH", "--no-proxy", "-P", copy, url + "/"], capture_output=True,
                              timeout=LIMIT, check=False)
        expect(done.returncode, 0)
        have = {}
        for folder, _, names in os.walk(copy):
            for name in names:
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    have[os.path.relpath(path, copy)] = file.read()
        linked = {name: data for name, data in FILES.items() if name != "empty.txt"}
        expect(sorted(have), sorted(linked))
        expect(have, linked)


# ---- requests -----------------------------------------------------------------------------------------------------


@test
def requests_asks_for_all_of_it(url, _):
    requests = runner.module("requests")
    with requests.Session() as session:
        session.trust_env = False
        whole = session.get(url + "/large.bin", timeout=LIMIT)
        expect((whole.status_code, whole.content), (200, FILES["large.bin"]))
        part = session.get(url + "/large.bin", headers={"Range": "bytes=5-9", "If-Range": whole.headers["ETag"]},
                           timeout=LIMIT)
        expect((part.status_code, part.content, part.headers["Content-Range"]),
               (206, FILES["large.bin"][5:10], "bytes 5-9/3000000"))
        same = session.get(url + "/large.bin", headers={"If-None-Match": whole.headers["ETag"]}, timeout=LIMIT)
        expect((same.status_code, same.content), (304, b""))
        for visit in "123":
            expect(session.get(url + "/away", timeout=LIMIT).text, visit)
        posted = session.post(url + "/form", data={"name": "a&b \u00e9", "text": "x" * 50000}, timeout=LIMIT)
        expect(posted.text, "a&b \u00e9|" + "x" * 50000)
        expect(session.put(url + "/upload", data=iter([large()]), timeout=LIMIT).text, "PUT " + summed(large()))
        expect(session.head(url + "/large.bin", timeout=LIMIT).headers["Content-Length"], "3000000")
        expect(session.options(url + "/large.bin", timeout=LIMIT).status_code, 405)
        with session.get(url + "/lines", stream=True, timeout=LIMIT) as stream:
            expect(sum(1 for _ in stream.iter_lines()), 10000)
        try:
            session.get(url + "/broken", timeout=LIMIT)
        except requests.ConnectionError:
            return
        raise AssertionError("a half answer was taken for a whole one")


# ---- aiohttp ------------------------------------------------------------------------------------------------------


@test
def aiohttp_asks_twenty_things_at_once(url, _):
    aiohttp = runner.module("aiohttp")

    async def part(session, first):
        async with session.get(url + "/large.bin", headers={"Range": f"bytes={first}-{first + 99999}"}) as answer:
            expect(answer.status, 206)
            expect(await answer.read(), FILES["large.bin"][first:first + 100000])

    async def ask():
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(LIMIT)) as session:
            await asyncio.gather(*(part(session, 100000 * i) for i in range(20)))
            async with session.post(url + "/form", data={"name": "a", "text": "b"}) as answer:
                expect(await answer.text(), "a|b")
            async with session.put(url + "/upload", data=large(), expect100=True) as answer:
                expect(await answer.text(), "PUT " + summed(large()))
            async with session.get(url + "/lines") as answer:
                expect((await answer.read()).count(b"\n"), 10000)
            try:
                async with session.get(url + "/broken") as answer:
                    await answer.read()
            except aiohttp.ClientError:
                return
            raise AssertionError("a half answer was taken for a whole one")

    asyncio.run(ask())


# ---- node ---------------------------------------------------------------------------------------------------------


NODE = dict(os.environ, NODE_PATH="/usr/share/nodejs")  # where Debian's modules are, for another node than Debian's


def node(name, *arguments, module, ends=0):
    """What a script of clients/ prints; it is skipped where node or the module of Debian's is missing."""
    options = {"env": NODE, "capture_output": True, "timeout": LIMIT, "check": False, "text": True}
    if not shutil.which("node") or subprocess.run(["node", "-e", f"require('{module}')"], **options).returncode:
        raise Skipped(f"node's {module}")
    done = subprocess.run(["node", os.path.join(ROOT, "tests/real/clients", name), *arguments], **options)
    if done.returncode != ends:
        raise AssertionError(f"{name} ends with {done.returncode}: {done.stderr}")
    return done.stdout


def undici_asks_for_all_of_it(url, _):
    sha = hashlib.sha256(large()).hexdigest()
    expect(node("undici.js", url, module="undici").splitlines(), [
        f"200 {sha}", "206 bytes 5-9/3000000", "304 0", f"PUT {summed(large())}", f"POST {summed(large())}", "a&b|c",
        "10000 lines", "20 at once", "broken is seen", "aborted"])


if LONG:
    test(undici_asks_for_all_of_it)


def run(tests):
    """Each with the server on each backend; prints the counts, and gives the exit status."""
    def on_each_backend():
        for backend in ("epoll", "uring"):
            with server(backend) as given:
                for function in tests:
                    yield function, given, f" [{backend}]"
    return runner.run(on_each_backend())


if __name__ == "__main__":
    sys.exit(run(TESTS))
