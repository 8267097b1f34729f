#!/usr/bin/env python3
"""Services that are not HTTP: the secondary, the primary, names in TLS, PROXY headers in and out, the backup and the way
back from it."""
import contextlib
import hashlib
import os
import pathlib
import socket
import ssl
import struct
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import PUBLIC, Farm, check, eventually, options, scenario

DB, DB_REAL, MAIL, MAIL_REAL, BALANCED, ELSEWHERE = 5432, 5433, 993, 5434, 5435, 5436
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


class Server:
    """A real server: says its name, and whom it was told (`header`), then what came until the client's end, backwards."""

    def __init__(self, name, ip, port, header):
        self.name, self.header, self.open = name, header, set()
        self.listener = socket.create_server((ip, port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.serve, args=(self.listener.accept()[0],), daemon=True).start()

    def serve(self, s):
        self.open.add(s)
        with contextlib.suppress(OSError), s:
            told = "-"
            if self.header:
                fixed = s.recv(16, socket.MSG_WAITALL)
                if len(fixed) < 16:
                    return  # a check
                check(fixed[:12] == SIGNATURE, f"no header: {fixed!r}")
                rest = s.recv(fixed[15], socket.MSG_WAITALL)
                told = f"{socket.inet_ntoa(rest[:4])}:{struct.unpack('!H', rest[8:10])[0]}"
            s.sendall(f"{self.name} {told}\n".encode())
            got, size = hashlib.sha256(), 0
            while data := s.recv(65536):
                got.update(data)
                size += len(data)
                if data == b"flood\n":
                    s.sendall(b"x" * (8 << 20))
            s.sendall(f"{size} {got.hexdigest()}\n".encode())
        self.open.discard(s)

    def end(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for s in list(self.open):
            with contextlib.suppress(OSError):
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                s.shutdown(socket.SHUT_RDWR)


class TcpFarm(Farm):
    def start_shop(self, name):
        pass

    def wait_ready(self, *names):
        for name in names or self.names:
            eventually(lambda name=name: self.ready(name), f"{name} is ready")

    def up(self, name):
        return {s["name"] for s in self.roster(name)["servers"] if s["status"] == "up" and s["service"] == "db"}


def start_server(farm, name, service="db"):
    farm.real[name, service] = Server(name, farm.ip(name), DB_REAL if service == "db" else MAIL_REAL, service == "db")


def client(farm, node, port=DB, source=None, first=b""):
    s = socket.create_connection((farm.ip(node), port), timeout=20, source_address=source and (source, 0))
    if first:
        s.sendall(first)
    return s


def line(s):
    got = b""
    while not got.endswith(b"\n"):
        data = s.recv(1)
        check(data, f"closed after {got!r}")
        got += data
    return got.decode().split()


def server_of(farm, node, **how):
    with client(farm, node, **how) as s:
        return line(s)[0]


def refused(farm, node, **how):
    """The connection is closed without a byte."""
    try:
        with client(farm, node, **how) as s:
            return s.recv(1) == b""
    except (ConnectionResetError, BrokenPipeError):
        return True


def users(farm, name):
    return next(s["users"] for s in farm.roster(name)["servers"] if s["name"] == name and s["service"] == "db")


def secondary(farm):
    with client(farm, "s1") as s:
        name, told = line(s)
        check(name == "s1", f"s1's listener led to {name}")
        check(told == "{}:{}".format(*s.getsockname()), f"the real server was told {told}, not {s.getsockname()}")
        eventually(lambda: users(farm, "s1") == 1, "a user is counted")
        data = os.urandom(3 << 20) * 4
        threading.Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR)), daemon=True).start()
        check(line(s) == [str(len(data)), hashlib.sha256(data).hexdigest()], "what was sent arrived, and its end")
        check(s.recv(1) == b"", "and the end came back")
    eventually(lambda: users(farm, "s1") == 0, "and is gone")
    with client(farm, "s1") as s:
        line(s)
        s.sendall(b"flood\n")
        size = 0
        while size < 8 << 20:
            size += len(s.recv(1 << 20))
        s.shutdown(socket.SHUT_WR)
        check(line(s)[0] == "6", "the other way too")


