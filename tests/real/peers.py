#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What other servers answer to the requests of tests/http/smuggling.txt: the columns of tests/http/smuggling_peers.txt.

peers.py --check: that file has the rows of the table, and its first column is what the table says of crank-http.
peers.py: the same; then each server that is there is asked, and crank-http's on a real port: another answer of crank's
is a failure, one of another server's is shown with its version: it has changed. What is not there is skipped by name.
peers.py --write: write the file anew, with the columns of the servers that are there.

A server that is a proxy for others, nginx and haproxy, has the whole request before it answers. OURS names the program
of peers/ours.c, SCRATCH a folder."""
import concurrent.futures
import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time

from readers import ROOT, table_bytes
from runner import Skipped

SCRATCH = os.path.abspath(os.environ.get("SCRATCH", "build/test/assurance/peers"))
OURS = os.path.abspath(os.environ.get("OURS", "build/test/gcc/tests/peers_ours"))
TABLE = os.path.join(ROOT, "tests/http/smuggling.txt")
COLUMNS = os.path.join(ROOT, "tests/http/smuggling_peers.txt")
FOLDER = os.path.join(ROOT, "tests/real/peers")
QUIET, LIMIT = 0.4, 3  # seconds until a client ends its input, and until it gives up
HEAD = """\
# What other servers answer to the rows of smuggling.txt, in its order: written, and compared, by tests/real/peers.py.
# A cell lists the statuses: 200+200 are two requests answered, "-" none; 0.9 is an answer without a head. crank's are
# those of smuggling.txt. nginx and haproxy stand in front of a server, and have read a whole request when they answer.
"""


# ---- The two files -------------------------------------------------------------------------------------------------


def table():
    """Of each row: its name, what crank answers, the bytes."""
    with open(TABLE, encoding="ascii") as file:
        for line in file:
            if not line.startswith("#") and "|" in line:
                verdict, name, text = line.rstrip("\n").split("|", 2)
                statuses = [word[:3] for word in verdict.split() if word[:3].isdigit()]
                yield name.strip(), "+".join(statuses) or "-", table_bytes(text[1:] if text.startswith(" ") else text)


def committed():
    """The names of the columns, and of each row the cells and its name."""
    with open(COLUMNS, encoding="ascii") as file:
        lines = [[cell.strip() for cell in line.split("|")] for line in file if not line.startswith("#")]
    return lines[0][:-1], [(cells[:-1], cells[-1]) for cells in lines[1:]]


def write(names, rows):
    widths = [max(map(len, column)) for column in zip(names, *(cells for cells, _ in rows))]
    with open(COLUMNS, "w", encoding="ascii") as file:
        file.write(HEAD)
        for cells, name in [(names, "what it is"), *rows]:
            file.write(" | ".join([cell.ljust(width) for cell, width in zip(cells, widths)] + [name]) + "\n")


# ---- Asking --------------------------------------------------------------------------------------------------------


def statuses(answer, has_heads):
    """Of the answers one after the other, as a cell of the file. Answers 1xx are none."""
    found = []
    while answer:
        head, blank, rest = answer.partition(b"\r\n\r\n")
        line = re.match(rb"HTTP/1\.[01] (\d\d\d)", head)
        if not line or not blank:
            found.append("0.9" if not found else "?")
            break
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.I)
        if line[1][:1] == b"1":
            answer = rest
            continue
        found.append(line[1].decode())
        has_head = has_heads and len(found) == 1  # an answer to HEAD has no body
        if re.search(rb"\r\ntransfer-encoding: *chunked", head, re.I) and not has_head:
            answer = re.sub(rb"^(?s:.*?)\r\n0\r\n\r\n", b"", b"\r\n" + rest, count=1)
        else:
            answer = rest[int(length[1]):] if length and not has_head else b""
    return "+".join(found) or "-"


def ask(port, data, quiet=QUIET, limit=LIMIT):
    """Send it, wait until nothing more comes, end the input, and read to the end."""
    answer, ended = b"", False
    with socket.create_connection(("127.0.0.1", port)) as client:
        try:
            client.sendall(data)
            deadline = time.monotonic() + limit
            while time.monotonic() < deadline:
                client.settimeout(limit if ended else quiet)
                try:
                    piece = client.recv(65536)
                except socket.timeout:
                    if ended:
                        break
                    client.shutdown(socket.SHUT_WR)
                    ended = True
                    continue
                if not piece:
                    break
                answer += piece
        except OSError:
            pass  # a reset: what came before counts
    return statuses(answer, data.startswith(b"HEAD"))


def ask_all(port, rows, expected):
    """What differs from what is expected is asked again, with patience: the machine may be busy."""
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        cells = list(pool.map(lambda row: ask(port, row[2]), rows))
    return [cell if cell == want else ask(port, row[2], 3, 10) for cell, want, row in zip(cells, expected, rows)]


# ---- Servers -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def program(*command, **options):
    """It runs, and prints its port."""
    with open(os.path.join(SCRATCH, "log"), "ab") as log, \
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, **options) as process:
        try:
            line = process.stdout.readline()
            if not line.strip().isdigit():
                raise RuntimeError(f"{command[0]} gives no port: see {SCRATCH}/log")
            yield int(line)
        finally:
            process.kill()


def needs(*commands):
    for command in commands:
        if not shutil.which(command):
            raise Skipped(command)


def version_of(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return (re.search(r"\d+\.\d+(\.\d+)*", done.stdout + done.stderr) or ["?"])[0]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def await_port(port):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens at port {port}: see {SCRATCH}/log")


@contextlib.contextmanager
def daemon(*command, port):
    """It runs, and listens at this port."""
    with open(os.path.join(SCRATCH, "log"), "ab") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            await_port(port)
            yield port
        finally:
            process.terminate()


NGINX_HEAD = """daemon off; master_process off; pid {scratch}/nginx.pid; error_log {scratch}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {scratch}/body; proxy_temp_path {scratch}/proxy; fastcgi_temp_path {scratch}/fastcgi;
  uwsgi_temp_path {scratch}/uwsgi; scgi_temp_path {scratch}/scgi;
