#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Frames, as WebSockets of crank-http's, python's wsproto and wslay understand them, and as they write them: the same
messages in the same order, and the same close; in both roles. What is read are good frames in any order, with changes
by chance. One that is not there (python3-wsproto, libwslay-dev) is skipped by name. OURS names the program of
frames/ours.c, SCRATCH a folder for that of frames/wslay.c, LONG=1 tries more."""
import json
import os
import random
import struct
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRATCH = os.environ.get("SCRATCH", "build/test/assurance/frames")
OURS = os.environ.get("OURS", "build/test/gcc/tests/frames_ours")
LONG = os.environ.get("LONG") == "1"
LIMIT = 300  # seconds for a program
OTHER = {"server": "client", "client": "server"}

# ---- What is read --------------------------------------------------------------------------------------------------

MASK = b"\x37\xfa\x21\x3d"
TEXTS = [b"", b"Hello", "\u00e9\u20ac\U0001f600".encode(), b"a" * 125, b"b" * 126, b"c" * (65536 if LONG else 300),
         b"\xc3", b"\xa9", b"\xed\xa0\x80", b"\xf0\x9f", b"\x98\x80", b"\xff"]


def frame(first, payload, masked=True):
    size = len(payload)
    length = bytes([size]) if size < 126 else b"\x7e" + struct.pack(">H", size) if size < 65536 else \
        b"\x7f" + struct.pack(">Q", size)
    if not masked:
        return bytes([first]) + length + payload
    masks = (MASK * (size // 4 + 1))[:size]
    body = (int.from_bytes(payload, "big") ^ int.from_bytes(masks, "big")).to_bytes(size, "big")
    return bytes([first, length[0] | 0x80]) + length[1:] + MASK + body


def a_frame(chance, within, masked):
    """One that can come next, mostly, and whether a message goes on behind it."""
    good = [0x00, 0x80, 0x80, 0x89] if within else [0x81, 0x82, 0x01, 0x02, 0x8a]
    first = chance.choice(good if chance.random() < 0.9 else [0x03, 0xc1, 0x09, 0x00, 0x80, 0x81, 0x88, 0x88, 0x88])
    payload = chance.choice(TEXTS[:6] if chance.random() < 0.9 else TEXTS)
    if first == 0x88:
        code = chance.choice([1000, 1001, 1003, 1004, 1005, 1006, 1007, 1011, 1012, 1014, 1015, 999, 2999, 3000, 4999])
        payload = payload[:123] if code < 1012 else b"why"  # which of two faults is told differs
        payload = chance.choice([b"", b"x", struct.pack(">H", code) + payload])
    if first & 8 and chance.random() < 0.9:
        payload = payload[:125]
    return frame(first, payload, masked == (chance.random() < 0.98)), within if first & 8 else first < 0x80


def inputs(role):
    """For a reader in this role."""
    chance = random.Random(role)
    for _ in range(20000 if LONG else 4000):
        data, within = b"", False
        for _ in range(chance.randint(1, 8)):
            piece, within = a_frame(chance, within, role == "server")
            data += piece
        if chance.random() < 0.2:
            at = chance.randint(0, min(len(data), 200))
            data = data[:at] + bytes([chance.randint(0, 255)]) + data[at + chance.choice([0, 1]):]
        if chance.random() < 0.1:
            data = data[:chance.randint(0, len(data))]
        yield data


# ---- What is written -----------------------------------------------------------------------------------------------


def scripts():
    """Messages, in fragments where the letter is a capital, pings, and a close: lists of kind and bytes."""
    chance = random.Random(2)
    for _ in range(10000 if LONG else 1000):
        records = []
        for _ in range(chance.randint(0, 6)):
            size = chance.choice([0, 1, 125, 126, 127, chance.randint(2, 3000), chance.choice([300, 65535, 65536])])
            kind = chance.choice("ttTbbBp")
            text = (chance.choice(["a", "\u00e9", "\u20ac", "\U0001f600"]) * size).encode()[:size]
            data = chance.randbytes(min(size, 125) if kind == "p" else size)
            records.append((kind, text.decode(errors="ignore").encode() if kind in "tT" else data))
        code = chance.choice([1000, 1001, 1003, 1007, 1011, 3000, 4999])
        yield records + [("x", struct.pack(">H", code) + chance.choice([b"", b"why", "\u00e9".encode() * 61]))]


def packed_script(records):
    return b"".join(kind.encode() + struct.pack("<I", len(data)) + data for kind, data in records)


def plain(records):
    """What crank can be told to write: it writes no fragments, and pings by itself."""
    return [(kind.lower(), data) for kind, data in records if kind != "p"]


def meant(records):
    """What a reader is to understand of it."""
    *messages, (_, close) = plain(records)
    return [kind + data.hex() for kind, data in messages] + [struct.unpack(">H", close[:2])[0]]


# ---- The libraries -------------------------------------------------------------------------------------------------


class Program:
    """Ours, or wslay's."""

    def __init__(self, name, path):
        self.name, self.path = name, os.path.abspath(path)

    def run(self, action, role, given):
        packed = b"".join(struct.pack("<I", len(data)) + data for data in given)
        done = subprocess.run([self.path, action, role], input=packed, capture_output=True, timeout=LIMIT, check=False)
        lines = done.stdout.splitlines()
        if done.returncode != 0 or len(lines) != len(given):
            raise RuntimeError(f"{self.name} {action} {role} ends with {done.returncode} at input {len(lines)} of "
                               f"{len(given)}: {done.stderr.decode()[-500:]}")
        return [json.loads(line) for line in lines]

    def read(self, role, given):
        return self.run("read", role, given)

    def write(self, role, given):
        return [bytes.fromhex(line) for line in self.run("write", role, [packed_script(records) for records in given])]