def primary(farm):
    def spread():
        return {server_of(farm, "front", source=f"127.0.{farm.block}.{i}") for i in range(40, 72)} == {"s1", "s2", "s3"}
    eventually(spread, "clients are spread over all")
    source = f"127.0.{farm.block}.99"
    check(len({server_of(farm, "front", source=source) for _ in range(6)}) == 1, "one client comes to one server")


def hops(farm):
    """Who comes from another node's address was forwarded, and is not forwarded again."""
    check(server_of(farm, "s1", source=farm.ip("s2")) == "s1", "by its own server it is served")
    check(refused(farm, "front", source=farm.ip("s2")), "the front node sends it nowhere")


def hello(name):
    out = ssl.MemoryBIO()
    context = ssl.create_default_context()
    tls = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return out.read()


def names(farm):
    for node in ("s2", "front"):
        for name, wanted in (("mail.test", "mail"), ("s3.mail.test", "mail"), ("db.test", "db"), ("S2.db.test", "db")):
            with client(farm, node, port=MAIL, first=hello(name)) as s:
                got = line(s)[0]
                check(got.startswith(wanted) if wanted == "mail" else got in ("s1", "s2", "s3"), f"{name} led to {got}")
        first = hello("mail.test")
        with client(farm, node, port=MAIL) as s:  # in pieces
            for i in range(0, len(first), 100):
                s.sendall(first[i:i + 100])
            line(s)
            s.shutdown(socket.SHUT_WR)
            check(line(s) == [str(len(first)), hashlib.sha256(first).hexdigest()], "and came there as it was sent")
        check(refused(farm, node, port=MAIL, first=hello("other.test")), f"{node} knows other.test")
        check(refused(farm, node, port=MAIL, first=b"GET / HTTP/1.1\r\n\r\n"), f"{node} takes no name for one")
    eventually(lambda: farm.metric("front", 'stead_tcp_refused_total{reason="unnamed"}') == 2, "counted")


def proxied(farm):
    """A load balancer before it tells the client."""
    v1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 4321 5432\r\n"
    v2 = SIGNATURE + b"\x21\x11\0\x14" + bytes([192, 0, 2, 7, 198, 51, 100, 1]) + struct.pack("!HH", 4321, 5432) + \
        b"\x01\0\x05hello"
    there = {"port": BALANCED, "source": f"127.0.{farm.block}.1"}
    by_v1 = server_of(farm, "front", **there, first=v1)
    for _ in range(4):
        check(server_of(farm, "front", **there, first=v2) == by_v1, "the client that it tells is what counts")
    with client(farm, "front", **there) as s:
        for i in range(len(v2)):
            s.sendall(v2[i:i + 1])
        s.sendall(b"hello")
        check(line(s)[0] == by_v1, "in pieces")
        s.shutdown(socket.SHUT_WR)
        check(line(s)[0] == "5", "and nothing of it went on")
    server_of(farm, "front", **there, first=SIGNATURE + b"\x20\0\0\0")
    for bogus in (b"hello\n", b"PROXY TCP4 1 2 3 4\r\n", SIGNATURE + b"\x21\x12\0\x0c" + bytes(12), b"PROXY " + b"x" * 200):
        check(refused(farm, "front", **there, first=bogus), f"{bogus!r} was taken")
    check(refused(farm, "front", port=ELSEWHERE, first=v1), "a stranger's header was believed")
    check(farm.metric("front", 'stead_tcp_refused_total{reason="malformed"}') == 4, "each is counted")
    check(farm.metric("front", 'stead_tcp_refused_total{reason="untrusted"}') == 1, "the stranger too")