"""
NGINX = NGINX_HEAD + """  server {{ listen unix:{scratch}/nginx.sock; return 200 "$request_method $uri"; }}
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://unix:{scratch}/nginx.sock:; }} }}
}}
"""


@contextlib.contextmanager
def nginx():
    needs("nginx")
    port, path = free_port(), os.path.join(SCRATCH, "nginx.conf")
    with contextlib.suppress(FileNotFoundError):
        os.remove(os.path.join(SCRATCH, "nginx.sock"))
    with open(path, "w", encoding="ascii") as file:
        file.write(NGINX.format(scratch=SCRATCH, port=port))
    with daemon("nginx", "-c", path, "-p", SCRATCH, port=port):
        yield port, version_of("nginx", "-v")


HAPROXY = """defaults
  mode http
  timeout client 10s
  timeout server 10s
  timeout connect 10s
  timeout http-request 10s
frontend front
  bind 127.0.0.1:{port}
  option http-buffer-request
  http-request return status 200 content-type text/plain lf-string "%[method] %[path]"
"""


@contextlib.contextmanager
def haproxy():
    needs("haproxy")
    port, path = free_port(), os.path.join(SCRATCH, "haproxy.cfg")
    with open(path, "w", encoding="ascii") as file:
        file.write(HAPROXY.format(port=port))
    with daemon("haproxy", "-f", path, port=port):
        yield port, version_of("haproxy", "-v")


@contextlib.contextmanager
def go():
    needs("go")
    built = os.path.join(SCRATCH, "go_peer")
    done = subprocess.run(["go", "build", "-o", built, os.path.join(FOLDER, "go.go")], capture_output=True, text=True,
                          env=dict({"HOME": SCRATCH}, **os.environ, GO111MODULE="off"), timeout=300, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    with program(built) as port:
        yield port, version_of("go", "version")


@contextlib.contextmanager
def node():
    needs("node")
    with program("node", os.path.join(FOLDER, "node.js")) as port:
        yield port, version_of("node", "--version")


@contextlib.contextmanager
def python(name):
    done = subprocess.run([sys.executable, "-c", f"import {name}; print({name}.__version__)"], capture_output=True,
                          text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise Skipped(name)
    with program(sys.executable, os.path.join(FOLDER, "python.py"), name) as port:
        yield port, done.stdout.strip()


@contextlib.contextmanager
def crank():
    with program(OURS) as port:
        yield port, ""


SERVERS = {"crank": crank, "nginx": nginx, "haproxy": haproxy, "Go": go, "node": node, "h11": lambda: python("h11"),
           "aiohttp": lambda: python("aiohttp")}


def ask_server(name, rows, expected):
    """Its column and its version."""
    with SERVERS[name]() as (port, version):
        return ask_all(port, rows, expected), version


# ---- Comparing -----------------------------------------------------------------------------------------------------


def accepts(cell):
    return cell.startswith("2") or cell == "0.9"


def check(rows):
    """What is wrong with the committed file."""
    names, have = committed()
    if names[0] != "crank" or any(name not in SERVERS for name in names):
        return [f"its columns are {names}"]
    if len(have) != len(rows):
        return [f"{len(have)} rows, smuggling.txt has {len(rows)}: peers.py --write"]
    both = zip(((cells[0], name) for cells, name in have), ((answer, name) for name, answer, _ in rows))
    return [f"row {i + 1} is {has}, smuggling.txt has {want}: peers.py --write"
            for i, (has, want) in enumerate(both) if has != want]


def figures():
    """How many of the requests that crank refuses each server takes."""
    names, rows = committed()
    refused = [cells for cells, _ in rows if cells[0].startswith(("4", "5"))]
    taken = [f"{name} {sum(accepts(cells[i]) for cells in refused)}" for i, name in enumerate(names) if i > 0]
    return f"of {len(refused)} requests that crank refuses others take: {', '.join(taken)}"


def compare(name, rows):
    """What differs from the file, or is wrong with crank; None where the server is not there."""
    names, have = committed()
    try:
        column, version = ask_server(name, rows, [cells[names.index(name)] for cells, _ in have])
    except Skipped as missing:
        print(f"skip {missing}: it is not installed")
        return None
    wrong = [f"{row}: {cell}, the table has {cells[names.index(name)]}"
             for cell, (cells, row) in zip(column, have) if cell != cells[names.index(name)]]
    if name != "crank":
        if wrong:
            print(f"figures: {name} {version} differs in {len(wrong)} of {len(rows)} rows: {'; '.join(wrong[:3])}")
        return []
    return wrong


def write_all(rows):
    names, columns = ["crank"], [[answer for _, answer, _ in rows]]
    for name in list(SERVERS)[1:]:
        try:
            column, version = ask_server(name, rows, columns[0])
        except Skipped as missing:
            print(f"skip {missing}: it is not installed")
            continue
        print(f"{name} {version}")
        names.append(name)
        columns.append(column)
    write(names, [(list(cells), row[0]) for cells, row in zip(zip(*columns), rows)])


def main():
    os.makedirs(SCRATCH, exist_ok=True)
    rows, skipped = list(table()), 0
    if "--write" in sys.argv:
        write_all(rows)
    wrong = [f"smuggling_peers.txt: {text}" for text in check(rows)]
    if not wrong and "--check" not in sys.argv:
        for name in committed()[0]:
            found = compare(name, rows)
            skipped += found is None
            wrong += [f"{name}: {text}" for text in found or []]
    for text in wrong[:10]:
        print(f"FAIL {text}")
    print(f"figures: {figures()}")
    print(f"{0 if wrong else 1} passed, {1 if wrong else 0} failed, {skipped} skipped")
    return len(wrong) > 0


if __name__ == "__main__":
    sys.exit(main())
