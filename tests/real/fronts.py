#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""nginx and haproxy in front of a server of crank-http, with connections that they keep: each of many requests, at once
and over connections kept by chance, gets its own answer; and of each row of tests/http/smuggling.txt crank's handler is
given no request more than the proxy has answered. A proxy that is not there is skipped by name. OURS names the program
of peers/ours.c, SCRATCH a folder."""
import concurrent.futures
import contextlib
import http.client
import os
import random
import sys

import peers
from peers import SCRATCH, daemon, free_port, needs, program, table
from runner import Skipped

LOG = os.path.join(SCRATCH, "requests")
REQUESTS, CLIENTS = 25000, 8  # for each proxy and backend

NGINX = peers.NGINX_HEAD + """  upstream crank {{ server 127.0.0.1:{back} max_fails=0; keepalive 8; }}
  server {{
    listen 127.0.0.1:{port}; keepalive_requests 100000;
    location / {{
      proxy_pass http://crank; proxy_http_version 1.1; proxy_set_header Host $http_host;
      proxy_set_header Connection ""; proxy_next_upstream off;
    }}
  }}
}}
"""
HAPROXY = """defaults
  mode http
  timeout client 30s
  timeout server 30s
  timeout connect 10s
  timeout http-request 10s
frontend front
  bind 127.0.0.1:{port}
  default_backend crank
backend crank
  http-reuse always
  server crank 127.0.0.1:{back}
"""


@contextlib.contextmanager
def nginx(back):
    needs("nginx")
    port, path = free_port(), os.path.join(SCRATCH, "front.conf")
    with open(path, "w", encoding="ascii") as file:
        file.write(NGINX.format(scratch=SCRATCH, port=port, back=back))
    with daemon("nginx", "-c", path, "-p", SCRATCH, port=port):
        yield port


@contextlib.contextmanager
def haproxy(back):
    needs("haproxy")
    port, path = free_port(), os.path.join(SCRATCH, "front.cfg")
    with open(path, "w", encoding="ascii") as file:
        file.write(HAPROXY.format(port=port, back=back))
    with daemon("haproxy", "-f", path, port=port):
        yield port


def one(chance, connection, name):
    """A request and its own answer."""
    headers = {"Host": "a", **({"Connection": "close"} if chance.random() < 0.1 else {})}
    body = name + "x" * chance.choice([0, 0, 1, 100, 900])
    kind = chance.randrange(3)
    if kind == 0:
        connection.request("GET", f"/{name}?{body}", headers=headers)
    elif kind == 1:
        connection.request("POST", f"/{name}", body=body, headers=headers)
    else:
        pieces = (piece.encode() for piece in (body[:1], body[1:50], body[50:]) if piece)
        connection.request("PUT", f"/{name}", body=pieces, headers=headers, encode_chunked=True)
    answer = connection.getresponse()
    text = answer.read().decode()
    expected = f"GET /{name}" if kind == 0 else f"{'POST' if kind == 1 else 'PUT'} /{name} {body}"
    if (answer.status, text) != (200, expected):
        raise AssertionError(f"{expected:.60} is answered {answer.status} {text:.60}")


def many(port, number):
    """One client's share: it leaves its connection now and then."""
    chance, connection = random.Random(number), None
    for i in range(REQUESTS // CLIENTS):
        connection = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        one(chance, connection, f"{number}-{i}")
        if chance.random() < 0.02:
            connection.close()
            connection = None
    if connection:
        connection.close()


def all_at_once(port):
    with concurrent.futures.ProcessPoolExecutor(CLIENTS) as pool:
        for done in [pool.submit(many, port, number) for number in range(CLIENTS)]:
            done.result()


def count_lines():
    with open(LOG, "rb") as file:
        return file.read().count(b"\n")


def rows_through(port):
    """Requests that the handler was given beyond those that the client has answers to."""
    wrong, given = [], 0
    for name, _, data in table():
        for quiet in (0.3, 5):  # once more with patience: the machine may be busy
            before = count_lines()
            cell = peers.ask(port, data, quiet, 30)
            taken, answers = count_lines() - before, 0 if cell == "-" else cell.count("+") + 1
            if taken <= max(answers, 1):  # one that is cut off is given, and has no answer
                break
        else:
            wrong.append(f"{name}: the client has {cell}, the handler was given {taken}")
        given += taken
    if given < 20:
        wrong.append(f"the handler was given {given} requests: it says nothing")
    return wrong


def play(front, backend):
    """What is wrong with it."""
    with program(os.path.abspath(peers.OURS), LOG, env=dict(os.environ, CRANK_BACKEND=backend)) as back, \
            front(back) as port:
        wrong = rows_through(port)
        try:
            all_at_once(port)
        except (AssertionError, OSError, http.client.HTTPException) as error:
            wrong.append(f"{type(error).__name__}: {error}")
    return wrong


def main():
    os.makedirs(SCRATCH, exist_ok=True)
    passed = failed = skipped = 0
    for front in (nginx, haproxy):
        for backend in ("epoll", "uring"):
            try:
                wrong = play(front, backend)
            except Skipped as missing:
                print(f"skip {missing}: it is not installed")
                skipped += 1
                break
            for text in wrong[:5]:
                print(f"FAIL {front.__name__} before crank [{backend}]: {text}")
            failed += len(wrong) > 0
            passed += not wrong
    print(f"figures: {passed * (REQUESTS // CLIENTS * CLIENTS)} requests through proxies in front")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
