#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Requests that crank-http takes, beside other readers: where it gives a handler a request, h11 and llhttp must
understand the same one from the same bytes: method, target, version, fields, body, and what follows it.

What another reader takes and crank-http refuses is of no interest here. The bytes are the rows of
tests/http/smuggling.txt, the committed scripts of the fuzz target http, and as many of both again with changes by
chance. A reader that is not there is skipped by name: python3-h11; node-llhttp, of which the sources are got by
apt-get download. OURS names the program of readers/ours.c, SCRATCH a folder for the other one, LONG=1 tries more."""
import glob
import json
import os
import random
import re
import struct
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRATCH = os.environ.get("SCRATCH", "build/test/assurance/readers")
OURS = os.environ.get("OURS", "build/test/gcc/tests/reader_ours")
LONG = os.environ.get("LONG") == "1"
LIMIT = 300  # seconds for one reader
BEHIND = b"GET /behind HTTP/1.1\r\nHost: a\r\n\r\n"

# ---- what is read -------------------------------------------------------------------------------------------------


def table_bytes(text):
    """As tests/http/smuggling.c reads a row."""
    text = re.sub(r"\{(.)\*(\d+)\}", lambda m: m[1] * int(m[2]), text)
    plain = {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\", "0": b"\0"}
    out, at = b"", 0
    while at < len(text):
        found = re.compile(r"\\(?:([rnt\\0])|x(..))").match(text, at)
        if found:
            out += plain[found[1]] if found[1] else bytes.fromhex(found[2])
            at = found.end()
        else:
            out += text[at].encode("latin-1")
            at += 1
    return out


def rows():
    with open(os.path.join(ROOT, "tests/http/smuggling.txt"), encoding="ascii") as table:
        for line in table:
            if not line.startswith("#") and "|" in line:
                text = line.rstrip("\n").split("|", 2)[2]
                yield table_bytes(text[1:] if text.startswith(" ") else text)


def scripts():
    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    for path in sorted(glob.glob(os.path.join(ROOT, "tests/fuzz/corpus/http/*"))):
        with open(path, "rb") as file:
            data = file.read()
        if data[:1] and data[0] % 4 in (0, 2):
            yield data[1:] if data[0] % 4 == 0 else chunked + data[1:]


def changed(originals, count):
    """A byte less, more or another, or a piece of another one's in its place."""
    chance = random.Random(1)
    pieces = [b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b",", b"0", b"chunked", b"Content-Length: 1\r\n", b"\0",
              b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"X: y\r\n", b"\x80", b"5;a=\"b\"\r\n",
              b"HTTP/1.1"]
    for _ in range(count):
        data = chance.choice(originals)
        for _ in range(chance.choice([1, 1, 1, 2, 3])):
            at = chance.randint(0, min(len(data), 400))
            data = data[:at] + chance.choice(pieces + [b""]) + data[at + chance.choice([0, 0, 1, 2]):]
        yield data


def messages():
    """All of them, those that are changed from ones that crank-http takes; and each with a request behind it."""
    given = [*rows(), *scripts()]
    good = [data for data, requests in zip(given, by_program(os.path.abspath(OURS), given)) if requests]
    given += changed(good, 100000 if LONG else 5000)
    return [data for one in given for data in (one, one + BEHIND) if len(data) < 100000]


# ---- readers ------------------------------------------------------------------------------------------------------


def known(name, value):
    """The names of codings are the same in any case."""
    return name, value.lower() if name == b"transfer-encoding" else value


def unpacked(request):
    """What ours.c prints of one, as bytes; names in lower case."""
    text = bytes.fromhex
    fields = [known(text(field["name"]).lower(), text(field["value"]).strip(b" \t")) for field in request["fields"]]
    return text(request["method"]), text(request["target"]), request["version"], fields, text(request["body"])


