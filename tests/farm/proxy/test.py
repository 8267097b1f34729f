#!/usr/bin/env python3
"""Each request by itself, before real servers that are nginx, Apache httpd and one of ours: what their logs say of clients
and requests, a WebSocket, a connection whose requests are for several hosts, a server that is killed in mid-answer, and
requests of odd shapes, of which no server sees another number than the node."""
import base64
import hashlib
import http.client
import os
import pathlib
import re
import signal
import socket
import struct
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from client import exchange, request
from farm import PUBLIC, SHOP, Farm, Process, check, eventually, options, scenario

import servers
import shapes

KINDS = {"s1": "nginx", "s2": "apache", "s3": "ours"}
SHAPES_AT_ONCE = 8


class ProxyFarm(Farm):
    def __init__(self, *where):
        super().__init__(*where)
        for name in self.servers:
            text = self.conf(name).read_text().replace('type = "http" path = "/health"', 'type = "tcp"')
            text = text.replace("    weight   = 100\n", '    weight   = 100\n    answer-timeout = "5s"\n')
            self.conf(name).write_text(text)

    def start_shop(self, name):
        if KINDS[name] == "ours":
            argv = [sys.executable, pathlib.Path(servers.__file__), self.ip(name)]
        else:
            where = self.dir / KINDS[name]
            where.mkdir(exist_ok=True)
            self.dir.chmod(0o755)
            argv = servers.prepare(where, self.ip(name), KINDS[name])
        self.shops[name] = Process(argv, self.log(name, "shop"))

    def healthy(self, name):
        return request(self.ip(name), SHOP, "/").status == 200

    def logged(self, name):
        return (self.dir / KINDS[name] / f"{KINDS[name]}.access.log").read_text(errors="replace")

    def host(self, name):
        return f"{name}.shop.test:{PUBLIC}"

    def dial(self, name, source=None):
        c = http.client.HTTPConnection(self.ip(name), PUBLIC, timeout=20, source_address=(source, 0) if source else None)
        c.connect()
        return c


def clients_are_told(farm):
    """Over connections that clients share, each request has its own client's address."""
    for name in ("s1", "s2"):
        clients = [farm.dial(name, f"127.0.{farm.block}.{100 + i}") for i in range(4)]
        for turn in range(3):
            for i, client in enumerate(clients):
                reply = exchange(client, "GET", f"/index.html?t{turn}c{i}", farm.host(name),
                                 headers={"X-Request-Id": f"r{turn}c{i}", "X-Forwarded-For": "10.9.9.9"})
                check(reply.status == 200 and reply.text == "home\n", f"{name}: {reply.status}")
        for turn in range(3):
            for i in range(4):
                line = (f"/index.html?t{turn}c{i} client=10.9.9.9, 127.0.{farm.block}.{100 + i} id=r{turn}c{i} "
                        "via=1.1 stead status=200")
                eventually(lambda name=name, line=line: line in farm.logged(name), f"{name} has logged: {line}")
        check(farm.metric(name, "stead_forward_connections_total") >= 12, "each had a connection")
        reused = [line for line in farm.admin(name, "/metrics").text.splitlines()
                  if line.startswith('stead_forward_connections_total{how="kept"}')]
        check(float(reused[0].split()[1]) >= 8, f"most of them a kept one: {reused}")
        for client in clients:
            client.close()


def large(farm):
    for name in ("s1", "s2"):
        want = (farm.dir / KINDS[name] / "root" / "big").read_bytes()
        client = farm.dial(name)
        for _ in range(2):
            reply = exchange(client, "GET", "/big", farm.host(name))
            check(reply.status == 200 and reply.body == want, f"{name}: a large answer, {len(reply.body)} bytes")
        part = exchange(client, "GET", "/big", farm.host(name), headers={"Range": "bytes=1000000-1999999"})
        check(part.status == 206 and part.body == want[1000000:2000000], f"{name}: a part of it: {part.status}")
        check(exchange(client, "HEAD", "/big", farm.host(name)).body == b"", "no body behind a HEAD")
        check(exchange(client, "GET", "/nothing", farm.host(name)).status == 404, "and the connection lives")
    body = os.urandom(3 << 20)
    client = farm.dial("s3")
    for chunked in (False, True):
        client.request("PUT", "/echo", iter([body[:70000], body[70000:]]) if chunked else body,
                       {"Host": farm.host("s3")}, encode_chunked=chunked)
        response = client.getresponse()
        check(response.read() == body and response.headers["x-digest"] == hashlib.sha256(body).hexdigest(),
              f"a large body comes back, chunked: {chunked}")
    reply = exchange(client, "GET", "/stream", farm.host("s3"))
    check(reply.text == "event0event1event2event3event4", f"chunks as they come: {reply.text}")


def across_hosts(farm):
    """One connection, requests for the common name, the server, the node itself and others."""
    client = farm.dial("s1")
    for _ in range(3):
        for host, path, status in ((farm.host("s1"), "/", 200), ("www.shop.test:8080", "/cart", 307),
                                   (farm.host("s1"), "/index.html", 200), ("s1.shop.test", "/.well-known/stead/roster", 200),
                                   (farm.host("s2"), "/", 421), (farm.host("s1"), "/none", 404)):
            got = exchange(client, "GET", path, host).status
            check(got == status, f"{host}{path}: {got}, not {status}")
    check(farm.metric("s1", "stead_forward_returned_total") >= 6, "they were given back")