def proxied_http(farm):
    """The balancer's client is the client everywhere: in the log, here."""
    def ask(first):
        with client(farm, "front", port=PUBLIC, source=f"127.0.{farm.block}.1", first=first) as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: nobody.test\r\nConnection: close\r\n\r\n")
            got = b""
            with contextlib.suppress(ConnectionResetError):
                while data := s.recv(65536):
                    got += data
            return got
    check(ask(b"PROXY TCP4 192.0.2.77 198.51.100.1 4321 80\r\n").startswith(b"HTTP/1.1 421"), "an answer")
    eventually(lambda: "client=192.0.2.77" in farm.log("front").read_text(), "and who asked is in the log")
    check(ask(b"") == b"", "no header, no answer")
    check(refused(farm, "front", port=PUBLIC, source=f"127.0.{farm.block}.9"), "nor for others")
    check(farm.metric("front", "stead_director_proxied_refused_total") == 2, "both are counted")


def backup(farm):
    a, b = (f"127.0.{farm.block}.{n}" for n in (101, 102))
    with client(farm, "s1", source=a) as s:
        line(s)
        farm.real["s1", "db"].end()
        try:
            check(s.recv(1) == b"", "the server's end is the client's")
        except ConnectionResetError:
            pass
    check(server_of(farm, "s1", source=a) == "s2", "at once, to the server named as backup")
    eventually(lambda: farm.status_of_db("s1") == "suspect", "the roster says so")
    check({server_of(farm, "front", source=f"127.0.{farm.block}.{i}") for i in range(40, 60)} <= {"s2", "s3"}, "nobody there")
    farm.real["s3", "db"].end()  # its backup is a new choice
    check(server_of(farm, "s3", source=a) == "s2", "s3's to whoever is up")
    start_server(farm, "s3")
    held = client(farm, "s1", source=a)
    check(line(held)[0] == "s2", "held")
    start_server(farm, "s1")
    eventually(lambda: farm.status_of_db("s1") == "up", "it is back")
    check(server_of(farm, "s1", source=b) == "s1", "new clients have it")
    check(server_of(farm, "s1", source=a) == "s2", "whoever has a session stays with the backup")
    held.close()
    eventually(lambda: farm.metric("s1", "stead_tcp_open") == 0, "closed")
    time.sleep(3.5)  # affinity-life: what is tested is that time
    check(server_of(farm, "s1", source=a) == "s1", "until it ended")
    check(farm.metric("s1", 'stead_tcp_connections_total{to="backup"}') >= 3, "counted")


def host_gone(farm):
    """Its own name leads to its backup, and for as long as a session may last after it is back."""
    def own_name():
        return farm.dns("s1.db.test", "s2")
    check(own_name() == (0, [farm.ip("s1")]), f"its own: {own_name()}")
    farm.kill("s1")
    eventually(lambda: own_name() == (0, [farm.ip("s2")]), "its name leads to its backup")
    farm.start("s1")
    farm.wait_ready("s1")
    eventually(lambda: farm.status_of_db("s1") == "up", "it is back")
    check(own_name() == (0, [farm.ip("s2")]), f"sessions end at the backup: {own_name()}")
    eventually(lambda: own_name() == (0, [farm.ip("s1")]), "then the name is its own again")


def nobody(farm):
    for name in ("s1", "s2", "s3"):
        farm.real[name, "db"].end()
    check(refused(farm, "front"), "nobody is there")
    check(refused(farm, "s1"), "nor there")


def main():
    args = options()
    with scenario(args.build, 47, "tcp", TcpFarm) as farm:
        farm.real = {}
        farm.status_of_db = lambda name: next(
            s["status"] for s in farm.roster("front")["servers"] if s["name"] == name and s["service"] == "db")
        for name in ("s1", "s2", "s3"):
            start_server(farm, name)
            farm.real[name, "mail"] = Server("mail-" + name, farm.ip(name), MAIL_REAL, False)
        farm.start()
        farm.wait_ready()
        farm.wait_up("s1", "s2", "s3")
        for step in (secondary, primary, hops, names, proxied, proxied_http, backup, host_gone, nobody):
            print(step.__name__, flush=True)
            step(farm)


main()