def by_program(program, inputs):
    packed = b"".join(struct.pack("<I", len(data)) + data for data in inputs)
    done = subprocess.run([program], input=packed, capture_output=True, timeout=LIMIT, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{program}: {done.stderr.decode()[-500:]}")
    return [[unpacked(request) for request in json.loads(line)] for line in done.stdout.splitlines()]


def by_h11(inputs):
    import h11
    return [h11_requests(h11, data) for data in inputs]


def h11_requests(h11, data):
    """Until it refuses one, or a request is the connection's last."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 17)
    requests = []
    connection.receive_data(data)
    try:
        connection.receive_data(b"")
        while (request := h11_request(h11, connection)) is not None:
            requests.append(request)
            connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
            connection.send(h11.EndOfMessage())
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                break
            connection.start_next_cycle()
    except (h11.RemoteProtocolError, h11.LocalProtocolError):
        pass
    return requests


def h11_request(h11, connection):
    head, body = None, b""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            version = int(head.http_version.replace(b".", b""))
            return (bytes(head.method), bytes(head.target), version,
                    [known(bytes(name), bytes(value)) for name, value in head.headers], body)
        else:
            return None


def llhttp_program():
    """Its path; None where the sources cannot be had."""
    folder = os.path.join(SCRATCH, "llhttp")
    program = os.path.join(folder, "reader_llhttp")
    if not os.path.exists(program):
        os.makedirs(folder, exist_ok=True)
        script = ("apt-get download -q node-llhttp && dpkg -x node-llhttp_*.deb . && "
                  "source=$(dirname \"$(find . -name llhttp.c | head -1)\") && "
                  "${CC:-cc} -O1 -DLLHTTP_STRICT_MODE -I \"$source\" -I \"$source/../include\" -I \"$(dirname \"$("
                  "find . -name llhttp.h | head -1)\")\" -o reader_llhttp \"$1\" \"$source\"/llhttp.c "
                  "\"$source\"/api.c \"$source\"/http.c")
        done = subprocess.run(["bash", "-c", script, "bash", os.path.join(ROOT, "tests/real/readers/llhttp.c")],
                              cwd=folder, capture_output=True, timeout=LIMIT, check=False)
        with open(os.path.join(folder, "log"), "wb") as log:
            log.write(done.stdout + done.stderr)
    return os.path.abspath(program) if os.path.exists(program) else None


# ---- what they may differ in --------------------------------------------------------------------------------------

METHODS = set(b"DELETE GET HEAD POST PUT CONNECT OPTIONS TRACE COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK "
              b"BIND REBIND UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PATCH "
              b"PURGE MKCALENDAR LINK UNLINK SOURCE".split())
TRAILERS = ("it reads trailers as if they were fields",
            lambda data, ours, i: re.search(rb"\n0+\r\n.*:", data, re.S))
# Of request i of those that crank-http takes, and the other reader refuses: why.
MAY_REFUSE = {
    "h11": [
        ("it takes no empty line before a request",
         lambda data, ours, i: b"\r\n" + ours[i][0] + b" " + ours[i][1] in data),
        ("it keeps no connection of HTTP/1.0", lambda data, ours, i: any(before[2] == 10 for before in ours[:i])),
        TRAILERS,
    ],
    "llhttp": [
        ("it knows a list of methods", lambda data, ours, i: ours[i][0] not in METHODS),
        ("it reads the extensions of chunks, which crank-http skips",
         lambda data, ours, i: re.search(rb"\n[0-9a-f]+[ \t]*;", data, re.I)),
        TRAILERS,
        ("it takes no tab behind a coding or length", lambda data, ours, i: re.search(rb"(chunked|\d)\t", data, re.I)),
    ],
}


def compare(name, data, ours, theirs):
    """What is wrong, or None."""
    for i, request in enumerate(ours):
        if i >= len(theirs):
            if any(may(data, ours, i) for _, may in MAY_REFUSE[name]):
                return None
            return f"{name} does not take request {i + 1}, {request}"
        if request != theirs[i]:
            return f"{name} understands {theirs[i]} where a handler is given {request}"
    return None


def main():
    inputs = messages()
    ours = by_program(os.path.abspath(OURS), inputs)
    taken = sum(map(len, ours))
    passed = failed = skipped = 0
    llhttp = llhttp_program()
    readers = {"h11": by_h11, "llhttp": (lambda data: by_program(llhttp, data)) if llhttp else None}
    for name, read in readers.items():
        try:
            theirs = read(inputs) if read else None
        except ImportError:
            theirs = None
        if theirs is None:
            print(f"skip {name}: it cannot be had here")
            skipped += 1
            continue
        wrong = [(data, text) for data, own, other in zip(inputs, ours, theirs)
                 if (text := compare(name, data, own, other))]
        for data, text in wrong[:10]:
            print(f"FAIL {data[:300]!r}: {text}")
        failed += len(wrong) > 0
        passed += not wrong
    if taken < len(inputs) // 10:
        print(f"FAIL of {len(inputs)} messages only {taken} requests were taken: it says nothing")
        failed += 1
    print(f"figures: {taken} requests of {len(inputs)} messages")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