class Wsproto:
    name = "wsproto"

    def __init__(self):
        from wsproto import frame_protocol
        self.protocol = frame_protocol

    def read(self, role, given):
        return [self.read_one(role, data) for data in given]

    def read_one(self, role, data):
        """As ours.c prints it."""
        protocol = self.protocol
        connection = protocol.FrameProtocol(client=role == "client", extensions=[])
        said, parts = [], []
        try:
            connection.receive_bytes(data)
            for received in connection.received_frames():
                if received.opcode in (protocol.Opcode.TEXT, protocol.Opcode.BINARY):
                    part = received.payload
                    parts.append(part.encode() if isinstance(part, str) else bytes(part))
                    if received.message_finished:
                        said.append(("t" if received.opcode is protocol.Opcode.TEXT else "b") + b"".join(parts).hex())
                        parts = []
                elif received.opcode is protocol.Opcode.CLOSE:
                    code = int(received.payload[0])
                    return said + [0 if code == 1005 else code]
        except protocol.ParseFailed as wrong:
            return said + [int(wrong.code)]
        return said + [-1]

    def write(self, role, given):
        return [self.write_one(role, records) for records in given]

    def write_one(self, role, records):
        connection = self.protocol.FrameProtocol(client=role == "client", extensions=[])
        out = b""
        for kind, data in records:
            if kind == "p":
                out += connection.ping(data)
            elif kind == "x":
                out += connection.close(struct.unpack(">H", data[:2])[0], data[2:].decode() or None)
            else:
                payload = data.decode() if kind in "tT" else data
                half = len(payload) // 2 if kind in "TB" else 0
                out += connection.send_data(payload[:half], fin=False) if half else b""
                out += connection.send_data(payload[half:], fin=True)
        return out


def wslay():
    """Its program; None where it cannot be compiled."""
    folder = os.path.join(SCRATCH, "wslay")
    program = os.path.join(folder, "frames_wslay")
    os.makedirs(folder, exist_ok=True)
    command = [*os.environ.get("CC", "cc").split(), "-O1", "-o", program,
               os.path.join(ROOT, "tests/real/frames/wslay.c"), "-lwslay"]
    with open(os.path.join(folder, "log"), "wb") as log:
        done = subprocess.run(command, stdout=log, stderr=log, timeout=LIMIT, check=False)
    return Program("wslay", program) if done.returncode == 0 else None


def libraries():
    """Those that are there, and the names of the others."""
    there, missing = [], []
    try:
        there.append(Wsproto())
    except ImportError:
        missing.append("wsproto (python3-wsproto)")
    other = wslay()
    if other:
        there.append(other)
    else:
        missing.append("wslay (libwslay-dev)")
    return there, missing


