#!/usr/bin/env python3
"""Clients that are slow on purpose: heads and bodies byte by byte, connections that say nothing, half closed ones, answers
that are not taken, floods of fields. They come in greater number than a node has room for; others are served meanwhile.

usage: test.py --build DIR
"""
import http.server
import pathlib
import shutil
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import PUBLIC, Farm, Process, check, options, request, scenario

WWW, OWN, BIG = "www.shop.test:8080", "s1.shop.test:8080", 9100
FILES = 2400  # of a node: fewer than what those who come would take
CROWD = 500
REFUSED_MAX = 16  # of 80 others: a crowd that comes again all at once may take all places for a moment


class Small(Farm):
    """Nodes with few descriptors, and short patience."""

    def __init__(self, build, block, example):
        super().__init__(build, block, example)
        for name in self.names:
            text = self.conf(name).read_text()
            text = text.replace(f'public {{ listen = "{self.ip(name)}:{PUBLIC}" }}',
                                f'public {{ listen = "{self.ip(name)}:{PUBLIC}" head-timeout = "4s" body-timeout = "4s" }}')
            if name == "s1":
                text = text.replace(f'"{self.ip(name)}:9000"', f'"{self.ip(name)}:{BIG}"')
            self.conf(name).write_text("workers = 1\n" + text)

    def start_node(self, name):
        self.nodes[name] = Process(["prlimit", f"--nofile={FILES}", self.build / "stead", "run", "-c", self.conf(name)], self.log(name))


class Web(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = b"x" * (20 << 20 if self.path == "/large" else 2)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = answer

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer()

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 512

    def handle_error(self, *args):
        pass


class Slow:
    """So many connections that each send a beginning, and a byte now and then; who is closed comes again."""

    def __init__(self, farm, begin, drip=b"", count=CROWD, half=False):
        self.to, self.begin, self.drip, self.half = (farm.ip("s1"), PUBLIC), begin, drip, half
        self.over, self.again = False, 0
        self.sockets = [self.dial() for _ in range(count)]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def dial(self):
        try:
            s = socket.create_connection(self.to, timeout=5)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            if self.begin:
                s.sendall(self.begin)
            if self.half:
                s.shutdown(socket.SHUT_WR)
            s.setblocking(False)
            return s
        except OSError:
            return None

    def closed(self, s):
        if s is None:
            return True
        try:
            if self.drip:
                s.send(self.drip)
                return False
            return s.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def run(self):
        while not self.over:
            for i, s in enumerate(self.sockets):
                if self.over:
                    return
                if self.closed(s):
                    self.again += 1
                    if s:
                        s.close()
                    self.sockets[i] = self.dial()
            time.sleep(0.5)

    def end(self):
        self.over = True
        self.thread.join(30)
        for s in self.sockets:
            if s:
                s.close()


def others_are_served(farm, what):
    """New clients, by the common name and at the server itself; each once."""
    failed = []
    for _ in range(40):
        for host, good in ((WWW, 307), (OWN, 200)):
            try:
                status = request(farm.ip("s1"), PUBLIC, "/", host=host).status
            except OSError as error:
                status = repr(error)
            if status != good:
                failed.append((host, status))
        time.sleep(0.05)
    print(f"{what}: {len(failed)} of 80 requests of others failed {failed[:3]}", flush=True)
    return failed


def attacks(farm):
    post = "POST / HTTP/1.1\r\nHost: {}\r\nContent-Length: 100000\r\n\r\n"
    kinds = [
        ("heads byte by byte", dict(begin=b"GET / HTTP/1.1\r\nHost: www", drip=b"x")),
        ("connections without a byte", dict(begin=b"")),
        ("half closed connections", dict(begin=b"GET / HT", half=True)),
        ("bodies byte by byte, to the common name", dict(begin=post.format(WWW).encode(), drip=b"x")),
        ("bodies byte by byte, to a server", dict(begin=post.format(OWN).encode(), drip=b"x")),
        ("idle kept connections", dict(begin=f"GET / HTTP/1.1\r\nHost: {WWW}\r\n\r\n".encode())),
        ("idle kept connections at a server", dict(begin=f"GET / HTTP/1.1\r\nHost: {OWN}\r\n\r\n".encode())),
        ("answers that are not taken", dict(begin=f"GET /large HTTP/1.1\r\nHost: {OWN}\r\n\r\n".encode(), count=60)),
    ]
    bad = {}
    for what, how in kinds:
        slow = Slow(farm, **how)
        time.sleep(1)
        failed = others_are_served(farm, what)
        if len(failed) > REFUSED_MAX:
            bad[what] = len(failed)
        slow.end()
    check(not bad, f"others are served meanwhile: {bad}")
    check(not others_are_served(farm, "when they are gone"), "all are served when they are gone")


def floods_of_fields(farm):
    """By the book, and no more is read than may come."""
    for fields, status in ((b"X: y\r\n" * 200, 431), (b"X: " + b"y" * 20000 + b"\r\n", 431), (b"X: y\r\n" * 90, 307)):
        with socket.create_connection((farm.ip("s1"), PUBLIC), timeout=10) as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: " + WWW.encode() + b"\r\n" + fields + b"\r\n")
            check(s.recv(100).startswith(f"HTTP/1.1 {status}".encode()), f"{len(fields)} bytes of fields: {status}")


def slowhttptest(farm):
    if not shutil.which("slowhttptest"):
        print("slowhttptest is not here: its part is not run")
        return
    for kind in ("-H", "-B", "-X"):
        url = f"http://{farm.ip('s1')}:{PUBLIC}/large"
        child = subprocess.Popen(["slowhttptest", kind, "-c", str(CROWD), "-i", "1", "-r", "400", "-l", "6", "-u", url, "-x", "10", "-p", "2"],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        try:
            time.sleep(2)
            check(len(others_are_served(farm, f"slowhttptest {kind}")) <= REFUSED_MAX, f"others are served during slowhttptest {kind}")
        finally:
            child.kill()
            child.wait()


def main():
    args = options()
    with scenario(args.build, 37, make=Small) as farm:
        server = Server((farm.ip("s1"), BIG), Web)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        farm.healthy = lambda name: True
        farm.started()
        attacks(farm)
        floods_of_fields(farm)
        slowhttptest(farm)
        check(farm.metric("s1", "stead_http_connections_crowded_total") > 0, "who gave way is counted")


main()
