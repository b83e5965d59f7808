#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Frames of a client's, as a WebSocket of crank-http's and python's wsproto understand them: the same messages, in the
same order, and the same close. The frames are good ones in any order, with changes by chance. Where wsproto is not
there (python3-wsproto) that is said, and skipped. OURS names the program of frames/ours.c, LONG=1 tries more."""
import json
import os
import random
import struct
import subprocess
import sys

OURS = os.environ.get("OURS", "build/test/gcc/tests/frames_ours")
LONG = os.environ.get("LONG") == "1"
LIMIT = 300  # seconds for ours
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


def a_frame(chance, within):
    """One that can come next, mostly, and whether a message goes on behind it."""
    good = [0x00, 0x80, 0x80, 0x89] if within else [0x81, 0x82, 0x01, 0x02, 0x8a]
    first = chance.choice(good if chance.random() < 0.9 else [0x03, 0xc1, 0x09, 0x00, 0x80, 0x81, 0x88, 0x88, 0x88])
    payload = chance.choice(TEXTS[:6] if chance.random() < 0.9 else TEXTS)
    if first == 0x88:
        code = chance.choice([1000, 1001, 1003, 1004, 1005, 1006, 1007, 1011, 1015, 999, 2999, 3000, 4999])
        payload = chance.choice([b"", b"x", struct.pack(">H", code) + payload[:123]])
    if first & 8 and chance.random() < 0.9:
        payload = payload[:125]
    return frame(first, payload, chance.random() < 0.98), within if first & 8 else first < 0x80


def inputs():
    chance = random.Random(1)
    for _ in range(20000 if LONG else 5000):
        data, within = b"", False
        for _ in range(chance.randint(1, 8)):
            piece, within = a_frame(chance, within)
            data += piece
        if chance.random() < 0.2:
            at = chance.randint(0, min(len(data), 200))
            data = data[:at] + bytes([chance.randint(0, 255)]) + data[at + chance.choice([0, 1]):]
        if chance.random() < 0.1:
            data = data[:chance.randint(0, len(data))]
        yield data


def by_ours(given):
    packed = b"".join(struct.pack("<I", len(data)) + data for data in given)
    done = subprocess.run([os.path.abspath(OURS)], input=packed, capture_output=True, timeout=LIMIT, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{OURS}: {done.stderr.decode()[-500:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def by_wsproto(protocol, data):
    """As ours.c prints it."""
    connection = protocol.FrameProtocol(client=False, extensions=[])
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


def compare(ours, theirs):
    """A frame that is cut off one of the two may have refused for its beginning; wsproto has no limit of length."""
    if ours == theirs:
        return None
    if ours[:-1] == theirs[:-1] and (-1 in (ours[-1], theirs[-1]) or ours[-1] == 1009):
        return None
    return f"crank-http: {ours}, wsproto: {theirs}"


def main():
    try:
        from wsproto import frame_protocol
    except ImportError:
        print("skip wsproto: it is not installed (python3-wsproto)")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    given = list(inputs())
    ours = by_ours(given)
    wrong = [(data, text) for data, own in zip(given, ours)
             if (text := compare(own, by_wsproto(frame_protocol, data)))]
    for data, text in wrong[:5]:
        print(f"FAIL {data[:100].hex()} ({len(data)} bytes): {text[:300]}")
    whole = sum(len(own) - 1 for own in ours)
    print(f"figures: wsproto understands {len(given)} inputs with {whole} messages as crank-http does")
    failed = bool(wrong) or len(ours) != len(given) or whole < len(given)
    print(f"{0 if failed else 1} passed, {1 if failed else 0} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