# ---- Comparing -----------------------------------------------------------------------------------------------------


# Where both have the same messages, and then something else to say: why. Each must be needed.
MAY_DIFFER = {
    "wsproto": [
        ("it does not know the codes registered after RFC 6455", lambda ours, its: ours in LATE_CODES and its == 1002),
    ],
    "wslay": [
        ("it does not know the codes registered after RFC 6455", lambda ours, its: ours in LATE_CODES and its == 1002),
        ("it refuses a broken header, and sends no code", lambda ours, its: ours == 1002 and its == -2),
        ("it takes a close of one byte for one without a code", lambda ours, its: ours == 1002 and its == 0),
        ("of a close it looks at the reason before the code", lambda ours, its: ours == 1002 and its == 1007),
    ],
}
LATE_CODES = (1012, 1013, 1014)
if LONG:  # a change may make a length of eight bytes any
    MAY_DIFFER["wsproto"].append(
        ("it has no limit, and reads what there is of a message that is too long",
         lambda ours, its: ours == 1009 and its in (1002, 1007)))


class Comparison:
    """What was compared; the first differences of each kind are printed."""

    def __init__(self):
        self.passed, self.failed, self.explained = 0, 0, {}

    def add(self, what, wrong):
        wrong = [(data, text) for data, text in wrong if text]
        for data, text in wrong[:5]:
            print(f"FAIL {what}: {data[:100].hex()} ({len(data)} bytes): {text[:300]}")
        self.failed += len(wrong) > 0
        self.passed += not wrong

    def differ(self, name, ours, theirs):
        """What is wrong, or None. A frame that is cut off one of the two may have refused for its beginning."""
        if ours == theirs or (ours[:-1] == theirs[:-1] and -1 in (ours[-1], theirs[-1])):
            return None
        for why, may in MAY_DIFFER[name]:
            if ours[:-1] == theirs[:-1] and may(ours[-1], theirs[-1]):
                self.explained[name, why] = self.explained.get((name, why), 0) + 1
                return None
        return f"crank-http: {ours}, {name}: {theirs}"

    def end(self, name):
        """An explanation that explains nothing is of another version."""
        for why, _ in MAY_DIFFER[name]:
            if (name, why) not in self.explained:
                print(f"FAIL {name} does not differ any more: {why}")
                self.failed += 1


def compare_reading(ours, others, found):
    """Of the messages that crank reads: how many."""
    whole = 0
    for role in OTHER:
        given = list(inputs(role))
        understood = ours.read(role, given)
        whole += sum(len(own) - 1 for own in understood)
        for other in others:
            theirs = other.read(role, given)
            found.add(f"a {role} reads", [(data, found.differ(other.name, own, its))
                                          for data, own, its in zip(given, understood, theirs)])
    for other in others:
        found.end(other.name)
    return whole


def compare_writing(ours, others, found):
    given = list(scripts())
    for role in OTHER:
        ways = [(ours, other, [plain(records) for records in given]) for other in others]
        ways += [(other, ours, given) for other in others]
        for writer, reader, told in ways:
            written = writer.write(role, told)
            understood = reader.read(OTHER[role], written)
            found.add(f"a {role} of {writer.name} writes to {reader.name}", [
                (data, None if have == meant(records) else f"{have}, expected {meant(records)}")
                for data, have, records in zip(written, understood, told)])
    return len(given)


def main():
    ours, found = Program("crank-http", OURS), Comparison()
    others, missing = libraries()
    for name in missing:
        print(f"skip {name}: it is not installed")
    whole = compare_reading(ours, others, found)
    written = compare_writing(ours, others, found)
    if whole < 4000:
        print(f"FAIL only {whole} messages were understood: it says nothing")
        found.failed += 1
    names = " and ".join(other.name for other in others) or "none"
    explained = ", ".join(f"{name} {count}: {why}" for (name, why), count in sorted(found.explained.items()))
    print(f"figures: {names} read {whole} messages as crank-http does, and {written} scripts of each other's writing; "
          f"explained differences: {explained or 'none'}")
    print(f"{found.passed} passed, {found.failed} failed, {len(missing)} skipped")
    return 1 if found.failed else 0


if __name__ == "__main__":
    sys.exit(main())