def websocket(farm):
    key = base64.b64encode(os.urandom(16)).decode()
    with socket.create_connection((farm.ip("s3"), PUBLIC), timeout=20) as s, s.makefile("rb") as stream:
        s.sendall(f"GET /ws HTTP/1.1\r\nHost: {farm.host('s3')}\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
                  f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
        check(stream.readline().startswith(b"HTTP/1.1 101 "), "the protocol is switched")
        fields = {}
        while (line := stream.readline()) != b"\r\n":
            name, value = line.decode().split(":", 1)
            fields[name.lower()] = value.strip()
        want = base64.b64encode(hashlib.sha1(key.encode() + servers.GUID).digest()).decode()
        check(fields["sec-websocket-accept"] == want and fields["upgrade"] == "websocket", f"{fields}")
        for text in (b"hello", b"x" * 5000, b""):
            mask = os.urandom(4)
            length = bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + struct.pack(">H", len(text))
            s.sendall(b"\x81" + length + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(text)))
            first, size = stream.read(2)
            if size == 126:
                size, = struct.unpack(">H", stream.read(2))
            check(first == 0x81 and stream.read(size) == text, "a frame comes back")
        check(farm.metric("s3", "stead_director_tunnels") == 1, "it is a tunnel")
        s.sendall(b"\x88\x80\0\0\0\0")
        check(stream.read() == b"\x88\x00", "closed in order")


def killed(farm):
    """In mid-answer: no part is taken for the whole. Before it: 502, or elsewhere. After it: elsewhere."""
    whole, broken = farm.dial("s3"), farm.dial("s3")
    whole.request("GET", "/hang", headers={"Host": farm.host("s3")})
    broken.request("GET", "/part", headers={"Host": farm.host("s3")})
    response = broken.getresponse()
    check(response.read(4) == b"part", "the first part is there")
    farm.shops["s3"].end(signal.SIGKILL)
    try:
        rest = response.read()
        check(False, f"an end where none was: {len(rest)} bytes")
    except (http.client.IncompleteRead, ConnectionResetError):
        pass
    # On a kept connection the request was sent again, and met nobody.
    status = whole.getresponse().status
    check(status in (502, 307), f"no answer is a bad one: {status}")
    client = farm.dial("s3")
    reply = exchange(client, "GET", "/x", farm.host("s3"))
    check(reply.status == 307 and reply.headers["location"] in [f"http://{n}.shop.test:8080/x" for n in ("s1", "s2")], f"elsewhere: {reply.status}")
    farm.start_shop("s3")
    eventually(lambda: request(farm.ip("s3"), PUBLIC, "/", host=farm.host("s3")).status == 200, "and here again")


def silent(farm):
    reply = request(farm.ip("s3"), PUBLIC, "/hang", host=farm.host("s3"))
    check(reply.status == 504, f"a server that is silent: {reply.status}")


# -- odd shapes --

def answers_to(farm, name, text):
    """How many final answers come, and whether the first is a refusal."""
    got = b""
    with socket.create_connection((farm.ip(name), PUBLIC), timeout=20) as s:
        try:
            s.sendall(text.replace(b"HOST", farm.host(name).encode()))
            s.shutdown(socket.SHUT_WR)
            while piece := s.recv(65536):
                got += piece
        except ConnectionResetError:
            pass
    return [int(status) for status in re.findall(rb"HTTP/1\.1 ([2-5]\d\d) ", got)]


def odd_shapes(farm, name):
    texts = shapes.all_shapes()
    got = [None] * len(texts)

    def work(first):
        for i in range(first, len(texts), SHAPES_AT_ONCE):
            got[i] = answers_to(farm, name, texts[i])
    workers = [threading.Thread(target=work, args=(i,)) for i in range(SHAPES_AT_ONCE)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    check(request(farm.ip(name), PUBLIC, "/index.html?last", host=farm.host(name)).status == 200, "it serves on")
    eventually(lambda: "?last" in farm.logged(name), "the last one is logged")
    seen = {}
    for number in re.findall(r"id=(\d+)\. ", farm.logged(name)):
        seen[int(number)] = seen.get(int(number), 0) + 1
    forwarded = 0
    for i, statuses in enumerate(got):
        check(statuses is not None, f"shape {i} was not answered to the end")
        # What the node refuses itself is its last answer on that connection.
        own = sum(status in (400, 408, 431, 501, 502, 505) for status in statuses[-1:])
        behind = seen.get(i, 0)
        check(behind in (len(statuses) - own, len(statuses)),
              f"shape {i}: {behind} requests behind, answers {statuses}: {texts[i]!r}")
        forwarded += behind
    refused = sum(1 for statuses in got if statuses[:1] and statuses[0] >= 400 and statuses[0] not in (404, 405))
    check(forwarded > 40 and refused > 300, f"{name}: {forwarded} forwarded, {refused} refused")


def main():
    args = options()
    with scenario(args.build, 50, make=ProxyFarm) as farm:
        farm.started()
        clients_are_told(farm)
        large(farm)
        across_hosts(farm)
        websocket(farm)
        killed(farm)
        silent(farm)
        for name in ("s1", "s2"):
            odd_shapes(farm, name)


main()
